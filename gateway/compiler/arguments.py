"""Argument nodes -> sources: functions from a request's variables and literals to coerced argument values.

Pure. Validation has been done; what is left to find at run time (nulls where a default allowed a nullable variable) is
refused where the value is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLDirective,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    value_from_ast,
)

from gateway.compiler.plan import MISSING, Source

__all__ = ["argument_sources"]


def argument_sources(
    node: FieldNode | DirectiveNode, definition: GraphQLField | GraphQLDirective, literal_index: Mapping[int, int]
) -> dict[str, Source]:
    """Compile the arguments that ``node`` gives."""
    return {it.name.value: _source(it.value, definition.args[it.name.value].type, literal_index) for it in node.arguments or ()}


def _source(node: ValueNode, type_: GraphQLInputType, literal_index: Mapping[int, int]) -> Source:
    if isinstance(type_, GraphQLNonNull):
        return _source(node, type_.of_type, literal_index)
    if (place := literal_index.get(id(node))) is not None:
        return lambda _variables, literals: literals[place]
    if isinstance(node, NullValueNode):
        return lambda _variables, _literals: None  # also where a list is expected: null is no list of one null
    if isinstance(node, VariableNode):
        name = node.name.value
        return lambda variables, _literals: variables.get(name, MISSING)
    if isinstance(type_, GraphQLList):
        if isinstance(node, ListValueNode):
            items = tuple(_source(item, type_.of_type, literal_index) for item in node.values)
            return lambda variables, literals: [_or_none(item(variables, literals)) for item in items]
        single = _source(node, type_.of_type, literal_index)
        return lambda variables, literals: [_or_none(single(variables, literals))]
    if isinstance(node, ObjectValueNode) and isinstance(type_, GraphQLInputObjectType):
        fields = tuple((it.name.value, _source(it.value, type_.fields[it.name.value].type, literal_index)) for it in node.fields)
        return lambda variables, literals: _object(fields, variables, literals)
    constant = value_from_ast(node, type_)
    return lambda _variables, _literals: MISSING if constant is Undefined else constant


def _or_none(value: Any) -> Any:
    return None if value is MISSING else value


def _object(fields: Sequence[tuple[str, Source]], variables: Mapping[str, Any], literals: Sequence[Any]) -> dict[str, Any]:
    found = {name: source(variables, literals) for name, source in fields}
    return {name: value for name, value in found.items() if value is not MISSING}
