"""``@requireSlo`` on generated operations: whatever is demanded, data and errors are those of the operation without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from graphql import DirectiveNode, FieldNode, OperationDefinitionNode, Visitor, parse, print_ast, visit
from graphql.language import DocumentNode

from .operations import operation_of
from .ruling_cases import SEED
from .running import Asked, differences, running
from .worlds import callers_of, world_of

WARN = 'status: MET, freshness: "1 h", completeness: 1, onBreach: WARN'


def directive() -> DirectiveNode:
    (definition,) = parse(f"query @requireSlo({WARN}) {{ a }}").definitions
    assert isinstance(definition, OperationDefinitionNode)
    assert definition.directives
    return definition.directives[0]


def demanding(document: DocumentNode, products: frozenset[str], random: Random) -> DocumentNode:
    """Put the directive on every operation, and on some of the fields that read a product from its domain."""
    one = directive()

    class Put(Visitor):
        def leave_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> OperationDefinitionNode:
            return replace(node, directives=(*(node.directives or ()), one))

        def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
            if node.name.value in products and random.random() < 0.5:
                return replace(node, directives=(*(node.directives or ()), one))
            return None

    found: DocumentNode = visit(document, Put())
    return found


def root_fields(asked: Asked) -> Iterator[str]:
    """Name the fields that lead to products and to nothing else, in any type."""
    products = asked.mesh.snapshot.products.values()
    taken = {column.graphql_name for product in products for column in product.columns}
    taken |= {product.domain_field for product in products} | {"mesh", "nodes", "edges", "node", "metadata", "aggregate", "groups", "key"}
    for product in products:
        yield from {product.graphql_name, f"{product.graphql_name}ByKey"} - taken


@pytest.mark.parametrize("number", range(4))
async def test_a_warning_is_all_that_a_demand_adds(number: int) -> None:
    world = world_of(f"{SEED}-demands-{number}")
    ready = await running(world)
    try:
        warned = 0
        for case in range(25):
            random = Random(f"{world.seed} {case}")
            caller = random.choice(callers_of(world, 4))
            operation = operation_of(ready.level1.oracle(caller).schema, world, ready.level1.mesh.snapshot, random)
            fields = frozenset(root_fields(ready.level1))
            text = print_ast(demanding(parse(operation.text), fields, random))
            for asked in (ready.level1, ready.level0):
                plain = await asked.ask(caller, operation.text, operation.name, dict(operation.variables))
                with_it = await asked.ask(caller, text, operation.name, dict(operation.variables))
                assert with_it.refusal == plain.refusal, f"{text}\n{with_it.body}"
                if plain.refusal is None:
                    assert differences(with_it.data, plain.data, {}, {}) is None
                    assert with_it.errors == plain.errors
                    extensions = with_it.body["extensions"]["mesh"]
                    warned += bool(extensions.pop("unmet", []))
                    assert extensions == plain.body["extensions"]["mesh"]
        assert warned
    finally:
        await ready.aclose()
