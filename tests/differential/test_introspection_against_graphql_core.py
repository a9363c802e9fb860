"""What views are told of their schema, against graphql-core's own introspection and printing of the same slice, built whole."""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest
from graphql import (
    GraphQLSchema,
    build_client_schema,
    build_schema,
    execute_sync,
    get_introspection_query,
    introspection_types,
    parse,
    print_schema,
)
from graphql.execution.values import get_variable_values
from graphql.type.introspection import TypeFields

from contracts import MeshPolicy, parse_contract
from contracts.policy import TagPolicy
from gateway.caller import Caller
from gateway.catalog.described import Described
from gateway.catalog.fragments import Fragments
from gateway.catalog.introspection import asked_of
from gateway.catalog.mesh import mesh_field
from gateway.catalog.reach import RulingOf
from gateway.catalog.scope import scope_of
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Snapshot, tolerant_snapshot_of
from gateway.compiler.documents import read_document
from gateway.governance.views import Views
from gateway.settings_sections import Limits
from tests.bench.wide import contract_text
from tests.differential.worlds import NOW, callers_of, world_of

CASES = int(os.environ.get("MESHGATE_TESTS_INTROSPECTIONS", "12"))
# As graphql-js asks with all its options on.
ONE_OF = get_introspection_query(specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True)
ONE_OF = ONE_OF.replace("fields(includeDeprecated", "isOneOf fields(includeDeprecated", 1)
STANDARD = [
    get_introspection_query(),
    get_introspection_query(descriptions=False, input_value_deprecation=True),
    ONE_OF,
]
OTHERS = [
    (
        "{ __schema { __typename t: types { n: name ...K } queryType { ...K fields { name type { ...K } } } } } "
        "fragment K on __Type { kind __typename }"
    ),
    "{ s: __schema { types { name fields(includeDeprecated: true) { name isDeprecated deprecationReason args { name defaultValue } } } } }",
    "{ __schema { types { name description } types { inputFields { name type { kind name ofType { kind name } } } isOneOf } } }",
    "query ($d: Boolean = true, $no: Boolean!) { __schema { types { kind @skip(if: $no) name fields(includeDeprecated: $d) { name } } } }",
    (
        "{ __schema { directives(includeDeprecated: true) { name locations isRepeatable "
        "args { name type { name fields { name } } defaultValue } } } }"
    ),
    "{ __schema { types { name fields { name type { name ofType { description fields { name } } } } } } }",
    "{ __schema { types { name interfaces { name } possibleTypes { name } enumValues(includeDeprecated: true) { name description } } } }",
    "{ __schema { description mutationType { name } subscriptionType { name } queryType { description } } }",
    "{ __schema { ... on __Schema { types { ... { name specifiedByURL } ... on __Type { kind } } } } }",
]


def _described(snapshot: Snapshot, kept: Fragments) -> Described:
    return Described(snapshot, mesh_field(), products_max=60, kept=kept)


def _whole(snapshot: Snapshot, ruling_of: RulingOf, globs: tuple[str, ...]) -> GraphQLSchema:
    return Slices(snapshot, mesh_field()).of(scope_of(snapshot, ruling_of, globs, products_max=60).reach, ruling_of).schema


def _answers(described: Described, text: str, variables: dict[str, Any], ruling_of: RulingOf, globs: tuple[str, ...], schema: Any) -> Any:
    document = read_document(text, None, Limits())
    given = get_variable_values(schema, document.operation.variable_definitions or (), variables)
    coerced = given if isinstance(given, dict) else given.coerced
    (node,) = document.operation.selection_set.selections
    key = (node.alias or node.name).value  # type: ignore[union-attr]  # fields alone come here
    asked = asked_of(key, document.operation.selection_set.selections, document.fragments, coerced)
    return {key: json.loads(described.answer(asked, ruling_of, globs))}


def _ordered(answer: Any) -> Any:
    """Forget the order of types, which says nothing."""
    for value in answer.values():
        for key in ("types", "t"):
            if value is not None and key in value:
                value[key].sort(key=lambda type_: json.dumps(type_.get("name", type_.get("n"))) + json.dumps(type_, sort_keys=True))
    return answer


