"""Who uses what, counted by gateways that share a store, and told by the command line: names and numbers, never a value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import main
from tests.e2e.mesh_under_test import mesh

pytestmark = pytest.mark.e2e
CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: things, domain: shop, owner: shop-team@example.com, version: "1.0.0"}
spec:
  schema:
    type: inline
    fields:
      - {name: id, type: long, required: true}
      - {name: title, type: string}
      - {name: secret, type: string}
  primaryKey: [id]
  access:
    - {role: analyst, fields: [id, title]}
  ports:
    output:
      - {type: rest-api, path: /things}
"""
QUERY = """query Mine($t: String!) {
  shop { things(where: {title: {in: [$t, "ada@example.com", "4711-0815"]}}, first: 7) { nodes { id } } }
}"""


async def test_two_gateways_count_together_and_keep_no_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:{tmp_path}/store.db"
    monkeypatch.setenv("MESHGATE_STORE__URL", url)
    for name in ("one", "two"):
        async with mesh(tmp_path / name, {"things.yaml": CONTRACT}, {}, STORE__URL=url) as found:
            for number in range(3):
                await found.ask(QUERY, variables={"t": f"Zuse {number}"})
    assert _said(capsys) == [
        {"operation": "Mine", "requests": 6, "client": "unnamed", "fields": ["shop/things.id", "shop/things.title"]},
    ]
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert b"shop/things.title" in kept
    assert not [value for value in (b"ada@", b"4711", b"Zuse") if value in kept]


def _said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    # The command has a loop of its own.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        assert beside.submit(main, ["usage", "--json"]).result() == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [{name: value for name, value in one.items() if name not in ("day", "shape")} for one in found]
