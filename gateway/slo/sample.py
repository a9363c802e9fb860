"""Sampled rows -> how complete and how accurate they are, and when the newest was updated.

Pure; holds counts only, never a value. A row is accurate if every cell keeps its type, its enumeration and the contract's quality rules; a
required cell that holds no value counts against completeness, not accuracy. Rows come in slices, so that the event loop gets its turns.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import re2

from contracts.fields import Enumeration, FieldType, Kind, Scalar
from contracts.model import Contract, QualityRule
from domain_adapters.level0 import other_spellings
from domain_adapters.values import ValueMismatchError, parser_of
from gateway.slo.documents import SKEW_MAX_S

__all__ = ["Sample", "Sampler"]

_PATTERN_CHARACTERS_MAX = 10_000
_COLUMNS_NAMED_MAX = 3
_ABSENT = ("nullValues", "missingValues")
_TEXTS = frozenset({str, type(None)})
_NUMBERS = frozenset({int, type(None)})
_BITS = {Kind.INT: 32, Kind.LONG: 64}
_GLANCES = {Kind.STRING: _TEXTS, Kind.BOOLEAN: frozenset({bool, type(None)})}
_Keeps = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts over ``rows``. ``required``, ``missing``: cells; ``bad``: rows that are not accurate; ``newest``: their newest update."""

    rows: int
    required: int
    missing: int
    bad: int
    newest: dt.datetime | None
    findings: tuple[str, ...] = ()

    @property
    def completeness_ratio(self) -> float | None:
        """The share of required cells that hold a value; None over no rows."""
        if not self.rows:
            return None
        return 1.0 - min(self.missing, self.required) / self.required if self.required else 1.0

    @property
    def accuracy_ratio(self) -> float | None:
        """The share of accurate rows; None over no rows."""
        return 1.0 - self.bad / self.rows if self.rows else None


class _Column:
    """What is asked of one column's cells, and how often it was not so."""

    __slots__ = ("are_right", "keeps", "misspelt", "name", "nulls", "others", "parse", "seen", "spelt", "unique", "wrong")

    def __init__(self, name: str, spelt: str, others: frozenset[str], type_: FieldType, keeps: Sequence[_Keeps], *, unique: bool) -> None:
        self.name = name
        self.spelt = spelt
        self.others = others
        self.misspelt = 0
        self.parse = parser_of(type_)
        self.are_right = None if keeps or unique else _at_a_glance(type_)
        self.keeps = keeps
        self.unique = unique
        self.seen: set[Any] = set()
        self.nulls = 0
        self.wrong = 0

    def judge(self, rows: Sequence[Mapping[str, Any]]) -> set[int]:
        """Judge a column of some rows; give the places of rows that it makes bad."""
        bad: set[int] = set()
        cells = [row.get(self.spelt) for row in rows]
        nulls = cells.count(None)
        if nulls:
            self.nulls += nulls
            bad = {place for place, row in enumerate(rows) if self.spelt not in row and not self.others.isdisjoint(row)}
            self.misspelt += len(bad)
        if self.are_right is None or not self.are_right(cells):
            wrong = {place for place, cell in enumerate(cells) if cell is not None and not self.is_right(cell)}
            self.wrong += len(wrong)
            bad |= wrong
        return bad

    def is_right(self, cell: Any) -> bool:
        """Judge a cell that holds a value."""
        try:
            value = self.parse(cell)
            if not all(keep(value) for keep in self.keeps):
                return False
            if self.unique:
                if (told := str(value)) in self.seen:
                    return False
                self.seen.add(told)
        except (ValueError, ArithmeticError, RecursionError, TypeError):
            return False
        return True


