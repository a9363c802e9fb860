"""Totals of generated meshes, under generated rulings, against the plainest evaluation over the rows that each caller sees."""

from __future__ import annotations

import math
import os
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from domain_adapters.algebra import aggregate_type, truncations_of
from domain_adapters.conformance.naive import groups_of
from domain_adapters.port import Aggregate, GroupBy, Read
from domain_adapters.values import emitter_of
from gateway.catalog.measures import FUNCTIONS
from gateway.catalog.snapshot import Column, Product, Relation
from gateway.governance.ruling import Access, FieldRuling, Standing

from . import figures
from .oracle import Oracle
from .ruling_cases import SEED
from .running import Asked, running
from .worlds import World, callers_of, world_of

_WORLDS = max(1, int(os.environ.get("MESHGATE_CASES") or 1_000) // 40)
_PER_WORLD = 20
_ZONES = (None, "Europe/Berlin", "Asia/Seoul", "America/Sao_Paulo")


@pytest.mark.parametrize("number", range(_WORLDS))
async def test_totals_are_those_of_the_rows_that_the_caller_sees(number: int) -> None:
    world = world_of(f"{SEED}-totals-{number}")
    ready = await running(world)
    try:
        callers = callers_of(world, 4)
        for case in range(_PER_WORLD):
            random = Random(f"{world.seed} {case}")
            caller = random.choice(callers)
            for name, asked in {"level 1": ready.level1, "level 0": ready.level0}.items():
                case_ = _drawn(asked.oracle(caller), world, Random(f"{world.seed} {case}"))
                if case_ is None:
                    break
                try:
                    await _check(asked, caller, *case_)
                    figures.note("totals", name, case_[0], refused=case_[1] is None)
                except Exception as error:
                    error.add_note(f"MESHGATE_TEST_SEED={SEED} world {world.seed!r} case {case} over {name}, {caller}\n{case_[0]}")
                    raise
    finally:
        await ready.aclose()


async def _check(asked: Asked, caller: Any, text: str, expected: list[Any] | None, reads: list[tuple[str, ...]]) -> None:
    answer = await asked.ask(caller, text)
    if expected is None:
        assert answer.refusal == "MASKED_FIELD_IN_PREDICATE", answer.body
        return
    assert not answer.errors, answer.errors
    (domain,) = answer.data.values()
    (connection,) = domain.values()
    (part,) = connection.values()
    found = [[_at(group, path) for path in reads] for group in (part if isinstance(part, list) else [part])]
    assert len(found) == len(expected), (found, expected)
    for one, other in zip(found, expected, strict=True):
        assert all(map(_alike, one, other)), (one, other)


def _at(node: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        node = node[name]
    return node


def _alike(one: Any, other: Any) -> bool:
    if isinstance(other, float):
        return isinstance(one, float | int) and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-300)
    return bool(one == other)


def _is_clear(field: FieldRuling) -> bool:
    return field.access is Access.CLEAR and field.usable and not (field.clear_rows or field.masked_rows)


def _is_open(field: FieldRuling) -> bool:
    return _is_clear(field) or (field.usable and field.aggregates is None)


def _veil(oracle: Oracle, product: Product, column: Column) -> Any:
    """How a key, a least or a greatest value of the column shows: masked where the grant only lifts the mask for predicates."""
    field = oracle.rulings[product.id].field(column.name)
    return (lambda cell: cell) if _is_clear(field) else oracle.mask(product, column.name, field.mask or Mask(MaskKind.NULLIFY))


def _drawn(oracle: Oracle, world: World, random: Random) -> tuple[str, list[Any] | None, list[tuple[str, ...]]] | None:
    """Draw a question; gives its text, what each group must hold (None: it is refused), and where that stands in a group."""
    products = oracle.mesh.snapshot.products
    served = [it for it in products.values() if oracle.rulings[it.id].standing is Standing.SERVED and it.id not in world.absent]
    if not served:
        return None
    product = random.choice(served)
    known = [it for it in product.columns if it.is_comparable and not oracle.rulings[product.id].field(it.name).hidden]
    rows = [row for row, _ in oracle.sights(product)]
    partner = _partner(oracle, world, random, product)
    joined = [_joined(row, oracle, *partner) if partner else row for row in rows]
    fields = {it.name: it for it in product.contract.fields}
    if partner:
        fields |= {f"partner {it.name}": it.field for it in partner[1].columns}
    contract: Any = SimpleNamespace(field_by_name=fields)
    # Columns that the answer connects with another product's are as clear as both ends.
    links: list[tuple[str, str]] = []
    by: list[tuple[tuple[str, ...], Column, str | None]] = []
    if known and random.random() < 0.8:
        for column in random.sample(known, random.randint(1, min(2, len(known)))):
            by.append(((), column, _part(random, column)))
    if partner:
        relation, target = partner
        there = [it for it in target.columns if it.is_comparable and not oracle.rulings[target.id].field(it.name).hidden]
        if there and random.random() < 0.7:
            column = random.choice(there)
            by.append(((relation.graphql_name,), column, _part(random, column)))
            links = list(relation.pairs)
    zone = random.choice(_ZONES)
    measures = [(function, it) for it in known for function in FUNCTIONS if aggregate_type(function, it.type) is not None]
    chosen = random.sample(measures, min(len(measures), random.randint(1, 4)))
    if random.random() < 0.8:
        # Most questions are of what may be asked.
        by = [it for it in by if _shows(oracle, product, partner, links, it[0], it[1])]
        links = links if any(path for path, _, _ in by) else []
        chosen = [it for it in chosen if _shows(oracle, product, partner, links, (), it[1])]
    shows = all(_shows(oracle, product, partner, links, path, it) for path, it, _ in by)
    shows = shows and all(_shows(oracle, product, partner, links, (), it) for _, it in chosen)
    text = _text(product, by, chosen, zone)
    reads = [("key", *path, it.graphql_name) for path, it, _ in by] + [("count",)]
    reads += [(function, it.graphql_name) for function, it in chosen]
    if not shows:
        return text, None, reads
    aggregates = [Aggregate("count", None, "rows")] + [Aggregate(function, it.name, f"t{at}") for at, (function, it) in enumerate(chosen)]
    group_by = [GroupBy(f"partner {it.name}" if path else it.name, part, zone if part else None) for path, it, part in by]
    groups = groups_of(joined, Read(aggregates=tuple(aggregates), group_by=tuple(group_by)), contract)
    types = [it.type for _, it, _ in by] + [Scalar(Kind.LONG)] + [aggregate_type(function, it.type) for function, it in chosen]
    ends = [(partner[1] if path and partner else product, it) for path, it, _ in by]
    shown = [(product, it) if function in ("min", "max") else None for function, it in chosen]
    veils = [_veil(oracle, *end) if end else (lambda cell: cell) for end in (*ends, None, *shown)]
    expected = []
    for group in groups[: 1000 if by else 1]:
        cells = [*group.key, *group.values.values()]
        cells = [None if cell is None else veil(cell) for veil, cell in zip(veils, cells, strict=True)]
        expected.append([None if cell is None else _written(type_, cell) for cell, type_ in zip(cells, types, strict=True)])
    return text, expected, reads


def _written(type_: Any, cell: Any) -> Any:
    return emitter_of(type_)(cell)


def _part(random: Random, column: Column) -> str | None:
    parts = truncations_of(column.type)
    return random.choice(parts) if parts and random.random() < 0.8 else None


def _shows(
    oracle: Oracle,
    product: Product,
    partner: tuple[Relation, Product] | None,
    links: list[tuple[str, str]],
    path: tuple[str, ...],
    column: Column,
) -> bool:
    ends = [(product.id, column.name)] if not path else []
    if path and partner:
        ends = [(partner[1].id, column.name)]
    # Of several pairs each joins its own two columns; a column in several joins them all.
    grown = True
    while grown and partner:
        grown = False
        for own, other in links:
            pair = ((product.id, own), (partner[1].id, other))
            for one, two in (pair, pair[::-1]):
                if one in ends and two not in ends and product.id != partner[1].id:
                    ends.append(two)
                    grown = True
    clear = {_is_clear(oracle.rulings[id_].field(name)) for id_, name in ends}
    # What is only lifted at one end is not shown in clear at the other.
    return all(_is_open(oracle.rulings[id_].field(name)) for id_, name in ends) and len(clear) == 1


def _partner(oracle: Oracle, world: World, random: Random, product: Product) -> tuple[Relation, Product] | None:
    products = oracle.mesh.snapshot.products
    found = [
        (it, products[it.target])
        for it in product.relations
        if not it.many
        and it.target != product.id  # one product at both ends: which end a column is of would have to be told apart
        and oracle.rulings[it.target].standing is Standing.SERVED
        and it.target not in world.absent
        and products[it.target].primary_key
        and set(products[it.target].primary_key) <= set(it.target_columns)
    ]
    return random.choice(found) if found else None


def _joined(row: dict[str, Any], oracle: Oracle, relation: Relation, target: Product) -> dict[str, Any]:
    key = [row[name] for name in relation.own_columns]
    for partner, _ in oracle.sights(target):
        if None not in key and [partner[name] for name in relation.target_columns] == key:
            return row | {f"partner {name}": cell for name, cell in partner.items()}
    return row | {f"partner {it.name}": None for it in target.columns}


def _text(
    product: Product, by: list[tuple[tuple[str, ...], Column, str | None]], chosen: list[tuple[str, Column]], zone: str | None
) -> str:
    totals = "count " + " ".join(f"{function} {{ {it.graphql_name} }}" for function, it in chosen)
    if not by:
        return f"{{ {product.domain_field} {{ {product.graphql_name} {{ aggregate {{ {totals} }} }} }} }}"
    terms, keys = [], []
    for path, column, part in by:
        term = f"field: {_symbol(column.graphql_name)}" + (f", truncate: {part.upper()}" if part else "")
        terms.append("{" + term + (f", path: [{', '.join(map(_symbol, path))}]" if path else "") + "}")
        keys.append(" { ".join((*path, column.graphql_name)) + " }" * len(path))
    arguments = f"first: 1000, by: [{', '.join(terms)}]" + (f', timeZone: "{zone}"' if zone else "")
    body = f"groups({arguments}) {{ key {{ {' '.join(keys)} }} {totals} }}"
    return f"{{ {product.domain_field} {{ {product.graphql_name} {{ {body} }} }} }}"


def _symbol(name: str) -> str:
    return "".join(f"_{it}" if it.isupper() and at else it for at, it in enumerate(name)).upper()
