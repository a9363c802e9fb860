"""Everything the gateway can say no with: one public code each, who is at fault, the HTTP status, and what to do next.

    GatewayError
    ├── caller:   ParseError, ValidationError, BadUserInputError, UnauthenticatedError, ForbiddenError, FieldDeniedError,
    │             MaskedFieldInPredicateError, LimitExceededError, CostExceededError, PortCannotError, CursorExpiredError,
    │             PersistedQuery..., OperationNotRegisteredError, SloUnmetError
    ├── capacity: RateLimitedError, OverloadedError, DeadlineExceededError
    ├── domain:   UpstreamUnavailableError, UpstreamInvalidError
    └── gateway:  InternalError

A message for a caller-fault code may quote only the caller's own input. Everything else is logged in full under an id and
shown as code + id.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["CODES", "Code", "Fault", "GatewayError", "RefusedError", "code_of"]


class Fault(StrEnum):
    """Who must act, and whose error budget burns."""

    CALLER = "caller"
    GATEWAY = "gateway"
    CAPACITY = "capacity"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the public table. ``status``: HTTP status when nothing but this error is answered."""

    name: str
    fault: Fault
    status: int
    hint: str


def _table(*rows: tuple[str, Fault, int, str]) -> dict[str, Code]:
    return {name: Code(name, fault, status, hint) for name, fault, status, hint in rows}


CODES: dict[str, Code] = _table(
    ("GRAPHQL_PARSE_FAILED", Fault.CALLER, 400, "Correct the document's syntax at the location given."),
    ("GRAPHQL_VALIDATION_FAILED", Fault.CALLER, 400, "Compare the document with /schema.graphql, which shows what you may ask for."),
    ("BAD_USER_INPUT", Fault.CALLER, 400, "Correct the named argument or variable."),
    ("UNAUTHENTICATED", Fault.CALLER, 401, "Send a valid token as Authorization: Bearer <token>."),
    ("FORBIDDEN", Fault.CALLER, 403, "Ask the product's owner for access."),
    ("FIELD_DENIED", Fault.CALLER, 200, "Leave the field out, or ask the product's owner for access."),
    ("MASKED_FIELD_IN_PREDICATE", Fault.CALLER, 400, "Filter, sort and group by fields that you see in clear only."),
    ("GROUP_TOO_SMALL", Fault.CALLER, 200, "Group by less or narrow less, so that every total is over enough subjects."),
    ("PERSISTED_QUERY_NOT_FOUND", Fault.CALLER, 200, "Send the operation's text together with its hash once."),
    ("PERSISTED_QUERY_HASH_MISMATCH", Fault.CALLER, 400, "Send the SHA-256 of the exact text of the operation."),
    ("PERSISTED_QUERY_NOT_SUPPORTED", Fault.CALLER, 200, "Send the operation's text."),
    ("OPERATION_NOT_REGISTERED", Fault.CALLER, 403, "Register the operation first."),
    ("LIMIT_EXCEEDED", Fault.CALLER, 400, "Ask for less in one operation; the message names the limit."),
    ("COST_EXCEEDED", Fault.CALLER, 400, "Ask for fewer rows or columns; the message gives the estimate."),
    ("RATE_LIMITED", Fault.CAPACITY, 429, "Wait for the time in Retry-After."),
    ("OVERLOADED", Fault.CAPACITY, 503, "Try again shortly."),
    ("DEADLINE_EXCEEDED", Fault.CAPACITY, 504, "Ask for less, or try again when the products named are faster."),
    ("PORT_CANNOT", Fault.CALLER, 400, "Leave out what the port cannot do, or ask its owner for a level 1 port or a mirror."),
    ("CURSOR_EXPIRED", Fault.CALLER, 400, "Start again from the first page."),
    ("UPSTREAM_UNAVAILABLE", Fault.DOMAIN, 502, "Try again later, or tell the product's owner."),
    ("UPSTREAM_INVALID", Fault.DOMAIN, 502, "Tell the product's owner that it does not keep its contract."),
    ("SLO_UNMET", Fault.DOMAIN, 503, "Relax @requireSlo, or wait until the product meets its objective again."),
    ("INTERNAL", Fault.GATEWAY, 500, "Report the id to those who run the gateway."),
    ("CONTRACT_INVALID", Fault.CALLER, 422, "Correct the contract at the lines given."),
    ("CONFLICT", Fault.CALLER, 409, "Raise the version, or undo the breaking change."),
    ("NOT_FOUND", Fault.CALLER, 404, "Check the name."),
    ("METHOD_NOT_ALLOWED", Fault.CALLER, 405, "Use a method that the Allow header lists; GET is for queries only."),
    ("NOT_ACCEPTABLE", Fault.CALLER, 406, "Accept application/graphql-response+json or application/json."),
    ("UNSUPPORTED_MEDIA_TYPE", Fault.CALLER, 415, "Send the request as application/json in UTF-8, plain, gzip or deflate."),
)
"""The public table, by name."""


def code_of(name: str) -> Code:
    """Look up a code; only names in the table exist."""
    return CODES[name]


class GatewayError(Exception):
    """An answer that is a refusal: a code, a message fit for the caller, and what else the caller may know.

    ``extensions`` may hold product, owner, field, id and the like, never a value that a ruling could hide.
    ``path``: response path where the error belongs to a part of an answer, else None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        path: tuple[str | int, ...] | None = None,
        locations: tuple[tuple[int, int], ...] = (),
        **extensions: Any,
    ) -> None:
        super().__init__(message)
        self.code = CODES[code]
        self.message = message
        self.hint = hint if hint is not None else self.code.hint
        self.path = path
        self.locations = locations
        self.extensions = extensions

    def entry(self) -> dict[str, Any]:
        """Return the error as it stands in the answer's ``errors``."""
        found: dict[str, Any] = {"message": self.message}
        if self.locations:
            found["locations"] = [{"line": line, "column": column} for line, column in self.locations]
        if self.path is not None:
            found["path"] = list(self.path)
        found["extensions"] = {"code": self.code.name, "hint": self.hint, **self.extensions}
        return found


class RefusedError(GatewayError):
    """A request refused for several reasons at once; it counts as the first."""

    def __init__(self, errors: tuple[GatewayError, ...]) -> None:
        first = errors[0]
        super().__init__(first.code.name, first.message, hint=first.hint, path=first.path, locations=first.locations, **first.extensions)
        self.errors = errors
