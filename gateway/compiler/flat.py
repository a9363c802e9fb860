"""An executable -> the one flat list that its answer is, as columns; or a refusal that says what may be asked as a form.

Flat is: one list at the root, of whose rows one selection holds columns and to-one partners, however deep; or one list of its groups,
with keys and totals. ``metadata``, ``pageInfo`` and ``__typename`` may stand beside and are left out. Rejects with NOT_ACCEPTABLE; pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.fields import FieldType, Kind, Scalar
from domain_adapters.algebra import aggregate_type
from gateway.compiler.executable import ConnectionStep, DomainSteps, Executable, TotalsStep
from gateway.compiler.plan import (
    ColumnPick,
    ConnectionPart,
    ConnectionPick,
    EdgesPick,
    ForeignPick,
    MemberPick,
    MetadataPick,
    NodePick,
    NodesPick,
    PageInfoPick,
    PartnerPick,
    Rows,
    TypenamePick,
)
from gateway.compiler.totals import FunctionPick, GroupCursorPick, GroupsPick, KeyCellPick, KeyPick, MeasurePick
from gateway.errors import GatewayError

__all__ = ["FlatColumn", "FlatList", "flat_list"]

_HINT = (
    "As CSV, JSON lines or Arrow ask for one list with nodes { ... } or edges { node { ... } } of columns and to-one partners, "
    "or for its groups { ... }; metadata and pageInfo may stand beside them. All else is answered as application/json."
)
_TYPENAME = Scalar(Kind.STRING)


@dataclass(frozen=True, slots=True)
class FlatColumn:
    """One column of a form. ``name``: response keys joined by dots; ``places``: of each key in its object, outermost first.

    ``members``: those picked of a nested record, with their response keys.
    """

    name: str
    places: tuple[int, ...]
    type: FieldType
    members: tuple[MemberPick | TypenamePick, ...] = ()


@dataclass(frozen=True, slots=True)
class FlatList:
    """A list that can be written as a form. ``name``: its response key. ``groups``: which of its groups are the rows, None for its own."""

    name: str
    step: ConnectionStep
    columns: tuple[FlatColumn, ...]
    groups: TotalsStep | None = None


def flat_list(executable: Executable) -> FlatList:
    """Find the flat list that an operation asks for. **Raises** `GatewayError` NOT_ACCEPTABLE if it asks for anything else."""
    lists: list[ConnectionStep] = []
    for member in executable.members:
        match member:
            case DomainSteps(members=members):
                for it in members:
                    if isinstance(it, ConnectionStep):
                        lists.append(it)
                    elif not isinstance(it, str):
                        raise _not_flat(f"{'.'.join(it.path)} is one row, not a list")
            case ForeignPick(key=key):
                raise _not_flat(f"{key} is not a list of rows")
    if len(lists) != 1:
        raise _not_flat(f"it asks for {len(lists)} lists, not for one")
    (step,) = lists
    rows = [found for part in step.parts for found in _rows_of(part, step)]
    if not rows and len(step.totals) == 1:
        (groups,) = step.totals
        assert isinstance(groups.pick, GroupsPick)
        return FlatList(groups.path[-1], step, tuple(_group_columns(groups.pick, "", ())), groups)
    if len(rows) != 1 or step.totals:
        times = f"its rows {len(rows)} times and its groups {len(step.totals)} times, not one of them once"
        raise _not_flat(f"{'.'.join(step.path)} selects {times}")
    return FlatList(step.path[-1], step, tuple(_columns(rows[0], "", ())))


def _rows_of(part: ConnectionPart, step: ConnectionStep) -> Iterator[Rows]:
    match part:
        case NodesPick(rows=rows):
            yield rows
        case EdgesPick(picks=picks):
            for pick in picks:
                if isinstance(pick, NodePick):
                    yield pick.rows
                elif not isinstance(pick, TypenamePick):
                    raise _not_flat(f"{'.'.join(step.path)} asks for the cursor of each row")
        case MetadataPick() | PageInfoPick() | TypenamePick() | GroupsPick():
            pass
        case _:
            raise _not_flat(f"{part.key} of {'.'.join(step.path)} is no row")


def _columns(rows: Rows, prefix: str, places: tuple[int, ...]) -> Iterator[FlatColumn]:
    for place, pick in enumerate(rows.picks):
        name, at = prefix + pick.key, (*places, place)
        match pick:
            case ColumnPick():
                yield FlatColumn(name, at, pick.column.type, pick.members)
            case TypenamePick():
                yield FlatColumn(name, at, _TYPENAME)
            case PartnerPick():
                yield from _columns(pick.rows, f"{name}.", at)
            case ConnectionPick():
                raise _not_flat(f"{'.'.join(pick.path)} is a list inside a row")


def _group_columns(of: GroupsPick | FunctionPick | KeyPick, prefix: str, places: tuple[int, ...]) -> Iterator[FlatColumn]:
    for place, pick in enumerate(of.picks):
        name, at = prefix + pick.key, (*places, place)
        match pick:
            case MeasurePick():
                type_ = aggregate_type(pick.function, None if pick.column is None else pick.column.type)
                assert type_ is not None
                yield FlatColumn(name, at, type_)
            case KeyCellPick():
                yield FlatColumn(name, at, pick.column.type)
            case TypenamePick():
                yield FlatColumn(name, at, _TYPENAME)
            case FunctionPick() | KeyPick():
                yield from _group_columns(pick, f"{name}.", at)
            case GroupCursorPick():
                raise _not_flat(f"{name} is the cursor of each group")


def _not_flat(why: str) -> GatewayError:
    return GatewayError("NOT_ACCEPTABLE", f"This operation's answer is not one flat list: {why}.", hint=_HINT)
