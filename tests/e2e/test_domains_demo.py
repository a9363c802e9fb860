"""The demo as a user runs it: comes up, tells how to ask, loses a domain, stops without leftovers however it is stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain_adapters.domains.generate import Sizes, ensure
from gateway import demo
from gateway.demo import DemoError, Ports, run
from gateway.leash import main as leash

pytestmark = pytest.mark.e2e
SIZES = Sizes(customers=40, orders=150)
# Stands in for the gateway's process only: what the demo does with a gateway, not what a gateway does.
GATEWAY = """
import http.server, os, socket, urllib.parse
places = [urllib.parse.urlsplit(url).netloc.split(":") for name, url in sorted(os.environ.items()) if name.endswith("__ENDPOINT")]
for host, port in places:
    with socket.socket() as probe:
        print("found", port, probe.connect_ex((host, int(port))) == 0, flush=True)
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["MESHGATE_PRODUCTS__order/orders-daily__ENDPOINT"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
address = os.environ["MESHGATE_HTTP__HOST"], int(os.environ["MESHGATE_HTTP__PORT"])
http.server.ThreadingHTTPServer(address, Ready).serve_forever()
"""
SUPERVISOR = f"""
import sys
from pathlib import Path
from domain_adapters.domains.generate import Sizes
from gateway.demo import Ports, run
ports = Ports(*map(int, sys.argv[2:]))
sizes = Sizes(customers=40, orders=150)
sys.exit(run(data=Path(sys.argv[1]), ports=ports, sizes=sizes, gateway_command=[sys.executable, "-c", {GATEWAY!r}]))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure(tmp_path_factory.mktemp("demo"), SIZES)


@pytest.fixture
def ports() -> Iterator[Ports]:
    probes = [socket.socket() for _ in range(4)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    chosen = Ports(*(probe.getsockname()[1] for probe in probes))
    for probe in probes:
        probe.close()
    yield chosen
    for port in (chosen.order, chosen.payment, chosen.customer, chosen.gateway):
        assert not listens(port)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Told(list[str]):
    """What the demo says; reacts to lines as a user would, from a thread of its own."""

    def __init__(self, **reactions: Any) -> None:
        super().__init__()
        self.reactions = reactions
        self.threads: list[threading.Thread] = []

    def __call__(self, line: str) -> None:
        self.append(line)
        for part in [part for part in self.reactions if part in line.replace(" ", "_").replace("-", "_")]:
            thread = threading.Thread(target=self.reactions.pop(part))
            thread.start()
            self.threads.append(thread)

    @property
    def text(self) -> str:
        return "\n".join(self)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def go(data: Path, ports: Ports, told: Told, *, command: str = GATEWAY, **options: Any) -> int:
    try:
        return run(
            data=data, ports=ports, sizes=SIZES, gateway_command=[sys.executable, "-c", command], say=told, **{"ready_s": 60.0, **options}
        )
    finally:
        for thread in told.threads:
            thread.join()


def pid_listening_on(port: int) -> int:
    """Find the process by its command line: each child was told its port or inherits it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--port" in words and words[words.index(b"--port") + 1] == str(port).encode():
                return int(entry.name)
    raise AssertionError("no such process")


def test_it_comes_up_tells_how_to_ask_loses_a_domain_and_stops_on_ctrl_c(data: Path, ports: Ports) -> None:
    answers: dict[str, str] = {}
    alive: list[bool] = []

    def look_and_kill() -> None:
        with httpx.Client(trust_env=False) as client:
            answers["gateway"] = client.get(f"http://127.0.0.1:{ports.gateway}/").text
            answers["payment"] = client.get(f"http://127.0.0.1:{ports.payment}/health").text
        os.kill(pid_listening_on(ports.customer), signal.SIGKILL)

    def look_and_stop() -> None:
        alive.extend(listens(port) for port in (ports.order, ports.payment, ports.gateway))
        interrupt()

    def token_for(role: str, claims: Mapping[str, str], purposes: tuple[str, ...]) -> str:
        return f"token-{role}-{'-'.join([*claims.values(), *purposes])}"

    told = Told(Ctrl_C_stops_all=look_and_kill, the_others_go_on_without_it=look_and_stop)
    assert go(data, ports, told, token_for=token_for) == 0
    assert answers == {"gateway": f"http://127.0.0.1:{ports.order}", "payment": '{"status":"UP"}'}
    for role in ("analyst-DE,FR,NL", "fraud-investigator-fraud-prevention", "break-glass-INC-4711-incident-response"):
        assert f"Bearer token-{role}" in told.text
    assert "customer ended with status -9; the others go on without it" in told
    assert alive == [True, True, True]
    assert told[-1] == "stopped"
    # Started last: a gateway that measured a domain still loading would count it as down.
    assert [line for line in told if "found" in line] == [
        f"[gateway] found {port} True" for port in (ports.customer, ports.order, ports.payment)
    ]


@pytest.fixture
def gateway_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = demo._programs
    monkeypatch.setattr(demo, "_programs", lambda *given: programs(*given)[-1:])


@pytest.mark.usefixtures("gateway_alone")
def test_a_dead_gateway_ends_the_demo(data: Path, ports: Ports) -> None:
    mortal = GATEWAY.replace("def do_GET(self):", "def do_GET(self):\n        if self.path == '/die': os._exit(3)")

    def kill() -> None:
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"http://127.0.0.1:{ports.gateway}/die")

    told = Told(Ctrl_C_stops_all=kill)
    assert go(data, ports, told, command=mortal) == 1
    assert "the gateway ended with status 3" in told


@pytest.mark.usefixtures("gateway_alone")
def test_a_child_that_ends_before_it_is_ready_is_named_with_what_it_said(data: Path, ports: Ports) -> None:
    told = Told()
    with pytest.raises(DemoError, match="gateway ended before being ready"):
        go(data, ports, told, command="print('no licence'); raise SystemExit(4)")
    assert "[gateway] no licence" in told


@pytest.mark.usefixtures("gateway_alone")
def test_a_child_that_is_never_ready_ends_the_demo(data: Path, ports: Ports) -> None:
    with pytest.raises(DemoError, match="not everything was ready"):
        go(data, ports, Told(), command="import signal; signal.pause()", ready_s=0.5)


@pytest.mark.usefixtures("gateway_alone")
def test_ctrl_c_while_starting_stops_too(data: Path, ports: Ports) -> None:
    told = Told(gateway_waiting=interrupt)
    assert go(data, ports, told, command="import signal; print('gateway waiting', flush=True); signal.pause()") == 0


@pytest.mark.usefixtures("gateway_alone")
def test_a_child_that_does_not_want_to_stop_is_killed(data: Path, ports: Ports) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + GATEWAY
    assert go(data, ports, Told(Ctrl_C_stops_all=interrupt), command=stubborn, grace_s=0.2) == 0


@pytest.mark.usefixtures("gateway_alone")
def test_a_second_ctrl_c_ends_the_grace(data: Path, ports: Ports) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, lambda *_: print('still here', flush=True))\n" + GATEWAY
    told = Told(Ctrl_C_stops_all=interrupt, still_here=interrupt)
    assert go(data, ports, told, command=stubborn, grace_s=600.0) == 0


@pytest.mark.usefixtures("gateway_alone")
def test_a_child_that_babbles_in_one_line_is_borne(data: Path, ports: Ports) -> None:
    babbling = "print('x' * 3_000_000); print('done', flush=True)\n" + GATEWAY
    told = Told(Ctrl_C_stops_all=interrupt)
    assert go(data, ports, told, command=babbling) == 0
    assert max(map(len, told)) < 2_000_000


def test_a_port_in_use_is_named_before_anything_is_started(tmp_path: Path, ports: Ports) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", ports.payment))
        holder.listen()
        with pytest.raises(DemoError, match=f"port {ports.payment}, meant for payment"):
            go(tmp_path / "none", ports, Told())
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, ports: Ports) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoError, match="cannot be written"):
        go(tmp_path / "file" / "demo", ports, Told())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_the_demo(data: Path, ports: Ports, number: signal.Signals) -> None:
    if number is signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux ties children to their parent")
    command = [sys.executable, "-c", SUPERVISOR, str(data)]
    command += [str(port) for port in (ports.order, ports.payment, ports.customer, ports.gateway)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as supervisor:
        assert supervisor.stdout is not None
        lines = []
        for line in supervisor.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                supervisor.send_signal(number)
        # The pipe ends when the last process that holds it has gone.
        assert supervisor.wait(20) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    for port in (ports.order, ports.payment, ports.customer, ports.gateway):
        wait_until_free(port)


def wait_until_free(port: int) -> None:
    for _ in range(10_000):
        if not listens(port):
            return
    raise AssertionError(f"something still listens on {port}")


def test_the_leash_refuses_a_stranger_and_a_missing_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, status in (([str(os.getpid() + 1), "true"], 1), ([str(os.getpid()), "/no/such/command"], 127)):
        done = subprocess.run([sys.executable, "-m", "gateway.leash", *arguments], check=False, capture_output=True)
        assert done.returncode == status
    # In this process too, but without tying it to anybody.
    monkeypatch.setattr(sys, "platform", "elsewhere")
    for arguments, status in ((["1", "true"], 1), ([str(os.getppid()), "/no/such/command"], 127)):
        with pytest.raises(SystemExit) as caught:
            leash(arguments)
        assert caught.value.code == status


def test_ctrl_c_while_generating_stops_and_leaves_nothing(tmp_path: Path, ports: Ports) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    assert run(data=tmp_path, ports=ports, sizes=SIZES, say=stop) == 0
    assert list(tmp_path.iterdir()) == []
