"""An operation as it is written -> the fields of each place, merged as GraphQL prescribes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from graphql.execution.values import get_directive_values
from graphql.type import GraphQLIncludeDirective, GraphQLSkipDirective

__all__ = ["Selections", "operation_in", "sets_of"]


def operation_in(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Find the operation that is asked."""
    operations = [it for it in document.definitions if isinstance(it, OperationDefinitionNode)]
    return next(it for it in operations if name is None or (it.name is not None and it.name.value == name))


def sets_of(nodes: Iterable[FieldNode]) -> list[SelectionSetNode]:
    """List what is selected below fields that are one."""
    return [node.selection_set for node in nodes if node.selection_set is not None]


@dataclass(slots=True)
class Selections:
    """Collects fields. ``variables``: coerced; they decide on @skip and @include."""

    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Any

    @staticmethod
    def of(document: DocumentNode, variables: Any) -> Selections:
        """Take the fragments of a document."""
        return Selections({it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}, variables)

    def collect(self, type_: Any, sets: Iterable[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Gather fields by response key."""
        found: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for selections in sets:
            for node in self._fields(type_, selections, spread):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return found

    def _fields(self, type_: Any, selections: SelectionSetNode, spread: set[str]) -> Iterator[FieldNode]:
        for node in selections.selections:
            skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
            include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
            if (skip and skip["if"]) or (include and not include["if"]):
                continue
            if isinstance(node, FieldNode):
                yield node
                continue
            inner: Any = node
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in spread:
                    continue
                spread.add(node.name.value)
                inner = self.fragments[node.name.value]
            if inner.type_condition is None or inner.type_condition.name.value == type_.name:
                yield from self._fields(type_, inner.selection_set, spread)
