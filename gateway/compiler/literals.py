"""Literals that were lifted from a text -> their types in a schema, and their values.

Pure. Rejects nothing: a literal that does not fit is `Undefined`, which the caller refuses as validation does.
"""

from __future__ import annotations

from typing import Any

from graphql import (
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    ListValueNode,
    TypeInfo,
    TypeInfoVisitor,
    Undefined,
    ValueNode,
    Visitor,
    coerce_input_literal,
)

from gateway.compiler.documents import Document
from gateway.compiler.visiting import walk

__all__ = ["coerced", "types_of"]


def types_of(document: Document, schema: GraphQLSchema) -> tuple[GraphQLInputType | None, ...]:
    """Find the type of every literal that was lifted from a valid document, None where nothing takes it. Same order."""
    if not document.literals:
        return ()
    info = TypeInfo(schema)
    found = _Types(info, document)
    walk(document.ast, TypeInfoVisitor(info, found), found)
    return tuple(found.types)


class _Types(Visitor):
    """Notes the input type at every literal that was lifted, by its place."""

    def __init__(self, info: TypeInfo, document: Document) -> None:
        super().__init__()
        self.types: list[GraphQLInputType | None] = [None] * len(document.literals)
        self._info = info
        self._index = document.literal_index

    def enter(self, node: Any, *_: Any) -> None:
        if (place := self._index.get(id(node))) is not None:
            # Inside a list, the innermost type is that of its items already.
            self.types[place] = self._info.get_parent_input_type() if isinstance(node, ListValueNode) else self._info.get_input_type()


def coerced(node: ValueNode, type_: GraphQLInputType) -> Any:
    """Give a literal's value, `Undefined` where it does not fit the type."""
    try:
        return coerce_input_literal(node, type_)
    except GraphQLError:
        return Undefined
