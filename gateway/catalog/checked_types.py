"""GraphQL types whose members have names that were checked before: contracts' names when they were read, all others by us.

graphql-core looks at every name of every type character by character when a type's fields are first seen, which takes a fifth of the time
to describe a product. Touches nothing.
"""

from __future__ import annotations

from functools import cached_property
from typing import cast

from graphql import GraphQLField, GraphQLInputField, GraphQLInputObjectType, GraphQLObjectType

__all__ = ["InputType", "ObjectType"]


class ObjectType(GraphQLObjectType):
    """An object type; its fields have to be given as fields."""

    @cached_property
    def fields(self) -> dict[str, GraphQLField]:
        """Give the fields by name."""
        given = self._fields
        return cast("dict[str, GraphQLField]", given() if callable(given) else given)


class InputType(GraphQLInputObjectType):
    """An input object type; its fields have to be given as input fields."""

    @cached_property
    def fields(self) -> dict[str, GraphQLInputField]:
        """Give the fields by name."""
        given = self._fields
        return cast("dict[str, GraphQLInputField]", given() if callable(given) else given)
