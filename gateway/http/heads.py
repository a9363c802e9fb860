"""Heads: a request's raw headers in, the few that matter out, and the `Frame` that they make around a question.

May reject with UNAUTHENTICATED (a repeated Authorization header) and BAD_USER_INPUT. Source: DESIGN section 5, headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.caller import Caller
from gateway.exchange import Frame
from gateway.http.callers import Callers
from gateway.http.refusals import RefusalError
from gateway.observe.traces import RequestTrace

__all__ = ["Head", "caller_of", "frame_of", "pick", "scope_of"]

Head = dict[bytes, bytes]
"""Headers by lower-case name."""

_WANTED: Final = frozenset(
    {
        b"accept",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"mesh-denied",
        b"mesh-long",
        b"mesh-purpose",
        b"mesh-scope",
        b"traceparent",
        b"tracestate",
        b"transfer-encoding",
    }
)
_JOINED: Final = frozenset({b"accept", b"mesh-scope", b"tracestate"})
_REPEATED: Final = b"(repeated)"
_SCOPES_MAX: Final = 100
_GLOB = re.compile(r"[A-Za-z0-9_.*?\-]{1,200}(?:/[A-Za-z0-9_.*?\-]{1,200})?")


def pick(raw: Iterable[tuple[bytes, bytes]]) -> Head:
    """Pick the headers that matter. Lists given in several lines are joined; another one given twice is noted."""
    found: Head = {}
    for name, value in raw:
        if name in _WANTED:
            if name not in found:
                found[name] = value
            elif name in _JOINED:
                found[name] += b"," + value
            else:
                found[_REPEATED] = name
    return found


async def caller_of(head: Head, callers: Callers) -> Caller:
    """Tell who asks, from the Authorization header alone. Raises: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT."""
    repeated = head.get(_REPEATED)
    if repeated is not None:
        if repeated == b"authorization":
            raise RefusalError(
                "UNAUTHENTICATED",
                "The request carries several Authorization headers.",
                headers=((b"www-authenticate", b'Bearer realm="meshgate", error="invalid_request"'),),
            )
        raise RefusalError("BAD_USER_INPUT", f"The header {repeated.decode()} is given twice.")
    authorization, purpose = head.get(b"authorization"), head.get(b"mesh-purpose")
    return callers.remembered(authorization, purpose) or await callers.identify(authorization, purpose)


def frame_of(head: Head, caller: Caller, trace: RequestTrace, *, deadline_s: float, queries_only: bool) -> Frame:
    """Put a frame around a question."""
    long, denied, scope = head.get(b"mesh-long"), head.get(b"mesh-denied"), head.get(b"mesh-scope")
    if long is not None and long != b"string":
        raise RefusalError("BAD_USER_INPUT", "The header Mesh-Long can only be: string.", hint="Leave it out to get numbers.")
    if denied is not None and denied != b"null":
        raise RefusalError(
            "BAD_USER_INPUT", "The header Mesh-Denied can only be: null.", hint="Leave it out to get an error per denied field."
        )
    return Frame(
        caller,
        deadline_s,
        trace.request_id,
        queries_only,
        scope_of(scope) if scope is not None else (),
        long is not None,
        denied is not None,
        trace.upstream_headers,
    )


@lru_cache(maxsize=256)
def scope_of(text: bytes) -> tuple[str, ...]:
    """Read the product globs of a scope: ``order/*,customer/customers``. Raises: BAD_USER_INPUT."""
    globs = tuple(part.strip() for part in text.decode("latin-1").split(",") if part.strip())
    if len(globs) > _SCOPES_MAX or not all(_GLOB.fullmatch(glob) for glob in globs):
        raise RefusalError("BAD_USER_INPUT", "The scope must list products: order/*,customer/customers.")
    return globs
