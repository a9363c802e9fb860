"""Selections over ``__schema`` and ``__type`` -> writers that turn schema objects into the bytes of an answer, as GraphQL's rules say.

What is asked is collected once into a hashable form (aliases, fragments, conditions and arguments resolved) and compiled into a
writer per place. Expects a valid document. Rejects with BAD_USER_INPUT a null where an argument takes none. Touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    InlineFragmentNode,
    SelectionNode,
    StringValueNode,
    VariableNode,
    print_ast,
)
from graphql.language import DirectiveNode, ValueNode
from graphql.utilities import get_default_value_ast

from gateway.catalog.checked_types import InputType, ObjectType
from gateway.errors import GatewayError

__all__ = ["Asked", "Meter", "Write", "asked_of", "is_shallow", "members", "writer"]

Write = Callable[[Any], bytes]

_json = msgspec.json.Encoder().encode
_NULL = b"null"
_TYPENAME = "__typename"
# Where a field leads: parent type and field -> the type of what is below.
_BELOW = {
    "__Schema": {
        "types": "__Type",
        "queryType": "__Type",
        "mutationType": "__Type",
        "subscriptionType": "__Type",
        "directives": "__Directive",
    },
    "__Directive": {"args": "__InputValue"},
    "__Type": {
        "fields": "__Field",
        "interfaces": "__Type",
        "possibleTypes": "__Type",
        "enumValues": "__EnumValue",
        "inputFields": "__InputValue",
        "ofType": "__Type",
    },
    "__Field": {"args": "__InputValue", "type": "__Type"},
    "__InputValue": {"type": "__Type"},
}
_OF_REFERENCES = frozenset({"kind", "name", "ofType", _TYPENAME})


@dataclass(frozen=True, slots=True)
class Asked:
    """One field that is asked for: the key it answers under, and what is asked below. ``of``: the type of its parent.

    ``deprecated``: whether deprecated members are asked for, too. ``type_name``: of ``__type``, whose ``below`` it names.
    """

    key: str
    name: str
    of: str
    deprecated: bool = False
    type_name: str | None = None
    below: tuple[Asked, ...] = ()


def asked_of(
    key: str,
    selections: Iterable[SelectionNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> Asked:
    """Collect what a root field, ``__schema`` or ``__type``, that answers under ``key`` is asked. ``variables``: coerced."""
    found = _Collector(fragments, variables).collected("Query", selections, only=key)
    (asked,) = found
    return asked


class _Collector:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]) -> None:
        self._fragments = fragments
        self._variables = variables

    def collected(self, parent: str, selections: Iterable[SelectionNode], *, only: str | None = None) -> tuple[Asked, ...]:
        grouped: dict[str, list[FieldNode]] = {}
        self._group(selections, grouped, set())
        return tuple(self._asked(parent, key, nodes) for key, nodes in grouped.items() if only in (None, key))

    def _group(self, selections: Iterable[SelectionNode], grouped: dict[str, list[FieldNode]], spread: set[str]) -> None:
        for node in selections:
            if not self._is_included(node.directives or ()):
                continue
            match node:
                case FieldNode():
                    grouped.setdefault((node.alias or node.name).value, []).append(node)
                case InlineFragmentNode():  # all types here are objects: a valid condition always holds
                    self._group(node.selection_set.selections, grouped, spread)
                case FragmentSpreadNode() if (name := node.name.value) not in spread:
                    spread.add(name)
                    self._group(self._fragments[name].selection_set.selections, grouped, spread)

    def _asked(self, parent: str, key: str, nodes: Sequence[FieldNode]) -> Asked:
        name = nodes[0].name.value
        arguments = {it.name.value: it.value for it in nodes[0].arguments or ()}
        below = _BELOW.get(parent, {}).get(name) if parent != "Query" else "__Schema" if name == "__schema" else "__Type"
        selections = [it for node in nodes if node.selection_set is not None for it in node.selection_set.selections]
        type_name = self._value(arguments["name"]) if "name" in arguments else None
        deprecated = "includeDeprecated" in arguments and bool(self._value(arguments["includeDeprecated"]))
        return Asked(key, name, parent, deprecated, type_name, self.collected(below, selections) if below is not None else ())

    def _is_included(self, directives: Iterable[DirectiveNode]) -> bool:
        for directive in directives:
            condition = next((it.value for it in directive.arguments or () if it.name.value == "if"), None)
            if condition is not None and bool(self._value(condition)) is (directive.name.value == "skip"):
                return False
        return True

    def _value(self, node: ValueNode) -> Any:
        match node:
            case BooleanValueNode(value=value) | StringValueNode(value=value):
                return value
            case VariableNode():
                # A variable that was left out leaves an optional argument at its default, which is false.
                found = self._variables.get(node.name.value, False)
                if found is not None:
                    return found
        raise GatewayError("BAD_USER_INPUT", "An argument of __schema or __type is null, which it must not be.")


def is_shallow(asked: Asked) -> bool:
    """Whether a type's text depends on that type alone: others that it refers to are asked for kind and name only."""
    return all(_is_shallow(it) for it in asked.below)


def _is_shallow(asked: Asked) -> bool:
    if _BELOW.get(asked.of, {}).get(asked.name) == "__Type":
        return all(it.name in _OF_REFERENCES and _is_shallow(it) for it in asked.below)
    return all(map(_is_shallow, asked.below))


# -- writers -------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Meter:
    """How many more objects an answer may hold: types that lead to types that lead to types have no end."""

    left: int


