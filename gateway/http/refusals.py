"""Refusals of the HTTP rim: an error as a GraphQL-shaped body with code, hint and request id, under its HTTP status."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError

__all__ = ["RefusalError", "body_of", "status_of"]

_encode = msgspec.json.encode


class RefusalError(GatewayError):
    """A refusal before a question reached the gateway's inside. ``status``: in place of the code's own; ``headers``: to add."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        hint: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        **extensions: Any,
    ) -> None:
        super().__init__(code, message, hint=hint, **extensions)
        self.status = status if status is not None else self.code.status
        self.headers = headers


def body_of(error: GatewayError, request_id: str) -> bytes:
    """Encode a refusal as a GraphQL answer without data."""
    entry = error.entry()
    entry["extensions"]["requestId"] = request_id
    return _encode({"errors": [entry]})


def status_of(error: GatewayError) -> int:
    """Say under which status a refusal leaves; one that stands for 200 inside an answer is 400 when it is all there is."""
    status = error.status if isinstance(error, RefusalError) else error.code.status
    return max(status, 400)
