"""The parts of an operation and one request's numbers -> what it may cost at most, before anything is read.

Cost is rows x columns x weight of the port; lists in lists multiply. Rows are what `reads` reckons from `first`, the scan budget and what
the settings say of a product: never measured ones, which would tell callers of rows that they cannot see (SPEC A10).
Rejects with COST_EXCEEDED where costs are enforced. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from contracts.model import Contract, Use
from contracts.predicates import TRUE, Operator, Predicate, disjunction
from domain_adapters.port import Capabilities
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import Executable
from gateway.compiler.parts import Part
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.grouping import Grouping
from gateway.engine.budget import Bounds
from gateway.engine.explaining.reads import keys_read, rows_read
from gateway.engine.reading.choice import Choice, Need, Offer, Work, choose, looks_up
from gateway.errors import GatewayError

__all__ = ["Costs", "Estimate", "Tariff"]

_PLAIN = Asked()
_WORKS = {work: frozenset((work,) if work else ()) for work in Work}


@dataclass(frozen=True, slots=True)
class Tariff:
    """The settings behind every estimate. ``cost_max``, ``stream_cost_max``: of one operation; ``rows``: product -> rows it has.

    What a cell costs: ``port_weights`` by (product, port name), else ``type_weights`` by type of port, else 1.
    """

    is_enforced: bool = False
    cost_max: int = 10_000_000
    stream_cost_max: int = 1_000_000_000
    rows: Mapping[str, int] = field(default_factory=dict)
    type_weights: Mapping[str, float] = field(default_factory=dict)
    port_weights: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def weight(self, contract: Contract, name: str) -> float:
        """Say what a cell costs at a port."""
        if not self.type_weights and not self.port_weights:
            return 1.0
        found = self.port_weights.get((contract.key, name))
        if found is not None:
            return found
        types = (it.type for it, port in zip(contract.output_ports, contract.port_names, strict=True) if port == name)
        return self.type_weights.get(next(types, name), 1.0)


class PartCost(msgspec.Struct, frozen=True):
    """What one part may cost. ``rows``: read; ``kept``: of those, how many go on to the parts below.

    ``choice``: its ports, None where it reads nothing.
    """

    part: Part
    rows: int
    kept: int
    cost: float
    choice: Choice | None


class Estimate(msgspec.Struct, frozen=True):
    """What an operation may cost, part by part."""

    parts: tuple[PartCost, ...]

    @property
    def cost(self) -> float:
        """The sum."""
        return sum([it.cost for it in self.parts])

    @property
    def rows(self) -> int:
        """How many rows are read at most."""
        return sum([it.rows for it in self.parts])

    def dearest(self) -> PartCost:
        """Give the part that costs most."""
        return max(self.parts, key=lambda it: it.cost)


class Costs:
    """Estimates operations over one snapshot. ``offers``: a product's ports with what is known of them."""

    def __init__(self, tariff: Tariff, bounds: Bounds, offers: Callable[[Product], Sequence[Offer]]) -> None:
        self.tariff = tariff
        self._bounds = bounds
        self._offers = offers
        self._known: dict[int, tuple[Capabilities, bool]] = {}

    def successor(self, offers: Callable[[Product], Sequence[Offer]]) -> Costs:
        """Give the same for the next snapshot."""
        return Costs(self.tariff, self._bounds, offers)

    def checked(
        self,
        executable: Executable,
        bound: Mapping[tuple[str, ...], Any],
        rules: Mapping[str, tuple[Predicate, ...]],
        *,
        streams: bool = False,
    ) -> tuple[float, int]:
        """Give the estimated cost and rows of an operation. **Raises** `GatewayError` COST_EXCEEDED where costs are enforced."""
        found = None if streams else self._quick(executable, bound, rules)
        if found is None:
            estimate = self.estimate(executable, bound, rules, streams=streams)
            found = estimate.cost, estimate.rows
        if self.tariff.is_enforced:
            limit = self.tariff.stream_cost_max if streams else self.tariff.cost_max
            if found[0] > limit:
                raise _exceeded(self.estimate(executable, bound, rules, streams=streams), limit)
        return found

    def _quick(
        self, executable: Executable, bound: Mapping[tuple[str, ...], Any], rules: Mapping[str, tuple[Predicate, ...]]
    ) -> tuple[float, int] | None:
        """Estimate an operation that leaves nothing of note to the gateway, which most do; None where that is not plain to see."""
        cost, rows, goes_on = 0.0, 0, []
        for part in executable.parts:
            if part.is_idle:
                goes_on.append(0)
                continue
            if part.is_totals or part.is_link or part.sorts_here or len(part.product.ports) > 1:
                return None
            port = part.product.ports[0]
            asked: Asked = _PLAIN if part.connection is None else bound[part.step.path].asked
            work = self._at_sight(part, asked, port.capabilities, is_ruled=bool(rules[part.product.id]))
            if work is None:
                return None
            parents = None if part.parent is None else goes_on[part.parent]
            read, kept = rows_read(
                part,
                parents,
                asked,
                None,
                works=_WORKS[work],
                able=port.capabilities,
                keys_max=self._bounds.keys_max,
                scanned=self._scanned,
            )
            goes_on.append(kept)
            rows += read
            cost += read * part.columns * self.tariff.weight(part.product.contract, port.name)
        return cost, rows

    def _at_sight(self, part: Part, asked: Asked, able: Capabilities, *, is_ruled: bool) -> Work | None:
        """Tell what is left to the gateway if that is plain to see: a port that can do all, or a question that needs little."""
        if self._does_all(able):
            return None if is_ruled and asked.counts else Work.NONE
        if is_ruled or asked.counts or asked.order or asked.since is not None or (asked.where is not TRUE and asked.where != TRUE):
            return None
        if not part.keys:
            return Work.NONE
        if not looks_up(able, part.keys):
            return None
        return Work.NONE if part.connection is None or (able.limit_per_key and able.order_by) else Work.MORE

    def estimate(
        self,
        executable: Executable,
        bound: Mapping[tuple[str, ...], Any],
        rules: Mapping[str, tuple[Predicate, ...]],
        *,
        streams: bool = False,
    ) -> Estimate:
        """Say part by part what an operation may cost."""
        found: list[PartCost] = []
        for part in executable.parts:
            parents = None if part.parent is None else found[part.parent].kept
            found.append(self._part(part, parents, bound, rules[part.product.id], streams=streams))
        return Estimate(tuple(found))

    def _part(
        self, part: Part, parents: int | None, bound: Mapping[tuple[str, ...], Any], rules: tuple[Predicate, ...], *, streams: bool
    ) -> PartCost:
        if part.is_idle:
            return PartCost(part, 0, 0, 0.0, None)
        grouping: Grouping | None = bound[part.step.path] if part.is_totals else None
        asked: Asked = _PLAIN
        if part.connection is not None:
            asked = grouping.asked if grouping is not None else bound[part.step.path].asked
        choice = self._choice(part, asked, grouping, rules, streams=streams)
        works, port = _WORKS[Work.NONE], part.product.ports[0]
        if choice.options:
            works, port = frozenset(it.work for it in choice.options[0].lacks), choice.options[0].offer.port
        if part.is_link:
            rows, kept = keys_read(part, bound, self._scanned), 0
        else:
            rows, kept = rows_read(
                part, parents, asked, grouping, works=works, able=port.capabilities, keys_max=self._bounds.keys_max, scanned=self._scanned
            )
        columns = part.columns if grouping is None else max(1, len(grouping.by) + len(grouping.measures))
        return PartCost(part, rows, kept, rows * columns * self.tariff.weight(part.product.contract, port.name), choice)

    def _choice(self, part: Part, asked: Asked, grouping: Grouping | None, rules: tuple[Predicate, ...], *, streams: bool) -> Choice:
        use = Use.TOTALS if grouping is not None else Use.LOOKUP if part.keys else Use.EXPORT if streams else Use.LIST
        need = Need(
            use,
            asked,
            disjunction(*rules) if rules else TRUE,
            keys=part.keys,
            per_key=use is Use.LOOKUP and part.connection is not None,
            grouping=grouping,
            sorts_here=part.sorts_here,
        )
        return choose(need, part.product, self._offers(part.product))

    def _scanned(self, product: Product) -> int:
        rows_max = self._bounds.scan_rows_max
        return min(rows_max, self.tariff.rows.get(product.contract.key, rows_max))

    def _does_all(self, able: Capabilities) -> bool:
        """Whether a port leaves nothing to the gateway whatever rows are asked for; found out once for what it says of itself."""
        found = self._known.get(id(able))
        if found is None or found[0] is not able:
            if len(self._known) > 10_000:
                self._known.clear()
            # Kept by reference, so that no other object can get its id.
            found = self._known[id(able)] = able, _can_all(able)
        return found[1]


