"""What passes between the HTTP rim and the engine: a question with its frame goes in, encoded bytes come out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from gateway.caller import Caller
from gateway.errors import Code, GatewayError

__all__ = ["Answerer", "Form", "Frame", "Question", "Reply", "Stream"]


class Form(StrEnum):
    """What one flat list can be answered as beside JSON. ``CSV_EXACT``: CSV whose text may look like a formula."""

    CSV = "csv"
    CSV_EXACT = "csv-exact"
    JSONL = "jsonl"
    ARROW = "arrow"


class Question(msgspec.Struct, frozen=True):
    """The parameters of one GraphQL request, well-formed but not yet read. ``variables`` and ``extensions``: JSON objects."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


class Frame(msgspec.Struct, frozen=True):
    """All that surrounds a question.

    ``deadline_s``: event-loop time by which the answer must leave. ``queries_only``: GET. ``scope``: product globs that bound
    introspection, empty for none. ``long_as_text``: `Mesh-Long: string`. ``denied_silently``: `Mesh-Denied: null`.
    ``upstream_headers``: trace context to send on. ``request_id``: what errors may quote.
    """

    caller: Caller
    deadline_s: float
    request_id: str
    queries_only: bool = False
    scope: tuple[str, ...] = ()
    long_as_text: bool = False
    denied_silently: bool = False
    upstream_headers: tuple[tuple[str, str], ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """An encoded answer. ``body``: the whole JSON object, or, of a long one, its first piece, which ``rest`` follows.

    ``has_data``: ``data`` is present and not null. ``refusal``: the code of a request that was refused as a whole, None if it was
    executed. ``headers``: extra response headers.
    ``has_errors``: ``errors`` is present. ``products``: those that were read, for the log.
    """

    body: bytes
    has_data: bool
    refusal: Code | None = None
    headers: tuple[tuple[str, str], ...] = ()
    has_errors: bool = False
    products: tuple[str, ...] = ()
    rest: tuple[bytes, ...] = ()

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """All of it, in order."""
        return (self.body, *self.rest)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that leaves piece by piece. ``name``: of the list, fit for a file.

    ``rest``: what follows the first piece, to be closed by who takes it; raises `GatewayError` when it cannot be had.
    ``last_words``: what may be written in that case to tell it, None where only breaking off tells it.
    """

    name: str
    headers: tuple[tuple[str, str], ...]
    first: bytes
    rest: AsyncGenerator[bytes, None]
    last_words: Callable[[GatewayError], bytes | None]
    products: tuple[str, ...] = ()


class Answerer(Protocol):
    """What the HTTP rim needs of the rest of the gateway."""

    async def answer(self, question: Question, frame: Frame) -> Reply:
        """Answer a question, whatever happens: errors become replies; only cancellation leaves as an exception."""

    async def stream(self, question: Question, frame: Frame, form: Form) -> Stream | Reply:
        """Begin to answer a question in another form: its first piece is made already. A refusal is a reply."""

    def sdl(self, frame: Frame) -> str:
        """Print the schema of the caller's view (within ``frame.scope``). Raises `GatewayError` when it is too large unscoped."""
