"""``where`` and the arguments of ``groups`` -> the relationships that they follow, be they written in the text or sent in variables.

What variables hold is condensed to a `Trace` first: the names in it that relationships have, nested as there, and nothing of any value;
so few requests differ in it that it may be part of what compiled operations are kept by. Rejects and touches nothing: names that are
not there are left for validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    EnumValueNode,
    FieldNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
)

from gateway.catalog.measures import HOPS_MAX, relation_symbols
from gateway.catalog.snapshot import Product, Relation, Snapshot

__all__ = ["NO_TRACE", "SOME", "WORDS", "Mention", "Mentions", "Trace", "followable", "names_of", "relation_names", "trace_of"]

WORDS = ("and", "or", "not")
SOME = ("some", "none")
_DEPTH_MAX = 64
_NESTED = (dict, list)
_PATHS = (list, str)


class Trace(msgspec.Struct, frozen=True):
    """Names in a value, each with those inside it, sorted: of variables that hold objects, then of relationships."""

    names: tuple[tuple[str, Trace], ...] = ()

    @property
    def size(self) -> int:
        """How many names there are in all."""
        return sum(1 + below.size for _, below in self.names)

    def of(self, name: str) -> Trace | None:
        """Give what is inside one of the names, None if it is not there."""
        return next((below for known, below in self.names if known == name), None)


NO_TRACE = Trace()


@dataclass(frozen=True, slots=True)
class Mention:
    """A relationship that a condition follows, and those that are followed from there."""

    relation: Relation
    below: tuple[Mention, ...] = ()


def followable(product: Product) -> Iterable[Relation]:
    """List the relationships that conditions may follow: all but those that are called what conditions are made of."""
    return (it for it in product.relations if it.graphql_name not in WORDS and it.graphql_name not in SOME)


def relation_names(snapshot: Snapshot) -> frozenset[str]:
    """Gather the names of all relationships that conditions may follow, and what ``by`` calls those that groups may."""
    return frozenset[str]().union(*map(names_of, snapshot.products.values()))


def names_of(product: Product) -> frozenset[str]:
    """Gather what `relation_names` has of one product."""
    return frozenset(it.graphql_name for it in followable(product)).union(relation_symbols(product))


def trace_of(variables: Mapping[str, Any] | None, names: frozenset[str]) -> Trace:
    """Condense a request's variables."""
    if not variables:
        return NO_TRACE
    found: dict[str, Any] = {}
    for variable, value in variables.items():
        if type(value) is dict or (type(value) is list and value and type(value[0]) in _NESTED):
            # Also where it names nothing: what is given is not the default.
            _gather(value, names, found.setdefault(variable, {}), 0)
        elif type(value) in _PATHS and (path := _path(value, names)):
            found[variable] = path
    return _frozen(found) if found else NO_TRACE


def _gather(value: Any, names: frozenset[str], found: dict[str, Any], depth: int) -> None:
    if depth > _DEPTH_MAX:
        return  # deeper than any limit lets variables be
    if type(value) is dict:
        for name, inner in value.items():
            if name == "path" and type(inner) in _PATHS:
                _merge(_path(inner, names), found)
            below = found.setdefault(name, {}) if name in names else found
            if type(inner) in _NESTED:
                _gather(inner, names, below, depth + 1)
    elif value and type(value[0]) in _NESTED:
        for item in value:
            if type(item) in _NESTED:
                _gather(item, names, found, depth + 1)


def _path(value: Any, names: frozenset[str]) -> dict[str, Any]:
    """Read what may be the path of a column to group by: each relationship inside the one before."""
    found: dict[str, Any] = {}
    below = found
    for name in (value if type(value) is list else [value])[:HOPS_MAX]:
        if type(name) is not str or name not in names:
            break
        below[name] = below = {}
    return found


def _merge(path: dict[str, Any], found: dict[str, Any]) -> None:
    for name, below in path.items():
        _merge(below, found.setdefault(name, {}))


def _frozen(found: dict[str, Any]) -> Trace:
    return Trace(tuple((name, _frozen(below)) for name, below in sorted(found.items())))


