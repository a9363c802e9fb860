"""The board as text for a terminal: product, objective, figure, state, budget left, trend; the worst first.

Turns the ``mesh { products { slo } }`` answer into lines. Pure; control characters in names never reach the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["QUERY", "board_lines"]

_FIGURES = "objective status source sample measuredAt trend budget { leftRatio burnRate }"
QUERY = (
    (
        "query Board($domain: String, $after: String) { mesh { productsCount(domain: $domain, accessible: true) "
        "products(domain: $domain, accessible: true, after: $after) { id cursor slo { status freshness { lagSeconds FIGURES } "
        "completeness { ratio FIGURES } accuracy { ratio FIGURES } availability { ratio FIGURES } } } } }"
    )
    .replace("FIGURES", _FIGURES.replace("source sample", "source"))
    .replace("{ ratio ", "{ ratio sample ")
)
"""Asks for one page of the board; the `cursor` of its last product is where the next one begins."""

_HEAD = ("PRODUCT", "OBJECTIVE", "PROMISE", "FIGURE", "STATE", "BUDGET LEFT", "TREND", "OVER", "SOURCE")
_WORST_FIRST = ("BREACHED", "UNKNOWN", "AT_RISK", "MET")
_COLORS = {"BREACHED": "31", "UNKNOWN": "35", "AT_RISK": "33", "MET": "32"}
_TRENDS = {"IMPROVING": "better", "STEADY": "steady", "WORSENING": "worse"}
_STATE = _HEAD.index("STATE")
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def board_lines(products: Sequence[Mapping[str, Any]], *, colored: bool = False) -> list[str]:
    """Lay the products out as lines; those without access are left out."""
    seen = [(it["id"], it["slo"]) for it in products if it.get("slo") is not None]
    seen.sort(key=lambda it: (_WORST_FIRST.index(it[1]["status"]) if it[1]["status"] in _WORST_FIRST else 0, it[0]))
    rows = [_HEAD, *(row for id_, slo in seen for row in _rows(id_, slo))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths, colored=colored and place > 0) for place, row in enumerate(rows)]
    counts = ", ".join(f"{sum(slo['status'] == word for _, slo in seen)} {word}" for word in _WORST_FIRST)
    return [*lines, "", f"{len(seen)} products: {counts}"]


def _rows(id_: str, slo: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    name = _plain(id_)
    for objective in ("freshness", "completeness", "accuracy", "availability"):
        one = slo.get(objective)
        if one is None:
            continue
        budget = one.get("budget") or {}
        left = budget.get("leftRatio")
        yield (
            name,
            objective,
            _plain(one["objective"]),
            _lag(one["lagSeconds"]) if objective == "freshness" else _percent(one["ratio"], digits=3),
            _plain(one["status"]),
            _percent(left, digits=1),
            _TRENDS.get(one.get("trend") or "", "-"),
            "-" if one.get("sample") is None else f"{one['sample']:,}",
            _plain(one.get("source") or "-"),
        )
        name = ""


def _line(row: Sequence[str], widths: Sequence[int], *, colored: bool) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    if colored and row[_STATE] in _COLORS:
        cells[_STATE] = f"\x1b[{_COLORS[row[_STATE]]}m{cells[_STATE]}\x1b[0m"
    return "  ".join(cells).rstrip()


def _lag(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _percent(ratio: float | None, *, digits: int) -> str:
    return "-" if ratio is None else f"{ratio:.{digits}%}"


def _plain(text: str) -> str:
    return "".join(it if it.isprintable() else "?" for it in text)
