"""Texts -> prepared operations: parse, reach, slice, validate, plan, rule, compile, each done once and kept while it is used.

Keys are the text, the view and the header that changes scalars; what several texts or views share (a shape under equal rulings)
is shared. A text or a shape seen once is run and not kept; parsed documents and schemas are not kept with it, but made again
for the rare need of them. Rejects what the stages reject.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from graphql import OperationType, Undefined

from contracts.model import Contract
from gateway.catalog.mentions import NO_TRACE, Trace, names_of, trace_of
from gateway.catalog.reach import Reach, RulingOf, StandingOf, reach_of
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.compiling import compile_plan
from gateway.compiler.documents import Document
from gateway.compiler.executable import Executable
from gateway.compiler.judging import Judge, forbidden, unfit_literal
from gateway.compiler.kept import Kept
from gateway.compiler.limits import Limits, check_variables
from gateway.compiler.literals import coerced, types_of
from gateway.compiler.planner import plan_of
from gateway.compiler.prepared import Checked, Prepared
from gateway.compiler.readings import Readings
from gateway.compiler.variables import GiveUpError, coercer_of
from gateway.errors import GatewayError
from gateway.governance.masks import MaskKeys
from gateway.governance.recent import Recent
from gateway.governance.rule import rule
from gateway.governance.ruling import ProductRuling, Standing
from gateway.observe.traces import span

__all__ = ["Operations", "Ruler"]

_SIGHTINGS_MAX = 8_192
_NESTED = (dict, list)
_TRACE_MAX = 256


class Ruler(Protocol):
    """What the compiler needs of a view; compared by identity."""

    def ruling(self, contract: Contract) -> ProductRuling:
        """Rule on a contract."""

    def standing(self, contract: Contract) -> Standing:
        """Tell how a contract's product stands."""


