"""The schema as a view is told of it: introspection and SDL, put together from what was written of each product before.

Nothing here builds a whole schema: types are built only where their text is not kept, and only those of the product it is missing
for. Rejects with LIMIT_EXCEEDED scopes that are too large, and introspection without end. Touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    introspection_types,
    is_specified_directive,
    specified_scalar_types,
)
from graphql.utilities.print_schema import print_directive, print_type

from contracts.fields import Kind
from gateway.catalog.aggregates import DATE_PART
from gateway.catalog.clashes import type_names
from gateway.catalog.fragments import Circle, Fragments, Written, circle_of
from gateway.catalog.inputs import SORT_DIRECTION, scalar_filter, scalar_of_kind, symbol_filter
from gateway.catalog.introspection import Asked, Meter, is_shallow, members, writer
from gateway.catalog.reach import RulingOf
from gateway.catalog.require_slo import DIRECTIVES
from gateway.catalog.scope import Scope, scope_of
from gateway.catalog.slices import METADATA, PAGE_INFO, SliceTypes
from gateway.catalog.snapshot import Product, Snapshot

__all__ = ["Described"]

_NAMES, _SDL = "names", "sdl"
_SHARED = Circle((), ())
_WRAPPING = (GraphQLNonNull, GraphQLList)
_BUILT_IN = {*specified_scalar_types, *introspection_types}
# A product of thirty columns is some 2,500 objects in the introspection that tools send.
_OBJECTS_MAX, _OBJECTS_PER_PRODUCT_MAX = 100_000, 25_000

Write = Callable[[GraphQLNamedType], bytes]


class Described:
    """Describes the schema of any view of one snapshot. ``products_max``: so many at once; ``kept``: what was written before."""

    def __init__(self, snapshot: Snapshot, mesh_field: GraphQLField, *, products_max: int, kept: Fragments) -> None:
        self._snapshot = snapshot
        self._mesh_field = mesh_field
        self._products_max = products_max
        self._kept = kept

    def successor(self, snapshot: Snapshot) -> Described:
        """Describe the next snapshot; what was written of products that it shares is not written again."""
        return Described(snapshot, self._mesh_field, products_max=self._products_max, kept=self._kept)

    def answer(self, asked: Asked, ruling_of: RulingOf, globs: Iterable[str]) -> bytes:
        """Answer ``__schema`` or ``__type`` within a scope, as JSON. **Raises** `GatewayError` LIMIT_EXCEEDED."""
        view = self._view(ruling_of, globs)
        meter = Meter(_OBJECTS_MAX + _OBJECTS_PER_PRODUCT_MAX * len(view.scope.products))
        if asked.name == "__type":
            found = view.type(str(asked.type_name))
            return b"null" if found is None else writer(asked.below, meter)(found)
        return members((it, _of_schema(it, view, meter)) for it in asked.below)

    def sdl(self, ruling_of: RulingOf, globs: Iterable[str]) -> str:
        """Print the schema within a scope. **Raises** `GatewayError` LIMIT_EXCEEDED."""
        texts = self._view(ruling_of, globs).texts(_SDL, lambda type_: b"" if type_.name in _BUILT_IN else print_type(type_).encode())
        directives = [print_directive(it).encode() for it in DIRECTIVES if not is_specified_directive(it)]
        return b"\n\n".join([*directives, *(text for text in texts if text)]).decode()

    def _view(self, ruling_of: RulingOf, globs: Iterable[str]) -> _View:
        scope = scope_of(self._snapshot, ruling_of, globs, products_max=self._products_max)
        return _View(scope, ruling_of, SliceTypes(self._snapshot, ruling_of, scope.reach, self._mesh_field, wide=False), self._kept)


def _of_schema(asked: Asked, view: _View, meter: Meter) -> bytes:
    match asked.name:
        case "types":
            write = writer(asked.below, meter)
            texts = view.texts(asked.below, write) if is_shallow(asked) else map(write, view.all_types())
            return b"[%b]" % b",".join(texts)
        case "queryType":
            return writer(asked.below, meter)(view.query)
        case "directives":
            return b"[%b]" % b",".join(map(writer(asked.below, meter), DIRECTIVES))
        case "__typename":
            return b'"__Schema"'
        case _:  # description, mutationType, subscriptionType
            return b"null"


class _View:
    """One scope as one view sees it."""

    def __init__(self, scope: Scope, ruling_of: RulingOf, types: SliceTypes, kept: Fragments) -> None:
        self.scope = scope
        self.query = types.query()
        self._types = types
        self._kept = kept
        self._circles = {id_: circle_of(product, scope, ruling_of) for id_, product in scope.products.items()}

    def type(self, name: str) -> GraphQLNamedType | None:
        """Find a type of this schema by its name."""
        top = self._top()
        parts = self._parts(_NAMES, lambda _: b"")
        if name not in _reached((_outline(top), *parts)):
            return None
        if (found := top.get(name) or _shared_types().get(name)) is not None:
            return found
        owners = (self.scope.products[id_] for id_, part in zip(self._circles, parts, strict=False) if name in part)
        return next(self._own_types(owner)[name] for owner in owners)

    def texts(self, what: Hashable, write: Write) -> Iterator[bytes]:
        """Write every type; ``what`` stands for ``write`` among what is kept."""
        top = self._top()
        parts = self._parts(what, write)
        reached = _reached((_outline(top), *parts))
        yield from map(write, top.values())
        for part in parts:
            for name, (text, _) in part.items():
                if name in reached:
                    reached.remove(name)  # each once, whoever else speaks of it
                    yield text

    def all_types(self) -> Iterable[GraphQLNamedType]:
        """Build every type."""
        return _walked((self.query, *introspection_types.values(), *_of_directives()), lambda _: True).values()

    def _top(self) -> dict[str, GraphQLNamedType]:
        domains = (get_named_type(field.type) for field in self.query.fields.values())
        return {it.name: it for it in (self.query, *domains) if it.name not in _shared_types()}

    def _parts(self, what: Hashable, write: Write) -> list[Written]:
        """Find what is kept of each product and write the rest; the types that all share come last."""
        found = [
            self._part(what, circle, partial(self._own_types, self.scope.products[id_]), write) for id_, circle in self._circles.items()
        ]
        return [*found, self._part(what, _SHARED, _shared_types, write)]

    def _part(self, what: Hashable, circle: Circle, types: Callable[[], Mapping[str, GraphQLNamedType]], write: Write) -> Written:
        if (found := self._kept.get(what, circle)) is None:
            found = {name: (write(type_), tuple(_leads_to(type_))) for name, type_ in types().items()}
            self._kept.put(what, circle, found)
        return found

    def _own_types(self, product: Product) -> dict[str, GraphQLNamedType]:
        others = [it for it in self.scope.neighbours(product) if it is not product]
        taken = frozenset[str]().union(*map(type_names, others))
        totals = {it.type_name for it in others}

        def is_own(name: str) -> bool:
            return name not in taken and name.partition("_")[0] not in totals and name not in _shared_types()

        return _walked(self._types.entrances(product), is_own)


def _outline(types: Mapping[str, GraphQLNamedType]) -> Written:
    return {name: (b"", tuple(_leads_to(type_))) for name, type_ in types.items()}


def _reached(parts: Iterable[Written]) -> set[str]:
    """Name the types that a schema holds: those that the root leads to, and those of introspection and the directives."""
    known: dict[str, tuple[bytes, tuple[str, ...]]] = {}
    for part in parts:
        known.update(part)
    found = {"Query", *introspection_types, *(it.name for it in _of_directives())}
    pending = list(found)
    while pending:
        for name in known[pending.pop()][1]:
            if name not in found:
                found.add(name)
                pending.append(name)
    return found


@cache
def _shared_types() -> Mapping[str, GraphQLNamedType]:
    """List the types that belong to no product: scalars and their filters, pages, directions, the catalogue, introspection, directives."""
    # Here and not above: the catalogue's types stand on the snapshot's.
    from gateway.catalog.mesh import mesh_field

    filters = [scalar_filter(kind) for kind in Kind if kind is not Kind.JSON]
    scalars = [scalar_of_kind(kind) for kind in Kind]
    first = (get_named_type(mesh_field().type), PAGE_INFO, METADATA, SORT_DIRECTION, DATE_PART, symbol_filter(), *filters, *scalars)
    return dict(sorted(_walked((*first, *introspection_types.values(), *_of_directives()), lambda _: True).items()))


def _of_directives() -> list[GraphQLNamedType]:
    return [get_named_type(argument.type) for directive in DIRECTIVES for argument in directive.args.values()]


def _walked(first: Iterable[GraphQLNamedType], is_wanted: Callable[[str], bool]) -> dict[str, GraphQLNamedType]:
    found: dict[str, GraphQLNamedType] = {}
    pending = [it for it in first if is_wanted(it.name)]
    while pending:
        type_ = pending.pop()
        if type_.name not in found:
            found[type_.name] = type_
            pending += [it for name, it in _leads_to(type_).items() if name not in found and is_wanted(name)]
    return found


def _leads_to(of: GraphQLNamedType) -> dict[str, GraphQLNamedType]:
    types: list[Any]
    match of:
        case GraphQLObjectType(fields=fields):
            types = [field.type for field in fields.values()]
            for field in fields.values():
                if field.args:
                    types += [one.type for one in field.args.values()]
        case GraphQLInputObjectType(fields=fields):
            types = [field.type for field in fields.values()]
        case _:
            return {}
    found: dict[str, GraphQLNamedType] = {}
    for it in types:
        named = it
        while type(named) in _WRAPPING:
            named = named.of_type
        found[named.name] = named
    return found
