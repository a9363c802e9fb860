"""Texts -> prepared operations: parse, reach, slice, validate, plan, rule, compile, each done once and kept while it is used.

One short method names the stages. Keys are the text, the view and the header that changes scalars; what several texts or views
share (a shape under equal rulings) is shared. Everything kept is bounded by measured bytes. Rejects what the stages reject.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLInputType,
    ListValueNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Undefined,
    ValueNode,
    Visitor,
    coerce_input_literal,
    validate,
    visit,
)
from graphql.execution.values import get_variable_values

from contracts.model import Contract
from gateway.catalog.reach import Reach, RulingOf, reach_of
from gateway.catalog.slices import Slice, Slices
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.compiling import compile_plan
from gateway.compiler.demands import rules_for
from gateway.compiler.documents import Document, read_document
from gateway.compiler.executable import Executable
from gateway.compiler.limits import Limits, check_variables
from gateway.compiler.planner import plan_of
from gateway.compiler.variables import GiveUpError, coercer_of
from gateway.errors import GatewayError, RefusedError
from gateway.governance.masks import MaskKeys
from gateway.governance.rule import rule
from gateway.governance.ruling import ProductRuling, Standing
from gateway.observe.traces import span

__all__ = ["Checked", "Operations", "Prepared", "Ruler"]

_VECTORS_MAX = 16
_SIGHTINGS_MAX = 8_192
_ERRORS_MAX = 20
_NESTED = (dict, list)
# Measured with tracemalloc over generated operations: what a checked operation and its executables weigh beside their text.
_CHECKED_BASE_BYTES = 24_000
_CHECKED_BYTES_PER_CHARACTER = 250
_UNKNOWN_FIELD = re.compile(r"not to include unknown field ['\"](\w+)['\"]")


class Ruler(Protocol):
    """What the compiler needs of a view; compared by identity."""

    def ruling(self, contract: Contract) -> ProductRuling:
        """Rule on a contract."""


@dataclass(slots=True, eq=False)
class Checked:
    """A valid shape under one set of rulings, with its executables by @skip/@include vector."""

    document: Document
    slice: Slice
    ruling_of: RulingOf
    reach: Reach
    literal_types: tuple[GraphQLInputType | None, ...]
    long_as_text: bool
    coerce: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    executables: dict[tuple[bool, ...], Executable] = field(default_factory=dict)

    def bytes(self) -> int:
        """Estimate what is kept."""
        return _CHECKED_BASE_BYTES + len(self.document.text) * _CHECKED_BYTES_PER_CHARACTER


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A text ready to run: its checked shape, and its own literals, coerced. ``document``: the text's own."""

    checked: Checked
    document: Document
    literals: tuple[Any, ...]


