"""Generated ``groups``: keys near and far, cut dates, zones, filters before and after, orders, pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from graphql import GraphQLField, GraphQLObjectType, get_named_type

from contracts.fields import Kind, Scalar
from domain_adapters.algebra import aggregate_type, truncations_of
from gateway.catalog.measures import FUNCTIONS
from gateway.catalog.snapshot import Column, Product, Relation

if TYPE_CHECKING:
    from .operations import _Drawing

__all__ = ["groups_text"]

_ZONES = ("Europe/Berlin", "Asia/Seoul", "America/Sao_Paulo", "Mars/Olympus")
_DIRECTIONS = ("ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST")
_Key = tuple[tuple[Relation, ...], Column]


def groups_text(drawing: _Drawing, product: Product, definition: GraphQLField, *, paged: bool = True) -> str:
    """Write one ``groups`` under an alias of its own, so that it merges with no other. ``paged``: with cursors, some of the time."""
    random = drawing.random
    group = get_named_type(definition.type)
    assert isinstance(group, GraphQLObjectType)
    keys = _keys(drawing, product, group)
    if not keys:
        return "__typename"
    parts = [f"by: [{', '.join(_term(random, path, column) for path, column in keys)}]"]
    if (where := definition.args.get("where")) is not None and random.random() < 0.25:
        parts.append(f"where: {drawing._input(product, where.type, drawing._where(product, where.type, 0))}")
    if random.random() < 0.3:
        having = " ".join(_having(drawing, product, get_named_type(definition.args["having"].type), keys))
        parts.append(f"having: {{{having}}}")
    if random.random() < 0.5:
        order = get_named_type(definition.args["orderBy"].type)
        terms = [_order(drawing, product, order, keys) for _ in range(random.randint(1, 2))]
        parts.append(f"orderBy: [{', '.join(terms)}]")
    if random.random() < 0.5:
        first = random.choice((0, 1, 2, 3, 1000))
        parts.append(f"first: {drawing._given(first, 'Int', str(first))}")
    cursors = random.random() < 0.3 and paged
    if cursors and random.random() < 0.5:
        drawing.cursors.append(drawing._variable("String", None, sent=False))
        parts.append(f"after: ${drawing.cursors[-1]}")
    if random.random() < 0.3:
        parts.append(f"timeZone: {json.dumps(random.choice(_ZONES[:3] if random.random() < 0.95 else _ZONES))}")
    shown = list(_totals(drawing, product, group))
    if random.random() < 0.9:
        shown.append(_shown_key(random, keys))
    if cursors:
        shown.append("cursor")
    random.shuffle(shown)
    return f"{drawing._alias()}: groups({', '.join(parts)}) {{ {' '.join(shown) or 'count'} }}"


def _keys(drawing: _Drawing, product: Product, group: GraphQLObjectType) -> list[_Key]:
    found = list(_within_reach(drawing, product, get_named_type(group.fields["key"].type), 2))
    weights = [1 / (1 + len(path)) for path, _ in found]
    chosen = drawing.random.choices(found, weights, k=drawing.random.choice((1, 1, 2, 2, 3)))
    return list({(tuple(id(it) for it in path), column.name): (path, column) for path, column in chosen}.values())


def _within_reach(drawing: _Drawing, product: Product, key: Any, hops: int) -> Iterator[_Key]:
    """List what may be grouped by: the columns that a key has."""
    for name, field in key.fields.items():
        if (column := product.column_by_graphql_name.get(name)) is not None:
            yield (), column
        elif hops and (relation := product.relation_by_name.get(name)) is not None:
            target = drawing.snapshot.products[relation.target]
            for path, found in _within_reach(drawing, target, get_named_type(field.type), hops - 1):
                yield (relation, *path), found


def _term(random: Random, path: tuple[Relation, ...], column: Column) -> str:
    parts = truncations_of(column.type)
    cut = f", truncate: {random.choice(parts).upper()}" if parts and random.random() < 0.7 else ""
    symbols = ", ".join(_symbol(it.graphql_name) for it in path)
    return f"{{field: {_symbol(column.graphql_name)}{cut}{f', path: [{symbols}]' if path else ''}}}"


def _symbol(name: str) -> str:
    return "".join(f"_{it}" if it.isupper() and at else it for at, it in enumerate(name)).upper()


def _shown_key(random: Random, keys: list[_Key]) -> str:
    cells = [" { ".join((*(it.graphql_name for it in path), column.graphql_name)) + " }" * len(path) for path, column in keys]
    some = [it for it in cells if random.random() < 0.8] or cells[:1]
    return f"key {{ {' '.join(some)} }}"


def _measured(drawing: _Drawing, product: Product, type_: Any, hops: int = 2) -> tuple[tuple[str, ...], Column, Any] | None:
    """Choose a column that a function is taken of, here or along relationships: the way there, the column, its field in the schema."""
    names = sorted(type_.fields)
    drawing.random.shuffle(names)
    for name in names:
        if (column := product.column_by_graphql_name.get(name)) is not None:
            return (), column, type_.fields[name]
        relation = product.relation_by_name.get(name)
        if relation is not None and hops:
            target = drawing.snapshot.products[relation.target]
            found = _measured(drawing, target, get_named_type(type_.fields[name].type), hops - 1)
            if found is not None:
                return (name, *found[0]), *found[1:]
    return None


def _is_rounded(function: str, column: Column) -> bool:
    """Whether a total depends on the order in which it was added up, in its last digits."""
    type_ = aggregate_type(function, column.type)
    return function in ("sum", "avg") and isinstance(type_, Scalar) and type_.kind is Kind.FLOAT


def _inside(path: tuple[str, ...], text: str, *, colon: bool) -> str:
    for name in reversed(path):
        text = f"{name}{': ' if colon else ' '}{{{text}}}"
    return text


def _totals(drawing: _Drawing, product: Product, group: GraphQLObjectType) -> Iterator[str]:
    random = drawing.random
    if random.random() < 0.7:
        yield "count"
    for name in random.sample(FUNCTIONS, random.choice((0, 1, 1, 2, 3))):
        if name in group.fields:
            found = [_measured(drawing, product, get_named_type(group.fields[name].type)) for _ in range(2)]
            texts = [_inside(it[0], it[1].graphql_name, colon=False) for it in found if it is not None]
            if texts:
                yield f"{name} {{ {' '.join(dict.fromkeys(texts))} }}"


def _order(drawing: _Drawing, product: Product, type_: Any, keys: list[_Key]) -> str:
    random = drawing.random
    direction = random.choice(_DIRECTIONS)
    chance = random.random()
    if chance < 0.4:
        return f"{{count: {direction}}}"
    functions = [name for name in FUNCTIONS if name in type_.fields]
    if chance < 0.7 and functions:
        function = random.choice(functions)
        found = _measured(drawing, product, get_named_type(type_.fields[function].type))
        if found is not None and not (drawing.exact and _is_rounded(function, found[1])):
            return f"{{{function}: {{{_inside(found[0], f'{found[1].graphql_name}: {direction}', colon=True)}}}}}"
    path, key = random.choice(keys)
    return "{key: " + "".join(f"{{{it.graphql_name}: " for it in path) + f"{{{key.graphql_name}: {direction}}}" + "}" * (len(path) + 1)


def _having(drawing: _Drawing, product: Product, type_: Any, keys: list[_Key]) -> Iterator[str]:
    random = drawing.random
    if random.random() < 0.6:
        yield f"count: {{{random.choice(('gt', 'gte', 'lt', 'ne'))}: {random.randrange(4)}}}"
    functions = [name for name in FUNCTIONS if name in type_.fields]
    if functions and random.random() < 0.4:
        function = random.choice(functions)
        found = _measured(drawing, product, get_named_type(type_.fields[function].type))
        if found is not None and not (drawing.exact and _is_rounded(function, found[1])):
            way, column, field = found
            test = f"{column.graphql_name}: {_test(drawing, column, function, get_named_type(field.type))}"
            yield f"{function}: {{{_inside(way, test, colon=True)}}}"
    if random.random() < 0.2:
        path, column = random.choice(keys)
        tests = "{isNull: false}"
        yield "key: " + "".join(f"{{{it.graphql_name}: " for it in path) + f"{{{column.graphql_name}: {tests}}}" + "}" * len(path)


def _test(drawing: _Drawing, column: Column, function: str, tests: Any) -> str:
    type_ = aggregate_type(function, column.type)
    if function in ("min", "max"):
        if "gte" in tests.fields:
            value: Any = drawing._comparisons(column, tests)
            return drawing._literal(value, tests)
        return "{isNull: false}"
    number = drawing.random.choice((0, 1, 2, 100))
    return f'{{gte: "{number}"}}' if isinstance(type_, Scalar) and type_.kind is Kind.DECIMAL else f"{{gte: {number}}}"
