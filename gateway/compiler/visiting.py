"""Documents are validated and walked as graphql-core does it, and nothing of that is left to the garbage collector.

A visitor remembers its own bound methods, so every one of them, and a thousand tuples per validation, would wait for a collection; and what
waits in the oldest generation makes that collection a pause. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    ParallelVisitor,
    Token,
    TypeInfo,
    TypeInfoVisitor,
    ValidationContext,
    Visitor,
    visit,
)
from graphql.type import assert_valid_schema
from graphql.validation.validate import FragmentNestingVisitor, ValidationAbortedError, query_document_keys_to_validate

__all__ = ["untied", "validate", "walk"]


def walk(root: Node, *visitors: Visitor) -> None:
    """Visit with the first visitor, which may lead the others; all of them are of no use afterwards."""
    try:
        visit(root, visitors[0])
    finally:
        for visitor in visitors:
            visitor.enter_leave_map.clear()


def untied(document: DocumentNode) -> DocumentNode:
    """Take back from each token who came before it, which nobody asks after parsing; gives the same document."""
    token: Token | None = document.loc.start_token if document.loc is not None else None
    while token is not None:
        token.prev = None
        token = token.next
    return document


def validate(
    schema: GraphQLSchema,
    document: DocumentNode,
    rules: Sequence[type[ASTValidationRule]],
    *,
    max_errors: int,
    hide_suggestions: bool = False,
) -> list[GraphQLError]:
    """Validate as `graphql.validate` does, whose errors these are, in its order."""
    assert_valid_schema(schema)
    errors: list[GraphQLError] = []

    def on_error(error: GraphQLError) -> None:
        if len(errors) >= max_errors:
            raise ValidationAbortedError("Too many validation errors, error limit reached. Validation aborted.")
        errors.append(error)

    info = TypeInfo(schema)
    context = ValidationContext(schema, document, info, on_error, hide_suggestions)
    judges: list[Visitor] = [rule(context) for rule in rules]
    if fragments := {it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}:
        judges.insert(0, FragmentNestingVisitor(fragments))
    together = ParallelVisitor(judges)
    leading = TypeInfoVisitor(info, together)
    try:
        visit(document, leading, query_document_keys_to_validate)
    except ValidationAbortedError as error:
        # Neither the frames of the validation nor those of an error that was handled meanwhile live on with what is returned.
        error.__context__ = None
        errors.append(error.with_traceback(None))
    except RecursionError:
        errors.append(ValidationAbortedError("Validation aborted."))
    finally:
        for visitor in (leading, together, *judges):
            visitor.enter_leave_map.clear()
    return errors
