"""An operation, a literal or a variable that may be wrong -> graphql-core's verdict under our codes, in our words.

Tells what does not exist from what exists and is masked or denied here: the latter is in the wide slice, whose inputs list all
that the caller knows of. Rejects with GRAPHQL_VALIDATION_FAILED, BAD_USER_INPUT, MASKED_FIELD_IN_PREDICATE, FORBIDDEN.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from graphql import FieldNode, GraphQLError, ValueNode, VariableDefinitionNode, validate
from graphql.execution.values import get_variable_values

from gateway.catalog.reach import Reach, RulingOf
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.demands import RULES
from gateway.compiler.documents import Document
from gateway.errors import GatewayError, RefusedError
from gateway.governance.ruling import Standing

__all__ = ["Judge", "forbidden", "unfit_literal"]

_ERRORS_MAX = 20
_UNKNOWN_FIELD = re.compile(r"not to include unknown field ['\"](\w+)['\"]")
_LOOKED_AT_MAX = 100
_UNKNOWN_SELECTION = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'\.(?: Did you mean .*)?")
_NO_USE = "masked or denied for you, so it cannot filter, sort, page or look up."


class Judge:
    """Judges what is asked of one snapshot."""

    def __init__(self, snapshot: Snapshot, slices: Slices) -> None:
        self._snapshot = snapshot
        self._slices = slices

    def operation(self, document: Document, reach: Reach, ruling_of: RulingOf) -> None:
        """Validate a document against its slice. **Raises** `RefusedError`, one entry per mistake."""
        slice_ = self._slices.of(reach, ruling_of)
        errors = validate(slice_.schema, document.ast, RULES, max_errors=_ERRORS_MAX)
        if not errors:
            return
        # Suggestions name what the schema at hand holds, so only messages without them can be compared.
        plain, wide = (
            validate(it.schema, document.ast, RULES, max_errors=_ERRORS_MAX, hide_suggestions=True)
            for it in (slice_, self._slices.of(reach, ruling_of, wide=True))
        )
        known = {_identity(error) for error in wide}
        found = []
        for error, one in zip(errors, plain, strict=True):
            if _identity(one) in known:
                found.append(_said(error, "GRAPHQL_VALIDATION_FAILED", self._meant(error, ruling_of)))
            else:
                node = error.nodes[0] if error.nodes else None
                found.append(_masked(getattr(getattr(node, "name", None), "value", None), "A field named here", error))
        raise _refused(found)

    def variables(
        self, definitions: tuple[VariableDefinitionNode, ...], given: dict[str, Any], reach: Reach, ruling_of: RulingOf
    ) -> dict[str, Any]:
        """Coerce variables as graphql-core does. **Raises** `RefusedError`, one entry per mistake."""
        schema = self._slices.of(reach, ruling_of).schema
        found = get_variable_values(schema, definitions, given, max_errors=_ERRORS_MAX, hide_suggestions=False)
        if not isinstance(found, list):
            return found.coerced
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

    def _meant(self, error: GraphQLError, ruling_of: RulingOf) -> str | None:
        """Suggest a domain's or product's name: the slice holds only those that were named right."""
        found = _UNKNOWN_SELECTION.fullmatch(error.message)
        if found is None or not (error.nodes and isinstance(error.nodes[0], FieldNode)):
            return None
        name, type_name = found.groups()
        choices: list[str] = []
        domains = self._snapshot.domains
        if type_name == "Query":
            # Only what is near is judged, and of it no more than a few products: there may be thousands.
            near = get_close_matches(name, domains, n=5, cutoff=0.6)
            choices = ["mesh", *(it for it in near if _is_served(domains[it].products, ruling_of))]
        else:
            for domain in domains.values():
                if domain.type_name == type_name:
                    near = get_close_matches(name, domain.products, n=5, cutoff=0.5)
                    choices = [it for it in near if ruling_of(domain.products[it]).standing is Standing.SERVED]
        meant = get_close_matches(name, choices, n=3, cutoff=0.6)
        if not choices and not meant:
            return None
        stem = f"Cannot query field '{name}' on type '{type_name}'."
        quoted = " or ".join(f"'{it}'" for it in meant)
        return f"{stem} Did you mean {quoted}?" if meant else stem


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


def _is_served(products: Mapping[str, Product], ruling_of: RulingOf) -> bool:
    return any(ruling_of(product).standing is Standing.SERVED for product in islice(products.values(), _LOOKED_AT_MAX))


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
