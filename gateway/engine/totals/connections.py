"""The totals of connections, at the root and per parent: read, put together, filtered, sorted, cut to a page and written.

One failed total costs itself alone. Rejects what reading rejects, and totals that do not fit their type (LIMIT_EXCEEDED).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from typing import Any, TypeVar

from contracts.model import Use
from contracts.predicates import Predicate, compile_test, conjunction
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import ConnectionStep, Step, TotalsStep
from gateway.compiler.totals import AggregatePick, GroupsPick
from gateway.engine.asking.grouping import Group, Grouping, Path
from gateway.engine.encoding import CELLS_ENCODED, in_json
from gateway.engine.reading.findings import Findings
from gateway.engine.reading.pages import Pages, unfit_total
from gateway.engine.reading.ports import Ports
from gateway.engine.reading.positions import after, pack_keyset, sort_key, unpack_keyset
from gateway.engine.relating.parents import encoded
from gateway.engine.relating.semijoins import Semijoins
from gateway.engine.tasks import in_turns, let_go, together
from gateway.engine.totals.groups import Parents, columns_for, partial_groups, pushed_groups
from gateway.engine.totals.table import Key, States, begun, released
from gateway.engine.totals.withholding import finished, merged
from gateway.errors import GatewayError
from gateway.governance.cursors import PAYLOAD_BYTES_MAX, CursorCodec
from gateway.governance.ruling import ProductRuling

__all__ = ["Part", "Totals", "with_partners"]

_LARGE_GROUPS = 1_000
_LARGE_CELLS = 5_000
_GROUPS_AT_ONCE = 50
_LISTS_AT_ONCE = 250
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Part:
    """One ``aggregate`` or ``groups`` of every parent. ``absent``: of parents without rows; None for all where it failed."""

    by_parent: Mapping[Key, Any]
    absent: Any

    def of(self, key: Key) -> Any:
        """Give a parent's."""
        return self.by_parent.get(key, self.absent)


