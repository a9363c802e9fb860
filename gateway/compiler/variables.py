"""Variable definitions -> a coercer that takes what clients send rightly in a few microseconds.

It accepts only what graphql-core would accept, with the same result; on anything else it gives up, and graphql-core judges and
words the errors. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    Undefined,
    VariableDefinitionNode,
    type_from_ast,
    value_from_ast,
)

__all__ = ["Coerce", "GiveUpError", "coercer_of"]

Coerce = Callable[[Any], Any]
_INT_MAX = 2**31 - 1
_INT_MIN = -(2**31)


class GiveUpError(Exception):
    """Not plainly right; graphql-core has to judge."""


def coercer_of(schema: GraphQLSchema, definitions: Iterable[VariableDefinitionNode]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Compile the coercion of a request's variables. What it returns raises `GiveUpError`."""
    known: dict[str, Coerce] = {}
    rules: list[tuple[str, Coerce, bool, Any]] = []
    for definition in definitions:
        type_: Any = type_from_ast(schema, definition.type)
        default = Undefined if definition.default_value is None else value_from_ast(definition.default_value, type_)
        rules.append((definition.variable.name.value, _coercer(type_, known), isinstance(type_, GraphQLNonNull), default))

    def coerce(given: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, one, is_required, default in rules:
            if name in given:
                found[name] = one(given[name])
            elif default is not Undefined:
                found[name] = default
            elif is_required:
                raise GiveUpError
        return found

    return coerce


def _coercer(type_: GraphQLInputType, known: dict[str, Coerce]) -> Coerce:
    if isinstance(type_, GraphQLNonNull):
        inner = _coercer(type_.of_type, known)
        return lambda value: _give_up() if value is None else inner(value)
    if isinstance(type_, GraphQLList):
        item = _coercer(type_.of_type, known)
        return lambda value: None if value is None else [item(it) for it in value] if type(value) is list else _give_up()
    if isinstance(type_, GraphQLInputObjectType):
        return _object(type_, known)
    if isinstance(type_, GraphQLEnumType):
        symbols = {name: value.value for name, value in type_.values.items()}
        return lambda value: None if value is None else symbols[value] if type(value) is str and value in symbols else _give_up()
    assert isinstance(type_, GraphQLScalarType)
    return _SCALARS.get(type_) or _scalar(type_)


def _object(type_: GraphQLInputObjectType, known: dict[str, Coerce]) -> Coerce:
    if (made := known.get(type_.name)) is not None:
        return made
    fields: dict[str, Coerce] = {}
    required = frozenset(name for name, field in type_.fields.items() if isinstance(field.type, GraphQLNonNull))

    def coerce(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not dict or not value.keys() <= fields.keys() or not required <= value.keys():
            raise GiveUpError
        if type_.is_one_of and (len(value) != 1 or None in value.values()):
            raise GiveUpError
        return {name: one(value[name]) for name, one in fields.items() if name in value}

    # Before its fields: an input may hold itself.
    known[type_.name] = coerce
    for name, field in type_.fields.items():
        fields[name] = _coercer(field.type, known) if field.default_value is Undefined else _give_up
    return coerce


def _give_up(_value: Any = None) -> Any:
    raise GiveUpError


def _string(value: Any) -> Any:
    return value if value is None or type(value) is str else _give_up()


def _boolean(value: Any) -> Any:
    return value if value is None or type(value) is bool else _give_up()


def _int(value: Any) -> Any:
    return value if value is None or (type(value) is int and _INT_MIN <= value <= _INT_MAX) else _give_up()


def _float(value: Any) -> Any:
    if value is None:
        return None
    if type(value) is float and math.isfinite(value):
        return value
    return float(value) if type(value) is int and abs(value) < 2**53 else _give_up()


def _scalar(type_: GraphQLScalarType) -> Coerce:
    parse = type_.coerce_input_value

    def coerce(value: Any) -> Any:
        if value is None:
            return None
        try:
            return parse(value)
        except (GraphQLError, ValueError, TypeError, ArithmeticError):
            raise GiveUpError from None

    return coerce


_SCALARS: dict[GraphQLScalarType, Coerce] = {
    GraphQLString: _string,
    GraphQLID: _string,
    GraphQLBoolean: _boolean,
    GraphQLInt: _int,
    GraphQLFloat: _float,
}
