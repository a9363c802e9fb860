"""The upstream's process: `upstream.c` where gcc is, else the same answers from Python, slower, which the report then says.

Run by itself it is that Python form: ``python -m tests.bench.upstream FOLDER NAME:PORT...``.
"""

from __future__ import annotations

import array
import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

__all__ = ["Table", "command"]

_HERE = Path(__file__).parent
_ROUTES_MAX = 4_096


def command(folder: Path, ports: dict[str, int]) -> tuple[list[str], str]:
    """Build what can be built; give the command that serves the tables in ``folder``, and what it is written in."""
    places = [f"{name}:{port}" for name, port in ports.items()]
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is not None:
        binary = folder / "upstream"
        done = subprocess.run([compiler, "-O2", "-o", str(binary), str(_HERE / "upstream.c")], capture_output=True, check=False)
        if done.returncode == 0:
            return [str(binary), str(folder), *places], "C"
    return [sys.executable, "-m", "tests.bench.upstream", str(folder), *places], "Python"


class Table:
    """One table as it lies in the folder; `answer` makes whole HTTP answers."""

    def __init__(self, rows: bytes, marks: array.array[int], keys: array.array[int], slo: bytes) -> None:
        self._rows = rows + b","
        self._marks = marks
        self._keys = keys
        self._slo = slo
        self._count = len(marks) - 1

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Read a table's four files."""
        marks, keys = array.array("Q"), array.array("I")
        marks.frombytes((folder / f"{name}.marks").read_bytes())
        keys.frombytes((folder / f"{name}.keys").read_bytes())
        return cls((folder / f"{name}.rows").read_bytes(), marks, keys, (folder / f"{name}.slo").read_bytes())

    def answer(self, target: str) -> bytes:
        """Answer one GET."""
        path, _, query = unquote(target).partition("?")
        if not query:
            return _http(200, self._slo) if path.endswith("/slo") else _http(404, b"{}")
        if (keys := re.search(r"in:\(([^)]*)", query)) is not None:
            return _http(200, self._looked_up(keys[1].split(",")))
        begin = min(_member(query, "cursor", 0), self._count)
        end = min(begin + _member(query, "limit", 100), self._count)
        return _http(200, self._page([(begin, end)], f'"{end}"' if end < self._count else "null", self._count))

    def _looked_up(self, keys: list[str]) -> bytes:
        numbers = [int(re.sub(r"\D", "", key) or 0) for key in keys]
        ranges = [(self._keys[2 * it], self._keys[2 * it + 1]) for it in numbers if 2 * it < len(self._keys)]
        return self._page(ranges, "null", sum(end - begin for begin, end in ranges))

    def _page(self, ranges: list[tuple[int, int]], cursor: str, total: int) -> bytes:
        rows = b"".join(self._rows[self._marks[begin] : self._marks[end]] for begin, end in ranges)
        metadata = f'{{"generatedAt":"2026-11-23T10:00:00Z","version":"2.1.0","totalRecords":{total},"sloStatus":"MET"}}'
        return b'{"data":[' + rows[:-1] + f'],"nextCursor":{cursor},"metadata":{metadata}}}'.encode()


def _member(query: str, name: str, otherwise: int) -> int:
    found = re.search(rf"{name}=(\d*)", query)
    return otherwise if found is None else int(found[1] or 0)


def _http(status: int, body: bytes) -> bytes:
    words = "200 OK" if status == 200 else "404 Not Found"
    return f"HTTP/1.1 {words}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, table: Table, known: dict[bytes, bytes]) -> None:
        self._table = table
        self._known = known
        self._unread = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._unread = (self._unread + data).split(b"\r\n\r\n")
        for head in heads:
            target = head.split(b" ", 2)[1]
            answer = self._known.get(target)
            if answer is None:
                answer = self._table.answer(target.decode("latin-1"))
                if len(self._known) < _ROUTES_MAX:
                    self._known[target] = answer
            self._transport.write(answer)


async def _serve(folder: Path, places: list[str]) -> None:
    loop = asyncio.get_running_loop()
    for place in places:
        name, _, port = place.partition(":")
        table: Table = Table.load(folder, name)
        known: dict[bytes, bytes] = {}
        await loop.create_server(lambda table=table, known=known: _Connection(table, known), "127.0.0.1", int(port))  # type: ignore[misc]  # mypy infers no lambda's defaults
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(Path(sys.argv[1]), sys.argv[2:]))
