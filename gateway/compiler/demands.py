"""``@requireSlo`` in an operation: where it may stand, and what it says.

Rejects with GRAPHQL_VALIDATION_FAILED what can be told from the text alone, through a rule beside GraphQL's own; what variables say is
found out per request (BAD_USER_INPUT). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from graphql import (
    ArgumentNode,
    ASTValidationRule,
    DirectiveNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    ValidationRule,
    VariableNode,
    get_named_type,
    specified_rules,
    value_from_ast,
)

from gateway.catalog.require_slo import REQUIRE_SLO
from gateway.catalog.slices import ROW_TYPES
from gateway.compiler.arguments import argument_sources
from gateway.compiler.plan import MISSING, Demand
from gateway.errors import GatewayError
from gateway.slo.demands import OnBreach, Wanted, wanted

__all__ = ["RULES", "demands_of"]

_HINT = 'Write, for example, @requireSlo(freshness: "PT2H", completeness: 0.995, onBreach: WARN) on the operation or a product\'s field.'
_NAME = REQUIRE_SLO.name
_WHAT = ("freshness", "completeness", "accuracy", "status")


def demands_of(directives: Iterable[DirectiveNode], path: tuple[str, ...]) -> list[Demand]:
    """Compile the demands among the directives of one place, which validation has passed."""
    return [_demand(node, path) for node in directives if node.name.value == _NAME]


def _demand(node: DirectiveNode, path: tuple[str, ...]) -> Demand:
    sources = argument_sources(node, REQUIRE_SLO, {})
    if not any(isinstance(it.value, VariableNode) for it in _arguments(node)):
        constant = _wanted({name: source({}, ()) for name, source in sources.items()})
        return Demand(path, lambda _: constant, constant)

    def of(variables: Mapping[str, Any]) -> Wanted:
        try:
            return _wanted({name: source(variables, ()) for name, source in sources.items()})
        except ValueError as error:
            raise GatewayError("BAD_USER_INPUT", f"@requireSlo: {error}.", hint=_HINT) from None

    return Demand(path, of)


class _RequireSlo(ValidationRule):
    """The directive stands on operations and products' fields, and what it says by itself makes sense."""

    def enter_directive(self, node: DirectiveNode, _key: Any, _parent: Any, _path: Any, ancestors: Sequence[Any]) -> None:
        """Judge one directive."""
        if node.name.value != _NAME:
            return
        holder = next((it for it in reversed(ancestors) if isinstance(it, (FieldNode, OperationDefinitionNode))), None)
        if isinstance(holder, FieldNode) and not self._reads_product():
            self._report(node, "@requireSlo stands on operations and on fields that read a data product, and nowhere else.")
            return
        given: dict[str, Any] = {}
        for argument in _arguments(node):
            name = argument.name.value
            if name in REQUIRE_SLO.args and not isinstance(argument.value, VariableNode):
                given[name] = value_from_ast(argument.value, REQUIRE_SLO.args[name].type)
        try:
            found = _wanted(given)
        except ValueError as error:
            self._report(node, f"@requireSlo: {error}.")
            return
        if found.is_empty and not any(it.name.value in _WHAT and isinstance(it.value, VariableNode) for it in _arguments(node)):
            self._report(node, f"@requireSlo demands nothing: say {', '.join(_WHAT[:-1])} or {_WHAT[-1]}.")

    def _reads_product(self) -> bool:
        parent, type_ = self.context.get_parent_type(), self.context.get_type()
        if parent is None or type_ is None:
            return True  # there is no such field: GraphQL's own rules say that
        name = get_named_type(type_).name
        rows = self.context.schema.extensions[ROW_TYPES]
        return (parent.name in rows or parent.name.endswith("Domain")) and name.removesuffix("Connection") in rows

    def _report(self, node: DirectiveNode, message: str) -> None:
        self.report_error(GraphQLError(message, node, extensions={"hint": _HINT}))


RULES: Final[tuple[type[ASTValidationRule], ...]] = (*specified_rules, _RequireSlo)
"""GraphQL's own rules and ours, for documents over a slice."""


def _arguments(node: DirectiveNode) -> tuple[ArgumentNode, ...]:
    return node.arguments or ()


def _wanted(given: Mapping[str, Any]) -> Wanted:
    # What is not given is MISSING, and what is of a wrong type is Undefined, which GraphQL's own rules tell.
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not MISSING and isinstance(value, (str, float))}
    return wanted(
        known.get("freshness"),
        known.get("completeness"),
        known.get("accuracy"),
        known.get("status"),
        known.get("onBreach") or OnBreach.ERROR,
    )
