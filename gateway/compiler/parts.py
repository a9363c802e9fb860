"""The steps of an operation -> its parts: every read in the order of the answer, each with the read whose rows it is multiplied by.

What an operation costs is the sum over its parts; only numbers are missing, which requests supply. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.catalog.snapshot import Product
from gateway.compiler.executable import ConnectionStep, KeyStep, LinkStep, PartnerStep, RowShape, Step, TotalsStep, steps_below

__all__ = ["Part", "parts_of"]


@dataclass(frozen=True, slots=True)
class Part:
    """One read. ``parent``: place of the part whose rows are its parents, None at the root; ``columns``: read of each row, at least 1.

    ``connection``: the step whose arguments bound it, None for rows that are found by key alone. ``keys``: columns that rows are looked
    up by. ``sorts_here``: a masked key breaks ties. ``is_totals``: it is an aggregate or groups; ``is_link``: it finds the keys of partners
    that a condition asks for; ``is_idle``: it reads nothing itself.
    """

    step: Step
    product: Product
    parent: int | None
    columns: int
    connection: ConnectionStep | None
    keys: tuple[str, ...]
    sorts_here: bool
    is_totals: bool
    is_link: bool
    is_idle: bool
    asks: tuple[ConnectionStep | TotalsStep, ...] = ()
    """Of the keys of partners: the list and its totals whose conditions may ask for them."""


def parts_of(steps: Iterable[Step]) -> tuple[Part, ...]:
    """List the parts of an operation. ``steps``: those at the root."""
    found: list[Part] = []
    for step in steps:
        _add(step, None, found)
    return tuple(found)


def _add(step: Step, parent: int | None, found: list[Part]) -> None:
    place = len(found)
    connection = step if isinstance(step, ConnectionStep) else None
    found.append(_part(step, parent, connection))
    if connection is not None:
        found.extend(_part(totals, parent, connection) for totals in connection.totals)
        links = (*connection.links, *(link for totals in connection.totals for link in totals.links))
        asks: tuple[ConnectionStep | TotalsStep, ...] = (connection, *connection.totals)
        found.extend(_part(link, None, None, asks) for link in {id(it): it for it in steps_below(links)}.values())
    shapes: tuple[RowShape, ...] = ()
    if isinstance(step, ConnectionStep):
        shapes = step.row_shapes
    elif isinstance(step, KeyStep | PartnerStep):
        shapes = (step.rows,)
    for shape in shapes:
        for child in shape.children:
            _add(child.step, place, found)


def _part(step: Step, parent: int | None, connection: ConnectionStep | None, asks: tuple[ConnectionStep | TotalsStep, ...] = ()) -> Part:
    sorts_here = not step.unusable.isdisjoint(step.product.primary_key)
    return Part(
        step,
        step.product,
        parent,
        max(1, len(step.columns)),
        connection,
        tuple(step.product.columns[index].name for index in step.target),
        sorts_here,
        is_totals=isinstance(step, TotalsStep),
        is_link=isinstance(step, LinkStep),
        is_idle=not step.product.ports or (isinstance(step, ConnectionStep) and step.is_bare),
        asks=asks,
    )
