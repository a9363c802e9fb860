"""A query text -> its document, the operation asked for, and the operation's shape with the literals lifted out.

Two texts that differ only in numbers and strings have one shape, and share everything that is compiled from it. Rejects what
does not parse, what names no single operation, and what is over a limit; touches nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    Visitor,
    print_ast,
)

from gateway.compiler.limits import Limits, check_document, parse_document
from gateway.compiler.visiting import walk
from gateway.errors import GatewayError

__all__ = ["Document", "read_document"]


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One operation of one text.

    ``shape``: equal for texts that differ only in liftable literals. ``literals``: those, in the order of the text;
    ``literal_index``: id of a literal's node -> its place. ``conditions``: variables that @skip and @include read.
    """

    text: str
    ast: DocumentNode
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    shape: str
    literals: tuple[ValueNode, ...]
    literal_index: Mapping[int, int]
    conditions: tuple[str, ...]


def read_document(text: str, operation_name: str | None, limits: Limits) -> Document:
    """Parse a text and choose its operation.

    **Raises** `GatewayError`: GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED (no such operation), LIMIT_EXCEEDED.
    """
    ast = parse_document(text, limits)
    check_document(ast, limits)
    operation = _chosen(ast, operation_name)
    fragments = {node.name.value: node for node in ast.definitions if isinstance(node, FragmentDefinitionNode)}
    canon = _Canon(_repeated(ast))
    for definition in ast.definitions:
        canon.definition(definition)
    canon.parts.append(f"|{operation.name.value if operation.name else ''}")
    return Document(
        text=text,
        ast=ast,
        operation=operation,
        fragments=fragments,
        shape="".join(canon.parts),
        literals=tuple(canon.literals),
        literal_index={id(node): place for place, node in enumerate(canon.literals)},
        conditions=tuple(sorted(canon.conditions)),
    )


def _chosen(ast: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in ast.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        if len(operations) == 1:
            return operations[0]
        said = (
            "The document holds no operation." if not operations else "The document holds several operations; say which with operationName."
        )
        raise GatewayError("GRAPHQL_VALIDATION_FAILED", said)
    for operation in operations:
        if operation.name is not None and operation.name.value == name:
            return operation
    raise GatewayError("GRAPHQL_VALIDATION_FAILED", f'Unknown operation named "{name}".')


class _Canon:
    """Writes a document's shape: what it says, without layout, with ``?`` in place of liftable literals."""

    def __init__(self, repeated: frozenset[str]) -> None:
        self._repeated = repeated
        self._twins: dict[tuple[str, str], int] = {}
        self._merging: str | None = None
        self.parts: list[str] = []
        self.literals: list[ValueNode] = []
        self.conditions: set[str] = set()

    def definition(self, node: object) -> None:
        match node:
            case OperationDefinitionNode():
                self.parts.append(f"\n{node.operation.value} {node.name.value if node.name else ''}(")
                for variable in node.variable_definitions or ():
                    self.parts.append(print_ast(variable) + ",")
                self.parts.append(")")
                self._directives(node.directives)
                self._selections(node.selection_set)
            case FragmentDefinitionNode():
                self.parts.append(f"\nfragment {node.name.value} on {node.type_condition.name.value}")
                self._directives(node.directives)
                self._selections(node.selection_set)
            case _:
                self.parts.append("\n!" + type(node).__name__)

    def _selections(self, selections: SelectionSetNode) -> None:
        self.parts.append("{")
        for node in selections.selections:
            match node:
                case FieldNode():
                    self.parts.append(f" {node.alias.value}:{node.name.value}" if node.alias else f" {node.name.value}")
                    if node.arguments:
                        key = (node.alias or node.name).value
                        self._merging = key if key in self._repeated else None
                        self.parts.append("(")
                        for argument in node.arguments:
                            self.parts.append(f"{argument.name.value}:")
                            self._value(argument.value)
                        self.parts.append(")")
                    self._directives(node.directives)
                    if node.selection_set is not None:
                        self._selections(node.selection_set)
                case FragmentSpreadNode():
                    self.parts.append(f" ...{node.name.value}")
                    self._directives(node.directives)
                case InlineFragmentNode():
                    self.parts.append(f" ... on {node.type_condition.name.value if node.type_condition else ''}")
                    self._directives(node.directives)
                    self._selections(node.selection_set)
        self.parts.append("}")

    def _directives(self, directives: tuple[DirectiveNode, ...] | None) -> None:
        for directive in directives or ():
            self.parts.append(print_ast(directive))
            if directive.name.value in ("skip", "include"):
                self.conditions.update(it.value.name.value for it in directive.arguments or () if isinstance(it.value, VariableNode))

    def _twin(self, node: ValueNode) -> str:
        # Fields merge only if their arguments are the same, so which literals are equal belongs to the shape there.
        if self._merging is None:
            return ""
        return f"={self._twins.setdefault((self._merging, print_ast(node)), len(self._twins))}"

    def _value(self, node: ValueNode) -> None:
        kind = _kind(node)
        if kind is not None:
            self.parts.append(f"?{kind}{self._twin(node)},")
            self.literals.append(node)
            return
        match node:
            case ListValueNode(values=values):
                self.parts.append("[")
                for item in values:
                    self._value(item)
                self.parts.append("]")
            case ObjectValueNode(fields=fields):
                self.parts.append("{")
                for field in fields:
                    self.parts.append(f"{field.name.value}:")
                    self._value(field.value)
                self.parts.append("}")
            case VariableNode():
                self.parts.append(f"${node.name.value},")
            case EnumValueNode(value=value):
                self.parts.append(f"{value},")
            case BooleanValueNode(value=value):
                self.parts.append("true," if value else "false,")
            case NullValueNode():
                self.parts.append("null,")


def _repeated(ast: DocumentNode) -> frozenset[str]:
    """Name the response keys under which fields with arguments stand more than once: they may have to merge."""
    found = _Keys()
    walk(ast, found)
    return frozenset(key for key, count in found.times.items() if count > 1)


class _Keys(Visitor):
    """Counts the response keys of fields with arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.times: Counter[str] = Counter()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        if node.arguments:
            self.times[(node.alias or node.name).value] += 1


def _kind(node: ValueNode) -> str | None:
    match node:
        case IntValueNode():
            return "i"
        case FloatValueNode():
            return "f"
        case StringValueNode():
            return "s"
        case ListValueNode(values=values) if values:
            kinds = {_kind(item) for item in values}
            if len(kinds) == 1 and (kind := kinds.pop()) is not None and not kind.startswith("["):
                return f"[{kind}]"
    return None
