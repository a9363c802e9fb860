"""An operation, a literal or a variable that may be wrong -> graphql-core's verdict under our codes, in our words.

Tells what does not exist from what exists and is masked or denied here: the latter is in the wide slice, whose inputs list all
that the caller knows of. Rejects with GRAPHQL_VALIDATION_FAILED, BAD_USER_INPUT, MASKED_FIELD_IN_PREDICATE, FORBIDDEN.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError, ValueNode, VariableDefinitionNode
from graphql.execution.values import get_variable_values

from gateway.catalog.reach import Reach, RulingOf, StandingOf
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.demands import RULES
from gateway.compiler.documents import Document
from gateway.compiler.meant import Meant
from gateway.compiler.visiting import validate
from gateway.errors import GatewayError, RefusedError

__all__ = ["Judge", "UnexplainedError", "forbidden", "unfit_literal"]

_ERRORS_MAX = 20
_UNKNOWN_FIELD = re.compile(r"not to include unknown field ['\"](\w+)['\"]")
_NO_USE = "masked or denied for you, so it cannot filter, sort, page or look up."


class UnexplainedError(Exception):
    """Something is wrong, and was not explained as that takes long: ask again where there is time."""


class Judge:
    """Judges what is asked of one snapshot. To see that something is wrong is quick, to say what was meant may take 10 ms and more."""

    def __init__(self, snapshot: Snapshot, slices: Slices) -> None:
        self._snapshot = snapshot
        self._slices = slices

    def operation(
        self, document: Document, reach: Reach, ruling_of: RulingOf, standing_of: StandingOf | None = None, *, explains: bool = True
    ) -> None:
        """Validate a document against its slice. **Raises** `RefusedError`, one entry per mistake, or `UnexplainedError`."""
        slice_ = self._slices.of(reach, ruling_of)
        errors = validate(slice_.schema, document.ast, RULES, max_errors=_ERRORS_MAX)
        if not errors:
            return
        if not explains:
            raise UnexplainedError
        meant = self._meaning(ruling_of, standing_of)
        if (wider := meant.widened(reach, errors)) is not None:
            there = self._slices.of(wider, ruling_of)
            if more := validate(there.schema, document.ast, RULES, max_errors=_ERRORS_MAX):
                reach, slice_, errors = wider, there, more
        # Suggestions name what the schema at hand holds, so only messages without them can be compared.
        plain, wide = (
            validate(it.schema, document.ast, RULES, max_errors=_ERRORS_MAX, hide_suggestions=True)
            for it in (slice_, self._slices.of(reach, ruling_of, wide=True))
        )
        known = {_identity(error) for error in wide}
        found = []
        for error, one in zip(errors, plain, strict=True):
            if _identity(one) in known:
                found.append(_said(error, "GRAPHQL_VALIDATION_FAILED", meant.told(error, document)))
            else:
                node = error.nodes[0] if error.nodes else None
                found.append(_masked(getattr(getattr(node, "name", None), "value", None), "A field named here", error))
        raise _refused(found)

    def variables(
        self,
        definitions: tuple[VariableDefinitionNode, ...],
        given: dict[str, Any],
        reach: Reach,
        ruling_of: RulingOf,
        standing_of: StandingOf | None = None,
        *,
        explains: bool = True,
    ) -> dict[str, Any]:
        """Coerce variables as graphql-core does. **Raises** `RefusedError`, one entry per mistake, or `UnexplainedError`."""
        schema = self._slices.of(reach, ruling_of).schema
        found = get_variable_values(schema, definitions, given, max_errors=_ERRORS_MAX, hide_suggestions=False)
        if not isinstance(found, list):
            return found.coerced
        if not explains:
            raise UnexplainedError
        if (wider := self._meaning(ruling_of, standing_of).widened(reach, found)) is not None:
            there = self._slices.of(wider, ruling_of).schema
            more = get_variable_values(there, definitions, given, max_errors=_ERRORS_MAX, hide_suggestions=False)
            if isinstance(more, list):
                reach, schema, found = wider, there, more
        # Suggestions name what the schema at hand holds, so only messages without them can be compared.
        plain, wide = (
            get_variable_values(it, definitions, given, max_errors=_ERRORS_MAX, hide_suggestions=True)
            for it in (schema, self._slices.of(reach, ruling_of, wide=True).schema)
        )
        assert isinstance(plain, list)
        known = {error.message for error in wide} if isinstance(wide, list) else set()
        raise _refused(
            [
                _said(shown, "BAD_USER_INPUT") if one.message in known else _masked_variable(shown)
                for shown, one in zip(found, plain, strict=True)
            ]
        )

    def _meaning(self, ruling_of: RulingOf, standing_of: StandingOf | None) -> Meant:
        return Meant(self._snapshot, ruling_of, standing_of or (lambda product: ruling_of(product).standing))


def forbidden(products: Iterable[Product]) -> RefusedError:
    """Refuse products that the caller knows of and has no access to."""
    return _refused(
        [
            GatewayError(
                "FORBIDDEN",
                f"You have no access to {product.id}.",
                hint=f"Ask {product.contract.metadata.owner} for access.",
                product=product.id,
                owner=product.contract.metadata.owner,
            )
            for product in products
        ]
    )


def unfit_literal(node: ValueNode) -> GatewayError:
    """Refuse a literal that does not fit its type."""
    place = () if node.loc is None else ((node.loc.start_token.line, node.loc.start_token.column),)
    return GatewayError("BAD_USER_INPUT", "A literal does not fit its type.", locations=place)


def _identity(error: GraphQLError) -> tuple[object, ...]:
    return (error.message, _places(error))


def _places(error: GraphQLError) -> tuple[tuple[int, int], ...]:
    return tuple((place.line, place.column) for place in error.locations or ())


def _said(error: GraphQLError, code: str, message: str | None = None) -> GatewayError:
    return GatewayError(code, message or error.message, hint=(error.extensions or {}).get("hint"), locations=_places(error))


def _masked_variable(error: GraphQLError) -> GatewayError:
    found = _UNKNOWN_FIELD.search(error.message)
    return _masked(found.group(1) if found else None, "A field named in a variable", error)


def _masked(name: str | None, unnamed: str, error: GraphQLError) -> GatewayError:
    named: dict[str, Any] = {"field": name} if name else {}
    return GatewayError("MASKED_FIELD_IN_PREDICATE", f"{name or unnamed} is {_NO_USE}", locations=_places(error), **named)


def _refused(errors: list[GatewayError]) -> RefusedError:
    """Leave out refusals of masked fields that name none where others do: they follow from those."""
    masked = [error for error in errors if error.code.name == "MASKED_FIELD_IN_PREDICATE"]
    if any("field" in error.extensions for error in masked):
        errors = [error for error in errors if error not in masked or "field" in error.extensions]
    return RefusedError(tuple(errors))
