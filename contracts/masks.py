"""What a mask is: a kind and its parameters, as contracts and policies declare it.

Only the declaration lives here (whether it fits a type, how strict it is); the gateway applies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from contracts.fields import Enumeration, FieldType, Kind, List, Map, Record, Scalar

__all__ = ["Mask", "MaskKind", "fits", "strictest"]


class MaskKind(StrEnum):
    """The masks that can be declared (SPEC A9); ``pseudonym`` is also spelt ``hash``."""

    REDACT = "redact"
    NULLIFY = "nullify"
    PSEUDONYM = "pseudonym"
    EMAIL = "email"
    PARTIAL = "partial"
    TRUNCATE = "truncate"
    ROUND = "round"


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask with its parameters.

    ``first`` and ``last``: characters (code points) that ``partial`` keeps. ``to``: ``year``, ``month`` or ``day`` for
    ``truncate``, the step as decimal text for ``round``. ``scope``: ``domain`` or ``mesh``, whose key a pseudonym uses.
    """

    kind: MaskKind
    first: int = 0
    last: int = 0
    to: str | None = None
    scope: str = "domain"


_STRICTNESS = (
    MaskKind.NULLIFY,
    MaskKind.REDACT,
    MaskKind.PSEUDONYM,
    MaskKind.PARTIAL,
    MaskKind.EMAIL,
    MaskKind.TRUNCATE,
    MaskKind.ROUND,
)


def strictest(masks: list[Mask]) -> Mask:
    """Choose the mask that shows least; of two alike, the one that keeps fewer characters, or the coarser step."""
    return min(masks, key=lambda mask: (_STRICTNESS.index(mask.kind), mask.first + mask.last, _fineness(mask), mask.scope))


def _fineness(mask: Mask) -> Decimal:
    if mask.kind is MaskKind.TRUNCATE:
        return Decimal(("year", "month", "day").index(mask.to or "year"))
    return -Decimal(mask.to or 0)


def _rounds(mask: Mask, type_: Scalar) -> bool:
    """Whether the step hides something and its multiples are values of the type."""
    step = Decimal(mask.to or 0)
    if type_.kind is Kind.FLOAT:
        return step > 0
    unit = Decimal(1).scaleb(-(type_.scale or 0))
    return step > unit and step % unit == 0


_NUMBERS = frozenset({Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DECIMAL})


def fits(mask: Mask, type_: FieldType) -> bool:
    """Whether the masked value still is of the column's type (lists: item by item)."""
    match type_:
        case List(item=item):
            return mask.kind is MaskKind.NULLIFY or fits(mask, item)
        case Record() | Map() | Enumeration():
            return mask.kind is MaskKind.NULLIFY
        case Scalar(kind=kind):
            match mask.kind:
                case MaskKind.NULLIFY:
                    return True
                case MaskKind.REDACT | MaskKind.PSEUDONYM | MaskKind.EMAIL | MaskKind.PARTIAL:
                    return kind is Kind.STRING
                case MaskKind.TRUNCATE:
                    # A date cut to its day would be the date itself: no mask at all.
                    return kind in (Kind.INSTANT, Kind.LOCAL_DATETIME) or (kind is Kind.DATE and mask.to != "day")
                case MaskKind.ROUND:
                    return kind in _NUMBERS and _rounds(mask, type_)
