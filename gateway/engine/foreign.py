"""Root fields that are not product data: ``mesh`` through Strawberry, ``__schema`` and ``__type`` through the view's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, OperationDefinitionNode, OperationType, SelectionSetNode, execute_sync

from gateway.compiler.documents import Document
from gateway.compiler.plan import ForeignPick

__all__ = ["answer_foreign"]


def answer_foreign(
    pick: ForeignPick, document: Document, schema: GraphQLSchema, raw: Mapping[str, Any] | None, context: object
) -> ExecutionResult:
    """Answer one root field alone: the operation is cut down to its nodes, the variables stay as they were sent."""
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY,
        name=document.operation.name,
        variable_definitions=document.operation.variable_definitions,
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(pick.nodes)),
    )
    alone = DocumentNode(definitions=(operation, *document.fragments.values()))
    return execute_sync(schema, alone, variable_values=dict(raw or {}), context_value=context)
