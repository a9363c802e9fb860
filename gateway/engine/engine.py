"""One snapshot of the mesh, ready to answer: a question goes in, the encoded answer comes out.

`Engine.answer` names every stage of a request in order. Touches the network through ports only.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import msgspec
from graphql import OperationType

from contracts import MeshPolicy
from contracts.predicates import Predicate
from domain_adapters.port import Port
from gateway.caller import Caller
from gateway.catalog.change import Change
from gateway.catalog.described import Described
from gateway.catalog.fragments import Fragments
from gateway.catalog.introspection import asked_of
from gateway.catalog.listing import Listing
from gateway.catalog.mesh import MeshContext, mesh_field, mesh_schema
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.executable import Executable
from gateway.compiler.flat import flat_list
from gateway.compiler.judging import UnexplainedError
from gateway.compiler.limits import Limits
from gateway.compiler.operations import Operations
from gateway.compiler.plan import ForeignPick
from gateway.compiler.prepared import Prepared
from gateway.engine.asking.binding import Values, bind
from gateway.engine.asking.disclosure import disclosed
from gateway.engine.asking.uses import fields_asked, fields_of
from gateway.engine.budget import Bounds, Budget, Budgets
from gateway.engine.case import Case
from gateway.engine.demanding import NOTHING_UNMET, check_demands, without
from gateway.engine.encoding import in_pieces
from gateway.engine.explaining.cost import Costs, Tariff
from gateway.engine.explaining.explain import Explained
from gateway.engine.foreign import answer_foreign
from gateway.engine.reading.findings import Findings
from gateway.engine.reading.readers import Readers
from gateway.engine.respond import receipts_bytes, refusal, reply_bytes, reply_pieces
from gateway.engine.run import Run
from gateway.engine.signals import Signals
from gateway.engine.stream import StrictFindings, begin
from gateway.engine.totals.connections import with_partners
from gateway.errors import GatewayError
from gateway.exchange import Form, Frame, Question, Reply, Stream
from gateway.governance.cursors import CursorCodec
from gateway.governance.masks import MaskKeys
from gateway.governance.rows import BoundRules
from gateway.governance.views import View, Views
from gateway.observe.usage import Usage
from gateway.slo.board import Board

__all__ = ["Engine"]

_T = TypeVar("_T")
_LARGE_CHARACTERS = 300
_LARGE_VALUES = 500


class Engine:
    """Everything that answers questions over one snapshot of the mesh.

    ``clock``: now, aware. ``readers``: what is known of ports. ``usage``: who uses which fields.
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
        tariff: Tariff = Tariff(),  # noqa: B008  # frozen
        signals: Signals = Signals(),  # noqa: B008  # holds nothing that changes
    ) -> None:
        self.snapshot = snapshot
        self.policy = policy
        self.board = board
        self.bounds = bounds
        self.signals = signals
        self.usage = usage if usage is not None else Usage()
        masks = MaskKeys(secret)
        self.readers = Readers(snapshot, masks, rows=tariff.rows, on_read=signals.read, on_failover=signals.failover)
        self._clock = clock
        self._views = Views(policy, [product.contract for product in snapshot.products.values()], views_max)
        self._rules = BoundRules()
        self._cursors = CursorCodec(secret)
        slices = Slices(snapshot, mesh_field())
        fragments = Fragments(fragments_max_bytes)
        self._described = Described(snapshot, mesh_field(), products_max=introspection_products_max, kept=fragments)
        self._operations = Operations(snapshot, slices, masks, limits, kept_max_bytes=kept_max_bytes, on_compiled=signals.compiled)
        self._costs = Costs(tariff, bounds, self.readers.offers)
        self._compiler = ThreadPoolExecutor(1, "compiler")
        self._cataloguer = ThreadPoolExecutor(1, "cataloguer")

    def note_proof(self, product: Product, port: Port, *, proved: bool, totals: bool | None = None) -> None:
        """Take in whether a port's counts under row rules hold (SPEC A6), and its ``totals``; until then they are made here, from rows."""
        self.readers.note_proof(product, port, proved=proved, totals=proved if totals is None else totals)

    def successor(self, change: Change) -> Engine:
        """Make the engine of the next snapshot, which shares what the change does not touch; this one finishes what it has begun."""
        made = copy(self)
        made.snapshot = snapshot = change.snapshot
        made.readers = self.readers.successor(change)
        before, after = ([it.products[id_].contract for id_ in change.replaced if id_ in it.products] for it in (self.snapshot, snapshot))
        made._views = self._views.successor(before, after, (product.contract for product in snapshot.products.values()))
        made._rules = BoundRules()
        made._costs = self._costs.successor(made.readers.offers)
        made._described = self._described.successor(snapshot)
        made._operations = self._operations.successor(snapshot, Slices(snapshot, mesh_field()), change.touched)
        return made

    # -- a question --------------------------------------------------------------------------------------------------------

    async def answer(self, question: Question, frame: Frame) -> Reply:
        """Answer a question. Never raises but for cancellation."""
        budget = Budget(self.bounds, frame.deadline_s, frame.upstream_headers)
        try:
            case = await self._opened(question, frame, self.bounds)
            run = self._run(case, lambda: budget)
            # Every read ends by itself before the deadline; see `Budget`.
            data = await run.data()
            self.signals.cost(case.cost, case.rows, budget.rows)
            pieces = await in_pieces(data, budget.spend) if budget.is_large else []
            return self._reply(case, run, data, pieces)
        except Exception as error:
            return self._refused(error, frame)
        finally:
            budget.close()

    async def stream(self, question: Question, frame: Frame, form: Form) -> Stream | Reply:
        """Begin to answer a question in another form; what fails before the first piece is a refusal. Never raises but for cancellation."""
        begins = ExitStack()
        try:
            async with asyncio.timeout_at(frame.deadline_s):
                frame = msgspec.structs.replace(frame, long_as_text=frame.long_as_text and form is Form.JSONL)
                bounds = replace(self.bounds, rows_max=self.bounds.stream_rows_max)
                case = await self._opened(question, frame, bounds, streams=True)
                self.signals.cost(case.cost, case.rows, None)
                # Every batch has a budget of its own but for the time.
                budgets = Budgets(lambda: Budget(self.bounds, frame.deadline_s, frame.upstream_headers))
                begins.callback(budgets.close)
                run = self._run(case, lambda: budgets.current, streams=True)
                begun = await begin(case, run, form, self.board, budgets)
                rest = self._guarded(begun.pieces, case, run, budgets)
                begins.pop_all()
                return Stream(begun.name, begun.headers, await anext(rest), rest, begun.last_words, begun.products)
        except Exception as error:
            return self._refused(error, frame)
        finally:
            begins.close()

    def explained(self, question: Question, frame: Frame) -> Explained:
        """Plan a question for a caller without running it. **Raises** `GatewayError` as answering would, but for missing variables."""
        view = self._views.of(frame.caller, self._clock())
        trace = self._operations.trace(question.variables)
        prepared = self._operations.prepare(question.query, question.operation_name, view, long_as_text=frame.long_as_text, trace=trace)
        given = dict.fromkeys(prepared.conditions, True) | (question.variables or {})
        executable = self._operations.executable(prepared, given)
        missing = self._operations.missing(prepared, given)
        values = Values({} if missing else self._operations.variables(prepared, given, view), prepared.literals)
        rules = self._bound_rules(executable, frame.caller)
        bound = bind(executable, values, self.bounds, decision=view.digest, rules=rules, long_as_text=frame.long_as_text)
        estimate = self._costs.estimate(executable, bound, rules)
        return Explained(executable, bound, rules, estimate, self._costs.tariff, self.bounds, missing)

    def sdl(self, frame: Frame) -> str:
        """Print the schema that the caller sees. **Raises** LIMIT_EXCEEDED where it is too large and no scope narrows it."""
        view = self._views.of(frame.caller, self._clock())
        return self._described.sdl(lambda product: view.ruling(product.contract), frame.scope)

    def close(self) -> None:
        """Let go of the threads."""
        for pool in (self._compiler, self._cataloguer):
            pool.shutdown(wait=False, cancel_futures=True)

    # -- stages ------------------------------------------------------------------------------------------------------------

    async def _opened(self, question: Question, frame: Frame, bounds: Bounds, *, streams: bool = False) -> Case:
        """Do all that goes before the first read: compile, rule, bind, tell, hold against demands and cost."""
        now = self._clock()
        view = self._views.of(frame.caller, now)
        is_large = _is_large(question.variables)
        try:
            if is_large or (len(question.query) > _LARGE_CHARACTERS and not self._is_known(question, frame, view)):
                raise UnexplainedError
            prepared, variables, executable = self._compile(question, frame, view, explains=False)
        except UnexplainedError:
            # A large document takes long to judge, so do large variables, and to say what is wrong; the loop goes on with others meanwhile.
            prepared, variables, executable = await self._apart(frame, self._compile, question, frame, view)
        flat = flat_list(executable) if streams else None
        rules = self._bound_rules(executable, frame.caller)
        values = Values(variables, prepared.literals)
        long_as_text = frame.long_as_text
        if is_large:
            binding = partial(bind, executable, values, bounds, decision=view.digest, rules=rules, long_as_text=long_as_text)
            bound = await self._apart(frame, binding)
        else:
            bound = bind(executable, values, bounds, decision=view.digest, rules=rules, long_as_text=long_as_text)
        if executable.lifted:
            for product, columns in disclosed(executable, bound).items():
                self.signals.disclosed(product, columns, frame.request_id)
        self._note_use(executable, bound, frame.caller, now)
        demanded = NOTHING_UNMET
        if executable.demands:
            demanded = check_demands(executable, variables, bound, self.board, now, may_null=not streams)
        case = Case(question, frame, view, prepared, executable, rules, bound, demanded, flat)
        if not self.readers.knows_all:
            await self.readers.know(case.read_products(), bounds.upstream_timeout_s)
        case.cost, case.rows = self._costs.checked(executable, bound, rules, streams=streams)
        return case

    def _is_known(self, question: Question, frame: Frame, view: View) -> bool:
        return self._operations.find(question.query, question.operation_name, view, long_as_text=frame.long_as_text) is not None

    async def _apart(self, frame: Frame, work: Callable[..., _T], *given: Any) -> _T:
        async with asyncio.timeout_at(frame.deadline_s):
            return await asyncio.get_running_loop().run_in_executor(self._compiler, work, *given)

    def _compile(
        self, question: Question, frame: Frame, view: View, *, explains: bool = True
    ) -> tuple[Prepared, dict[str, Any], Executable]:
        prepared = self._prepared(question, frame, view, explains=explains)
        variables = self._operations.variables(prepared, question.variables, view, explains=explains)
        return prepared, variables, self._operations.executable(prepared, variables)

    def _prepared(self, question: Question, frame: Frame, view: View, *, explains: bool) -> Prepared:
        text, name, long_as_text = question.query, question.operation_name, frame.long_as_text
        trace = self._operations.trace(question.variables)
        found = self._operations.find(text, name, view, long_as_text=long_as_text, trace=trace)
        if found is None:
            if frame.queries_only:
                document = self._operations.document(text, name)
                if document.operation.operation is not OperationType.QUERY:
                    raise GatewayError("METHOD_NOT_ALLOWED", "GET is for queries only.")
            found = self._operations.prepare(
                text, name, view, long_as_text=long_as_text, owner=frame.caller.subject, trace=trace, explains=explains
            )
            self.signals.executable(False)
        else:
            self.signals.executable(True)
        return found

    def _bound_rules(self, executable: Executable, caller: Caller) -> dict[str, tuple[Predicate, ...]]:
        products = self.snapshot.products
        return {id_: self._rules.of(ruling, caller, products[id_].contract) for id_, ruling in executable.rulings.items()}

    def _run(self, case: Case, budget: Callable[[], Budget], *, streams: bool = False) -> Run:
        findings = StrictFindings() if streams else Findings()
        rules = case.rules
        return Run(
            executable=case.executable,
            bound=case.bound,
            rules=rules,
            open=lambda step: self.readers.open(step, budget(), rules[step.product.id]),
            cursors=self._cursors,
            board=self.board,
            foreign=lambda pick: self._beside(case.frame, self._foreign, pick, case, findings.errors),
            long_as_text=case.frame.long_as_text,
            encodes=not streams,
            spend=lambda text: budget().spend(text),
            findings=findings,
            demanded=case.demanded,
        )

    async def _beside(self, frame: Frame, work: Callable[..., Any], *given: Any) -> Any:
        """Let graphql-core walk schemas and catalogues beside the loop, which goes on meanwhile."""
        async with asyncio.timeout_at(frame.deadline_s):
            return await asyncio.get_running_loop().run_in_executor(self._cataloguer, work, *given)

    def _foreign(self, pick: ForeignPick, case: Case, errors: list[dict[str, Any]]) -> Any:
        document = self._operations.document(case.prepared.text, case.prepared.name)
        if pick.name != "mesh":
            variables = self._operations.variables(case.prepared, case.question.variables, case.view)
            asked = asked_of(pick.key, document.operation.selection_set.selections, document.fragments, variables)
            return msgspec.Raw(self._described.answer(asked, case.ruling_of, case.frame.scope))
        listing = Listing(self.snapshot, case.ruling_of, case.standing_of, self._cursors, case.view.digest, self.bounds.rows_max)
        result = answer_foreign(pick, document, mesh_schema()._schema, case.question.variables, MeshContext(listing, self.board))
        for error in result.errors or ():
            if isinstance(error.original_error, GatewayError):
                raise error.original_error
        # Strawberry's resolvers read the catalogue only: any other error here is ours.
        errors += [self._fault(error, case.frame, tuple(error.path or ())).entry() for error in result.errors or ()]
        return None if result.data is None else result.data[pick.key]

    # -- the end -----------------------------------------------------------------------------------------------------------

    def _reply(self, case: Case, run: Run, data: Any, pieces: list[bytes]) -> Reply:
        executable, frame = case.executable, case.frame
        errors: list[dict[str, Any]] = run.findings.errors if frame.denied_silently else [*run.findings.errors, *executable.ruled.refusals]
        self._tell_of(run, frame)
        read = with_partners(executable.products, run.totals.read)
        if run.demanded.nulled:
            read = without(read, run.demanded)
        slo, status = self.board.stamp(read)
        unmet = run.demanded.warnings
        receipts = receipts_bytes(slo=slo, masked=executable.masked, denied=executable.denied, unmet=unmet)
        body, *rest = reply_pieces(pieces, errors, receipts) if pieces else (reply_bytes(data, errors, receipts),)
        products = executable.product_ids if read is executable.products else tuple(id_ for id_, _ in read)
        headers = (("Mesh-Slo-Status", status),) if products else ()
        return Reply(body, has_data=True, headers=headers, has_errors=bool(errors), products=products, rest=tuple(rest))

    async def _guarded(self, source: AsyncGenerator[bytes, None], case: Case, run: Run, budgets: Budgets) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(source):
                async for piece in source:
                    yield piece
        except GatewayError:
            raise
        except Exception as error:
            raise self._fault(error, case.frame) from None
        finally:
            budgets.close()
            self._tell_of(run, case.frame)

    def _refused(self, error: Exception, frame: Frame) -> Reply:
        match error:
            case GatewayError():
                return refusal(error, frame.request_id)
            case TimeoutError():
                return refusal(GatewayError("DEADLINE_EXCEEDED", "The time for this request is over."), frame.request_id)
        return refusal(self._fault(error, frame), frame.request_id)

    def _fault(self, error: Exception, frame: Frame, path: tuple[str | int, ...] | None = None) -> GatewayError:
        self.signals.internal(error, frame.request_id)
        return GatewayError("INTERNAL", "Something went wrong in the gateway.", path=path, id=frame.request_id)

    def _tell_of(self, run: Run, frame: Frame) -> None:
        for product, dropped in run.findings.dropped.items():
            self.signals.dropped(product, dropped)
        for product, rows in run.findings.drifted.items():
            self.signals.drift(product, frame.caller.subject, rows)

    def _note_use(self, executable: Executable, bound: Mapping[tuple[str, ...], Any], caller: Caller, now: dt.datetime) -> None:
        plan = executable.ruled.plan
        if not self.usage.note(now.date(), caller.client, plan.shape):
            self.usage.describe(plan.shape, fields_of(plan), operation=plan.name)
        if named := fields_asked(executable, bound):
            self.usage.describe(plan.shape, named)


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
