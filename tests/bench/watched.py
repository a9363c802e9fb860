"""The gateway with its pauses watched: ``python -m tests.bench.watched SETTINGS FILE`` serves, and writes to FILE what held it up.

``held_ms``: the most processor time that the loop took between two turns of a task that does nothing (other processes do not count);
``collector_ms``: the longest run of the garbage collector, ``generation_0_ms`` and so on in each generation; ``collections``: how many
there were. All since FILE was last taken away.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["Pauses", "taken"]

_BEATS = 20


class Pauses:
    """Watches this process from inside its loop, until cancelled."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began_s = self._held_s = 0.0
        self._collector_s = [0.0, 0.0, 0.0]
        self._collections = 0

    async def run(self) -> None:
        """Watch."""
        gc.callbacks.append(self._collected)
        try:
            await self._beat()
        finally:
            gc.callbacks.remove(self._collected)

    async def _beat(self) -> None:
        beats, last_s = 0, time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now_s = time.thread_time()
            self._held_s = max(self._held_s, now_s - last_s)
            beats += 1
            if beats % _BEATS == 0:
                self._write()
            last_s = time.thread_time()

    def _write(self) -> None:
        if not self._file.exists():
            self._held_s = 0.0
            self._collector_s = [0.0, 0.0, 0.0]
            self._collections = 0
        found = {"held_ms": 1e3 * self._held_s, "collector_ms": 1e3 * max(self._collector_s), "collections": self._collections}
        found |= {f"generation_{number}_ms": 1e3 * longest_s for number, longest_s in enumerate(self._collector_s)}
        self._file.write_text(json.dumps(found))

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = time.thread_time()
        else:
            generation = info["generation"]
            self._collector_s[generation] = max(self._collector_s[generation], time.thread_time() - self._began_s)
            self._collections += 1


def taken(file: Path) -> dict[str, float]:
    """Read what was written, and have it begin anew."""
    found: dict[str, float] = {}
    while not found:
        text = file.read_text() if file.exists() else ""
        found = json.loads(text) if text.endswith("}") else {}
        time.sleep(0.005)
    file.unlink()
    while not file.exists():
        time.sleep(0.005)
    return found


def main(settings_file: str, pauses_file: str) -> int:
    """Serve the gateway of a settings file."""
    from gateway import app
    from gateway.http import server
    from gateway.service import build
    from gateway.settings import load

    settings = load(Path(settings_file))
    service = build(settings)
    watching: list[asyncio.Task[Any]] = []

    async def start() -> None:
        watching.append(asyncio.create_task(Pauses(Path(pauses_file)).run()))
        await service.start()

    async def stop() -> None:
        watching[0].cancel()
        await service.aclose()

    application = app.build(service.answerer, settings, metrics=service.metrics, readiness=service.readiness, start=start, stop=stop)
    return server.serve(application, settings, server.listen(settings.http.host, settings.http.port))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
