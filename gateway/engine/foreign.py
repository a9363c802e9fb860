"""Root fields that are not product data: ``mesh`` through Strawberry, ``__schema`` and ``__type`` through the view's schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    execute_sync,
    visit,
)

from gateway.compiler.documents import Document
from gateway.compiler.plan import ForeignPick
from gateway.compiler.visiting import walk

__all__ = ["answer_foreign"]


def answer_foreign(
    pick: ForeignPick, document: Document, schema: GraphQLSchema, raw: Mapping[str, Any] | None, context: object
) -> ExecutionResult:
    """Answer one root field alone: the request's own document is cut down to what answers under the field's key.

    ``document``: of this request, whose literals may differ from those that were compiled. Variables stay as they were sent.
    """
    selections = SelectionSetNode(selections=tuple(_under(pick.key, document.operation.selection_set, document.fragments)))
    fragments = _reached(selections, document.fragments)
    names = _variables(selections, *fragments)
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY,
        name=document.operation.name,
        # Others may be of types that this schema does not know.
        variable_definitions=tuple(it for it in document.operation.variable_definitions or () if it.variable.name.value in names),
        directives=(),
        selection_set=selections,
    )
    given = {name: value for name, value in (raw or {}).items() if name in names}
    return execute_sync(schema, DocumentNode(definitions=(operation, *fragments)), variable_values=given, context_value=context)


def _under(key: str, selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[SelectionNode]:
    for node in selections.selections:
        match node:
            case FieldNode():
                if (node.alias or node.name).value == key:
                    yield node
            case InlineFragmentNode():
                if kept := tuple(_under(key, node.selection_set, fragments)):
                    yield replace(node, selection_set=SelectionSetNode(selections=kept))
            case FragmentSpreadNode():
                if kept := tuple(_under(key, fragments[node.name.value].selection_set, fragments)):
                    yield InlineFragmentNode(directives=node.directives, selection_set=SelectionSetNode(selections=kept))


def _reached(selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> tuple[FragmentDefinitionNode, ...]:
    reached = _Spreads(fragments)
    walk(selections, reached)
    return tuple(reached.found.values())


class _Spreads(Visitor):
    """Collects the fragments that are spread, by those that they spread in turn as well."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        super().__init__()
        self.found: dict[str, FragmentDefinitionNode] = {}
        self._fragments = fragments

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        name = node.name.value
        if name not in self.found:
            self.found[name] = self._fragments[name]
            visit(self._fragments[name], self)


def _variables(*nodes: SelectionSetNode | FragmentDefinitionNode) -> set[str]:
    used = _Variables()
    for node in nodes:
        walk(node, used)
    return used.names


class _Variables(Visitor):
    """Collects the names of variables."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)
