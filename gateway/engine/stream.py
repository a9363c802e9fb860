"""A flat list -> the bytes of one of its forms, piece after piece, with no more than a few batches in memory.

Nothing is ever silently left out: a read that fails ends the form, in a way that shows; cells that did not keep their type are null
and told at the end, or end a form that has no place to tell them. Rejects what reading rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from contracts.model import Use
from contracts.predicates import Operator
from gateway.compiler.executable import PartnerStep, RowShape
from gateway.compiler.flat import FlatList
from gateway.engine.asking.binding import Bound
from gateway.engine.asking.grouping import Group, Grouping
from gateway.engine.budget import Budgets
from gateway.engine.case import Case
from gateway.engine.forms.writer import End, Writer
from gateway.engine.forms.writers import writer_of
from gateway.engine.reading.batches import ahead, read_batches
from gateway.engine.reading.choice import looks_up
from gateway.engine.reading.findings import Findings
from gateway.engine.respond import stream_headers
from gateway.engine.run import Run
from gateway.engine.tasks import in_portions
from gateway.engine.totals.connections import with_partners
from gateway.errors import GatewayError
from gateway.exchange import Form
from gateway.slo.board import Board

__all__ = ["Begun", "StrictFindings", "begin"]

_GROUPS_AT_ONCE = 500


@dataclass(slots=True)
class StrictFindings(Findings):
    """Findings of an answer that has no place for the failure of a part: it fails as a whole."""

    def fail(self, error: GatewayError, path: tuple[str | int, ...]) -> None:
        """Raise the failure of the part at ``path``."""
        if error.path is None and error.code.name != "OVERLOADED":
            error.path = path
        raise error


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer of which nothing has been written yet. ``pieces``: its bytes, of which only the first is made within the request's time."""

    name: str
    headers: tuple[tuple[str, str], ...]
    pieces: AsyncGenerator[bytes, None]
    last_words: Callable[[GatewayError], bytes | None]
    products: tuple[str, ...]


async def begin(case: Case, run: Run, form: Form, board: Board, budgets: Budgets) -> Begun:
    """Prepare to write a case's list as a form. ``budgets``: those that ``run`` reads with.

    **Raises** `GatewayError` NOT_ACCEPTABLE, and where groups cannot be formed.
    """
    flat = case.flat
    assert flat is not None
    write_with = await writer_of(form, flat)
    # Groups are all there before the first is written, and then it is known what they were formed by.
    groups = None if flat.groups is None else await run.totals.groups(flat.groups)
    if groups is not None:
        await run.semijoins.let_go()
    read = with_partners(case.executable.products, run.totals.read)
    products = tuple(id_ for id_, _ in read)
    about = {"mesh.slo": board.block(read), "mesh.masked": case.executable.masked, "mesh.denied": case.executable.denied}
    if case.demanded.warnings:
        about["mesh.unmet"] = msgspec.json.encode(case.demanded.warnings)
    writer = write_with(about)
    asked = case.bound[flat.step.path if flat.groups is None else flat.groups.path]
    if groups is not None:
        assert isinstance(asked, Grouping)
        most, made = asked.first, group_pieces(*groups, asked, writer)
    else:
        assert isinstance(asked, Bound)
        most, made = asked.asked.first, pieces(run, flat, writer, budgets)
    headers = stream_headers(case.executable, board.status(products), most, case.demanded.warnings)
    return Begun(flat.name, headers, made, writer.failure, products)


async def pieces(run: Run, flat: FlatList, writer: Writer, budgets: Budgets) -> AsyncGenerator[bytes, None]:
    """Read, shape and write a list; the first piece is made of the head and the first rows. **Raises** `GatewayError`."""
    bound: Bound = run.bound[flat.step.path]
    asked = await run.asked(flat.step, bound)
    ports = run.open(flat.step)
    if asked.first > ports.pages.budget.bounds.rows_max:
        _check_partners(run, flat.step.row_shapes[0])
    count, has_next = 0, False
    head = writer.head()
    async with aclosing(ahead(ports.stream(asked, read_batches))) as batches:
        async for batch in batches:
            budgets.batch()
            shaped = await run.batch(flat.step, batch, count)
            if (problems := run.findings.problems) and not writer.tells_problems:
                raise _untold(problems[0])
            count += len(shaped)
            has_next = batch.has_next
            if piece := head + writer.rows(shaped):
                head = b""
                yield piece
            # Pages may come at once: other requests get their turn between batches all the same.
            await asyncio.sleep(0)
    await run.semijoins.let_go()
    run.findings.close()
    yield head + writer.end(End(count, has_next, run.findings.errors))


async def group_pieces(groups: list[Group], has_next: bool, grouping: Grouping, writer: Writer) -> AsyncGenerator[bytes, None]:
    """Write groups; as in `pieces`."""
    head = writer.head()
    async for some in in_portions(groups, _GROUPS_AT_ONCE):
        if piece := head + writer.rows([grouping.write(group, None) for group in some]):
            head = b""
            yield piece
    yield head + writer.end(End(len(groups), has_next))


def _check_partners(run: Run, shape: RowShape) -> None:
    """Refuse partners whose port would have to be read whole for every batch of rows."""
    for child in shape.children:
        step = child.step
        assert isinstance(step, PartnerStep)
        names = tuple(step.product.columns[index].name for index in step.target)
        pages = run.open(step).chosen(Use.LOOKUP, keys=names)
        capabilities = pages.port.capabilities
        if not looks_up(capabilities, names) and not (len(names) == 1 and capabilities.tests(names[0], Operator.IN)):
            limit = pages.budget.bounds.rows_max
            raise pages.cannot(f"look up the partners of more than {limit} rows", "Leave its columns out or ask for fewer rows")
        _check_partners(run, step.rows)


def _untold(problem: dict[str, Any]) -> GatewayError:
    told = {key: value for key, value in problem["extensions"].items() if key not in ("code", "hint")}
    hint = "Ask for application/jsonl or Arrow, which tell at their end which cells are null for this reason."
    return GatewayError(problem["extensions"]["code"], problem["message"], path=tuple(problem.get("path", ())), hint=hint, **told)