class Mentions:
    """Reads the conditions of one operation, with the variables of one request."""

    def __init__(self, snapshot: Snapshot, operation: OperationDefinitionNode, trace: Trace) -> None:
        self._snapshot = snapshot
        self._trace = trace
        self._defaults = {
            it.variable.name.value: it.default_value for it in operation.variable_definitions or () if it.default_value is not None
        }

    def of(self, product: Product, node: FieldNode) -> tuple[Mention, ...]:
        """Find what the ``where`` of a field over rows of ``product`` follows."""
        found: dict[str, Any] = {}
        for argument in node.arguments or ():
            if argument.name.value == "where":
                self._condition(product, argument.value, found)
        return self._mentioned(product, found) if found else ()

    def of_totals(self, product: Product, node: FieldNode) -> tuple[Mention, ...]:
        """Find what ``having`` and ``orderBy`` of groups over rows of ``product`` may take totals along."""
        found: dict[str, Any] = {}
        for argument in node.arguments or ():
            if argument.name.value in ("having", "orderBy"):
                self._names(product, argument.value, found)
        return self._mentioned(product, found) if found else ()

    def of_keys(self, product: Product, node: FieldNode) -> tuple[Mention, ...]:
        """Find what the keys of groups over rows of ``product`` follow, as ``by``, ``having`` and ``orderBy`` say."""
        found: dict[str, Any] = {}
        for argument in node.arguments or ():
            match argument.name.value:
                case "by":
                    self._by(product, argument.value, found)
                case "having" | "orderBy":
                    self._names(product, argument.value, found)
        return self._mentioned(product, found) if found else ()

    def _by(self, product: Product, node: ValueNode, found: dict[str, Any]) -> None:
        match node:
            case VariableNode():
                given = self._trace.of(node.name.value)
                if given is not None:
                    self._traced_path(product, given, found)
                elif (default := self._defaults.get(node.name.value)) is not None:
                    self._by(product, default, found)
            case ListValueNode(values=values):
                for item in values:
                    self._by(product, item, found)
            case ObjectValueNode(fields=fields):
                for field in fields:
                    if field.name.value == "path":
                        self._path(product, field.value, found)

    def _path(self, product: Product, node: ValueNode, found: dict[str, Any]) -> None:
        """Gather the relationships of one path, each inside the one before."""
        if isinstance(node, VariableNode):
            given = self._trace.of(node.name.value)
            if given is not None:
                self._traced_path(product, given, found)
            elif (default := self._defaults.get(node.name.value)) is not None:
                self._path(product, default, found)
            return
        for item in node.values if isinstance(node, ListValueNode) else (node,):
            relation = relation_symbols(product).get(self._symbol(item))
            if relation is None:
                return
            found = found.setdefault(relation.graphql_name, {})
            product = self._snapshot.products[relation.target]

    def _symbol(self, node: ValueNode) -> str:
        if isinstance(node, VariableNode):
            given = self._trace.of(node.name.value)
            if given is not None and given.names:
                return given.names[0][0]
            node = self._defaults.get(node.name.value, node)
        return node.value if isinstance(node, EnumValueNode) else ""

    def _traced_path(self, product: Product, trace: Trace, found: dict[str, Any]) -> None:
        for symbol, below in trace.names:
            if (relation := relation_symbols(product).get(symbol)) is not None:
                self._traced_path(self._snapshot.products[relation.target], below, found.setdefault(relation.graphql_name, {}))

    def _names(self, product: Product, node: ValueNode, found: dict[str, Any]) -> None:
        """Gather the relationships that a value names, wherever it does."""
        match node:
            case VariableNode():
                given = self._trace.of(node.name.value)
                if given is not None:
                    self._traced(product, given, found)
                elif (default := self._defaults.get(node.name.value)) is not None:
                    self._names(product, default, found)
            case ListValueNode(values=values):
                for item in values:
                    self._names(product, item, found)
            case ObjectValueNode(fields=fields):
                for field in fields:
                    relation = _relation(product, field.name.value)
                    if relation is None:
                        self._names(product, field.value, found)
                    else:
                        self._names(self._snapshot.products[relation.target], field.value, found.setdefault(field.name.value, {}))

    def _condition(self, product: Product, node: ValueNode, found: dict[str, Any]) -> None:
        match node:
            case VariableNode():
                self._variable(product, node, found, many=False)
            case ListValueNode(values=values):
                for item in values:
                    self._condition(product, item, found)
            case ObjectValueNode(fields=fields):
                for field in fields:
                    name = field.name.value
                    if name in WORDS:
                        self._condition(product, field.value, found)
                    elif (relation := _relation(product, name)) is not None:
                        self._partners(
                            self._snapshot.products[relation.target], field.value, found.setdefault(name, {}), many=relation.many
                        )

    def _partners(self, target: Product, node: ValueNode, found: dict[str, Any], *, many: bool) -> None:
        if not many:
            self._condition(target, node, found)
        elif isinstance(node, VariableNode):
            self._variable(target, node, found, many=True)
        elif isinstance(node, ObjectValueNode):
            for field in node.fields:
                if field.name.value in SOME:
                    self._condition(target, field.value, found)

    def _variable(self, product: Product, node: VariableNode, found: dict[str, Any], *, many: bool) -> None:
        name = node.name.value
        given = self._trace.of(name)
        if given is not None:
            self._traced(product, given, found)
        elif (default := self._defaults.get(name)) is not None:
            self._partners(product, default, found, many=many)

    def _traced(self, product: Product, trace: Trace, found: dict[str, Any]) -> None:
        for name, below in trace.names:
            if (relation := _relation(product, name)) is not None:
                self._traced(self._snapshot.products[relation.target], below, found.setdefault(name, {}))

    def _mentioned(self, product: Product, found: dict[str, Any]) -> tuple[Mention, ...]:
        mentions = []
        for name, below in sorted(found.items()):
            relation = product.relation_by_name[name]
            mentions.append(Mention(relation, self._mentioned(self._snapshot.products[relation.target], below)))
        return tuple(mentions)


def _relation(product: Product, name: str) -> Relation | None:
    return None if name in WORDS or name in SOME else product.relation_by_name.get(name)
