"""An httpx transport over a function, whose responses stream as those of the network do."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx


class _Stream(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._content), 65_536):
            yield self._content[at : at + 65_536]


class Streaming(httpx.AsyncBaseTransport):
    """Answers with what a function says: status, content and headers."""

    def __init__(self, answer: Callable[[httpx.Request], Any]) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        found = self._answer(request)
        status, content, headers = await found if inspect.isawaitable(found) else found
        return httpx.Response(status, headers=headers, stream=_Stream(content))
