"""Masks as contracts and policies write them: a name, or a mapping with parameters."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, StrictInt, Tag, WithJsonSchema
from pydantic import Field as Member

from contracts.masks import Mask, MaskKind
from contracts.texts import Document, form_of, text_of

__all__ = ["AnyMask", "MaskDocument", "read_mask"]

_RESERVED = ("bucket", "regex", "constant")
_KINDS = {**{kind.value: kind for kind in MaskKind}, "hash": MaskKind.PSEUDONYM}
_NEEDED: dict[MaskKind, str] = {
    MaskKind.PARTIAL: '"first" or "last"',
    MaskKind.TRUNCATE: '"to": year, month or day',
    MaskKind.ROUND: '"to": a step',
}


class MaskDocument(Document):
    """A mask with parameters: ``first`` and ``last`` for partial, ``to`` for truncate and round, ``scope`` for pseudonym."""

    type: Literal["redact", "nullify", "pseudonym", "hash", "email", "partial", "truncate", "round"]
    first: Annotated[StrictInt, Member(ge=0, le=100)] | None = None
    last: Annotated[StrictInt, Member(ge=0, le=100)] | None = None
    to: str | int | float | None = None
    scope: Literal["domain", "mesh"] | None = None


def read_mask(document: MaskDocument) -> Mask:
    """Make a mask of its document. **Raises** ValueError where a parameter is missing, senseless or another mask's."""
    kind = _KINDS[document.type]
    foreign = {
        "first": document.first is not None and kind is not MaskKind.PARTIAL,
        "last": document.last is not None and kind is not MaskKind.PARTIAL,
        "to": document.to is not None and kind not in (MaskKind.TRUNCATE, MaskKind.ROUND),
        "scope": document.scope is not None and kind is not MaskKind.PSEUDONYM,
    }
    if extra := [name for name, is_foreign in foreign.items() if is_foreign]:
        raise ValueError(f'mask {kind} takes no "{extra[0]}"')
    if kind is MaskKind.PARTIAL:
        first, last = document.first or 0, document.last or 0
        if first + last == 0:
            raise ValueError(f"mask partial needs {_NEEDED[kind]}")
        return Mask(kind, first=first, last=last)
    if kind is MaskKind.TRUNCATE:
        if document.to not in ("year", "month", "day"):
            raise ValueError(f"mask truncate needs {_NEEDED[kind]}")
        return Mask(kind, to=str(document.to))
    if kind is MaskKind.ROUND:
        return Mask(kind, to=_step(document.to))
    return Mask(kind, scope=document.scope or "domain")


def _step(to: str | float | None) -> str:
    text = str(to)
    if not isinstance(to, (int, float, str)) or re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text) is None or Decimal(text) == 0:
        raise ValueError('mask round needs "to": a step greater than zero, such as 10 or "0.25"')
    return format(Decimal(text).normalize(), "f")


def _named_mask(value: Any) -> Mask:
    name = text_of(value)
    if name in _RESERVED:
        raise ValueError(f"mask {name} is reserved, and not there yet")
    if name not in _KINDS:
        raise ValueError(f"expected one of {', '.join(_KINDS)}")
    kind = _KINDS[name]
    if kind in _NEEDED:
        raise ValueError(f"mask {name} needs {_NEEDED[kind]}: write {{type: {name}, ...}}")
    return Mask(kind)


NamedMask = Annotated[Mask, BeforeValidator(_named_mask), WithJsonSchema({"enum": ["redact", "nullify", "pseudonym", "hash", "email"]})]
AnyMask = Annotated[Annotated[NamedMask, Tag("<text>")] | Annotated[MaskDocument, Tag("<mapping>")], Discriminator(form_of)]
