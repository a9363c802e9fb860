"""One snapshot of the mesh, ready to answer: a question goes in, the encoded answer comes out.

`Engine.answer` names every stage of a request in order. Touches the network through ports only.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from typing import Any

import msgspec
from graphql import OperationType

from contracts import MeshPolicy
from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Use
from contracts.predicates import Predicate
from domain_adapters.port import Call, Port, Probes
from gateway.caller import Caller
from gateway.catalog.change import Change
from gateway.catalog.described import Described
from gateway.catalog.fragments import Fragments
from gateway.catalog.introspection import asked_of
from gateway.catalog.mesh import MeshContext, mesh_field, mesh_schema
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.executable import Executable, Step
from gateway.compiler.flat import flat_list
from gateway.compiler.limits import Limits
from gateway.compiler.operations import Operations, Prepared
from gateway.compiler.plan import ForeignPick
from gateway.engine.binding import Bound, Values, bind
from gateway.engine.budget import Bounds, Budget
from gateway.engine.cells import Tie
from gateway.engine.choice import Offer
from gateway.engine.cost import Costs, Tariff
from gateway.engine.decode import RowDecoders
from gateway.engine.demanding import NOTHING_UNMET, Demanded, check_demands, without
from gateway.engine.disclosure import disclosed
from gateway.engine.explain import Explained
from gateway.engine.findings import Findings
from gateway.engine.foreign import answer_foreign
from gateway.engine.forms.writers import writer_of
from gateway.engine.grouping import Grouping
from gateway.engine.pages import Pages
from gateway.engine.ports import Ports
from gateway.engine.respond import refusal, reply_bytes, stream_headers
from gateway.engine.run import Run
from gateway.engine.stream import StrictFindings, group_pieces, pieces
from gateway.engine.uses import fields_asked, fields_of
from gateway.errors import GatewayError
from gateway.exchange import Form, Frame, Question, Reply, Stream
from gateway.governance.cursors import CursorCodec
from gateway.governance.masks import MaskKeys, mask_function
from gateway.governance.rows import BoundRules
from gateway.governance.views import View, Views
from gateway.observe.usage import Usage
from gateway.slo.board import Board

__all__ = ["Engine"]

_LARGE_CHARACTERS = 2_000
_LARGE_VALUES = 500
_ALL_USES: frozenset[Use] = frozenset()


class Engine:
    """Everything that answers questions over one snapshot of the mesh.

    ``clock``: now, aware. ``settled``: told about every finished request's cost: (product, outcome, seconds).
    """

    def __init__(
        self,
        snapshot: Snapshot,
        policy: MeshPolicy,
        *,
        secret: bytes,
        limits: Limits,
        bounds: Bounds,
        clock: Callable[[], dt.datetime],
        board: Board,
        introspection_products_max: int = 60,
        views_max: int = 1_000,
        kept_max_bytes: int = 64 * 1024 * 1024,
        fragments_max_bytes: int = 32 * 1024 * 1024,
        usage: Usage | None = None,
        on_compiled: Callable[[float], None] = lambda _: None,
        on_executable: Callable[[bool], None] = lambda _: None,
        on_read: Callable[[str, str, float], None] = lambda _product, _outcome, _seconds: None,
        on_internal: Callable[[BaseException, str], None] = lambda _error, _id: None,
        on_dropped: Callable[[str, int], None] = lambda _product, _rows: None,
        on_disclosed: Callable[[str, tuple[str, ...], str], None] = lambda _product, _columns, _request_id: None,
        on_cost: Callable[[float, int, int | None], None] = lambda _cost, _estimated, _read: None,
        tariff: Tariff = Tariff(),  # noqa: B008
        on_drift: Callable[[str, str, list[int]], None] = lambda _product, _caller, _rows: None,
    ) -> None:
        self.snapshot = snapshot
        self.policy = policy
        self.board = board
        self.bounds = bounds
        self._clock = clock
        self._views = Views(policy, [product.contract for product in snapshot.products.values()], views_max)
        self._rules = BoundRules()
        self._masks = MaskKeys(secret)
        self._cursors = CursorCodec(secret)
        slices = Slices(snapshot, mesh_field())
        fragments = Fragments(fragments_max_bytes)
        self._described = Described(snapshot, mesh_field(), products_max=introspection_products_max, kept=fragments)
        self._operations = Operations(snapshot, slices, self._masks, limits, kept_max_bytes=kept_max_bytes, on_compiled=on_compiled)
        self._decoders: dict[tuple[str, int, int], RowDecoders] = {}
        self._compiler = ThreadPoolExecutor(1, "compiler")
        self._cataloguer = ThreadPoolExecutor(1, "cataloguer")
        self._on_executable = on_executable
        self._on_internal = on_internal
        ports = (port for product in snapshot.products.values() for port in product.ports)
        self._unprobed = {id(port): port for port in ports if isinstance(port, Probes)}
        self._on_dropped = on_dropped
        self._on_disclosed = on_disclosed
        self._on_drift = on_drift
        self.usage = usage if usage is not None else Usage()
        self._on_read = on_read
        self._on_cost = on_cost
        self._rows = tariff.rows
        self._costs = Costs(tariff, bounds, self._offers)
        # By product and the port's identity; successors share them, so that no proof and no disproof is lost on the way.
        self._proved: set[tuple[str, int]] = set()
        self._proved_totals: set[tuple[str, int]] = set()

    def note_proof(self, product: Product, port: Port, *, proved: bool, totals: bool | None = None) -> None:
        """Take in whether a port's counts under row rules hold (SPEC A6), and its ``totals``; until then they are made here, from rows."""
        known = self.snapshot.products.get(product.id)
        if known is None or not any(it is port for it in known.ports):
            return  # it was asked before the product was changed
        key = (product.id, id(port))
        (self._proved.add if proved else self._proved.discard)(key)
        (self._proved_totals.add if (proved if totals is None else totals) else self._proved_totals.discard)(key)

    def successor(self, change: Change) -> Engine:
        """Make the engine of the next snapshot, which shares what the change does not touch; this one finishes what it has begun."""
        made = copy(self)
        made.snapshot = snapshot = change.snapshot
        made._views = self._views.successor(product.contract for product in snapshot.products.values())
        made._rules = BoundRules()
        made._costs = self._costs.successor(made._offers)
        made._described = self._described.successor(snapshot)
        made._operations = self._operations.successor(snapshot, Slices(snapshot, mesh_field()), change.touched)
        # Lists first: this runs beside the loop, where requests add to both.
        made._decoders = {key: it for key, it in list(self._decoders.items()) if key[0] not in change.replaced}
        gone = {id(port) for id_ in change.replaced if id_ in self.snapshot.products for port in self.snapshot.products[id_].ports}
        come = [port for id_ in change.replaced if id_ in snapshot.products for port in snapshot.products[id_].ports]
        made._unprobed = {key: it for key, it in list(self._unprobed.items()) if key not in gone}
        made._unprobed |= {id(it): it for it in come if isinstance(it, Probes)}
        return made

    def succeed(self, last: Engine) -> None:
        """Take over from the last engine, whose ports that are here no longer are trusted no longer."""
        here = {id(port) for product in self.snapshot.products.values() for port in product.ports}
        for proofs in (last._proved, last._proved_totals):
            proofs.difference_update([key for key in proofs if key[1] not in here])

    # -- a question --------------------------------------------------------------------------------------------------------

    async def answer(self, question: Question, frame: Frame) -> Reply:
        """Answer a question. Never raises but for cancellation."""
        try:
            now = self._clock()
            view = self._views.of(frame.caller, now)
            prepared, variables, executable = await self._compiled(question, frame, view)
            rules = self._bound_rules(executable, frame.caller)
            values = Values(variables, prepared.literals)
            bound = bind(executable, values, self.bounds, decision=view.digest, rules=rules, long_as_text=frame.long_as_text)
            self._note_disclosures(executable, bound, frame)
            self._note_use(executable, bound, frame.caller, now)
            demanded = self._demanded(executable, variables, bound)
            budget = Budget(self.bounds, frame.deadline_s, frame.upstream_headers)
            run = self._run(executable, bound, rules, budget, prepared, question, frame, view, demanded)
            if self._unprobed:
                await self._know_ports(executable, demanded)
            cost, rows = self._costs.checked(executable, bound, rules)
            # Every read ends by itself before the deadline; see `Budget`.
            data = await run.data()
            self._on_cost(cost, rows, budget.rows)
            return self._reply(executable, run, data, frame)
        except GatewayError as error:
            return refusal(error, frame.request_id)
        except TimeoutError:
            return refusal(GatewayError("DEADLINE_EXCEEDED", "The time for this request is over."), frame.request_id)
        except Exception as error:
            self._on_internal(error, frame.request_id)
            return refusal(GatewayError("INTERNAL", "Something went wrong in the gateway.", id=frame.request_id), frame.request_id)

    async def stream(self, question: Question, frame: Frame, form: Form) -> Stream | Reply:
        """Begin to answer a question in another form; what fails before the first piece is a refusal. Never raises but for cancellation."""
        try:
            async with asyncio.timeout_at(frame.deadline_s):
                return await self._streamed(question, frame, form)
        except GatewayError as error:
            return refusal(error, frame.request_id)
        except TimeoutError:
            return refusal(GatewayError("DEADLINE_EXCEEDED", "The time for this request is over."), frame.request_id)
        except Exception as error:
            self._on_internal(error, frame.request_id)
            return refusal(GatewayError("INTERNAL", "Something went wrong in the gateway.", id=frame.request_id), frame.request_id)

    def explained(self, question: Question, frame: Frame) -> Explained:
        """Plan a question for a caller without running it. **Raises** `GatewayError` as answering would, but for missing variables."""
        view = self._views.of(frame.caller, self._clock())
        trace = self._operations.trace(question.variables)
        prepared = self._operations.prepare(question.query, question.operation_name, view, long_as_text=frame.long_as_text, trace=trace)
        given = dict.fromkeys(prepared.conditions, True) | (question.variables or {})
        executable = self._operations.executable(prepared, given)
        missing = self._operations.missing(prepared, given)
        values = Values({} if missing else self._operations.variables(prepared, given), prepared.literals)
        rules = self._bound_rules(executable, frame.caller)
        bound = bind(executable, values, self.bounds, decision=view.digest, rules=rules, long_as_text=frame.long_as_text)
        estimate = self._costs.estimate(executable, bound, rules)
        return Explained(executable, bound, rules, estimate, self._costs.tariff, self.bounds, missing)

    async def _compiled(self, question: Question, frame: Frame, view: View) -> tuple[Prepared, dict[str, Any], Executable]:
        is_short = len(question.query) <= _LARGE_CHARACTERS
        if not _is_large(question.variables) and (
            is_short or self._operations.find(question.query, question.operation_name, view, long_as_text=frame.long_as_text)
        ):
            return self._compile(question, frame, view)
        # A large document takes long to judge, and so do large variables; the loop goes on with other requests meanwhile.
        async with asyncio.timeout_at(frame.deadline_s):
            return await asyncio.get_running_loop().run_in_executor(self._compiler, self._compile, question, frame, view)

    def _compile(self, question: Question, frame: Frame, view: View) -> tuple[Prepared, dict[str, Any], Executable]:
        prepared = self._prepared(question, frame, view)
        variables = self._operations.variables(prepared, question.variables)
        return prepared, variables, self._operations.executable(prepared, variables)

    def _prepared(self, question: Question, frame: Frame, view: View) -> Prepared:
        text, name, long_as_text = question.query, question.operation_name, frame.long_as_text
        trace = self._operations.trace(question.variables)
        found = self._operations.find(text, name, view, long_as_text=long_as_text, trace=trace)
        self._on_executable(found is not None)
        if found is None:
            if frame.queries_only:
                document = self._operations.document(text, name)
                if document.operation.operation is not OperationType.QUERY:
                    raise GatewayError("METHOD_NOT_ALLOWED", "GET is for queries only.")
            found = self._operations.prepare(text, name, view, long_as_text=long_as_text, owner=frame.caller.subject, trace=trace)
        return found

    async def _streamed(self, question: Question, frame: Frame, form: Form) -> Stream:
        frame = msgspec.structs.replace(frame, long_as_text=frame.long_as_text and form is Form.JSONL)
        now = self._clock()
        view = self._views.of(frame.caller, now)
        prepared, variables, executable = await self._compiled(question, frame, view)
        flat = flat_list(executable)
        rules = self._bound_rules(executable, frame.caller)
        bounds = replace(self.bounds, rows_max=self.bounds.stream_rows_max)
        values = Values(variables, prepared.literals)
        bound = bind(executable, values, bounds, decision=view.digest, rules=rules, long_as_text=frame.long_as_text)
        self._note_disclosures(executable, bound, frame)
        self._note_use(executable, bound, frame.caller, now)
        demanded = self._demanded(executable, variables, bound, may_null=False)
        write_with = await writer_of(form, flat)
        if self._unprobed:
            await self._know_ports(executable, demanded)
        cost, rows = self._costs.checked(executable, bound, rules, streams=True)
        self._on_cost(cost, rows, None)
        findings = StrictFindings()
        run = Run(
            executable=executable,
            bound=bound,
            rules=rules,
            # Every batch has a budget of its own but for the time.
            open=lambda step: self._open(step, Budget(self.bounds, frame.deadline_s, frame.upstream_headers), rules[step.product.id]),
            cursors=self._cursors,
            board=self.board,
            foreign=lambda pick: self._beside(frame, self._foreign, pick, prepared, question, frame, view, findings.errors),
            long_as_text=frame.long_as_text,
            encodes=False,
            findings=findings,
        )
        # Groups are all there before the first is written, and then it is known what they were formed by.
        groups = None if flat.groups is None else await run.totals.groups(flat.groups)
        read = _with_partners(executable.products, run.totals.read)
        products = tuple(id_ for id_, _ in read)
        about = {"mesh.slo": self.board.block(read), "mesh.masked": executable.masked, "mesh.denied": executable.denied}
        if demanded.warnings:
            about["mesh.unmet"] = msgspec.json.encode(demanded.warnings)
        writer = write_with(about)
        asked = bound[flat.step.path if flat.groups is None else flat.groups.path]
        if groups is not None:
            assert isinstance(asked, Grouping)
            most, made = asked.first, group_pieces(*groups, asked, writer)
        else:
            assert isinstance(asked, Bound)
            most, made = asked.asked.first, pieces(run, flat, writer)
        rest = self._guarded(made, run, frame)
        first = await anext(rest)
        headers = stream_headers(executable, self.board.status(products), most, demanded.warnings)
        return Stream(flat.name, headers, first, rest, writer.failure, products)

    async def _guarded(self, source: AsyncGenerator[bytes, None], run: Run, frame: Frame) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(source):
                async for piece in source:
                    yield piece
        except GatewayError:
            raise
        except Exception as error:
            self._on_internal(error, frame.request_id)
            raise GatewayError("INTERNAL", "Something went wrong in the gateway.", id=frame.request_id) from None
        finally:
            self._tell_of(run, frame)

    def _tell_of(self, run: Run, frame: Frame) -> None:
        for product, dropped in run.findings.dropped.items():
            self._on_dropped(product, dropped)
        for product, rows in run.findings.drifted.items():
            self._on_drift(product, frame.caller.subject, rows)

    def _note_use(self, executable: Executable, bound: Mapping[tuple[str, ...], Any], caller: Caller, now: dt.datetime) -> None:
        plan = executable.ruled.plan
        if not self.usage.note(now.date(), caller.client, plan.shape):
            self.usage.describe(plan.shape, fields_of(plan), operation=plan.name)
        if named := fields_asked(executable, bound):
            self.usage.describe(plan.shape, named)

    def _bound_rules(self, executable: Executable, caller: Caller) -> dict[str, tuple[Predicate, ...]]:
        products = self.snapshot.products
        return {id_: self._rules.of(ruling, caller, products[id_].contract) for id_, ruling in executable.rulings.items()}

    def _note_disclosures(self, executable: Executable, bound: Mapping[tuple[str, ...], Any], frame: Frame) -> None:
        if executable.lifted:
            for product, columns in disclosed(executable, bound).items():
                self._on_disclosed(product, columns, frame.request_id)

    def _demanded(
        self, executable: Executable, variables: Mapping[str, Any], bound: Mapping[tuple[str, ...], Any], *, may_null: bool = True
    ) -> Demanded:
        if not executable.demands:
            return NOTHING_UNMET
        return check_demands(executable, variables, bound, self.board, self._clock(), may_null=may_null)

    async def _know_ports(self, executable: Executable, demanded: Demanded) -> None:
        """Let ports that nobody has probed yet say what they can do; one that does not answer fails when it is read."""
        unread = {id_ for id_, _ in executable.products} - {id_ for id_, _ in without(executable.products, demanded)}
        products = [self.snapshot.products[id_] for id_ in executable.rulings if id_ not in unread]
        # Where one port of a product is known, nobody waits for the others.
        unknown = [self._unprobed[id(port)] for it in products if all(map(self._is_unknown, it.ports)) for port in it.ports]
        await asyncio.gather(*(port.probe(Call(self.bounds.upstream_timeout_s)) for port in unknown), return_exceptions=True)

    def _is_unknown(self, port: Port) -> bool:
        found = self._unprobed.get(id(port))
        if found is not None and found.probed:
            del self._unprobed[id(port)]
            return False
        return found is not None

    def _run(
        self,
        executable: Executable,
        bound: Mapping[tuple[str, ...], Any],
        rules: dict[str, tuple[Predicate, ...]],
        budget: Budget,
        prepared: Prepared,
        question: Question,
        frame: Frame,
        view: View,
        demanded: Demanded,
    ) -> Run:
        findings = Findings()
        return Run(
            executable=executable,
            bound=bound,
            rules=rules,
            open=lambda step: self._open(step, budget, rules[step.product.id]),
            cursors=self._cursors,
            board=self.board,
            foreign=lambda pick: self._beside(frame, self._foreign, pick, prepared, question, frame, view, findings.errors),
            long_as_text=frame.long_as_text,
            findings=findings,
            demanded=demanded,
        )

    def _open(self, step: Step, budget: Budget, rules: tuple[Predicate, ...]) -> Ports:
        product = step.product
        if product.ports:
            return Ports(product, lambda port: self._pages(step, port, budget, rules), self._offers, self._rows.get(product.contract.key))
        owner = product.contract.metadata.owner
        raise GatewayError(
            "UPSTREAM_UNAVAILABLE",
            f"{product.id} has no endpoint that this gateway reads.",
            hint=f"Tell {owner}, or set its endpoint.",
            product=product.id,
            owner=owner,
        )

    def _offers(self, product: Product) -> list[Offer]:
        return [
            Offer(
                port,
                # Not isinstance of the protocols, which looks at every member anew: this is asked of every read.
                getattr(port, "serves", _ALL_USES),
                trusts_counts=(product.id, id(port)) in self._proved,
                trusts_totals=(product.id, id(port)) in self._proved_totals,
                is_known=getattr(port, "probed", True),
            )
            for port in product.ports
        ]

    def _pages(self, step: Step, port: Port, budget: Budget, rules: tuple[Predicate, ...]) -> Pages:
        product = step.product
        unusable = step.unusable
        tie = self._tie(product) if unusable and unusable.intersection(product.primary_key) else None
        return Pages(
            product,
            port,
            self._decoders_of(product, port),
            budget,
            visible=step.columns,
            rules=rules,
            ties={name: tie for name in product.primary_key if name in unusable} if tie is not None else {},
            unusable=unusable,
            trusts_counts=(product.id, id(port)) in self._proved,
            trusts_totals=(product.id, id(port)) in self._proved_totals,
            pin=port.name if len(product.ports) > 1 else "",
            on_read=self._on_read,
        )

    def _tie(self, product: Product) -> Tie:
        pseudonym = mask_function(Mask(MaskKind.PSEUDONYM), Scalar(Kind.STRING), self._masks, product.contract.metadata.domain)
        return lambda cell: None if cell is None else pseudonym(str(cell))

    def _decoders_of(self, product: Product, port: Port) -> RowDecoders:
        key = (product.id, id(port), port.capabilities.level)
        found = self._decoders.get(key)
        if found is None:
            found = self._decoders[key] = RowDecoders(product, port.spelling)
        return found

    async def _beside(self, frame: Frame, work: Callable[..., Any], *given: Any) -> Any:
        """Let graphql-core walk schemas and catalogues beside the loop, which goes on meanwhile."""
        async with asyncio.timeout_at(frame.deadline_s):
            return await asyncio.get_running_loop().run_in_executor(self._cataloguer, work, *given)

    def _foreign(
        self, pick: ForeignPick, prepared: Prepared, question: Question, frame: Frame, view: View, errors: list[dict[str, Any]]
    ) -> Any:
        document = self._operations.document(prepared.text, prepared.name)
        if pick.name != "mesh":
            variables = self._operations.variables(prepared, question.variables)
            asked = asked_of(pick.key, document.operation.selection_set.selections, document.fragments, variables)
            return msgspec.Raw(self._described.answer(asked, lambda product: view.ruling(product.contract), frame.scope))
        context = MeshContext(self.snapshot, lambda product: view.ruling(product.contract), self.board)
        result = answer_foreign(pick, document, mesh_schema()._schema, question.variables, context)
        for error in result.errors or ():
            # Strawberry's resolvers read the catalogue only: an error here is ours.
            self._on_internal(error, frame.request_id)
            errors.append(
                GatewayError("INTERNAL", "Something went wrong in the gateway.", path=tuple(error.path or ()), id=frame.request_id).entry()
            )
        return None if result.data is None else result.data[pick.key]

    def _reply(self, executable: Executable, run: Run, data: Any, frame: Frame) -> Reply:
        errors: list[dict[str, Any]] = run.findings.errors if frame.denied_silently else [*run.findings.errors, *executable.ruled.refusals]
        self._tell_of(run, frame)
        read = _with_partners(executable.products, run.totals.read)
        if run.demanded.nulled:
            read = without(read, run.demanded)
        slo, status = self.board.stamp(read)
        unmet = run.demanded.warnings
        body = reply_bytes(data, errors, slo=slo, masked=executable.masked, denied=executable.denied, unmet=unmet)
        products = executable.product_ids if read is executable.products else tuple(id_ for id_, _ in read)
        headers = (("Mesh-Slo-Status", status),) if products else ()
        return Reply(body, has_data=True, headers=headers, has_errors=bool(errors), products=products)

    def close(self) -> None:
        """Let go of the threads."""
        for pool in (self._compiler, self._cataloguer):
            pool.shutdown(wait=False, cancel_futures=True)

    def sdl(self, frame: Frame) -> str:
        """Print the schema that the caller sees. Raises: LIMIT_EXCEEDED where it is too large and no scope narrows it."""
        view = self._views.of(frame.caller, self._clock())
        return self._described.sdl(lambda product: view.ruling(product.contract), frame.scope)


def _is_large(variables: Mapping[str, Any] | None) -> bool:
    count = 0
    pending: list[Any] = [variables] if variables else []
    while pending:
        value = pending.pop()
        if isinstance(value, dict | list):
            count += len(value)
            if count > _LARGE_VALUES:
                return True
            pending.extend(value.values() if isinstance(value, dict) else value)
    return False


def _with_partners(
    products: tuple[tuple[str, tuple[str, ...]], ...], partners: Mapping[str, list[str]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Add the products that groups were formed by to those that an operation reads."""
    if not partners:
        return products
    found = dict(products)
    for id_, paths in sorted(partners.items()):  # not as their reads happened to begin
        found[id_] = (*found.get(id_, ()), *sorted(paths))
    return tuple(found.items())
