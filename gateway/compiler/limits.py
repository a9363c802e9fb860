"""Limits: a document's text in, a parsed document out that is small enough for everything after it.

Text is bounded before it is parsed, the parsed document before it is validated: validation is where hostile documents cost
most. Sizes are those of the *expanded* operation: a fragment counts wherever it is spread, but is measured once, so that
fragments that double each other cost no more than they are long. Fragments that spread themselves or do not exist count
nothing here; validation refuses them.
May reject with LIMIT_EXCEEDED, naming the limit as the settings do, and GRAPHQL_PARSE_FAILED. Touches nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphql import GraphQLSyntaxError, parse
from graphql.language import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
)

from gateway.compiler.visiting import untied
from gateway.errors import GatewayError
from gateway.settings_sections import Limits

__all__ = ["Limits", "check_document", "check_variables", "parse_document"]


def parse_document(text: str, limits: Limits) -> DocumentNode:
    """Parse within the bounds on bytes and tokens. Raises: LIMIT_EXCEEDED, GRAPHQL_PARSE_FAILED with the location."""
    # A character takes at least one byte, so the second test, which copies the text, sees no huge one.
    if len(text) > limits.document_max_bytes or len(text.encode("utf-8", "surrogatepass")) > limits.document_max_bytes:
        raise _exceeded("document_max_bytes", limits.document_max_bytes, "bytes in the document")
    try:
        return untied(parse(text, max_tokens=limits.tokens_max))
    except GraphQLSyntaxError as error:
        if f"more than {limits.tokens_max} tokens" in error.message:
            raise _exceeded("tokens_max", limits.tokens_max, "tokens in the document") from None
        if "nested too deeply" in error.message:
            raise _exceeded("depth_max", limits.depth_max, "levels of nesting") from None
        locations = tuple((at.line, at.column) for at in error.locations or ())
        raise GatewayError("GRAPHQL_PARSE_FAILED", error.message, locations=locations) from None


def check_document(document: DocumentNode, limits: Limits) -> None:
    """Refuse a document that is too large when expanded. Raises: LIMIT_EXCEEDED. Cost is linear in the document's length."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    defined = sum(isinstance(node, FragmentDefinitionNode) for node in document.definitions)
    _within(len(operations), "operations_max", limits, "operations in the document")
    _within(defined, "fragments_max", limits, "fragments in the document")
    try:
        sizes = _fragment_sizes(fragments, limits)
        total = _NOTHING
        for operation in operations:
            total = total.beside(_operation_size(operation, sizes, limits))
        for name in _unreached(operations, fragments):
            # No operation uses it, but validation walks it all the same.
            total = total.beside(sizes[name])
        _check_size(total, limits)
        # Only now: the walk below spreads every fragment out, which is bounded by `selections_max`.
        overlaps = 0
        for root in (*operations, *(fragments[name] for name in _unreached(operations, fragments))):
            overlaps += _overlaps(root.selection_set, fragments, limits)
            _within(overlaps, "overlaps_max", limits, "pairs of fields that answer under the same name")
    except RecursionError:
        raise _exceeded("depth_max", limits.depth_max, "levels of nesting") from None


def check_variables(variables: dict[str, Any] | None, limits: Limits) -> None:
    """Refuse variables that are too many, too long or too deep. Raises: LIMIT_EXCEEDED."""
    if not variables:
        return
    count = 0
    level: list[Any] = [variables]
    for _ in range(limits.value_depth_max + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, list):
                _within(len(value), "list_items_max", limits, "items in one list of the variables")
            count += len(value)
            items = value.values() if isinstance(value, dict) else value
            below.extend(item for item in items if isinstance(item, dict | list))
            _within(count, "values_max", limits, "values in the variables")
        if not below:
            return
        level = below
    raise _exceeded("value_depth_max", limits.value_depth_max, "levels of nesting in one variable")


