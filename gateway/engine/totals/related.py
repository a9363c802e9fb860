"""Foreign keys of groups -> the partners' columns that groups are formed by, hop by hop.

Each hop is one batched look-up under the partner's own row rules; a key without a visible partner leads to nulls, so that groups
add up. More keys than may be looked up are found by reading the partner's rows, within the scan budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.model import Use
from gateway.catalog.snapshot import Product, Relation
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.asking.cuts import cutter
from gateway.engine.asking.grouping import Grouping, Measure, Path, Term, names_of
from gateway.engine.decoding.cells import Cells
from gateway.engine.reading.lists import full_order
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.partners import read_partners, sorter
from gateway.engine.reading.ports import Ports
from gateway.engine.reading.walks import scan
from gateway.engine.tasks import in_turns
from gateway.engine.totals.reduce import of_repeated
from gateway.engine.totals.table import States

__all__ = ["OpenPartner", "Related"]

_AT_ONCE = 1_000
Key = tuple[Any, ...]
OpenPartner = Callable[[Path, frozenset[str]], Ports]
"""(path to a partner, columns that are read of it) -> the ports that serve it in this request."""


@dataclass(frozen=True, slots=True)
class Related:
    """What the paths of a grouping lead to: ``readers`` take (own key cells, foreign key cells) to a key.

    ``measures``: totals along paths, by their places, and what takes foreign key cells to the partner's.
    """

    readers: tuple[Callable[[Key, Key], Any], ...]
    measures: tuple[tuple[int, Measure, Callable[[Key, Key], Any]], ...] = ()

    def key(self, own: Key, foreign: Key) -> Key:
        """Give the key of a group."""
        return tuple([read(own, foreign) for read in self.readers])

    def measure(self, states: States, foreign: Key) -> None:
        """Turn the row counts that stand for totals along paths into those totals."""
        for place, it, read in self.measures:
            of = None if it.column is None else it.column.type
            states[place] = of_repeated(it.function, it.type, of, read((), foreign), states[place].value())

    @staticmethod
    async def of(grouping: Grouping, foreign: tuple[str, ...], keys: Iterable[Key], open_partner: OpenPartner) -> Related:
        """Look up the partners of all foreign keys."""
        known = list(dict.fromkeys(keys)) if foreign else []
        rows: dict[tuple[str, ...], dict[Key, Any]] = {}
        for path in sorted(_prefixes(grouping), key=len):
            await _follow(path, grouping, foreign, known, rows, open_partner)
        readers: list[Callable[[Key, Key], Any]] = []
        own = 0
        for term in grouping.by:
            if term.path:
                readers.append(_of_partner(term, rows[names_of(term.path)]))
            else:
                readers.append(_of_own(own))
                own += 1
        measures = [(at, it, _of_partner(it, rows[names_of(it.path)])) for at, it in enumerate(grouping.measures) if it.path]
        return Related(tuple(readers), tuple(measures))


def _prefixes(grouping: Grouping) -> list[Path]:
    found: dict[tuple[str, ...], Path] = {}
    for path in grouping.paths:
        for size in range(1, len(path) + 1):
            found.setdefault(names_of(path[:size]), path[:size])
    return list(found.values())


async def _follow(
    path: Path,
    grouping: Grouping,
    foreign: tuple[str, ...],
    known: Sequence[Key],
    rows: dict[tuple[str, ...], dict[Key, Any]],
    open_partner: OpenPartner,
) -> None:
    """Find the row at the end of ``path`` for every foreign key that has one."""
    relation, product = path[-1]
    columns = set(relation.target_columns)
    if not product.is_unique_by(relation.target_columns):
        columns.update(product.primary_key)
    for it in grouping.ends:
        if it.column is not None and len(it.path) >= len(path) and names_of(it.path[: len(path)]) == names_of(path):
            columns.update((it.column.name,) if len(it.path) == len(path) else it.path[len(path)][0].own_columns)
    leads: dict[Key, Key] = {}
    if len(path) == 1:
        places = [foreign.index(name) for name in relation.own_columns]
        async for some in in_turns(list(known), _AT_ONCE):
            leads |= {key: tuple([key[place] for place in places]) for key in some}
    else:
        before = names_of(path[:-1])
        cells = [_cell(path[-2][1], name) for name in relation.own_columns]
        async for some_rows in in_turns(list(rows[before].items()), _AT_ONCE):
            leads |= {key: tuple([cell(row) for cell in cells]) for key, row in some_rows}
    wanted: dict[Key, None] = {}
    async for some in in_turns(list(leads.values()), _AT_ONCE):
        wanted |= dict.fromkeys([key for key in some if None not in key])
    partners = await _partners(open_partner(path, frozenset(columns)), relation, list(wanted)) if wanted else {}
    found: dict[Key, Any] = {}
    async for some_leads in in_turns(list(leads.items()), _AT_ONCE):
        found |= {key: partners[lead] for key, lead in some_leads if lead in partners}
    rows[names_of(path)] = found


async def _partners(ports: Ports, relation: Relation, keys: list[Key]) -> dict[Key, Any]:
    columns, pages = relation.target_columns, ports.pages
    cells = [pages.cells.of(name) for name in columns]
    if len(keys) <= pages.budget.bounds.keys_max:
        found = await ports.do(Use.LOOKUP, lambda pages, _: read_partners(pages, columns, keys), keys=columns)
    else:
        found = await ports.do(Use.TOTALS, lambda pages, asked: _scanned(pages, asked, columns))
    rows = found.rows
    async for some in in_turns(rows, _AT_ONCE):
        pages.refuse_bad(some, found.bad)
    if not pages.product.is_unique_by(relation.target_columns):
        # Of several partners the first counts, whatever order the port has.
        rows.sort(key=sorter(pages, full_order(pages.product, ())))
    by_key: dict[Key, Any] = {}
    async for some in in_turns(rows, _AT_ONCE):
        for row in some:
            by_key.setdefault(tuple([cell(row) for cell in cells]), row)
    return by_key


async def _scanned(pages: Pages, asked: Asked, columns: tuple[str, ...]) -> Fetched:
    return await scan(pages, asked, pages.wanted(asked), pages.visible, must=pages.cells.indices(columns))


def _cell(product: Product, name: str) -> Callable[[Any], Any]:
    return Cells(product).of(name)


def _of_own(place: int) -> Callable[[Key, Key], Any]:
    return lambda own, _foreign: own[place]


def _of_partner(term: Term | Measure, rows: dict[Key, Any]) -> Callable[[Key, Key], Any]:
    assert term.column is not None
    cell = _cell(term.path[-1][1], term.column.name)
    cut = cutter(term.column.type, term.part, term.zone) if isinstance(term, Term) and term.part is not None else None

    def read(_own: Key, foreign: Key) -> Any:
        row = rows.get(foreign)
        if row is None:
            return None
        return cell(row) if cut is None else cut(cell(row))

    return read