@dataclass(slots=True)
class Totals:
    """Answers every total of one request. ``read``: products that groups were formed by -> where."""

    open: Callable[[Step], Ports]
    bound: Mapping[tuple[str, ...], Any]
    rulings: Mapping[str, ProductRuling]
    cursors: CursorCodec
    findings: Findings
    semijoins: Semijoins
    spend: Callable[[bytes], object]
    read: dict[str, list[str]] = field(default_factory=dict)

    async def whole(self, step: ConnectionStep) -> list[Any]:
        """Answer the totals of a list at the root, in order."""
        return [part.of(()) for part in await self._each(step, None)]

    async def per_parent(self, step: ConnectionStep, keys: Sequence[Key]) -> list[Part]:
        """Answer the totals of the lists of all parents, in order."""
        return await self._each(step, tuple(keys))

    async def groups(self, step: TotalsStep) -> tuple[list[Group], bool]:
        """Give the groups of a list at the root, unwritten, and whether there are more. **Raises** `GatewayError`."""
        grouping: Grouping = self.bound[step.path]
        try:
            found = await self._asked(step, replace(grouping, first=grouping.first + 1), None)
        except GatewayError as error:
            error.path = error.path or step.path
            raise
        except OverflowError:
            too_large = unfit_total()
            too_large.path = step.path
            raise too_large from None
        groups = found.get((), [])
        return groups[: grouping.first], len(groups) > grouping.first

    async def _each(self, step: ConnectionStep, keys: tuple[Key, ...] | None) -> list[Part]:
        return await together([self._part(it, keys) for it in step.totals]) if step.totals else []

    async def _part(self, step: TotalsStep, keys: tuple[Key, ...] | None) -> Part:
        grouping: Grouping = self.bound[step.path]
        try:
            return await self._answered(step, grouping, keys)
        except GatewayError as error:
            self.findings.fail(error, step.path)
        except OverflowError:
            self.findings.fail(unfit_total(), step.path)
        return Part({}, None)

    async def _answered(self, step: TotalsStep, grouping: Grouping, keys: tuple[Key, ...] | None) -> Part:
        is_aggregate = isinstance(step.pick, AggregatePick)
        if is_aggregate:
            (empty,), _ = finished([((), begun(grouping))], grouping)
            absent = grouping.write(empty, None)
        else:
            absent = []
        if keys == () or (grouping.first == 0 and not is_aggregate) or (is_aggregate and not grouping.measures):
            return Part({}, absent)
        found = await self._asked(step, grouping, keys)
        written = {}
        async for some in in_turns(list(found.items()), _LISTS_AT_ONCE):
            for key, groups in some:
                written[key] = await self._written(groups, grouping, is_aggregate, key if keys is not None else None)
        await let_go(found)
        return Part(written, absent)

    async def _asked(self, step: TotalsStep, grouping: Grouping, keys: tuple[Key, ...] | None) -> dict[Key, list[Group]]:
        columns = tuple(step.product.columns[index].name for index in step.target) if keys is not None else ()
        parents = Parents(columns, keys or ())
        place = self._place(grouping, keys)
        having = grouping.having if place is None else conjunction(grouping.having, place)
        if step.links and keys != ():
            of = (parents.columns, parents.keys)
            grouping = replace(grouping, asked=await self.semijoins.resolved(step, grouping.asked, of))
        return await self._groups(step, grouping, parents, having, paged=keys is None and isinstance(step.pick, GroupsPick))

    def _place(self, grouping: Grouping, keys: tuple[Key, ...] | None) -> Predicate | None:
        if grouping.after is None:
            return None
        if keys is not None and len(keys) > 1:
            raise GatewayError(
                "BAD_USER_INPUT",
                "after belongs to the groups of one parent, and this selection has several.",
                hint="Ask for one parent, or leave after out.",
            )
        parent = encoded(keys[0]) if keys else b""
        payload = self.cursors.open(grouping.after, grouping.bound_to + parent)
        return after(grouping.order, unpack_keyset(payload, [grouping.type_of(term.column) for term in grouping.order]))

    async def _groups(
        self, step: TotalsStep, grouping: Grouping, parents: Parents, having: Predicate, *, paged: bool
    ) -> dict[Key, list[Group]]:
        ports = self.open(replace(step, columns=columns_for(step.product, grouping, parents)))
        pages = ports.pages
        if len(parents.keys) > pages.budget.bounds.keys_max:
            most = pages.budget.bounds.keys_max
            raise GatewayError("LIMIT_EXCEEDED", f"The answer would look up more than {most} keys in {step.product.id}.")
        return await ports.do(
            Use.TOTALS,
            lambda pages, _: self._through(pages, step, grouping, parents, having=having, paged=paged),
            grouping.asked,
            keys=parents.columns,
            grouping=grouping,
        )

    async def _through(
        self, pages: Pages, step: TotalsStep, grouping: Grouping, parents: Parents, *, having: Predicate, paged: bool
    ) -> dict[Key, list[Group]]:
        if paged and (page := await pushed_groups(pages, grouping, parents, page=having)) is not None:
            return {key: groups[: grouping.first] for key, groups in page.items()}
        found = await pushed_groups(pages, grouping, parents)
        if found is not None:
            return await _aside(found, _pages_of, found, grouping, having)
        return await self._made_here(step, pages, grouping, parents, having)

    async def _made_here(
        self, step: TotalsStep, pages: Pages, grouping: Grouping, parents: Parents, having: Predicate
    ) -> dict[Key, list[Group]]:
        states = await partial_groups(
            pages,
            grouping,
            parents,
            lambda path, names: self._open(step, path, names),
            note=lambda fetched: self.findings.note(step.product, fetched),
        )
        found, withheld = await _aside(states, _finished, states, grouping, cells=_held(states))
        if withheld:
            self._withhold(step, grouping)
        return await _aside(found, _pages_of, found, grouping, having)

    def _open(self, step: TotalsStep, path: Path, names: frozenset[str]) -> Ports:
        product: Product = path[-1][1]
        shown = ".".join(step.path)
        if shown not in self.read.setdefault(product.id, []):
            self.read[product.id].append(shown)
        columns = frozenset(product.index_by_name[name] for name in names)
        unusable = frozenset(field.column for field in self.rulings[product.id].fields if not field.usable)
        return self.open(Step(product, self.rulings[product.id], step.path, columns, (), unusable))

    def _withhold(self, step: TotalsStep, grouping: Grouping) -> None:
        if any(error.get("path") == list(step.path) for error in self.findings.errors):
            return
        least = max(grouping.protected.values())
        if grouping.withheld:
            message = f"Beside another total of this operation, those of {', '.join(sorted(grouping.protected))} would tell too much."
            hint = "Ask for one total of these rows in one operation."
            self.findings.fail(GatewayError("GROUP_TOO_SMALL", message, hint=hint, product=step.product.id), step.path)
            return
        message = f"Totals of {', '.join(sorted(grouping.protected))} are for at least {least} subjects, and here are fewer."
        self.findings.fail(GatewayError("GROUP_TOO_SMALL", message, minGroup=least, product=step.product.id), step.path)

    async def _written(self, groups: list[Group], grouping: Grouping, is_aggregate: bool, parent: Key | None) -> Any:
        if is_aggregate:
            return grouping.write(groups[0], None)
        cells = [grouping.cell(term.column) for term in grouping.order] if grouping.places else []
        bound_to = grouping.bound_to + (b"" if parent is None else encoded(parent))
        is_long = len(groups) * len(grouping.measures) > CELLS_ENCODED
        written: list[Any] = []
        async for some in in_turns(groups, _GROUPS_AT_ONCE):
            if not grouping.places:
                made = [grouping.write(group, None) for group in some]
            else:
                places = [pack_keyset([cell(group) for cell in cells]) for group in some]
                if places and max(map(len, places)) > PAYLOAD_BYTES_MAX:
                    raise GatewayError("LIMIT_EXCEEDED", "A cursor of these groups would be too long.", hint="Do not ask for cursors.")
                made = list(map(grouping.write, some, self.cursors.seal_many(places, bound_to)))
            written += in_json(made, self.spend) if is_long else made
        return written