@dataclass(frozen=True, slots=True)
class _Size:
    """What a part of a document amounts to when every fragment in it is spread out.

    ``depth``: fields within fields. ``levels``: selections within selections, which inline fragments and spreads are as well.
    """

    depth: int = 0
    levels: int = 0
    roots: int = 0
    selections: int = 0
    aliases: int = 0
    directives: int = 0
    values: int = 0

    def beside(self, other: _Size) -> _Size:
        return _Size(
            max(self.depth, other.depth),
            max(self.levels, other.levels),
            self.roots + other.roots,
            self.selections + other.selections,
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.values + other.values,
        )

    def within_fragment(self) -> _Size:
        return replace(self, levels=self.levels + 1, selections=self.selections + 1)


_NOTHING = _Size()


def _operation_size(operation: OperationDefinitionNode, sizes: dict[str, _Size], limits: Limits) -> _Size:
    definitions = operation.variable_definitions or ()
    _within(len(definitions), "variables_max", limits, "variables of one operation")
    size = _set_size(operation.selection_set, sizes, limits)
    _within(size.roots, "root_fields_max", limits, "fields at the root of one operation")
    directives = _directives_size(operation.directives, limits)
    for definition in definitions:
        directives = directives.beside(_directives_size(definition.directives, limits))
        if definition.default_value is not None:
            directives = directives.beside(_Size(values=_value_size(definition.default_value, limits)))
    return size.beside(directives)


def _set_size(selections: SelectionSetNode | None, sizes: dict[str, _Size], limits: Limits) -> _Size:
    total = _NOTHING
    for node in selections.selections if selections is not None else ():
        total = total.beside(_directives_size(node.directives, limits))
        if isinstance(node, FieldNode):
            below = _set_size(node.selection_set, sizes, limits)
            total = total.beside(
                _Size(
                    depth=below.depth + 1,
                    levels=below.levels + 1,
                    roots=1,
                    selections=below.selections + 1,
                    aliases=below.aliases + (node.alias is not None),
                    directives=below.directives,
                    values=below.values + _arguments_size(node.arguments, limits),
                )
            )
        elif isinstance(node, InlineFragmentNode):
            total = total.beside(_set_size(node.selection_set, sizes, limits).within_fragment())
        elif isinstance(node, FragmentSpreadNode):
            total = total.beside(sizes.get(node.name.value, _NOTHING).within_fragment())
        # INVARIANT: sizes stay small numbers; without this a doubling chain would make them 2^fragments.
        _check_size(total, limits)
    return total


def _check_size(size: _Size, limits: Limits) -> None:
    _within(size.depth, "depth_max", limits, "fields nested in each other")
    _within(size.levels, "levels_max", limits, "fields and fragments nested in each other")
    _within(size.selections, "selections_max", limits, "selections with all fragments spread out")
    _within(size.aliases, "aliases_max", limits, "aliases with all fragments spread out")
    _within(size.directives, "directives_max", limits, "directives with all fragments spread out")
    _within(size.values, "values_max", limits, "values in arguments")


def _directives_size(directives: Sequence[DirectiveNode] | None, limits: Limits) -> _Size:
    if not directives:
        return _NOTHING
    _within(len(directives), "directives_per_place_max", limits, "directives in one place")
    return _Size(directives=len(directives), values=sum(_arguments_size(node.arguments, limits) for node in directives))


def _arguments_size(arguments: Iterable[ArgumentNode] | None, limits: Limits) -> int:
    return sum(_value_size(argument.value, limits) for argument in arguments or ())


def _value_size(value: ValueNode, limits: Limits, depth: int = 1) -> int:
    if isinstance(value, ListValueNode):
        _within(len(value.values), "list_items_max", limits, "items in one list")
        below: Iterator[ValueNode] = iter(value.values)
    elif isinstance(value, ObjectValueNode):
        below = (item.value for item in value.fields)
    else:
        return 1
    _within(depth, "value_depth_max", limits, "levels of nesting in one argument")
    return 1 + sum(_value_size(item, limits, depth + 1) for item in below)


