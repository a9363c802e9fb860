"""Forms: which one a request asks for, and a stream of pieces out as a response that never ends short without showing it.

``?format=`` wins over Accept. Until the first piece is there a failure is an ordinary refusal; afterwards JSON lines end with a line
that tells it, and every other form is broken off: the response lacks its last chunk, which clients report as an error. A client that
leaves, or takes nothing for too long, ends the reading upstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Send

from gateway.errors import GatewayError
from gateway.exchange import Form, Reply, Stream
from gateway.http.negotiation import FORMS, JSON, Media
from gateway.http.refusals import RefusalError
from gateway.http.watch import Watches

__all__ = ["Streams", "asked_media"]

_NAME: Final = b"format="


def asked_media(query_string: bytes) -> Media | None:
    """Read ``?format=``; None if there is none. Raises: BAD_USER_INPUT."""
    if _NAME not in query_string:
        return None
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
    found = [value for name, value in pairs if name == "format"]
    if not found:
        return None
    known = {"json": JSON, **{str(form): media for form, media in FORMS.items()}}
    if len(found) > 1 or found[0] not in known:
        raise RefusalError("BAD_USER_INPUT", f"The parameter format can be one of: {', '.join(known)}.", hint="Leave it out to get JSON.")
    return known[found[0]]


class Streams:
    """Sends streams, so many at once. ``stall_s``: how long a client may take nothing."""

    def __init__(self, most: int, stall_s: float, watches: Watches) -> None:
        self._most = most
        self._watches = watches
        self._stall_s = stall_s
        self._open = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places for streams. Raises: OVERLOADED."""
        if self._open >= self._most:
            raise RefusalError("OVERLOADED", "The gateway is streaming as many answers as it may.", headers=((b"retry-after", b"5"),))
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def answer(
        self,
        asking: Coroutine[Any, Any, Stream | Reply],
        receive: Receive,
        send: Send,
        *,
        media: Media,
        headers: list[tuple[bytes, bytes]],
        deadline_s: float,
    ) -> tuple[Stream | Reply, GatewayError | None]:
        """Await a stream and send all of it; a refusal is handed back unsent. Gives what ended the stream early, if anything did.

        Raises: ClientGoneError, and DEADLINE_EXCEEDED before the first byte.
        """
        sending = _Sending(asking, send, self._stall_s, media, headers)
        try:
            return await self._watches.over(sending.run(), receive, asyncio.get_running_loop(), deadline_s)
        except TimeoutError:
            assert sending.stream is not None
            return sending.stream, GatewayError("DEADLINE_EXCEEDED", "The client took nothing for too long.")
        except GatewayError as error:
            if sending.stream is None:
                raise
            return sending.stream, error


class _Sending:
    """One stream on its way. ``stream``: set when its head has been sent."""

    def __init__(
        self,
        asking: Coroutine[Any, Any, Stream | Reply],
        send: Send,
        stall_s: float,
        media: Media,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        self.stream: Stream | None = None
        self._asking = asking
        self._send = send
        self._stall_s = stall_s
        self._media = media
        self._headers = headers

    async def run(self) -> tuple[Stream | Reply, GatewayError | None]:
        found = await self._asking
        if isinstance(found, Reply):
            return found, None
        async with aclosing(found.rest) as rest:
            await self._begin(found)
            try:
                await self._piece(found.first)
                async for piece in rest:
                    await self._piece(piece)
            except GatewayError as error:
                if (words := found.last_words(error)) is not None:
                    await self._piece(words, more=False)
                # Without its last chunk the response is broken off: whoever reads it is told by their client.
                return found, error
            await self._piece(b"", more=False)
        return found, None

    async def _begin(self, stream: Stream) -> None:
        form = self._media.form
        ending = {Form.JSONL: "jsonl", Form.ARROW: "arrows"}.get(form, "csv") if form is not None else "json"
        headers = [
            (b"content-type", self._media.content_type),
            (b"content-disposition", f'attachment; filename="{stream.name}.{ending}"'.encode()),
            *self._headers,
            *((name.lower().encode(), value.encode()) for name, value in stream.headers),
        ]
        self.stream = stream
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _piece(self, piece: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self._stall_s):
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})
