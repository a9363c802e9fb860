"""Judges a port: what it says it can do must be right, row by row; what it does not say it must refuse.

Answers are compared with a naive evaluation over the rows that the product is known to hold; where nobody says which those are, they
are read from the port itself first. One verdict per question; nothing is raised for a port that is wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any

import msgspec
from msgspec import structs

from contracts.fields import Kind, Scalar
from contracts.model import Contract
from domain_adapters.algebra import aggregate_type
from domain_adapters.conformance.cases import Case, cases_for
from domain_adapters.conformance.naive import Group, groups_of, matching, ordered, per_key
from domain_adapters.errors import PortCannotError, PortError, PortRefusedError, ValueMismatchError
from domain_adapters.port import Call, Order, Port, Read
from domain_adapters.refusals import lacking
from domain_adapters.values import parser_of
from domain_adapters.wire import raw_json

__all__ = ["Outcome", "Verdict", "judge"]

Row = Mapping[str, Any]
_PAGES_MAX = 2_000
_ROWS_MAX = 20_000
_FLOAT_TOLERANCE = 1e-9


class Outcome(StrEnum):
    """``right``: answered as it must be; ``refused``: absent, and said so; ``wrong``: anything else."""

    RIGHT = "right"
    REFUSED = "refused"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one question; ``detail`` says what is wrong, without values."""

    capability: str
    case: str
    outcome: Outcome
    detail: str = ""


class _WrongError(Exception):
    """The port's answer is not what it must be."""


async def judge(
    contract: Contract,
    open_port: Callable[[], Awaitable[Port]],
    *,
    rows: Sequence[Row] | None = None,
    call: Call | None = None,
    every: int = 1,
    only: frozenset[str] | None = None,
) -> list[Verdict]:
    """Ask a port everything and judge each answer; closes the port.

    ``rows``: what the product holds, as Python values by column; without them the port's own full walk counts as the truth, so the
    rows must hold still meanwhile. ``every``: 1 for all cases, n for each n-th of every capability; ``only``: capabilities to judge.
    Raises: `PortError` if the port cannot even be walked.
    """
    port = await open_port()
    asker = _Asker(contract, port, call or Call())
    try:
        known = list(rows) if rows is not None else await asker.walk(Read(), None)
        if len(known) > _ROWS_MAX:
            raise PortCannotError(f"the suite judges products of at most {_ROWS_MAX} rows", reason="rows")
        verdicts = [await _judged(asker, case, known) for case in _sampled(cases_for(contract, known), every, only)]
        return [*verdicts, *await _judged_cursors(asker), *await _judged_documents(asker)]
    finally:
        await port.aclose()


def _sampled(cases: Iterable[Case], every: int, only: frozenset[str] | None) -> Iterator[Case]:
    numbers: dict[str, Iterator[int]] = {}
    for case in cases:
        if only is not None and case.capability not in only:
            continue
        if next(numbers.setdefault(case.capability, count())) % every == 0:
            yield case


async def _judged(asker: _Asker, case: Case, known: Sequence[Row]) -> Verdict:
    missing = _missing(case.read, asker)
    try:
        if missing is not None:
            await asker.page(structs.replace(case.read, limit=case.page))
            if missing == "select":
                # Columns more than asked for are no lie: whoever reads picks its own.
                return Verdict(case.capability, case.name, Outcome.RIGHT, "all columns")
            return Verdict(case.capability, case.name, Outcome.WRONG, f"answered without the capability {missing}")
        await _check(asker, case, known)
    except PortRefusedError as refusal:
        if missing is not None:
            return Verdict(case.capability, case.name, Outcome.REFUSED)
        return Verdict(case.capability, case.name, Outcome.WRONG, f"refused ({refusal.reason}) though it says it can")
    except PortError as failure:
        return Verdict(case.capability, case.name, Outcome.WRONG, f"failed: {failure.reason}")
    except _WrongError as wrong:
        return Verdict(case.capability, case.name, Outcome.WRONG, str(wrong))
    return Verdict(case.capability, case.name, Outcome.RIGHT)


def _missing(read: Read, asker: _Asker) -> str | None:
    return lacking(read, asker.port.capabilities)