def _fragment_sizes(fragments: dict[str, FragmentDefinitionNode], limits: Limits) -> dict[str, _Size]:
    """Measure each fragment once, those that it spreads before it."""
    sizes: dict[str, _Size] = {}
    entered: set[str] = set()
    for start in fragments:
        pending = [start]
        while pending:
            name = pending[-1]
            if name not in entered:
                entered.add(name)
                # A name entered already is finished, or part of a cycle, which validation refuses.
                pending.extend(below for below in _spreads(fragments[name].selection_set) if below in fragments and below not in entered)
                continue
            pending.pop()
            if name not in sizes:
                node = fragments[name]
                sizes[name] = _set_size(node.selection_set, sizes, limits).beside(_directives_size(node.directives, limits))
    return sizes


def _spreads(selections: SelectionSetNode) -> Iterator[str]:
    pending: list[SelectionNode] = list(selections.selections)
    while pending:
        node = pending.pop()
        if isinstance(node, FragmentSpreadNode):
            yield node.name.value
        elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
            pending.extend(node.selection_set.selections)


def _unreached(operations: list[OperationDefinitionNode], fragments: dict[str, FragmentDefinitionNode]) -> list[str]:
    """Name fragments that no operation spreads, one for each group that hangs together."""
    reached: set[str] = set()

    def reach(selections: SelectionSetNode) -> None:
        pending = [name for name in _spreads(selections) if name in fragments]
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending.extend(below for below in _spreads(fragments[name].selection_set) if below in fragments)

    for operation in operations:
        reach(operation.selection_set)
    alone = []
    for name, fragment in fragments.items():
        if name not in reached:
            alone.append(name)
            reached.add(name)
            reach(fragment.selection_set)
    return alone


def _overlaps(root: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], limits: Limits) -> int:
    """Count pairs of fields with one response name, through merged parents: what the overlap rule of validation compares.

    The rule compares a pair again from every level above it, so a pair counts as often as it is deep.
    """
    pairs = visited = 0
    pending: list[tuple[int, list[SelectionSetNode]]] = [(1, [root])]
    while pending:
        depth, sets = pending.pop()
        by_name: dict[str, list[SelectionSetNode]] = {}
        count: Counter[str] = Counter()
        for field in _fields(sets, fragments):
            name = field.alias.value if field.alias is not None else field.name.value
            count[name] += 1
            visited += 1
            if field.selection_set is not None:
                by_name.setdefault(name, []).append(field.selection_set)
        pairs += depth * sum(n * (n - 1) // 2 for n in count.values())
        # More than were counted before means a fragment that leads back to itself, which validation refuses.
        if pairs > limits.overlaps_max or visited > limits.selections_max:
            return pairs
        pending.extend((depth + 1, below) for below in by_name.values())
    return pairs


def _fields(sets: list[SelectionSetNode], fragments: dict[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    # Each entry knows the fragments it came through: a fragment may be spread twice, but not within itself.
    pending: list[tuple[SelectionNode, frozenset[str]]] = [(node, frozenset()) for one in sets for node in one.selections]
    while pending:
        node, within = pending.pop()
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            pending.extend((below, within) for below in node.selection_set.selections)
        elif isinstance(node, FragmentSpreadNode) and node.name.value in fragments and node.name.value not in within:
            name = node.name.value
            pending.extend((below, within | {name}) for below in fragments[name].selection_set.selections)


def _within(found: int, limit: str, limits: Limits, what: str) -> None:
    if found > getattr(limits, limit):
        raise _exceeded(limit, getattr(limits, limit), what)


def _exceeded(limit: str, bound: int, what: str) -> GatewayError:
    return GatewayError("LIMIT_EXCEEDED", f"The limit {limit} is {bound} {what}.", limit=limit, bound=bound)