class Sampler:
    """Judges rows as they come; `sample` tells what was found. ``spelling``: contract column -> its name in the rows.

    ``dates_only``: look at nothing but when rows were updated.
    """

    def __init__(self, contract: Contract, spelling: Mapping[str, str], received_at: dt.datetime, *, dates_only: bool = False) -> None:
        fields = [field for field in contract.fields if not dates_only or field.name == contract.times.updated]
        rules: dict[str, list[QualityRule]] = {}
        for rule in contract.quality:
            if rule.field is not None:
                rules.setdefault(rule.field, []).append(rule)
        taken = {spelling.get(field.name, field.name) for field in contract.fields}
        self._columns = [
            _Column(
                field.name,
                spelling.get(field.name, field.name),
                other_spellings(field, taken),
                field.type,
                [keep for rule in rules.get(field.name, ()) if (keep := _keeper(rule)) is not None],
                unique=any(rule.metric == "duplicateValues" for rule in rules.get(field.name, ())),
            )
            for field in fields
        ]
        # Column -> the share of its cells that may hold no value.
        self._required = {field.name: 0.0 for field in fields if field.required}
        for name, found in rules.items():
            allowed = [rule.maximum or 0.0 for rule in found if rule.metric in _ABSENT]
            if allowed:
                self._required[name] = min(*allowed, self._required.get(name, math.inf))
        self._updated = contract.times.updated
        self._latest = received_at + dt.timedelta(seconds=SKEW_MAX_S)
        self._received_at = received_at
        self._newest: dt.datetime | None = None
        self._rows = self._bad = self._future = self._undated = 0

    def judge(self, rows: Sequence[Any]) -> None:
        """Judge some more rows; what is no object is a bad row without any value."""
        bad = {place for place, row in enumerate(rows) if not isinstance(row, dict)}
        whole: list[Mapping[str, Any]] = [row if isinstance(row, dict) else {} for row in rows]
        for column in self._columns:
            bad |= column.judge(whole)
        for row in whole:
            self._date(row)
        self._rows += len(rows)
        self._bad += len(bad)

    def sample(self) -> Sample:
        """Tell what was found so far."""
        missing = 0.0
        absent: list[str] = []
        for column in self._columns:
            allowed = self._required.get(column.name)
            # A rule may allow a share of the rows (below 1) or a number of them.
            over = 0.0 if allowed is None else column.nulls - (allowed * self._rows if allowed < 1 else allowed)
            if over > 0:
                missing += over
                absent.append(column.name)
        wrong = [column.name for column in self._columns if column.wrong]
        findings = []
        if absent:
            findings.append(f"required values are missing in {_named(absent)}")
        if wrong:
            findings.append(f"values do not keep the contract in {_named(wrong)}")
        misspelt = [column.name for column in self._columns if column.misspelt]
        if misspelt:
            findings.append(f"rows spell otherwise than the contract {_named(misspelt)}")
        if self._future:
            findings.append("rows were updated in the future")
        if self._undated:
            findings.append("rows hold no instant with a zone of their update")
        return Sample(self._rows, self._rows * len(self._required), math.ceil(missing), self._bad, self._newest, tuple(findings))

    def _date(self, cells: Mapping[str, Any]) -> None:
        column = next((it for it in self._columns if it.name == self._updated), None)
        if column is None:
            return
        at = _instant(column, cells)
        if at is None:
            self._undated += 1
        elif at > self._latest:
            self._future += 1
        else:
            at = min(at, self._received_at)
            self._newest = at if self._newest is None else max(self._newest, at)


def _at_a_glance(type_: FieldType) -> Callable[[list[Any]], bool] | None:
    """Give what tells of many cells at once that all are right; False says nothing."""
    if isinstance(type_, Enumeration):
        symbols = frozenset((*type_.symbols, None))
        return lambda cells: {type(it) for it in cells} <= _TEXTS and symbols.issuperset(cells)
    if isinstance(type_, Scalar) and type_.kind in _BITS:
        most = 2 ** (_BITS[type_.kind] - 1)
        return lambda cells: {type(it) for it in cells} <= _NUMBERS and all(-most <= it < most for it in cells if it is not None)
    expected = _GLANCES.get(type_.kind) if isinstance(type_, Scalar) else None
    return None if expected is None else lambda cells: {type(it) for it in cells} <= expected


def _instant(column: _Column, cells: Mapping[str, Any]) -> dt.datetime | None:
    try:
        found = column.parse(cells.get(column.spelt))
        if isinstance(found, str):  # nanoseconds
            found = dt.datetime.fromisoformat(found)
        if isinstance(found, dt.datetime) and found.tzinfo is not None:
            return found.astimezone(dt.UTC)
    except (ValueMismatchError, ValueError, OverflowError, TypeError):
        return None
    return None


def _keeper(rule: QualityRule) -> _Keeps | None:
    if rule.metric != "invalidValues":
        return None
    keeps: list[_Keeps] = []
    if rule.valid_values:
        valid = frozenset(rule.valid_values)
        keeps.append(lambda value: str(value) in valid)
    if rule.pattern is not None:
        pattern = _compiled(rule.pattern)
        keeps.append(lambda value: pattern is not None and pattern.fullmatch(str(value)[:_PATTERN_CHARACTERS_MAX]) is not None)
    least, most = rule.minimum, rule.maximum
    if least is not None or most is not None:
        keeps.append(lambda value: _within(value, least, most))
    return (lambda value: all(keep(value) for keep in keeps)) if keeps else None


def _compiled(pattern: str) -> Any:
    try:
        return re2.compile(pattern)
    except re2.error:
        return None


def _within(value: Any, least: float | None, most: float | None) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return False
    return (least is None or value >= least) and (most is None or value <= most)


def _named(columns: Sequence[str]) -> str:
    more = len(columns) - _COLUMNS_NAMED_MAX
    return ", ".join(columns[:_COLUMNS_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