@pytest.fixture(autouse=True)
def _own_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what Strawberry does to every schema of the process: it answers isOneOf with false for types that it did not make."""
    mesh_field()
    monkeypatch.setattr(introspection_types["__Type"].fields["isOneOf"], "resolve", TypeFields.is_one_of)  # type: ignore[attr-defined]  # graphql-core types the table as read-only


@pytest.mark.parametrize("part", range(4))
def test_introspection_and_sdl_of_every_view_and_scope_are_those_of_the_whole_slice(part: int) -> None:
    for number in range(part, CASES, 4):
        world = world_of(f"introspection-{number}")
        snapshot = tolerant_snapshot_of(world.contracts, {})
        views = Views(world.policy, [product.contract for product in snapshot.products.values()])
        random = Random(number)
        # One cache for all of them: what is written for one view or scope must not serve another that differs.
        described = _described(snapshot, Fragments(32 * 1024 * 1024))
        ids = sorted(snapshot.products)
        for caller in callers_of(world, 4):
            view = views.of(caller, NOW)

            def ruling_of(product: Any, view: Any = view) -> Any:
                return view.ruling(product.contract)

            for globs in ((), tuple(random.sample(ids, random.randint(1, len(ids))))):
                schema = _whole(snapshot, ruling_of, globs)
                for text in (random.choice(STANDARD), *random.sample(OTHERS, 2)):
                    variables = {"no": random.choice((True, False))} if "$no" in text else {}
                    mine = _answers(described, text, variables, ruling_of, globs, schema)
                    expected = execute_sync(schema, parse(text), variable_values=variables)
                    assert expected.errors is None
                    assert _ordered(mine) == _ordered(expected.data), (number, caller, globs, text)
                _same_types(described, ruling_of, globs, schema)
                expected_types = _types(schema)
                assert _types(build_schema(described.sdl(ruling_of, globs))) == expected_types, (number, caller, globs)
                told = _introspected(described, ruling_of, globs, schema)
                assert _types(build_client_schema(told)) == expected_types, (number, caller, globs)


def test_what_is_kept_of_a_product_serves_no_scope_in_which_it_reads_differently() -> None:
    # A ring of products: groups reach four relationships far, so that what is far away shows in the names of group fields.
    contracts = [parse_contract(contract_text(number, 9)) for number in range(9)]
    snapshot = tolerant_snapshot_of(contracts, {})
    policy = MeshPolicy(roles=("analyst", "steward"), tags=(TagPolicy(tag="pii"),))
    views = Views(policy, contracts)
    described = _described(snapshot, Fragments(32 * 1024 * 1024))
    random = Random(9)
    for _ in range(8):
        view = views.of(Caller("x", frozenset({random.choice(policy.roles)})), NOW)
        globs = tuple(random.sample(sorted(snapshot.products), random.randint(2, 8)))

        def ruling_of(product: Any, view: Any = view) -> Any:
            return view.ruling(product.contract)

        schema = _whole(snapshot, ruling_of, globs)
        expected = _types(schema)
        assert _types(build_schema(described.sdl(ruling_of, globs))) == expected, globs
        assert _types(build_client_schema(_introspected(described, ruling_of, globs, schema))) == expected, globs


def _introspected(described: Described, ruling_of: RulingOf, globs: tuple[str, ...], schema: GraphQLSchema) -> Any:
    return _answers(described, ONE_OF, {}, ruling_of, globs, schema)


def _same_types(described: Described, ruling_of: RulingOf, globs: tuple[str, ...], schema: GraphQLSchema) -> None:
    random = Random(len(schema.type_map))
    text = "query ($n: String!) { __type(name: $n) { name kind fields { name type { name fields { name } } } enumValues { name } } }"
    for name in (*random.sample(sorted(schema.type_map), 3), "Query", "__Type", "Nothing", "ShopOrders_GroupKey"):
        mine = _answers(described, text, {"n": name}, ruling_of, globs, schema)
        assert mine == execute_sync(schema, parse(text), variable_values={"n": name}).data


def _types(schema: GraphQLSchema) -> list[str]:
    """Print every definition as it stands; their order says nothing."""
    return sorted(print_schema(schema).split("\n\n"))