class Operations:
    """Prepares operations over one snapshot, for any view."""

    def __init__(
        self,
        snapshot: Snapshot,
        slices: Slices,
        keys: MaskKeys,
        limits: Limits,
        *,
        kept_max_bytes: int = 64 * 1024 * 1024,
        on_compiled: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._snapshot = snapshot
        self._slices = slices
        self._keys = keys
        self._limits = limits
        self._kept_max_bytes = kept_max_bytes
        self._on_compiled = on_compiled
        self._texts: OrderedDict[tuple[str, str | None, Ruler, bool], Prepared] = OrderedDict()
        self._shapes: OrderedDict[tuple[object, ...], tuple[Checked, tuple[ProductRuling, ...]]] = OrderedDict()
        self._kept_bytes = 0
        self._sighted: OrderedDict[object, None] = OrderedDict()
        # Large documents are prepared on a thread of their own, beside the loop's.
        self._keeping = threading.Lock()

    @property
    def kept_bytes(self) -> int:
        """Return the bytes that kept operations are reckoned at."""
        return self._kept_bytes

    def find(self, text: str, name: str | None, view: Ruler, *, long_as_text: bool) -> Prepared | None:
        """Look up a text that was prepared before for this view."""
        return self._texts.get((text, name, view, long_as_text))

    def prepare(self, text: str, name: str | None, view: Ruler, *, long_as_text: bool) -> Prepared:
        """Prepare a text: read, check (or find its shape checked), coerce its literals.

        **Raises** `GatewayError` of any caller's code.
        """
        document = read_document(text, name, self._limits)
        if document.operation.operation is not OperationType.QUERY:
            raise GatewayError("GRAPHQL_VALIDATION_FAILED", f"This mesh serves queries only, not {document.operation.operation.value}s.")
        checked = self._checked(document, view, long_as_text=long_as_text)
        literals = self._literals(checked, document)
        prepared = Prepared(checked, document, literals)
        with self._keeping:
            if self._seen_before((text, name)):
                self._texts[text, name, view, long_as_text] = prepared
                self._weigh(sys.getsizeof(text) * 8 + 2_000)
        return prepared

    def variables(self, prepared: Prepared, raw: Mapping[str, Any] | None) -> dict[str, Any]:
        """Coerce a request's variables. **Raises** `GatewayError` BAD_USER_INPUT, MASKED_FIELD_IN_PREDICATE, LIMIT_EXCEEDED."""
        definitions = prepared.document.operation.variable_definitions
        if not definitions:
            return {}
        given = raw or {}
        checked = prepared.checked
        if any(type(value) in _NESTED for value in given.values()):
            check_variables(dict(given), self._limits)
        try:
            return checked.coerce(given)
        except GiveUpError:
            return self._judged(prepared, dict(given))

    def _judged(self, prepared: Prepared, given: dict[str, Any]) -> dict[str, Any]:
        """Coerce variables as graphql-core does, for its errors."""
        definitions = prepared.document.operation.variable_definitions or ()
        checked = prepared.checked
        found = get_variable_values(checked.slice.schema, definitions, given, max_errors=_ERRORS_MAX, hide_suggestions=False)
        if isinstance(found, list):
            # Suggestions name what the schema at hand holds, so only messages without them can be compared.
            plain, wide = (
                get_variable_values(schema, definitions, given, max_errors=_ERRORS_MAX, hide_suggestions=True)
                for schema in (checked.slice.schema, self._wide(checked).schema)
            )
            assert isinstance(plain, list)
            known = {error.message for error in wide} if isinstance(wide, list) else set()
            raise _refused(
                _named(
                    [
                        _from_graphql(shown, "BAD_USER_INPUT") if one.message in known else _masked_variable(shown)
                        for shown, one in zip(found, plain, strict=True)
                    ]
                )
            )
        return found.coerced

    def executable(self, prepared: Prepared, variables: Mapping[str, Any]) -> Executable:
        """Return the executable for the @skip/@include variables of a request, compiling it at first sight."""
        checked = prepared.checked
        names = prepared.document.conditions
        for name in names:
            if variables.get(name, False) is None:
                raise GatewayError("BAD_USER_INPUT", f'Variable "${name}" is null, but @skip or @include reads it.')
        vector = tuple(bool(variables.get(name)) for name in names)
        found = checked.executables.get(vector)
        if found is None:
            found = self._compiled(checked, dict(zip(names, vector, strict=True)))
            if len(checked.executables) < _VECTORS_MAX:
                checked.executables[vector] = found
        return found

    # -- stages ------------------------------------------------------------------------------------------------------------

    def _checked(self, document: Document, view: Ruler, *, long_as_text: bool) -> Checked:
        def ruling_of(product: Product) -> ProductRuling:
            return view.ruling(product.contract)

        reach = reach_of(self._snapshot, ruling_of, document.operation, document.fragments)
        for others in _other_operations(document):
            _merge(reach, reach_of(self._snapshot, ruling_of, others, document.fragments))
        if reach.forbidden:
            raise _forbidden(tuple(reach.forbidden.values()))
        rulings = tuple(ruling_of(self._snapshot.products[id_]) for id_ in sorted(reach.links))
        # Rulings are interned and kept beside what they are the key of, so their ids stay theirs.
        key = (document.shape, reach.key(), tuple(map(id, rulings)), long_as_text)
        with self._keeping:
            kept = self._shapes.get(key)
            if kept is not None:
                self._shapes.move_to_end(key)
                return kept[0]
        started = time.perf_counter()
        slice_ = self._slices.of(reach, ruling_of)
        checked = Checked(document, slice_, _fixed(self._snapshot, ruling_of, reach), reach, (), long_as_text)
        self._validate(checked, document, ruling_of)
        checked.literal_types = _literal_types(document, slice_)
        checked.coerce = coercer_of(slice_.schema, document.operation.variable_definitions or ())
        self._on_compiled(time.perf_counter() - started)
        with self._keeping:
            if self._seen_before((document.shape, len(document.shape))):
                self._shapes[key] = (checked, rulings)
                self._weigh(checked.bytes())
        return checked

    def _validate(self, checked: Checked, document: Document, ruling_of: RulingOf) -> None:
        rules = rules_for(checked.slice)
        errors = validate(checked.slice.schema, document.ast, rules, max_errors=_ERRORS_MAX)
        if not errors:
            return
        # Suggestions name what the schema at hand holds, so only messages without them can be compared.
        plain, wide = (
            validate(schema, document.ast, rules, max_errors=_ERRORS_MAX, hide_suggestions=True)
            for schema in (checked.slice.schema, self._wide(checked).schema)
        )
        known = {_identity(error) for error in wide}
        raise _refused(
            _named(
                [
                    self._refusal(error, masked=_identity(one) not in known, ruling_of=ruling_of)
                    for error, one in zip(errors, plain, strict=True)
                ]
            )
        )

    def _refusal(self, error: GraphQLError, *, masked: bool, ruling_of: RulingOf) -> GatewayError:
        if masked:
            node = error.nodes[0] if error.nodes else None
            name = getattr(getattr(node, "name", None), "value", None)
            named: dict[str, Any] = {"field": name} if name else {}
            shown = f"{name} is" if name else "A field named here is"
            return GatewayError(
                "MASKED_FIELD_IN_PREDICATE",
                f"{shown} masked or denied for you, so it cannot filter, sort, page or look up.",
                locations=_places(error),
                **named,
            )
        return _from_graphql(error, "GRAPHQL_VALIDATION_FAILED", self._meant(error, ruling_of))

    def _meant(self, error: GraphQLError, ruling_of: RulingOf) -> str | None:
        """Suggest a domain's or product's name: the slice holds only those that were named right."""
        found = re.fullmatch(r"Cannot query field '(\w+)' on type '(\w+)'\.(?: Did you mean .*)?", error.message)
        if found is None or not (error.nodes and isinstance(error.nodes[0], FieldNode)):
            return None
        name, type_name = found.groups()
        choices: list[str] = []
        if type_name == "Query":
            choices = ["mesh", *(it.graphql_name for it in self._snapshot.domains.values() if _is_served(it.products, ruling_of))]
        else:
            for domain in self._snapshot.domains.values():
                if domain.type_name == type_name:
                    near = get_close_matches(name, domain.products, n=5, cutoff=0.5)
                    choices = [it for it in near if ruling_of(domain.products[it]).standing is Standing.SERVED]
        meant = get_close_matches(name, choices, n=3, cutoff=0.6)
        if not choices and not meant:
            return None
        stem = f"Cannot query field '{name}' on type '{type_name}'."
        quoted = " or ".join(f"'{it}'" for it in meant)
        return f"{stem} Did you mean {quoted}?" if meant else stem

    def _wide(self, checked: Checked) -> Slice:
        return self._slices.of(checked.reach, checked.ruling_of, wide=True)

    def _literals(self, checked: Checked, document: Document) -> tuple[Any, ...]:
        found = []
        for node, type_ in zip(document.literals, checked.literal_types, strict=True):
            value = None if type_ is None else _coerced(node, type_)
            if value is Undefined:
                # Another text of this shape was valid; this one's literal is not: say so as validation does.
                self._validate(checked, document, checked.ruling_of)
                raise GatewayError("BAD_USER_INPUT", "A literal does not fit its type.", locations=_node_place(node))
            found.append(value)
        return tuple(found)

    def _compiled(self, checked: Checked, conditions: Mapping[str, bool]) -> Executable:
        started = time.perf_counter()
        with span("compile"):
            plan = plan_of(checked.document, checked.slice, self._snapshot, conditions)
            ruled = rule(plan, checked.ruling_of)
            executable = compile_plan(ruled, checked.ruling_of, self._keys, long_as_text=checked.long_as_text)
        self._on_compiled(time.perf_counter() - started)
        return executable

    # -- keeping -----------------------------------------------------------------------------------------------------------

    def _seen_before(self, what: object) -> bool:
        digest = hash(what)
        if digest in self._sighted:
            self._sighted.move_to_end(digest)
            return True
        self._sighted[digest] = None
        if len(self._sighted) > _SIGHTINGS_MAX:
            self._sighted.popitem(last=False)
        return False

    def _weigh(self, added: int) -> None:
        self._kept_bytes += added
        while self._kept_bytes > self._kept_max_bytes and (self._texts or self._shapes):
            if self._texts:
                (text, *_), _prepared = self._texts.popitem(last=False)
                self._kept_bytes -= sys.getsizeof(text) * 8 + 2_000
            if self._shapes and self._kept_bytes > self._kept_max_bytes:
                _, (checked, _rulings) = self._shapes.popitem(last=False)
                self._kept_bytes -= checked.bytes()


def _fixed(snapshot: Snapshot, ruling_of: RulingOf, reach: Reach) -> RulingOf:
    """Hold the rulings that a reach needs, so that a checked operation does not hold its view."""
    held = {id_: ruling_of(snapshot.products[id_]) for id_ in reach.links}
    return lambda product: held[product.id]


def _other_operations(document: Document) -> list[Any]:
    # Validation judges every operation of a document, so the slice must know what the others name, too.
    return [it for it in document.ast.definitions if it is not document.operation and hasattr(it, "operation")]


def _merge(reach: Reach, other: Reach) -> None:
    for name, fields in other.roots.items():
        reach.roots.setdefault(name, set()).update(fields)
    for id_, names in other.links.items():
        reach.links.setdefault(id_, set()).update(names)
    reach.totals.update(other.totals)
    reach.forbidden.update(other.forbidden)


def _forbidden(products: tuple[Product, ...]) -> RefusedError:
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


def _is_served(products: Mapping[str, Product], ruling_of: RulingOf) -> bool:
    return any(ruling_of(product).standing is Standing.SERVED for product in products.values())


def _literal_types(document: Document, slice_: Slice) -> tuple[GraphQLInputType | None, ...]:
    types: list[GraphQLInputType | None] = [None] * len(document.literals)
    info = TypeInfo(slice_.schema)
    index = document.literal_index

    class Note(Visitor):
        def enter(self, node: Any, *_: Any) -> None:
            if (place := index.get(id(node))) is not None:
                # Inside a list, the innermost type is that of its items already.
                types[place] = info.get_parent_input_type() if isinstance(node, ListValueNode) else info.get_input_type()

    visit(document.ast, TypeInfoVisitor(info, Note()))
    return tuple(types)


def _coerced(node: ValueNode, type_: GraphQLInputType) -> Any:
    try:
        return coerce_input_literal(node, type_)
    except GraphQLError:
        return Undefined


def _identity(error: GraphQLError) -> tuple[object, ...]:
    return (error.message, _places(error))


def _places(error: GraphQLError) -> tuple[tuple[int, int], ...]:
    return tuple((place.line, place.column) for place in error.locations or ())


def _node_place(node: ValueNode) -> tuple[tuple[int, int], ...]:
    if node.loc is None:
        return ()
    return ((node.loc.start_token.line, node.loc.start_token.column),)


def _from_graphql(error: GraphQLError, code: str, message: str | None = None) -> GatewayError:
    return GatewayError(code, message or error.message, hint=(error.extensions or {}).get("hint"), locations=_places(error))


def _masked_variable(error: GraphQLError) -> GatewayError:
    found = _UNKNOWN_FIELD.search(error.message)
    named: dict[str, Any] = {"field": found.group(1)} if found else {}
    shown = f"{found.group(1)} is" if found else "A field named in a variable is"
    return GatewayError(
        "MASKED_FIELD_IN_PREDICATE",
        f"{shown} masked or denied for you, so it cannot filter, sort, page or look up.",
        locations=_places(error),
        **named,
    )


def _named(errors: list[GatewayError]) -> list[GatewayError]:
    """Leave out refusals of masked fields that name none where others do: they follow from those."""
    masked = [error for error in errors if error.code.name == "MASKED_FIELD_IN_PREDICATE"]
    if not any("field" in error.extensions for error in masked):
        return errors
    return [error for error in errors if error not in masked or "field" in error.extensions]


def _refused(errors: list[GatewayError]) -> RefusedError:
    return RefusedError(tuple(errors))
