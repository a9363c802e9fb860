"""Pages of one product through one port, for one request: asked for, bounded, decoded, ruled on.

A row rule that was pushed is applied again to every row that arrives (SPEC A6). Rejects with PORT_CANNOT, UPSTREAM_INVALID,
UPSTREAM_UNAVAILABLE, DEADLINE_EXCEEDED, LIMIT_EXCEEDED, naming product and owner, never a value. Touches the port.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from contracts.predicates import TRUE, Predicate, columns_of, comparisons_in, disjunction
from domain_adapters.errors import PortBrokenPromiseError, PortCannotError, PortError, PortRefusedError, ReadInvalidError
from domain_adapters.port import Port, Read, calls_of
from domain_adapters.values import canonical_instant
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.budget import Budget
from gateway.engine.decoding.cells import Cells, Tie
from gateway.engine.decoding.cellwise import Bad, Page
from gateway.engine.decoding.decode import RowDecoders
from gateway.engine.decoding.large import fast_in_turns, slow_in_turns
from gateway.engine.reading.pushdown import can_push, divide, looked_up, wanted_of
from gateway.engine.tasks import in_turns, let_go
from gateway.errors import GatewayError
from gateway.observe.traces import span

__all__ = ["OnRead", "Pages", "Walk", "unfit_total"]

_EMPTY_PAGES_MAX = 1_000
_ROWS_AT_ONCE = 1_000
_COMPARED_AT_ONCE = 10_000
_NONE: frozenset[int] = frozenset()
_LARGE_BYTES = 256 * 1024
_SLOW_LARGE_BYTES = 8 * 1024
# How endpoints say that a cursor is none of theirs, or none any more.
_CURSOR_STATUSES = frozenset((400, 404, 410, 422))

OnRead = Callable[[str, str, float, str, int], None]
"""Told of every upstream read: (product id, outcome, seconds, port's name, its level)."""


class Pages:
    """Reads one product through one port, under one caller's bound row rules.

    ``visible``: column indices that the answer and its joins need. ``ties``: how masked primary key columns break ties;
    ``unusable``: columns that the caller sees masked or not at all.
    ``trusts_counts``, ``trusts_totals``: whether the port's counts, aggregates under a row rule have been proved (SPEC A6).
    ``pin``: what cursors of the port's own pages name it by, where the product has others. ``gone``: the port did not answer, or could
    not after all.
    """

    def __init__(
        self,
        product: Product,
        port: Port,
        decoders: RowDecoders,
        budget: Budget,
        *,
        visible: frozenset[int],
        rules: Sequence[Predicate] = (),
        ties: Mapping[str, Tie] | None = None,
        unusable: frozenset[str] = frozenset(),
        trusts_counts: bool = True,
        trusts_totals: bool = True,
        pin: str = "",
        on_read: OnRead = lambda _product, _outcome, _seconds, _port, _level: None,
    ) -> None:
        self.product = product
        self.port = port
        self.budget = budget
        self.visible = visible
        self.rule: Predicate = disjunction(*rules) if rules else TRUE
        self.cells = Cells(product, ties, unusable)
        self.pin = pin
        self.gone = False
        self._decoders = decoders
        self._trusts_counts = trusts_counts
        self._trusts_totals = trusts_totals
        self._on_read = on_read
        # All of them: what one rule lets through another may still mask, row by row.
        self._rule_columns = self.cells.indices(frozenset().union(*map(columns_of, rules))) if rules else _NONE

    # -- what is asked -----------------------------------------------------------------------------------------------------

    def wanted(self, asked: Asked) -> Predicate:
        """Join what was asked with the row rule, and with ``since`` where the port does not know it."""
        return wanted_of(self.product, asked, self.rule, self.port.capabilities)

    def since(self, asked: Asked) -> str | None:
        """Spell ``since`` for a port that knows it."""
        return None if asked.since is None or not self.port.capabilities.since else canonical_instant(asked.since)

    def counts(self, wanted: Predicate) -> bool:
        """Whether the port itself may count what is wanted."""
        capabilities = self.port.capabilities
        if not capabilities.count or (self.rule != TRUE and not self._trusts_counts):
            return False
        return wanted == TRUE or can_push(wanted, capabilities)

    def totals(self, wanted: Predicate) -> bool:
        """Whether the port itself may aggregate what is wanted."""
        return (self.rule == TRUE or self._trusts_totals) and (wanted == TRUE or can_push(wanted, self.port.capabilities))

    def at_once(self, condition: Predicate) -> int:
        """Say how many rows are held against a condition, and the row rule, without a turn of the event loop."""
        if condition is TRUE and self.rule is TRUE:
            return _ROWS_AT_ONCE
        return min(_ROWS_AT_ONCE, 1 + _COMPARED_AT_ONCE // max(1, comparisons_in(condition) + comparisons_in(self.rule)))

    # -- what is answered --------------------------------------------------------------------------------------------------

    async def scan(
        self,
        asked: Asked,
        wanted: Predicate,
        columns: frozenset[int],
        *,
        must: frozenset[int] = frozenset(),
        take: Callable[[list[Any], Fetched], None] = lambda rows, fetched: fetched.rows.extend(rows),
        taken: Callable[[Fetched], None] = lambda _: None,
        at_once: int = _ROWS_AT_ONCE,
    ) -> Fetched:
        """Read every row that matches, within the budget; ``take`` may do something else with a page's rows than keep them.

        ``at_once``: how many of them it takes without a turn of the event loop; ``taken``: told when a page's rows have been.
        """
        fetched = Fetched([])
        walk, passes = self.scanned(asked, wanted, columns, must=must)
        at_once = min(at_once, self.at_once(wanted))
        while (page := await walk.next()) is not None:
            fetched.take(page, self.port)
            async for some in in_turns(page.rows, at_once):
                take(self.ruled(some if passes is None else list(filter(passes, some)), fetched), fetched)
            taken(fetched)
            await let_go(page.rows)
        return fetched

    def scanned(
        self, asked: Asked, wanted: Predicate, columns: frozenset[int], *, must: frozenset[int] = frozenset()
    ) -> tuple[Walk, Callable[[Any], bool] | None]:
        """Begin a walk over the pages of all rows that match, and give the test of what the port does not apply.

        Where the port filters by a list of keys only when it is asked to look them up, it is.
        """
        capabilities = self.port.capabilities
        pushed, left = divide(wanted, capabilities)
        read = Read(where=None if pushed == TRUE else pushed, since=self.since(asked), limit=capabilities.page_max)
        keys = looked_up(left, capabilities)
        first, *further = (read,) if keys is None else calls_of(self.port, replace(read, keys=keys)) or (read,)
        walk = Walk(self, first, columns | self.cells.indices(columns_of(left)), must, further)
        return walk, self.cells.passes(left)

    async def all(self, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset(), enough: int | None = None) -> Fetched:
        """Walk all pages, or until there are ``enough`` rows that the row rules let through."""
        fetched = Fetched([])
        walk = self.walk(read, columns, must=must)
        while (page := await walk.next()) is not None:
            fetched.take(page, self.port)
            if not fetched.rows and len(page.rows) <= self.at_once(TRUE):
                fetched.rows = self.ruled(page.rows, fetched)
            else:
                async for some in in_turns(page.rows, self.at_once(TRUE)):
                    fetched.rows.extend(self.ruled(some, fetched))
                await let_go(page.rows)
            if fetched.count is None:
                fetched.count = page.count
            if enough is not None and len(fetched.rows) >= enough:
                break
        return fetched

    def walk(self, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset()) -> Walk:
        """Begin a walk over pages."""
        return Walk(self, read, columns, must, ())

    async def one(self, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset(), resumes: bool = False) -> Page:
        """Read one page. ``must``: columns whose bad cells drop the row, beside those of the row rules.

        ``resumes``: the port's cursor comes from an earlier request, so that a refusal is CURSOR_EXPIRED.
        """
        needed = columns | self._rule_columns if self._rule_columns else columns
        if self.port.capabilities.select:
            names = tuple(self.product.columns[index].name for index in sorted(needed))
            read = replace(read, select=names or self.product.primary_key or None)
        body = await self._body(read, resumes=resumes)
        decoder = self._decoders.decoder(needed)
        try:
            self.budget.spend(body)
            page = decoder.fast(body) if len(body) <= _LARGE_BYTES else await fast_in_turns(decoder, body)
            if page is None:
                must |= self._rule_columns
                slow = decoder.slow(body, must) if len(body) <= _SLOW_LARGE_BYTES else await slow_in_turns(decoder, body, must)
                page = decoder.learnt(*slow)
        except GatewayError as error:
            raise self._error(error.code.name, error.message, plain=True) from None
        self.budget.rows += len(page.rows) + page.dropped + len(page.groups or ())
        return page

    async def _body(self, read: Read, *, resumes: bool) -> bytes:
        started = time.perf_counter()
        outcome = "ok"
        try:
            with span("upstream read", product=self.product.id, port=self.port.name):
                return await self.port.read(read, self.budget.call())
        except PortCannotError as error:
            outcome = "refused"
            self.gone = True
            raise self.cannot("answer this read", "Leave that part out") from error
        except PortBrokenPromiseError as error:
            outcome = "invalid"
            raise self.invalid(error.reason) from error
        except PortRefusedError as error:
            outcome = "refused"
            raise self._refusal(error, resumes=resumes) from error
        except PortError as error:
            if error.reason == "timeout" and self.budget.is_over():
                outcome = "deadline"
                raise self._error("DEADLINE_EXCEEDED", "did not answer within the time for this request") from error
            outcome = "unavailable"
            self.gone = True
            raise self._error("UPSTREAM_UNAVAILABLE", "is not available", reason=error.reason) from error
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            port = self.port
            self._on_read(self.product.id, outcome, time.perf_counter() - started, port.name, port.capabilities.level)

    def ruled(self, rows: list[Any], fetched: Fetched) -> list[Any]:
        """Keep the rows that the row rules let through; what else came is counted against the port."""
        if self.rule is TRUE or self.rule == TRUE:
            return rows
        test = self.cells.passes(self.rule)
        assert test is not None
        kept = [row for row in rows if test(row)]
        fetched.dropped += len(rows) - len(kept)
        return kept

    def refuse_bad(self, rows: Iterable[Any], bad: Bad) -> None:
        """Refuse to total cells that are not there: that would be of a part. **Raises** UPSTREAM_INVALID."""
        for row in rows if bad else ():
            if (found := bad.get(id(row))) is not None and (columns := self.visible.intersection(found[1])):
                raise self.invalid(f"{self.product.columns[min(columns)].graphql_name} does not keep its type in some rows")

    # -- refusals ----------------------------------------------------------------------------------------------------------

    def _refusal(self, error: PortRefusedError, *, resumes: bool) -> GatewayError:
        if error.reason == "bad_cursor" or (resumes and error.status in _CURSOR_STATUSES):
            return GatewayError("CURSOR_EXPIRED", f"The port {self.port.name} of {self.product.id} no longer knows the cursor's place.")
        if isinstance(error, ReadInvalidError):
            return self._error("LIMIT_EXCEEDED", "takes no question of this size", hint="Ask with fewer or shorter values.")
        if error.reason == "unfit_total":
            return unfit_total()
        return self._error("UPSTREAM_INVALID", "refused the gateway's question", reason=error.reason)

    def cannot(self, what: str, remedy: str) -> GatewayError:
        """Make the refusal of something that the port cannot do."""
        owner = self.product.contract.metadata.owner
        return self._error("PORT_CANNOT", f"cannot {what}", hint=f"{remedy}, or ask {owner} for a level 1 port or a mirror.")

    def invalid(self, what: str) -> GatewayError:
        """Make the error of a port that does not keep the protocol."""
        return self._error("UPSTREAM_INVALID", f"does not keep the protocol ({what})")

    def _error(self, code: str, what: str, *, hint: str | None = None, plain: bool = False, **extra: Any) -> GatewayError:
        id_, owner = self.product.id, self.product.contract.metadata.owner
        message = what if plain else f"The port {self.port.name} of {id_} {what}."
        return GatewayError(code, message, hint=hint, product=id_, owner=owner, **extra)


def unfit_total() -> GatewayError:
    """Make the refusal of a total that its type cannot hold, whoever added it up."""
    return GatewayError("LIMIT_EXCEEDED", "A total does not fit its type.", hint="Narrow it with where.")


class Walk:
    """Pages one after another until there are no more. ``at``: the cursor that led to the page last given, None for the first.

    ``further``: reads whose pages follow, within the same budget.
    **Raises** `GatewayError` PORT_CANNOT beyond the scan budget, UPSTREAM_INVALID where a port leads nowhere.
    """

    __slots__ = (
        "_columns",
        "_empty",
        "_ends",
        "_further",
        "_has_begun",
        "_is_over",
        "_keys",
        "_must",
        "_next",
        "_pages",
        "_read",
        "_scanned",
        "_seen",
        "at",
    )

    def __init__(self, pages: Pages, read: Read, columns: frozenset[int], must: frozenset[int], further: Sequence[Read]) -> None:
        self._pages = pages
        self._read = read
        self._further = list(further)
        # Rows have keys, so no two pages begin and end with the same ones; level 1 is believed to page by them.
        self._keys = pages.product.primary_key if pages.port.capabilities.level == 0 else ()
        self._columns = columns | pages.cells.indices(self._keys)
        self._ends: set[tuple[Any, ...]] = set()
        self._must = must
        self._next = self.at = read.cursor
        self._seen: set[str | None] = {read.cursor}
        self._scanned = self._empty = 0
        self._is_over = self._has_begun = False

    @property
    def is_over(self) -> bool:
        """Whether there are no more pages."""
        return self._is_over and not self._further

    async def next(self) -> Page | None:
        """Give the next page."""
        if self._is_over:
            if not self._further:
                return None
            self._read = self._further.pop(0)
            self._next, self._seen = self._read.cursor, {self._read.cursor}
            self._empty, self._is_over, self._has_begun = 0, False, False
            await asyncio.sleep(0)
        pages, read = self._pages, self._read
        if self._has_begun:
            self._check()
            read = replace(read, cursor=self._next, count=False)
            # Reads may answer at once from a cache or in process: other requests get their turn between pages all the same.
            await asyncio.sleep(0)
        page = await pages.one(read, self._columns, must=self._must, resumes=not self._has_begun and read.cursor is not None)
        self._scanned += len(page.rows) + page.dropped + len(page.groups or ())
        rows_max = pages.budget.bounds.scan_rows_max
        if self._scanned > rows_max:
            raise pages.cannot(f"answer this without the gateway reading more than {rows_max} rows", "Narrow it with where or since")
        self.at, self._has_begun = self._next, True
        self._is_over = page.next_cursor is None
        if page.next_cursor is not None:
            self._go_on(page, page.next_cursor)
        return page

    def _go_on(self, page: Page, cursor: str) -> None:
        if self._keys and page.rows:
            keys = [self._pages.cells.of(name) for name in self._keys]
            ends = (len(page.rows), *(key(page.rows[at]) for at in (0, -1) for key in keys))
            if None not in ends and ends in self._ends:
                raise self._pages.invalid("a page that repeats")
            self._ends.add(ends)
        self._empty = 0 if page.rows or page.dropped or page.groups else self._empty + 1
        self._next = cursor

    def _check(self) -> None:
        # What leads nowhere is found out by those who go there.
        if self._next in self._seen:
            raise self._pages.invalid("a cursor that repeats")
        if self._empty > _EMPTY_PAGES_MAX:
            raise self._pages.invalid("one page without rows after another")
        self._seen.add(self._next)