def writer(below: tuple[Asked, ...], meter: Meter) -> Write:
    """Compile what is asked of one object, a type or a directive, into the writer of its JSON object.

    The writer **raises** `GatewayError` LIMIT_EXCEEDED when the meter has run out.
    """
    # Names hold no percent sign.
    template = b"{%b}" % b",".join([_json(it.key) + b":%b" for it in below])
    parts = [_member(it, meter) for it in below]

    def write(value: Any) -> bytes:
        meter.left -= 1
        if meter.left < 0:
            raise GatewayError(
                "LIMIT_EXCEEDED",
                "This introspection would be answered many times over the size of the schema.",
                hint="Ask types that fields lead to for kind, name and ofType, and look the rest up by name.",
            )
        return template % tuple([of(value) for of in parts])

    return write


def members(written: Iterable[tuple[Asked, bytes]]) -> bytes:
    """Write an object of members that are written already."""
    return b"{%b}" % b",".join([b"%b:%b" % (_json(asked.key), value) for asked, value in written])


def _member(asked: Asked, meter: Meter) -> Write:
    if asked.name == _TYPENAME:
        constant = _json(asked.of)
        return lambda _: constant
    if asked.name in (lists := _LISTS.get(asked.of, {})):
        return _list(lists[asked.name], asked, writer(asked.below, meter))
    if asked.name in (inner := _INNER.get(asked.of, {})):
        return _reference(inner[asked.name], writer(asked.below, meter), is_plain=_is_shallow(asked))
    return _PLAIN[asked.of][asked.name]


def _list(read: Callable[[Any], Any], asked: Asked, item: Write) -> Write:
    deprecated = asked.deprecated

    def write(value: Any) -> bytes:
        found = read(value)
        if found is None:
            return _NULL
        if isinstance(found, Mapping):
            found = found.items() if deprecated else [it for it in found.items() if it[1].deprecation_reason is None]
        return b"[%b]" % b",".join([item(it) for it in found])

    return write


def _reference(read: Callable[[Any], Any], below: Write, *, is_plain: bool) -> Write:
    # Few types are referred to very often. Only plain texts are kept: those of whole types could make an answer huge unmetered.
    known: dict[str, bytes] = {}

    def write(value: Any) -> bytes:
        found = read(value)
        if found is None:
            return _NULL
        if not is_plain or (name := getattr(found, "name", None)) is None:
            return below(found)
        if (text := known.get(name)) is None:
            text = known[name] = below(found)
        return text

    return write


_KINDS = {
    GraphQLNonNull: b'"NON_NULL"',
    GraphQLList: b'"LIST"',
    GraphQLScalarType: b'"SCALAR"',
    GraphQLObjectType: b'"OBJECT"',
    ObjectType: b'"OBJECT"',
    GraphQLInputObjectType: b'"INPUT_OBJECT"',
    InputType: b'"INPUT_OBJECT"',
    GraphQLEnumType: b'"ENUM"',
}


def _written(value: Any) -> bytes:
    return _NULL if value is None else _json(value)


def _truth(value: bool) -> bytes:
    return b"true" if value else b"false"


def _default(item: Any) -> bytes:
    found = get_default_value_ast(item[1])
    return _NULL if found is None else _json(print_ast(found))


def _of(name: str) -> Callable[[Any], Any]:
    return lambda value: getattr(value, name, None)


def _of_member(name: str) -> Callable[[Any], Any]:
    return lambda item: getattr(item[1], name)


_MEMBER: dict[str, Write] = {
    "name": lambda item: _json(item[0]),
    "description": lambda item: _written(item[1].description),
    "isDeprecated": lambda item: _truth(item[1].deprecation_reason is not None),
    "deprecationReason": lambda item: _written(item[1].deprecation_reason),
}
_PLAIN: dict[str, dict[str, Write]] = {
    "__Type": {
        "kind": lambda type_: _KINDS[type(type_)],
        "name": lambda type_: _written(getattr(type_, "name", None)),
        "description": lambda type_: _written(getattr(type_, "description", None)),
        "specifiedByURL": lambda type_: _written(getattr(type_, "specified_by_url", None)),
        "isOneOf": lambda type_: _truth(type_.is_one_of) if isinstance(type_, GraphQLInputObjectType) else _NULL,
    },
    "__Field": _MEMBER,
    "__InputValue": {**_MEMBER, "defaultValue": _default},
    "__EnumValue": _MEMBER,
    "__Directive": {
        "name": lambda directive: _json(directive.name),
        "description": lambda directive: _written(directive.description),
        "isRepeatable": lambda directive: _truth(directive.is_repeatable),
        "locations": lambda directive: _json([it.name for it in directive.locations]),
        "isDeprecated": lambda directive: _truth(directive.deprecation_reason is not None),
        "deprecationReason": lambda directive: _written(directive.deprecation_reason),
    },
}
_LISTS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "__Type": {
        "fields": lambda type_: type_.fields if isinstance(type_, GraphQLObjectType) else None,
        "interfaces": lambda type_: type_.interfaces if isinstance(type_, GraphQLObjectType) else None,
        "possibleTypes": lambda _: None,  # products know neither interfaces nor unions
        "enumValues": lambda type_: type_.values if isinstance(type_, GraphQLEnumType) else None,
        "inputFields": lambda type_: type_.fields if isinstance(type_, GraphQLInputObjectType) else None,
    },
    "__Field": {"args": _of_member("args")},
    "__Directive": {"args": _of("args")},
}
_INNER: dict[str, dict[str, Callable[[Any], Any]]] = {
    "__Type": {"ofType": _of("of_type")},
    "__Field": {"type": _of_member("type")},
    "__InputValue": {"type": _of_member("type")},
}
