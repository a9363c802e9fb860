"""Totals of columns that are for totals of enough subjects only (SPEC A8) against graphql-core with plain resolvers."""

from __future__ import annotations

import os
from random import Random
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, get_named_type

from contracts.fields import Kind, Scalar
from gateway.catalog.snapshot import Product

from .groupings import _symbol
from .operations import Operation
from .oracle import Oracle
from .ruling_cases import SEED
from .running import Asked, running
from .test_engine_against_graphql_core import check
from .worlds import REGIONS, callers_of, world_of

WORLDS = max(1, int(os.environ.get("MESHGATE_CASES") or 2_000) // 80)
PER_WORLD = 12


async def test_totals_are_of_enough_subjects_or_of_none_merged_and_withheld_as_graphql_core_with_plain_resolvers_has_them() -> None:
    asked_in_all = 0
    for number in range(WORLDS):
        world = world_of(f"{SEED}-totals-only-{number}", totalled_only=True)
        ready = await running(world)
        try:
            for caller in callers_of(world, 4):
                for case in range(PER_WORLD // 4):
                    random = Random(f"{world.seed} {caller.subject} {case}")
                    text = _operation(ready.level1, ready.level1.oracle(caller), random)
                    for name, asked in {"level 1": ready.level1, "level 0": ready.level0}.items() if text else ():
                        try:
                            await check(asked, caller, Operation(text or "", None, {}, ()), random, long_as_text=False, over=name)
                        except Exception as error:
                            error.add_note(f"MESHGATE_TEST_SEED={SEED} world {world.seed!r} over {name}, {caller}\n{text}")
                            raise
                        asked_in_all += 1
        finally:
            await ready.aclose()
    assert asked_in_all > 2 * WORLDS


def _operation(asked: Asked, oracle: Oracle, random: Random) -> str | None:
    """Ask for one or two totals of a product that has such columns, at the root or under the rows of another product."""
    found = []
    for product in asked.mesh.snapshot.products.values():
        only = {it.column for it in oracle.rulings[product.id].fields if it.aggregates is not None}
        connection = oracle.schema.type_map.get(f"{product.type_name}Connection")
        if only and oracle.is_served(product.id) and isinstance(connection, GraphQLObjectType) and "aggregate" in connection.fields:
            found.append((product, only, connection))
    if not found:
        return None
    product, only, connection = random.choice(found)
    totals = [_total(random, product, only, connection, f"t{at}") for at in range(random.choice((1, 1, 2)))]
    body = " ".join(it for it in totals if it) or "totalCount"
    for parent in asked.mesh.snapshot.products.values():
        row = oracle.schema.type_map.get(parent.type_name)
        for relation in parent.relations if isinstance(row, GraphQLObjectType) and oracle.is_served(parent.id) else ():
            if relation.many and relation.target == product.id and relation.graphql_name in row.fields and random.random() < 0.5:
                inner = f"nodes {{ {relation.graphql_name} {{ {body} }} }}"
                return f"{{ {parent.domain_field} {{ {parent.graphql_name} {{ {inner} }} }} }}"
    query: Any = oracle.schema.query_type
    root: Any = get_named_type(query.fields[product.domain_field].type)
    where = _where(random, root.fields[product.graphql_name])
    return f"{{ {product.domain_field} {{ {product.graphql_name}{f'({where})' if where else ''} {{ {body} }} }} }}"


def _total(random: Random, product: Product, only: set[str], connection: GraphQLObjectType, alias: str) -> str:
    """Write one ``aggregate`` or ``groups`` of what is for totals only."""
    group = get_named_type(connection.fields["aggregate"].type)
    shown: list[str] = []
    exact: list[str] = []
    for function in ("sum", "avg"):
        if function in group.fields:
            names = [name for name in get_named_type(group.fields[function].type).fields if _column(product, name) in only]
            shown += [f"{function} {{ {name} }}" for name in names if random.random() < 0.8]
            exact += [f"{function}: {{{name}: %s}}" for name in names if not _is_float(product, name)]
    grouped = connection.fields.get("groups")
    key = get_named_type(get_named_type(grouped.type).fields["key"].type) if grouped is not None else None
    keys = [name for name in key.fields if _column(product, name) is not None] if key is not None else []
    if not keys or random.random() < 0.4:
        return f"{alias}: aggregate {{ count {' '.join(shown)} }}"
    by = random.sample(keys, min(len(keys), random.choice((1, 1, 2))))
    parts = ["by: [" + ", ".join(f"{{field: {_symbol(name)}}}" for name in by) + "]", _where(random, grouped)]
    if exact and random.random() < 0.3:
        parts.append("having: {" + random.choice(exact) % "{gt: 0}" + "}")
    if exact and random.random() < 0.4:
        parts.append("orderBy: [{" + random.choice(exact) % random.choice(("ASC", "DESC", "DESC_NULLS_FIRST")) + "}]")
    if random.random() < 0.3:
        parts.append(f"first: {random.choice((0, 1, 2))}")
    return f"{alias}: groups({', '.join(filter(None, parts))}) {{ key {{ {' '.join(by)} }} count {' '.join(shown)} }}"


def _where(random: Random, field: GraphQLField | None) -> str:
    where: Any = get_named_type(field.args["where"].type) if field is not None and "where" in field.args else None
    if where is None or "region" not in where.fields or random.random() < 0.6:
        return ""
    return f'where: {{region: {{ne: "{random.choice(REGIONS)}"}}}}'


def _column(product: Product, name: str) -> str | None:
    column = product.column_by_graphql_name.get(name)
    return None if column is None else column.name


def _is_float(product: Product, name: str) -> bool:
    type_ = product.column_by_graphql_name[name].type
    return isinstance(type_, Scalar) and type_.kind is Kind.FLOAT
