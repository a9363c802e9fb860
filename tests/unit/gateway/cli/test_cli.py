"""The command line: what it prints, and with which status it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from gateway import demo
from gateway.cli import main
from gateway.settings import DEMO_KEY
from tests.unit.gateway.http.served import served

ROOT = Path(__file__).parents[4]
CATALOG = ROOT / "contracts" / "catalog"
CONTRACT = CATALOG / "order" / "orders-daily.yaml"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MESHGATE_") and not name.startswith("MESHGATE_TESTS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(ROOT)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def token_of(capsys: pytest.CaptureFixture[str], *arguments: str, key: str = DEMO_KEY) -> dict[str, Any]:
    status, out, _ = said(capsys, "token", *arguments)
    assert status == 0
    found: dict[str, Any] = jwt.decode(out.splitlines()[-1], key, algorithms=["HS256"], audience="meshgate")
    return found


@pytest.mark.parametrize(
    "command", [[], ["demo"], ["serve"], ["port"], ["port", "serve"], ["check"], ["slo"], ["usage"], ["token"], ["explain"]]
)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert "usage: meshgate" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["token"], ["check"], ["explain", "{ a }"], ["port", "serve", "x.yaml"]])
def test_a_command_that_is_not_understood_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_the_last_line_of_token_is_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    given = "--claim countries=DE,FR --claim ticket=INC-1 --claim one=DE,"
    claims = token_of(capsys, *f"--role analyst --role steward {given} --purpose a b --purpose c --domain order".split())
    assert claims["roles"] == ["analyst", "steward"]
    assert (claims["countries"], claims["ticket"], claims["one"]) == (["DE", "FR"], "INC-1", ["DE"])
    assert claims["purposes"] == ["a", "b", "c"]
    assert claims["domain"] == "order"
    assert claims["iss"] == "meshgate-demo"


def test_a_configured_demo_key_signs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHGATE_AUTH__DEMO_KEY", "k" * 40)
    assert token_of(capsys, "--role", "a", "--subject", "me", "--lifetime", "60", key="k" * 40)["sub"] == "me"


def test_a_claim_that_has_an_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "token", "--role", "a", "--claim", "roles=steward")
    assert (status, out) == (1, "")
    assert "roles" in err


@pytest.mark.parametrize("claim", ["countries", "=DE", " =x"])
def test_a_claim_without_a_name_or_value_is_refused(claim: str) -> None:
    with pytest.raises(SystemExit):
        main(["token", "--role", "a", "--claim", claim])


def test_settings_that_cannot_be_used_are_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHGATE_HTTP__PROT", "1")
    status, _, err = said(capsys, "token", "--role", "a")
    assert status == 1
    assert "did you mean http.port?" in err


def test_contracts_that_are_right_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "check", str(CATALOG))
    assert status == 0
    assert "order/orders-daily@2.1.0: ok" in out
    status, out, _ = said(
        capsys, "check", str(CONTRACT), str(CATALOG / "customer" / "customers.yaml"), str(CATALOG / "payment" / "payments.yaml")
    )
    assert status == 0
    assert out.count(": ok") == 3


def test_every_mistake_is_told_with_file_and_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("apiVersion: datamesh/v1\nkind: DataContract\nmetadata: {nam: x}\nspec: {slo: {freshness: soon}}\n")
    status, out, err = said(capsys, "check", str(wrong), str(CONTRACT))
    assert status == 1
    assert f"{wrong}:3" in out
    assert f"{wrong}:4" in out
    assert "problems in 1 file" in err
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "also.yaml").write_text("nonsense: 1\n")
    status, out, _ = said(capsys, "check", str(tmp_path / "more"), "--policy", str(ROOT / "contracts/policies/mesh.yaml"))
    assert status == 1
    assert "also.yaml:1" in out


def test_a_folder_without_contracts_is_a_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = said(capsys, "check", str(tmp_path))
    assert status == 1
    assert "no contracts" in err


def test_a_policy_that_is_wrong_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    policy = tmp_path / "mesh.yaml"
    policy.write_text("nonsense: 1\n")
    status, _, err = said(capsys, "check", str(CONTRACT), "--policy", str(policy))
    assert status == 1
    assert "mesh.yaml:1" in err


OPERATION = "{ order { ordersDaily(first: 2) { nodes { orderId customerEmail } } } }"


def test_explain_prints_plan_rulings_and_calls(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "query.graphql"
    file.write_text(OPERATION)
    for operation in (OPERATION, str(file)):
        status, out, err = said(capsys, "explain", operation, "--role", "analyst", "--claim", "countries=DE,FR", "--variables", "{}")
        assert status == 0
        assert "assuming those of `meshgate demo`" in err
        assert "order/orders-daily@2.1.0" in out
        assert "masked email" in out


def test_explain_tells_why_an_operation_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "explain", "{ nonsense }", "--role", "analyst", "--purpose", "a")
    assert (status, out) == (1, "")
    assert "GRAPHQL_VALIDATION_FAILED" in err


def test_files_that_cannot_be_read_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "cannot be read" in said(capsys, "explain", str(tmp_path / "none.graphql"), "--role", "a")[2]
    (tmp_path / "binary").write_bytes(b"\xff")
    assert "UTF-8" in said(capsys, "explain", str(tmp_path / "binary"), "--role", "a")[2]


@pytest.mark.parametrize("variables", ["[]", "x", "1"])
def test_variables_must_be_an_object(variables: str) -> None:
    with pytest.raises(SystemExit):
        main(["explain", OPERATION, "--role", "a", "--variables", variables])


def test_a_catalog_that_cannot_be_built_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "mesh.yaml"
    policy.write_text("nonsense: 1\n")
    monkeypatch.setenv("MESHGATE_POLICY_FILE", str(policy))
    assert "mesh.yaml:1" in said(capsys, "explain", OPERATION, "--role", "a")[2]


def test_serve_needs_a_way_to_identify_callers(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = said(capsys, "serve")
    assert status == 1
    assert "auth.jwks_url" in err


def test_port_serve_tells_what_is_wrong_with_its_source(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = said(capsys, "port", "serve", str(CONTRACT), "--data", str(tmp_path / "none.parquet"))
    assert status == 1
    assert err
    status, _, err = said(capsys, "port", "serve", str(CONTRACT), "--mock", "--token-env", "MESHGATE_TESTS_NO_SUCH_VARIABLE")
    assert status == 1
    assert "is not set" in err


def test_demo_passes_its_options_and_its_key_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: dict[str, Any] = {}

    def run(**options: Any) -> int:
        given.update(options)
        return 0

    monkeypatch.setattr(demo, "run", run)
    status, _, _ = said(capsys, "demo", "--data", str(tmp_path), "--port", "8100", "--domain-ports", "1", "2", "3")
    assert status == 0
    assert given["ports"] == demo.Ports(1, 2, 3, 8100)
    assert given["environment"] == {"MESHGATE_AUTH__DEMO_KEY": DEMO_KEY}
    claims = jwt.decode(given["token_for"]("analyst", {"countries": "DE,FR"}, ("p",)), DEMO_KEY, algorithms=["HS256"], audience="meshgate")
    assert (claims["countries"], claims["purposes"]) == (["DE", "FR"], ["p"])

    def busy(**_options: Any) -> int:
        raise demo.DemoError("port 1 is busy")

    monkeypatch.setattr(demo, "run", busy)
    assert said(capsys, "demo")[0] == 1

    def interrupted(**_options: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert said(capsys, "demo")[0] == 130


def test_a_reader_that_has_read_enough_is_no_mistake() -> None:
    command = [sys.executable, "-c", "import sys; from gateway.cli import main; sys.exit(main(sys.argv[1:]))", "check", str(CATALOG)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 0


def serving(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "serve", *arguments], cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE
    )


def port_of(process: subprocess.Popen[bytes]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        found = json.loads(line)
        if found["event"] == "listening":
            return int(found["port"])
    raise AssertionError("the gateway did not start")


def test_serve_answers_and_ends_with_0_after_sigterm(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "meshgate.toml"
    config.write_text(
        f"catalog_dir = '{CATALOG}'\npolicy_file = '{ROOT / 'contracts/policies/mesh.yaml'}'\n"
        f"[auth]\ndemo_key = '{DEMO_KEY}'\n[http]\nport = 0\n"
    )
    token = said(capsys, "token", "--role", "analyst", "--claim", "countries=DE,")[1].splitlines()[-1]
    process = serving("--config", str(config), environment={})
    try:
        address = f"http://127.0.0.1:{port_of(process)}"
        with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}) as client:
            until_s = time.monotonic() + 20
            while (ready := client.get("/healthz")).status_code != 200:
                assert time.monotonic() < until_s
            assert ready.json() == {"status": "ok"}
            products = client.post("/graphql", json={"query": "{ mesh { products { name } } }"}).json()["data"]["mesh"]["products"]
            assert {"name": "orders-daily"} in products
            assert client.get("/metrics").status_code == 403
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_serve_tells_that_its_port_is_taken(tmp_path: Path) -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})

    with served(nothing) as address:
        environment = {"MESHGATE_AUTH__DEMO_KEY": DEMO_KEY, "MESHGATE_HTTP__PORT": address.rpartition(":")[2]}
        process = serving(environment=environment)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"cannot listen on 127.0.0.1" in err
    assert b"Traceback" not in err


def test_slo_rules_and_dashboard_are_written_from_a_folder_or_the_settings_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "slo", "rules")
    assert (status, err) == (0, "")
    assert out.startswith("# Generated by `meshgate slo rules`")
    assert said(capsys, "slo", "rules", str(CATALOG))[1] == out
    status, out, _ = said(capsys, "slo", "dashboard", str(CONTRACT), "--title", "Orders")
    assert status == 0
    assert json.loads(out)["title"] == "Orders"


def test_slo_rules_leave_out_a_wrong_contract_and_say_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("kind: Nonsense\n")
    status, out, err = said(capsys, "slo", "rules", str(tmp_path), str(CATALOG))
    assert status == 0
    assert "left out:" in err
    assert "wrong.yaml" in err
    assert "order/orders-daily" in out
    status, out, err = said(capsys, "slo", "rules", str(tmp_path))
    assert (status, out) == (1, "")
    assert "there are no contracts there" in err
    status, out, err = said(capsys, "slo", "dashboard", str(tmp_path / "wrong.yaml"))
    assert (status, out) == (1, "")


def test_a_gateway_that_does_not_answer_or_is_none_is_said_without_a_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = said(capsys, "slo", "--url", "http://127.0.0.1:9")
    assert (status, "cannot be asked (ConnectError)" in err) == (1, True)
    (tmp_path / "token").write_text("no token\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_answer_once, args=(server,))
        answering.start()
        status, _, err = said(
            capsys, "slo", "--url", f"http://127.0.0.1:{server.getsockname()[1]}", "--token-file", str(tmp_path / "token")
        )
        answering.join()
    assert (status, "did not answer as a gateway does" in err) == (1, True)


def _answer_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