def _can_all(able: Capabilities) -> bool:
    return (
        able.boolean
        and able.order_by
        and able.since
        and able.keys
        and able.limit_per_key
        and able.count
        and able.group_by
        and "count" in able.aggregates
        and able.key_columns is None
        and able.filters is None
        and able.filter_columns is None
        and len(able.operators) == len(Operator)
    )


def _exceeded(found: Estimate, limit: int) -> GatewayError:
    dearest = found.dearest()
    shown = ".".join(dearest.part.step.path)
    what = f"{shown} alone may cost {_figure(dearest.cost)}"
    lacks = dearest.choice.options[0].lacks if dearest.choice is not None and dearest.choice.options else ()
    scans = [it.capability for it in lacks if it.work >= Work.COUNT]
    if scans:
        how = f"because up to {dearest.rows} rows are read for what its port lacks ({', '.join(scans)}): leave that out, or narrow it"
    elif dearest.part.parent is not None:
        above = ".".join(found.parts[dearest.part.parent].part.step.path)
        how = f"as it is read for every row of {above}: lower first of either, or select fewer columns"
    else:
        how = "lower its first, or select fewer columns"
    return GatewayError(
        "COST_EXCEEDED",
        f"The operation may cost {_figure(found.cost)}, which is over {limit}.",
        hint=f"{what}, {how}.",
        cost=round(found.cost),
        limit=limit,
        part=shown,
    )


def _figure(cost: float) -> str:
    return str(round(cost))
