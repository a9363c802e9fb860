"""How a level-0 endpoint is asked: a read becomes ``{path}?since=&limit=&cursor=`` in the endpoint's own spelling (SPEC B2).

Pure. Rejects what the contract does not say how to spell (`PortCannotError`). A keys read may need several requests:
`Dialect.split` says which.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from string import ascii_letters, digits
from typing import Any
from urllib.parse import quote

from msgspec import structs

from contracts.fields import Field
from contracts.model import Contract, OutputPort
from contracts.predicates import And, Compare, Operator, Predicate
from domain_adapters.errors import PortCannotError, ReadInvalidError
from domain_adapters.port import Capabilities, Keys, Read

__all__ = ["BEGINNING", "Dialect", "other_spellings", "spelling_of"]

BEGINNING = "1970-01-01T00:00:00Z"
SEPARATOR = ","
TARGET_MAX = 6_000
KEYS_MAX = 500
PAGE_MAX = 1_000
# Legal in a query as they are, and what teams' templates are made of; everything else is percent-encoded.
_PLAIN = ":(),*!@/"
_UNQUOTED = (ascii_letters + digits + "_.~-" + _PLAIN).encode()
_QUOTES = frozenset("'\"`")
_LISTS = frozenset((Operator.IN, Operator.NOT_IN))


def spelling_of(contract: Contract, output: OutputPort) -> dict[str, str]:
    """Say how each column is called in the endpoint's rows: ``physicalName``, else by the port's ``naming``."""
    spell = _camel if output.naming == "camelCase" else str
    return {field.name: field.physical_name or spell(field.name) for field in contract.fields}


def other_spellings(field: Field, taken: Iterable[str]) -> frozenset[str]:
    """Name what a team may have called a column in place of what its contract says; ``taken``: what the contract calls columns there."""
    return frozenset({field.name, _camel(field.name), field.physical_name or field.name}).difference(taken)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint's spelling of questions. ``path``: encoded, from the host on; templates as the contract gives them."""

    path: str
    lookup: dict[str, str]
    filters: dict[tuple[str, Operator], str]
    since: bool
    begin: str
    """The target up to the value of ``since``; what stands before those of ``limit`` and ``cursor`` follows."""
    limit: str
    cursor: str

    @classmethod
    def of(cls, contract: Contract, output: OutputPort, path: str) -> Dialect:
        """Take the spelling from the contract's port. Operators that nobody knows are left out, so never relied on."""
        known = {operator.value: operator for operator in Operator}
        filters = {(column, known[word]): template for column, templates in output.filters for word, template in templates if word in known}
        names = {name: _encoded(dict(output.params).get(name, name)) for name in ("since", "limit", "cursor")}
        begin = f"{path}{'&' if '?' in path else '?'}{names['since']}="
        has_since = contract.times.updated is not None
        return cls(path, dict(output.lookup), filters, has_since, begin, f"&{names['limit']}=", f"&{names['cursor']}=")

    @property
    def capabilities(self) -> Capabilities:
        """What the contract says the endpoint can do beyond paging.

        ``operators`` are those that *every* filter column has; `Capabilities.filters` holds the exact pairs.
        """
        columns = {column for column, _ in self.filters}
        shared = {op for op in Operator if columns and all((column, op) in self.filters for column in columns)}
        return Capabilities(
            level=0,
            operators=frozenset(shared),
            filter_columns=frozenset(columns),
            filters=frozenset(self.filters),
            since=self.since,
            keys=bool(self.lookup),
            key_columns=frozenset((column,) for column in self.lookup),
            keys_max=KEYS_MAX,
            page_max=PAGE_MAX,
        )

    def target(self, read: Read) -> str:
        """Spell one read as path and query. Raises: `PortCannotError`, `ReadInvalidError`."""
        keys = read.keys
        if keys is None:
            return self._page(read) + self._filters(read)
        target = self._page(read) + _spelled(self._keys(keys)) + self._filters(read)
        if len(target) > TARGET_MAX + 2_000 and len(keys.values) > 1:
            raise ReadInvalidError("the keys make too long a URL; split the read first")
        return target

    def split(self, read: Read) -> tuple[Read, ...]:
        """Divide a keys read into reads of one request each: bounded in keys and length, ambiguous keys alone.

        Null keys match nothing and are left out; without keys the read stays whole. Raises: `PortCannotError`.
        """
        keys = read.keys
        if keys is None or read.cursor is not None:
            return (read,)
        self._template(keys)
        room = TARGET_MAX - len(self._page(read)) - len(self._filters(read))
        cells = dict.fromkeys(chain.from_iterable(keys.values))
        cells.pop(None, None)
        if 0 < len(cells) <= KEYS_MAX:
            joined = _joined(cells)
            if not _is_ambiguous(joined, len(cells)) and len(_encoded(joined)) < room:
                # Nearly always the keys are what they should be, and go as they came.
                values = keys.values if len(cells) == len(keys.values) else tuple(zip(cells))
                return (structs.replace(read, keys=Keys(keys.columns, values, joined)),)
        alone: list[tuple[Any, ...]] = []
        chunks: list[list[tuple[Any, ...]]] = []
        used = 0
        for value, text in zip(zip(cells), _texts(cells), strict=True):
            if _is_ambiguous(text, 1):
                alone.append(value)
                continue
            length = len(_encoded(text)) + 1
            if not chunks or len(chunks[-1]) == KEYS_MAX or used + length > room:
                chunks.append([])
                used = 0
            chunks[-1].append(value)
            used += length
        chunks += [[value] for value in alone]
        return tuple(structs.replace(read, keys=Keys(keys.columns, tuple(chunk))) for chunk in chunks)

    def _page(self, read: Read) -> str:
        """Spell which page is asked for."""
        _refuse_absent(read)
        limit = PAGE_MAX if read.limit is None else read.limit
        if limit < 1:
            raise ReadInvalidError("a page has at least one row")
        since = _encoded(read.since) if read.since else BEGINNING
        page = f"{self.begin}{since}{self.limit}{min(limit, PAGE_MAX)}"
        return page if read.cursor is None else page + self.cursor + _encoded(read.cursor)

    def _filters(self, read: Read) -> str:
        return "" if read.where is None else "".join([_spelled(self._filter(part)) for part in _conjuncts(read.where)])

    def _template(self, keys: Keys) -> str:
        if len(keys.columns) != 1 or keys.columns[0] not in self.lookup:
            raise PortCannotError(f"the port has no look-up by {', '.join(keys.columns)}", reason="keys")
        return self.lookup[keys.columns[0]]

    def _keys(self, keys: Keys) -> list[tuple[str, str]]:
        template, column = self._template(keys), keys.columns[0]
        if keys.text is not None:
            return _put(template, "{keys}", keys.text, column)
        values = [value for (value,) in keys.values]
        if not values or None in values:
            raise ReadInvalidError("a look-up has keys, and null is none")
        return _filled(template, "{keys}", values, column)

    def _filter(self, part: Compare) -> list[tuple[str, str]]:
        template = self.filters.get((part.column, part.operator))
        if template is None:
            raise PortCannotError(f"the port has no filter {part.operator.value} on {part.column}", reason="filter")
        values = list(part.value) if part.operator in _LISTS else [part.value]
        if not values or any(value is None for value in values):
            raise PortCannotError(f"the port cannot spell an empty or null condition on {part.column}", reason="filter")
        hole = "{values}" if "{values}" in template else "{value}"
        if hole == "{value}" and len(values) > 1:
            raise PortCannotError(f"the port's filter on {part.column} takes one value", reason="filter")
        return _filled(template, hole, values, part.column)