_Key = tuple[str, str | None, Ruler, bool, Trace]


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
        read_max_bytes: int = 4 * 1024 * 1024,
        on_compiled: Callable[[float], None] = lambda _: None,
        names: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        """``names``: product id -> what variables may call its relationships, as far as it is known."""
        self._snapshot = snapshot
        self._slices = slices
        self._judge = Judge(snapshot, slices)
        self._keys = keys
        self._limits = limits
        self._on_compiled = on_compiled
        self._kept_max_bytes = kept_max_bytes
        self._kept = Kept(kept_max_bytes)
        known = names or {}
        self._names = {id_: known.get(id_) or names_of(product) for id_, product in snapshot.products.items()}
        self._relation_names = frozenset[str]().union(*self._names.values())
        self._texts: dict[_Key, Prepared] = {}
        self._shapes: dict[tuple[object, ...], tuple[Checked, tuple[ProductRuling, ...]]] = {}
        # INVARIANT: only hashes stand here, so that sightings weigh next to nothing.
        self._sighted: Recent[int, bool] = Recent(_SIGHTINGS_MAX)
        self._readings = Readings(limits, read_max_bytes)

    def successor(self, snapshot: Snapshot, slices: Slices, touched: frozenset[str]) -> Operations:
        """Make the operations of the next snapshot, which keep what reads none of the products that the change ``touched``."""
        made = Operations(
            snapshot,
            slices,
            self._keys,
            self._limits,
            kept_max_bytes=self._kept_max_bytes,
            on_compiled=self._on_compiled,
            names={id_: names for id_, names in self._names.items() if id_ not in touched},
        )
        made._sighted, made._readings = self._sighted, self._readings
        twins: dict[int, Checked] = {}
        for shape, (checked, rulings) in list(self._shapes.items()):
            if (entry := checked.entry) is not None and touched.isdisjoint(checked.reach.links):
                twins[id(checked)] = twin = replace(checked, entry=None)
                made._keep_shape(shape, twin, rulings, entry.owner)
        for key, prepared in list(self._texts.items()):
            if (entry := prepared.entry) is not None and (found := twins.get(id(prepared.checked))) is not None and found.entry is not None:
                made._keep_text(key, replace(prepared, checked=found, entry=None), entry.owner)
        return made

    @property
    def kept_bytes(self) -> int:
        """Return the bytes that kept operations are reckoned at."""
        return self._kept.size_bytes

    def trace(self, variables: Mapping[str, Any] | None) -> Trace:
        """Say which relationships a request's variables may name, which is part of what is prepared for it.

        **Raises** `GatewayError` LIMIT_EXCEEDED, so that what is kept of variables is small.
        """
        found = trace_of(variables, self._relation_names)
        if found is not NO_TRACE and found.size > _TRACE_MAX:
            raise GatewayError("LIMIT_EXCEEDED", f"Variables name relationships in more than {_TRACE_MAX} places.")
        return found

    def find(self, text: str, name: str | None, view: Ruler, *, long_as_text: bool, trace: Trace = NO_TRACE) -> Prepared | None:
        """Look up a text that was prepared before for this view."""
        found = self._texts.get((text, name, view, long_as_text, trace))
        if found is None or (shape := found.checked.entry) is None or found.entry is None:
            return None
        found.entry.used = shape.used = True
        return found

    def prepare(
        self,
        text: str,
        name: str | None,
        view: Ruler,
        *,
        long_as_text: bool,
        owner: str = "",
        trace: Trace = NO_TRACE,
        explains: bool = True,
    ) -> Prepared:
        """Prepare a text: read, check (or find its shape checked), coerce its literals. ``owner``: the caller who is charged for it.

        **Raises** `GatewayError` of any caller's code; unless ``explains``, `UnexplainedError` for what is not valid.
        """
        document = self.document(text, name)
        if document.operation.operation is not OperationType.QUERY:
            raise GatewayError("GRAPHQL_VALIDATION_FAILED", f"This mesh serves queries only, not {document.operation.operation.value}s.")
        checked = self._checked(document, view, trace, long_as_text=long_as_text, owner=owner, explains=explains)
        takes_variables = bool(document.operation.variable_definitions)
        prepared = Prepared(checked, text, name, self._literals(checked, document, view), document.conditions, takes_variables, trace)
        if self._seen_before((text, name)) and checked.entry is not None:
            self._keep_text((text, name, view, long_as_text, trace), prepared, owner)
        return prepared

    def document(self, text: str, name: str | None) -> Document:
        """Read a text, or find it among the last ones read. **Raises** as `read_document`."""
        return self._readings.of(text, name)

    def missing(self, prepared: Prepared, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Name the variables that must be given and are not."""
        return self._readings.missing(prepared.text, prepared.name, given)

    def variables(self, prepared: Prepared, raw: Mapping[str, Any] | None, view: Ruler, *, explains: bool = True) -> dict[str, Any]:
        """Coerce a request's variables. **Raises** `GatewayError` BAD_USER_INPUT, MASKED_FIELD_IN_PREDICATE, LIMIT_EXCEEDED.

        ``view``: the caller's, to tell what was meant by a name that does not exist; unless ``explains``: `UnexplainedError`.
        """
        if not prepared.takes_variables:
            return {}
        given = raw or {}
        checked = prepared.checked
        for value in given.values():
            if type(value) in _NESTED:
                check_variables(dict(given), self._limits)
                break
        try:
            return checked.coerce(given)
        except GiveUpError:
            definitions = self._readings.variables(prepared.text, prepared.name)
            ruling_of: RulingOf = lambda it: view.ruling(it.contract)  # noqa: E731
            standing_of: StandingOf = lambda it: view.standing(it.contract)  # noqa: E731
            return self._judge.variables(definitions, dict(given), checked.reach, ruling_of, standing_of, explains=explains)

    def executable(self, prepared: Prepared, variables: Mapping[str, Any]) -> Executable:
        """Return the executable for the @skip/@include variables of a request, compiling it at first sight."""
        checked = prepared.checked
        names = prepared.conditions
        for name in names:
            if variables.get(name, False) is None:
                raise GatewayError("BAD_USER_INPUT", f'Variable "${name}" is null, but @skip or @include reads it.')
        vector = tuple([bool(variables.get(name)) for name in names])
        found = checked.executables.get((vector, prepared.trace))
        if found is None:
            found = self._compiled(prepared, dict(zip(names, vector, strict=True)))
            checked.executables.put((vector, prepared.trace), found)
            if checked.entry is not None:
                self._kept.resize(checked.entry, checked.size_bytes())
        return found

    # -- stages ------------------------------------------------------------------------------------------------------------

    def _checked(self, document: Document, view: Ruler, trace: Trace, *, long_as_text: bool, owner: str, explains: bool) -> Checked:
        def ruling_of(product: Product) -> ProductRuling:
            return view.ruling(product.contract)

        def standing_of(product: Product) -> Standing:
            return view.standing(product.contract)

        reach = reach_of(self._snapshot, ruling_of, document.operation, document.fragments, trace, standing_of=standing_of)
        for others in _other_operations(document):
            reach.add(reach_of(self._snapshot, ruling_of, others, document.fragments, trace, standing_of=standing_of))
        if reach.forbidden:
            raise forbidden(reach.forbidden.values())
        rulings = tuple(ruling_of(self._snapshot.products[id_]) for id_ in sorted(reach.links))
        # Rulings are interned and kept beside what they are the key of, so their ids stay theirs.
        key = (document.shape, reach.key(), tuple(map(id, rulings)), long_as_text)
        kept = self._shapes.get(key)
        if kept is not None and (entry := kept[0].entry) is not None:
            entry.used = True
            return kept[0]
        started = time.perf_counter()
        held = _fixed(self._snapshot, ruling_of, reach)
        self._judge.operation(document, reach, ruling_of, standing_of, explains=explains)
        slice_ = self._slices.of(reach, held)
        coerce = coercer_of(slice_.schema, document.operation.variable_definitions or ())
        checked = Checked(document.shape, reach, held, types_of(document, slice_.schema), long_as_text, coerce)
        self._on_compiled(time.perf_counter() - started)
        if self._seen_before((document.shape, len(document.shape))):
            self._keep_shape(key, checked, rulings, owner)
        return checked

    def _literals(self, checked: Checked, document: Document, view: Ruler) -> tuple[Any, ...]:
        found = []
        for node, type_ in zip(document.literals, checked.literal_types, strict=True):
            value = None if type_ is None else coerced(node, type_)
            if value is Undefined:
                # Another text of this shape was valid; this one's literal is not: say so as validation does.
                self._judge.operation(document, checked.reach, lambda it: view.ruling(it.contract))
                raise unfit_literal(node)
            found.append(value)
        return tuple(found)

    def _compiled(self, prepared: Prepared, conditions: Mapping[str, bool]) -> Executable:
        checked = prepared.checked
        started = time.perf_counter()
        with span("compile"):
            document = self.document(prepared.text, prepared.name)
            plan = plan_of(document, self._slices.of(checked.reach, checked.ruling_of), self._snapshot, conditions, prepared.trace)
            ruled = rule(plan, checked.ruling_of)
            executable = compile_plan(ruled, checked.ruling_of, self._keys, long_as_text=checked.long_as_text)
        self._on_compiled(time.perf_counter() - started)
        return executable

    # -- keeping -----------------------------------------------------------------------------------------------------------

    def _seen_before(self, what: object) -> bool:
        digest = hash(what)
        if self._sighted.get(digest):
            return True
        self._sighted.put(digest, True)
        return False

    def _keep_shape(self, key: tuple[object, ...], checked: Checked, rulings: tuple[ProductRuling, ...], owner: str) -> None:
        def let_go() -> None:
            checked.entry = None
            if (found := self._shapes.get(key)) is not None and found[0] is checked:
                del self._shapes[key]

        self._shapes[key] = (checked, rulings)
        entry = self._kept.add(owner, checked.size_bytes(), let_go)
        checked.entry = entry if entry.is_kept else None

    def _keep_text(self, key: _Key, prepared: Prepared, owner: str) -> None:
        def let_go() -> None:
            prepared.entry = None
            if self._texts.get(key) is prepared:
                del self._texts[key]

        self._texts[key] = prepared
        entry = self._kept.add(owner, prepared.size_bytes(), let_go)
        prepared.entry = entry if entry.is_kept else None


def _fixed(snapshot: Snapshot, ruling_of: RulingOf, reach: Reach) -> RulingOf:
    """Hold the rulings that a reach needs, so that a checked operation does not hold its view."""
    held = {id_: ruling_of(snapshot.products[id_]) for id_ in reach.links}
    return lambda product: held[product.id]


def _other_operations(document: Document) -> list[Any]:
    # Validation judges every operation of a document, so the slice must know what the others name, too.
    return [it for it in document.ast.definitions if it is not document.operation and hasattr(it, "operation")]