async def _check(asker: _Asker, case: Case, known: Sequence[Row]) -> None:
    contract, read = asker.contract, case.read
    expected = matching(known, read, contract)
    if read.aggregates or read.group_by:
        await _check_groups(asker, case, groups_of(expected, read, contract))
        return
    if read.count:
        answer = await asker.page(read)
        if answer.get("count") != len(expected):
            raise _WrongError("the count is not the number of rows that match")
        return
    found = await asker.walk(read, case.page)
    columns = [field.name for field in contract.fields] if read.select is None else list(read.select)
    order = _order(asker, read)
    if read.keys is not None and read.limit_per_key is not None:
        _check_per_key(found, ordered(expected, order), read, columns)
    elif order:
        _same(found, ordered(expected, order), columns, in_order=True)
    else:
        _same(found, expected, columns, in_order=False)


def _order(asker: _Asker, read: Read) -> tuple[Order, ...]:
    if not asker.port.capabilities.order_by:
        return ()
    named = {term.column for term in read.order_by}
    return (*read.order_by, *(Order(name) for name in asker.contract.primary_key if name not in named))


def _same(found: Sequence[Row], expected: Sequence[Row], columns: Sequence[str], *, in_order: bool) -> None:
    if len(found) != len(expected):
        raise _WrongError(f"{len(found)} rows, expected {len(expected)}")
    got, due = ([tuple(_plain(row[name]) for name in columns) for row in rows] for rows in (found, expected))
    if Counter(map(repr, got)) != Counter(map(repr, due)):
        raise _WrongError("other rows or other values than expected")
    if in_order and got != due:
        raise _WrongError("the right rows in another order")


def _check_per_key(found: Sequence[Row], expected: Sequence[Row], read: Read, columns: Sequence[str]) -> None:
    if read.keys is None or read.limit_per_key is None:
        return
    due, got = per_key(expected, read.keys.columns), per_key(found, read.keys.columns)
    if set(due) != set(got):
        raise _WrongError("other keys than asked for")
    for key, rows in due.items():
        least, most = min(len(rows), read.limit_per_key), min(len(rows), read.limit_per_key + 1)
        if not least <= len(got[key]) <= most:
            raise _WrongError("a key has another number of rows than asked for")
        _same(got[key], rows[: len(got[key])], columns, in_order=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


async def _check_groups(asker: _Asker, case: Case, expected: Sequence[Group]) -> None:
    found = await asker.groups(case.read, case.page)
    if len(found) != len(expected):
        raise _WrongError(f"{len(found)} groups, expected {len(expected)}")
    for got, due in zip(found, expected, strict=True):
        if got.key != due.key:
            raise _WrongError("other groups than expected, or in another order")
        for name, value in due.values.items():
            if not _alike(got.values[name], value):
                raise _WrongError(f"the aggregate {name!r} is wrong")


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (float, int)):
        return math.isclose(one, other, rel_tol=_FLOAT_TOLERANCE, abs_tol=_FLOAT_TOLERANCE)
    return bool(one == other)


