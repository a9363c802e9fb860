"""Picks of a row -> one generated function that makes the answer's objects, masks included.

The source that is generated holds nothing but attribute names ``c0..cn``, ``m0..mn`` of our own making and names of closures;
whatever a contract or a caller spells stays in data.
"""

from __future__ import annotations

from typing import Any

from contracts.fields import Field, FieldType, Kind, List, Map, Record, Scalar
from contracts.masks import MaskKind
from gateway.compiler.executable import Shape, row_attribute
from gateway.compiler.plan import ColumnPick, ConnectionPick, MemberPick, PartnerPick, Rows, TypenamePick
from gateway.compiler.structs import output_class
from gateway.governance.masks import MaskKeys, fitting, mask_function
from gateway.governance.ruling import Access

__all__ = ["shape_of"]

# Python writes decimals with more digits than this after the point as powers of ten when they are small.
_PLAIN_SCALE_MAX = 6


def shape_of(rows: Rows, keys: MaskKeys, *, long_as_text: bool) -> tuple[Shape, bool]:
    """Generate the shaping function of a selection, and say whether it tests row rules."""
    writer = _Writer(rows, keys, long_as_text=long_as_text)
    return writer.function(), writer.tests


class _Writer:
    def __init__(self, rows: Rows, keys: MaskKeys, *, long_as_text: bool) -> None:
        self.rows = rows
        self.keys = keys
        self.long_as_text = long_as_text
        self.tests = False
        self.names: dict[str, Any] = {}
        self.setup: list[str] = []
        self._children = 0

    def function(self) -> Shape:
        parts = [self._pick(pick) for pick in self.rows.picks]
        out = self._name(output_class(tuple(pick.key for pick in self.rows.picks)))
        lines = ["def shape(rows, partners, tests):", *(f"    {line}" for line in self.setup)]
        lines.append(f"    return [{out}({', '.join(parts)}) for r in rows]")
        namespace = dict(self.names)
        exec(compile("\n".join(lines), "<shape>", "exec"), namespace)  # noqa: S102  # made of our own names only
        shape: Shape = namespace["shape"]
        return shape

    def _pick(self, pick: Any) -> str:
        match pick:
            case TypenamePick(type_name=type_name):
                return self._name(type_name)
            case PartnerPick(denied=True) | ConnectionPick(denied=True):
                return "None"
            case PartnerPick() | ConnectionPick():
                return self._partner(pick)
            case ColumnPick():
                return self._column(pick)
        raise TypeError(type(pick).__name__)

    def _partner(self, pick: PartnerPick | ConnectionPick) -> str:
        assert pick.relation is not None
        place = self._children
        self._children += 1
        self.setup.append(f"p{place} = partners[{place}].get; a{place} = partners[{place}].absent")
        own = [self._cell(column) for column in pick.relation.own_columns]
        key = own[0] if len(own) == 1 else f"({', '.join(own)})"
        return f"p{place}({key}, a{place})"

    def _column(self, pick: ColumnPick) -> str:
        ruling = pick.ruling
        assert ruling is not None
        cell = self._cell(pick.column.name)
        clear = self._shown(pick, cell)
        if not ruling.varies:
            if ruling.access is Access.DENIED:
                return "None"
            return clear if ruling.access is Access.CLEAR else self._masked(pick, cell)
        self.tests = True
        shown = "None"
        if ruling.masked_rows:
            shown = f"({self._masked(pick, cell)} if {self._any(ruling.masked_rows)} else None)"
        if ruling.clear_rows:
            shown = f"({clear} if {self._any(ruling.clear_rows)} else {shown})"
        return shown

    def _any(self, rules: tuple[int, ...]) -> str:
        return " or ".join(f"tests[{rule}](r)" for rule in rules)

    def _masked(self, pick: ColumnPick, cell: str) -> str:
        ruling = pick.ruling
        assert ruling is not None
        if ruling.mask is None:
            return "None"
        type_ = pick.column.type
        fit = fitting(ruling.mask, type_)
        if fit.kind is MaskKind.NULLIFY:
            return "None"
        mask = mask_function(fit, type_, self.keys, self.rows.product.contract.metadata.domain)
        return self._finish(pick, f"{self._name(mask)}({cell})")

    def _shown(self, pick: ColumnPick, cell: str) -> str:
        return self._finish(pick, cell)

    def _finish(self, pick: ColumnPick, value: str) -> str:
        convert = self._conversion(pick.column.type, pick.members)
        return value if convert is None else f"{self._name(convert)}({value})"

    def _conversion(self, type_: FieldType, members: tuple[MemberPick | TypenamePick, ...]) -> Any:
        match type_:
            case Scalar(kind=Kind.LONG) if self.long_as_text:
                return lambda value: None if value is None else str(value)
            case Scalar(kind=Kind.DECIMAL, scale=scale) if scale is None or scale > _PLAIN_SCALE_MAX:
                return lambda value: None if value is None else format(value, "f")
            case List(item=item):
                inner = self._conversion(item, members)
                return None if inner is None else lambda value: None if value is None else [inner(it) for it in value]
            case Record(fields=fields):
                return self._record(fields, members)
            case Map(value=held):
                return _in_map(held)
        return None

    def _record(self, fields: tuple[Field, ...], members: tuple[MemberPick | TypenamePick, ...]) -> Any:
        place = {member.name: index for index, member in enumerate(fields)}
        names: dict[str, Any] = {"Out": output_class(tuple(pick.key for pick in members))}
        parts: list[str] = []
        for index, pick in enumerate(members):
            if isinstance(pick, TypenamePick):
                names[f"n{index}"] = pick.type_name
                parts.append(f"n{index}")
                continue
            convert = self._conversion(pick.type, pick.members)
            value = f"v.m{place[pick.name]}"
            if convert is not None:
                names[f"n{index}"] = convert
                value = f"n{index}({value})"
            parts.append(value)
        exec(compile(f"def record(v):\n    return None if v is None else Out({', '.join(parts)})", "<record>", "exec"), names)  # noqa: S102  # as above
        return names["record"]

    def _cell(self, column: str) -> str:
        return f"r.{row_attribute(self.rows.product.index_by_name[column])}"

    def _name(self, value: Any) -> str:
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name


def _in_map(held: FieldType) -> Any:
    convert = _plain(held)
    return None if convert is None else lambda value: None if value is None else {key: convert(it) for key, it in value.items()}


def _plain(type_: FieldType) -> Any:
    """Give what writes a value inside JSON under the contract's own names; None where it stands as it is."""
    match type_:
        case Scalar(kind=Kind.DECIMAL, scale=scale) if scale is None or scale > _PLAIN_SCALE_MAX:
            return lambda value: None if value is None else format(value, "f")
        case List(item=item):
            each = _plain(item)
            return None if each is None else lambda value: None if value is None else [each(it) for it in value]
        case Map(value=held):
            return _in_map(held)
        case Record(fields=fields):
            members = tuple((it.name, f"m{place}", _plain(it.type) or (lambda value: value)) for place, it in enumerate(fields))
            return lambda value: None if value is None else {name: convert(getattr(value, held)) for name, held, convert in members}
    return None