def _refuse_absent(read: Read) -> None:
    absent: str | None = None
    if read.order_by:
        absent = "orderBy"
    elif read.limit_per_key is not None:
        absent = "limitPerKey"
    elif read.aggregates:
        absent = "aggregates"
    elif read.group_by:
        absent = "groupBy"
    elif read.having is not None:
        absent = "having"
    elif read.count:
        absent = "count"
    if absent is not None:
        raise PortCannotError(f"a level 0 port has no {absent}", reason=absent)


def _conjuncts(where: Predicate) -> Iterable[Compare]:
    parts = where.parts if isinstance(where, And) else (where,)
    for part in parts:
        if not isinstance(part, Compare):
            raise PortCannotError("a level 0 port has no and/or/not trees", reason="boolean")
        yield part


def _filled(template: str, hole: str, values: list[Any], column: str) -> list[tuple[str, str]]:
    """Fill a template and cut it into query pairs. A value must not be able to say more than its place allows."""
    joined = _joined(values)
    if len(values) > 1 and joined.count(SEPARATOR) >= len(values):
        raise PortCannotError(f"a value for {column} contains the list separator and must be sent alone", reason="separator")
    return _put(template, hole, joined, column)


def _put(template: str, hole: str, joined: str, column: str) -> list[tuple[str, str]]:
    if not _QUOTES.isdisjoint(template) and not _QUOTES.intersection(template).isdisjoint(joined):
        raise PortCannotError(f"a value for {column} contains a quote that the endpoint's spelling uses", reason="quote")
    pairs = []
    for piece in template.split("&"):
        name, _, value = piece.partition("=")
        pairs.append((name, value.replace(hole, joined)))
    return pairs


def _is_ambiguous(joined: str, values: int) -> bool:
    """Whether one of these values could be read as several, or as the end of the list."""
    return joined.count(SEPARATOR) != values - 1 or "(" in joined or ")" in joined


def _joined(values: Collection[Any]) -> str:
    try:
        return SEPARATOR.join(values)
    except TypeError:
        return SEPARATOR.join(_texts(values))


def _texts(values: Collection[Any]) -> list[str]:
    return [value if type(value) is str else _text(value) for value in values]


def _spelled(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join([f"&{_encoded(name)}={_encoded(value)}" for name, value in pairs])


def _encoded(text: str) -> str:
    # What is left when all that may stand is taken out: for long lists of keys, half of what matching each character takes.
    is_plain = text.isascii() and not text.encode().translate(None, _UNQUOTED)
    return text if is_plain else quote(text, safe=_PLAIN)


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case dt.datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dt.date() | dt.time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)