class _Asker:
    """Asks a port and reads its answers by the contract."""

    def __init__(self, contract: Contract, port: Port, call: Call) -> None:
        self.contract = contract
        self.port = port
        self.call = call

    async def page(self, read: Read) -> dict[str, Any]:
        """Ask for one page; members by their canonical names, whatever the endpoint's spelling."""
        try:
            document = raw_json(await self.port.read(read, self.call))
        except (ValueError, RecursionError):
            raise _WrongError("the answer is not JSON") from None
        if not isinstance(document, dict):
            raise _WrongError("the answer is not an object")
        spelt = {name.replace("_", "").lower(): value for name, value in document.items()}
        page = {
            "data": spelt.get("data"),
            "nextCursor": spelt.get("nextcursor"),
            "count": spelt.get("count"),
            "groups": spelt.get("groups"),
        }
        if not isinstance(page["data"], list):
            raise _WrongError("the answer has no data")
        return page

    async def walk(self, read: Read, page: int | None) -> list[Row]:
        """Read all pages of rows."""
        rows: list[Row] = []
        async for answer in self._pages(read, page):
            if self.port.capabilities.level == 1 and page is not None and len(answer["data"]) > page:
                raise _WrongError("a page is longer than asked for")
            rows += [self._row(raw, read.select) for raw in answer["data"]]
        return rows

    async def groups(self, read: Read, page: int | None) -> list[Group]:
        """Read all pages of groups."""
        groups: list[Group] = []
        async for answer in self._pages(read, page):
            groups += [self._group(raw, read) for raw in answer["groups"] or ()]
        return groups

    async def _pages(self, read: Read, page: int | None) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(_PAGES_MAX):
            answer = await self.page(structs.replace(read, limit=page, cursor=cursor))
            yield answer
            cursor = answer["nextCursor"] or None
            if cursor is None:
                return
            if cursor in seen:
                raise _WrongError("a cursor repeats")
            seen.add(cursor)
        raise _WrongError("the pages do not end")

    def _row(self, raw: Any, select: tuple[str, ...] | None) -> Row:
        if not isinstance(raw, dict):
            raise _WrongError("a row is not an object")
        spelling = self.port.spelling
        names = [field.name for field in self.contract.fields] if select is None else select
        if select is not None and set(raw) != {spelling[name] for name in select}:
            raise _WrongError("a row holds other columns than selected")
        return {name: self._cell(name, raw.get(spelling[name])) for name in names}

    def _cell(self, name: str, raw: Any) -> Any:
        return _parsed(self.contract.field_by_name[name].type, raw, name)

    def _group(self, raw: Any, read: Read) -> Group:
        if not (isinstance(raw, dict) and isinstance(raw.get("key"), list) and isinstance(raw.get("values"), dict)):
            raise _WrongError("a group is not {key, values}")
        if len(raw["key"]) != len(read.group_by) or set(raw["values"]) != {item.name for item in read.aggregates}:
            raise _WrongError("a group holds other members than asked for")
        key = tuple(self._cell(item.column, cell) for item, cell in zip(read.group_by, raw["key"], strict=True))
        types = {
            item.name: aggregate_type(item.function, None if item.column is None else self.contract.field_by_name[item.column].type)
            for item in read.aggregates
        }
        return Group(key, {name: _parsed(types[name] or Scalar(Kind.JSON), cell, name) for name, cell in raw["values"].items()})


def _parsed(type_: Any, raw: Any, name: str) -> Any:
    try:
        return parser_of(type_)(raw)
    except ValueMismatchError as error:
        raise _WrongError(f"a value of {name!r} is not in the wire's form: {error}") from None


async def _judged_cursors(asker: _Asker) -> list[Verdict]:
    """Send cursors that were edited or belong to another read: they must be refused (level 1)."""
    if asker.port.capabilities.level == 0:
        return []
    try:
        first = await asker.page(Read(limit=1))
    except (PortError, _WrongError) as failure:
        return [Verdict("cursor", "a first page", Outcome.WRONG, str(failure))]
    cursor = first["nextCursor"]
    if not isinstance(cursor, str):
        return []
    middle = len(cursor) // 2
    edited = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    asked = [("an edited cursor", Read(limit=1, cursor=edited)), ("a made-up cursor", Read(limit=1, cursor="eyJhIjoxfQ"))]
    if asker.port.capabilities.count and asker.contract.primary_key and asker.port.capabilities.order_by:
        another = (Order(asker.contract.primary_key[0], True),)
        asked.append(("another read's cursor", Read(limit=1, cursor=cursor, order_by=another)))
    verdicts = []
    for name, read in asked:
        try:
            await asker.page(read)
            verdicts.append(Verdict("cursor", name, Outcome.WRONG, "answered"))
        except PortRefusedError:
            verdicts.append(Verdict("cursor", name, Outcome.REFUSED))
        except (PortError, _WrongError) as failure:
            verdicts.append(Verdict("cursor", name, Outcome.WRONG, str(failure)))
    return verdicts


async def _judged_documents(asker: _Asker) -> list[Verdict]:
    """Ask for the SLO document, where the port has one."""
    try:
        document = msgspec.json.decode(await asker.port.slo(asker.call))
    except PortRefusedError:
        outcome = Outcome.WRONG if asker.port.capabilities.stats else Outcome.REFUSED
        return [Verdict("stats", "slo", outcome, "" if outcome is Outcome.REFUSED else "refused though it says it can")]
    except (PortError, ValueError) as failure:
        return [Verdict("stats", "slo", Outcome.WRONG, str(failure))]
    if not isinstance(document, dict):
        return [Verdict("stats", "slo", Outcome.WRONG, "not an object")]
    return [Verdict("stats", "slo", Outcome.RIGHT)]