async def _aside(size: Mapping[Key, Any], work: Callable[..., _Result], *given: Any, cells: int = 0) -> _Result:
    """Do what takes long for many groups, or ``cells`` kept in them, beside the loop."""
    if sum(map(len, size.values())) > _LARGE_GROUPS or cells > _LARGE_CELLS:
        return await asyncio.to_thread(work, *given)
    return work(*given)


def _held(states: Mapping[Key, Mapping[Key, States]]) -> int:
    """Count the cells that few groups keep; many groups are many cells as they are."""
    if sum(map(len, states.values())) > _LARGE_GROUPS:
        return 0
    held = 0
    for state in (state for groups in states.values() for some in groups.values() for state in some):
        held += state.held()
        if held > _LARGE_CELLS:
            break
    return held


def _finished(states: dict[Key, dict[Key, States]], grouping: Grouping) -> tuple[dict[Key, list[Group]], bool]:
    found: dict[Key, list[Group]] = {}
    any_withheld = False
    for key, groups in states.items():
        some = merged(groups, grouping)
        found[key], withheld = finished(some, grouping)
        any_withheld = any_withheld or (withheld and bool(groups))
        released(groups, some)
    return found, any_withheld


def _pages_of(found: dict[Key, list[Group]], grouping: Grouping, having: Predicate) -> dict[Key, list[Group]]:
    if not grouping.by:
        return found
    test = compile_test(having, grouping.cell)
    by = sort_key(grouping.order, [grouping.cell(term.column) for term in grouping.order])
    pages: dict[Key, list[Group]] = {}
    for key, groups in found.items():
        kept = [group for group in groups if test(group) is True]
        pages[key] = nsmallest(grouping.first, kept, key=by)
        for some in (kept, groups):
            while some:
                some.pop()
    return pages


def with_partners(
    products: tuple[tuple[str, tuple[str, ...]], ...], partners: Mapping[str, list[str]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Add the products that groups were formed by, with the paths of those, to the products that an operation reads."""
    if not partners:
        return products
    found = dict(products)
    for id_, paths in sorted(partners.items()):  # not as their reads happened to begin
        found[id_] = (*found.get(id_, ()), *sorted(paths))
    return tuple(found.items())
