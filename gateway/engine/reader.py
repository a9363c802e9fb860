"""Reads of one product for one request: a bound question -> ruled rows.

Pushes to the port what it can do, does the rest here within the request's budget, or refuses by name (PORT_CANNOT). A row rule
that was pushed is applied again to every row that arrives (SPEC A6). Raises `GatewayError`s that name product and owner,
never a value.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from contracts.fields import FieldType, Kind, Scalar, Unit
from contracts.predicates import TRUE, Compare, Operator, Predicate, columns_of, compile_test, conjunction, disjunction
from domain_adapters.errors import PortBrokenPromiseError, PortCannotError, PortError, PortRefusedError
from domain_adapters.port import Aggregate, GroupBy, Keys, Order, Port, Read, calls_of
from domain_adapters.values import canonical_instant, parser_of
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import row_attribute
from gateway.engine.budget import Budget
from gateway.engine.conditions import nanos_text
from gateway.engine.decode import Page, RowDecoders
from gateway.engine.positions import PagePlace, after, fingerprint, pack_keyset, pack_page, sort_key, unpack_keyset, unpack_page
from gateway.engine.pushdown import can_push, divide
from gateway.engine.tasks import together
from gateway.errors import GatewayError
from gateway.observe.traces import span

__all__ = ["Asked", "Fetched", "Reader", "Tie"]

Tie = Callable[[Any], Any]
"""Cell of a masked key column -> its keyed pseudonym, which breaks ties in its place."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A bound question for one list. ``order``: the caller's own terms; ``place``: an opened cursor, None for the first page."""

    where: Predicate = TRUE
    since: dt.datetime | None = None
    order: tuple[Order, ...] = ()
    first: int = 20
    place: bytes | None = None
    counts: bool = False
    places: bool = False
    """Whether every row's place is wanted (for cursors)."""
    rows: bool = True
    """Whether any row is wanted, or only what is known of the list."""


@dataclass(slots=True)
class Fetched:
    """Rows in order with what is known of the list they are from. ``places``: one packed place per row, if asked for."""

    rows: list[Any]
    has_next: bool = False
    has_previous: bool = False
    places: list[bytes] = field(default_factory=list)
    count: int | None = None
    count_error: GatewayError | None = None
    generated_at: str | None = None
    port: str | None = None
    limited: bool = False
    """The port left out rows beyond ``per_key``; else each key's rows are all here."""
    bad: list[tuple[Any, int]] = field(default_factory=list)
    dropped: int = 0

    def take(self, page: Page, port: Port) -> None:
        """Add what a page says beside its rows."""
        self.bad.extend(page.bad)
        self.dropped += page.dropped
        self.generated_at = page.generated_at or self.generated_at
        self.port = port.name


class Reader:
    """Reads one product through one port, under one caller's bound row rules.

    ``visible``: column indices that the answer and its joins need. ``ties``: how masked primary key columns break ties.
    ``trusts_counts``: whether the port's counts under a row rule have been proved (SPEC A6).
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
        ties: dict[str, Tie] | None = None,
        trusts_counts: bool = True,
        on_read: Callable[[str, str, float], None] = lambda _product, _outcome, _seconds: None,
    ) -> None:
        self.product = product
        self.port = port
        self.decoders = decoders
        self.budget = budget
        self.visible = visible
        self.rule: Predicate = disjunction(*rules) if rules else TRUE
        self.ties = ties or {}
        self.trusts_counts = trusts_counts
        self._on_read = on_read
        # All of them: what one rule lets through another may still mask, row by row.
        self._rule_columns = self._indices(frozenset().union(*map(columns_of, rules)))

    # -- one list ---------------------------------------------------------------------------------------------------------

    async def page(self, asked: Asked) -> Fetched:
        """Read one page of a list."""
        key = self.product.primary_key
        capabilities = self.port.capabilities
        if asked.order and not key:
            raise self.cannot("sort, because the product has no primary key", "Leave orderBy out")
        if not asked.rows:
            return await self._facts(asked)
        ordered = bool(key) and (capabilities.order_by or bool(asked.order) or bool(self.ties))
        wanted = self._wanted(asked)
        if not ordered:
            fetched = await self._walked(asked, wanted)
        else:
            order = (*asked.order, *(Order(name) for name in key if all(name != term.column for term in asked.order)))
            fetched = await self._sorted(asked, wanted, order)
        fetched.has_previous = asked.place is not None
        if asked.counts and fetched.count is None:
            await self._count(asked, wanted, fetched)
        return fetched

    async def _facts(self, asked: Asked) -> Fetched:
        """Find out what is asked of a list beside its rows."""
        fetched = Fetched([], has_previous=asked.place is not None)
        if asked.counts:
            await self._count(asked, self._wanted(asked), fetched)
        else:
            fetched.take(await self._one(Read(limit=1), frozenset(), ruled=False), self.port)
        return fetched

    async def _sorted(self, asked: Asked, wanted: Predicate, order: tuple[Order, ...]) -> Fetched:
        capabilities = self.port.capabilities
        values = None if asked.place is None else unpack_keyset(asked.place, [self._tie_type(term.column) for term in order])
        place_columns = self._indices(term.column for term in order) if asked.places else frozenset()
        if capabilities.order_by and not self.ties:
            beyond = conjunction(wanted, after(order, values)) if values is not None else wanted
            if can_push(beyond, capabilities) or beyond == TRUE:
                counts = asked.counts and values is None and self._counts_pushed(wanted)
                read = Read(
                    where=None if beyond == TRUE else beyond,
                    order_by=order,
                    limit=asked.first + 1,
                    since=self._since(asked),
                    count=counts,
                )
                if asked.first + 1 <= capabilities.page_max:
                    page = await self._one(read, self.visible | place_columns)
                    return self._cut(page, asked, order, count=page.count if counts else None)
                rows = await self._all(read, self.visible | place_columns, enough=asked.first + 1)
                return self._cut_rows(rows, asked, order)
        order_columns = self._indices(term.column for term in order)
        fetched = await self._scan(asked, wanted, self.visible | order_columns)
        count = len(fetched.rows)
        cells = [self._tie_cell(term.column) for term in order]
        fetched.rows.sort(key=sort_key(order, cells))
        if values is not None:
            behind = compile_test(after(order, values), self._tie_cell)
            fetched.rows = [row for row in fetched.rows if behind(row) is True]
        fetched.has_next = len(fetched.rows) > asked.first
        del fetched.rows[asked.first :]
        fetched.count = count if asked.counts else None
        if asked.places:
            fetched.places = [pack_keyset([cell(row) for cell in cells]) for row in fetched.rows]
        return fetched

    def _cut(self, page: Page, asked: Asked, order: tuple[Order, ...], *, count: int | None) -> Fetched:
        fetched = Fetched([])
        fetched.take(page, self.port)
        # The extra row counts before the rule is applied again: a port that lies shortens the page, never lengthens the list.
        fetched.has_next = len(page.rows) + page.dropped > asked.first
        fetched.rows = self._ruled(page.rows[: asked.first], fetched)
        fetched.count = count
        if asked.places:
            cells = [self._cell(term.column) for term in order]
            fetched.places = [pack_keyset([cell(row) for cell in cells]) for row in fetched.rows]
        return fetched

    def _cut_rows(self, fetched: Fetched, asked: Asked, order: tuple[Order, ...]) -> Fetched:
        fetched.has_next = len(fetched.rows) > asked.first
        del fetched.rows[asked.first :]
        if asked.places:
            cells = [self._cell(term.column) for term in order]
            fetched.places = [pack_keyset([cell(row) for cell in cells]) for row in fetched.rows]
        return fetched

    async def _walked(self, asked: Asked, wanted: Predicate) -> Fetched:
        """Page in the port's own order, from a place, filtering here what the port cannot."""
        capabilities = self.port.capabilities
        place = PagePlace() if asked.place is None else unpack_page(asked.place)
        pushed, left = divide(wanted, capabilities)
        keyed = self._indices(self.product.primary_key) or self.visible
        columns = self.visible | keyed | self._indices(columns_of(left))
        passes = self._passes(left)
        prints = [self._cell_at(index) for index in sorted(keyed)]
        plain = left == TRUE
        fetched = Fetched([])
        offset, cursor = place.offset, place.cursor
        end: PagePlace | None = None
        limit = min(place.offset + asked.first, capabilities.page_max) if plain else capabilities.page_max
        read = Read(where=None if pushed == TRUE else pushed, since=self._since(asked), limit=max(limit, 1), cursor=cursor)
        verify = place
        async for at, page in self._pages(read, columns):
            if verify.offset:
                if verify.offset > len(page.rows) or fingerprint([cell(page.rows[verify.offset - 1]) for cell in prints]) != verify.print_:
                    raise GatewayError("CURSOR_EXPIRED", f"The page of {self.product.id} that the cursor leads to has changed.")
                verify = PagePlace()
            fetched.take(page, self.port)
            for row in page.rows[offset:]:
                offset += 1
                if passes is not None and not passes(row):
                    continue
                if len(fetched.rows) == asked.first:
                    fetched.has_next = True
                    break
                fetched.rows.append(row)
                if asked.places:
                    end = PagePlace(at, offset, fingerprint([cell(row) for cell in prints]))
                    fetched.places.append(pack_page(end))
            if fetched.has_next:
                break
            offset = 0
            if len(fetched.rows) == asked.first and plain:
                fetched.has_next = page.next_cursor is not None
                if asked.places and fetched.rows and page.next_cursor is not None:
                    fetched.places[-1] = pack_page(PagePlace(page.next_cursor))
                break
        return fetched

    # -- many lists: partners by key ---------------------------------------------------------------------------------------

    async def partners(
        self, columns: tuple[str, ...], keys: Sequence[tuple[Any, ...]], *, asked: Asked | None = None, per_key: int | None = None
    ) -> Fetched:
        """Read the rows whose ``columns`` equal one of ``keys``; with ``per_key`` at least that many + 1 of each key, if there are."""
        bounds = self.budget.bounds
        if len(keys) > bounds.keys_max:
            raise GatewayError(
                "LIMIT_EXCEEDED",
                f"The answer would look up more than {bounds.keys_max} keys in {self.product.id}.",
                product=self.product.id,
            )
        asked = asked or Asked()
        capabilities = self.port.capabilities
        wanted = self._wanted(asked)
        key_columns = self._indices(columns)
        order = self.full_order(asked.order)
        order_columns = self._indices(term.column for term in order) if per_key is not None else frozenset()
        if not (capabilities.keys and (capabilities.key_columns is None or columns in capabilities.key_columns)):
            return await self._partners_by_scan(columns, keys, asked, wanted, self.visible | key_columns | order_columns)
        pushed, left = divide(wanted, capabilities)
        limits = per_key is not None and capabilities.limit_per_key and capabilities.order_by and left == TRUE and not self.ties
        read = Read(
            where=None if pushed == TRUE else pushed,
            since=self._since(asked),
            keys=Keys(columns, tuple(keys)),
            order_by=order if limits else (),
            # A port gives one more than asked, and must be asked for one at least.
            limit_per_key=max(per_key or 0, 1) if limits else None,
            limit=capabilities.page_max,
        )
        wanted_columns = self.visible | key_columns | order_columns | self._indices(columns_of(left))
        calls = calls_of(self.port, read)
        if len(calls) == 1:
            parts = [await self._all(calls[0], wanted_columns, must=key_columns)]
        else:
            parts = await _gathered([self._all(call, wanted_columns, must=key_columns) for call in calls], at_once=8)
        fetched = Fetched([], limited=limits)
        passes = self._passes(left)
        for part in parts:
            fetched.rows.extend(part.rows if passes is None else [row for row in part.rows if passes(row)])
            fetched.bad.extend(part.bad)
            fetched.dropped += part.dropped
            fetched.generated_at = part.generated_at or fetched.generated_at
            fetched.port = part.port
        return fetched

    async def _partners_by_scan(
        self, columns: tuple[str, ...], keys: Sequence[tuple[Any, ...]], asked: Asked, wanted: Predicate, needed: frozenset[int]
    ) -> Fetched:
        cells = [self._cell(name) for name in columns]
        known = frozenset(keys)
        must = self._indices(columns)
        among = self._among(columns, keys)
        fetched = await self._scan(asked, wanted if among is None else conjunction(wanted, among), needed, must=must)
        fetched.rows = [row for row in fetched.rows if tuple(cell(row) for cell in cells) in known]
        return fetched

    def _among(self, columns: tuple[str, ...], keys: Sequence[tuple[Any, ...]]) -> Predicate | None:
        if len(columns) != 1 or not self.port.capabilities.tests(columns[0], Operator.IN):
            return None
        return Compare(columns[0], Operator.IN, tuple(value for (value,) in keys))

    async def counts_by_key(
        self, columns: tuple[str, ...], keys: Sequence[tuple[Any, ...]], asked: Asked
    ) -> dict[tuple[Any, ...], int] | None:
        """Count partners per key in one grouped read; None where the port cannot, or its counts are not proved."""
        capabilities = self.port.capabilities
        wanted = self._wanted(asked)
        able = capabilities.keys and capabilities.group_by and "count" in capabilities.aggregates
        if not able or not (wanted == TRUE or can_push(wanted, capabilities)) or (self.rule != TRUE and not self.trusts_counts):
            return None
        read = Read(
            where=None if wanted == TRUE else wanted,
            since=self._since(asked),
            keys=Keys(columns, tuple(keys)),
            aggregates=(Aggregate("count", None, "n"),),
            group_by=tuple(GroupBy(name) for name in columns),
            limit=capabilities.page_max,
        )
        found: dict[tuple[Any, ...], int] = {}
        parsers = [parser_of(self.product.column_by_name[name].type) for name in columns]
        for call in calls_of(self.port, read):
            cursor: str | None = None
            while True:
                page = await self._one(replace(call, cursor=cursor), frozenset(), ruled=False)
                for group in page.groups or ():
                    try:
                        key = tuple(parse(cell) for parse, cell in zip(parsers, group["key"], strict=True))
                        found[key] = int(group["values"]["n"])
                    except (KeyError, TypeError, ValueError):
                        raise self._invalid("groups without their keys or counts") from None
                if (cursor := page.next_cursor) is None:
                    break
        return found

    def full_order(self, order: tuple[Order, ...]) -> tuple[Order, ...]:
        """Complete an order with the primary key."""
        return (*order, *(Order(name) for name in self.product.primary_key if all(name != term.column for term in order)))

    def sorter(self, order: tuple[Order, ...]) -> Callable[[Any], Any]:
        """Give the sort key function for rows, with masked keys by their pseudonym."""
        return sort_key(order, [self._tie_cell(term.column) for term in order])

    def place_of(self, order: tuple[Order, ...]) -> Callable[[Any], bytes]:
        """Give the function that packs a row's place in an order."""
        cells = [self._tie_cell(term.column) for term in order]
        return lambda row: pack_keyset([cell(row) for cell in cells])

    def beyond(self, asked: Asked, order: tuple[Order, ...], place: bytes) -> Asked:
        """Narrow a question to the rows after a place in its order. Raises: PORT_CANNOT where a masked key breaks ties."""
        if self.ties:
            raise self.cannot("page partners whose primary key is masked", "Ask for all of them at once")
        values = unpack_keyset(place, [self._tie_type(term.column) for term in order])
        return replace(asked, where=conjunction(asked.where, after(order, values)))

    def _wanted(self, asked: Asked) -> Predicate:
        """Join what was asked with the row rule, and with ``since`` where the port does not know it."""
        updated = self.product.contract.times.updated
        if asked.since is None or updated is None or self.port.capabilities.since:
            return conjunction(asked.where, self.rule)
        return conjunction(asked.where, Compare(updated, Operator.GTE, self._of_updated(asked.since, updated)), self.rule)

    def _of_updated(self, since: dt.datetime, updated: str) -> Any:
        match self.product.column_by_name[updated].type:
            case Scalar(kind=Kind.DATE):
                return since.astimezone(dt.UTC).date()
            case Scalar(kind=Kind.LOCAL_DATETIME):
                return since.astimezone(dt.UTC).replace(tzinfo=None)
            case Scalar(kind=Kind.INSTANT, unit=Unit.NANOS):
                return nanos_text(since)
        return since

    def _since(self, asked: Asked) -> str | None:
        return None if asked.since is None or not self.port.capabilities.since else canonical_instant(asked.since)

    # -- pages -------------------------------------------------------------------------------------------------------------

    async def _count(self, asked: Asked, wanted: Predicate, fetched: Fetched) -> None:
        try:
            if self._counts_pushed(wanted):
                read = Read(where=None if wanted == TRUE else wanted, since=self._since(asked), limit=1, count=True)
                page = await self._one(read, frozenset(), ruled=False)
                fetched.take(page, self.port)
                fetched.count = page.count
            else:
                scanned = await self._scan(asked, wanted, frozenset())
                fetched.count = len(scanned.rows)
                fetched.generated_at, fetched.port = scanned.generated_at, scanned.port
        except GatewayError as error:
            fetched.count_error = error
            return
        if fetched.count is None:
            fetched.count_error = self._invalid("no count although it says that it counts")

    def _counts_pushed(self, wanted: Predicate) -> bool:
        capabilities = self.port.capabilities
        if not capabilities.count or (self.rule != TRUE and not self.trusts_counts):
            return False
        return wanted == TRUE or can_push(wanted, capabilities)

    async def _scan(self, asked: Asked, wanted: Predicate, columns: frozenset[int], *, must: frozenset[int] = frozenset()) -> Fetched:
        """Read every row that matches, within the budget."""
        pushed, left = divide(wanted, self.port.capabilities)
        passes = self._passes(left)
        read = Read(where=None if pushed == TRUE else pushed, since=self._since(asked), limit=self.port.capabilities.page_max)
        fetched = await self._all(read, columns | self._indices(columns_of(left)), must=must)
        if passes is not None:
            fetched.rows = [row for row in fetched.rows if passes(row)]
        return fetched

    async def _all(self, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset(), enough: int | None = None) -> Fetched:
        fetched = Fetched([])
        async for _, page in self._pages(read, columns, must=must):
            fetched.take(page, self.port)
            fetched.rows.extend(self._ruled(page.rows, fetched))
            if fetched.count is None:
                fetched.count = page.count
            if enough is not None and len(fetched.rows) >= enough:
                break
        return fetched

    async def _pages(
        self, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset()
    ) -> AsyncIterator[tuple[str | None, Page]]:
        """Walk pages until there are no more; yields (the cursor that led to the page, the page)."""
        seen: set[str] = set()
        scanned = 0
        cursor = read.cursor
        while True:
            page = await self._one(
                read if cursor == read.cursor else replace(read, cursor=cursor, count=False), columns, must=must, ruled=False
            )
            scanned += len(page.rows) + page.dropped
            if scanned > self.budget.bounds.scan_rows_max:
                limit = self.budget.bounds.scan_rows_max
                raise self.cannot(f"answer this without the gateway reading more than {limit} rows", "Narrow it with where or since")
            yield cursor, page
            if page.next_cursor is None:
                return
            if page.next_cursor in seen or page.next_cursor == cursor:
                raise self._invalid("a cursor that repeats")
            seen.add(page.next_cursor)
            cursor = page.next_cursor
            # Reads may answer at once from a cache or in process: other requests get their turn between pages all the same.
            await asyncio.sleep(0)

    async def _one(self, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset(), ruled: bool = True) -> Page:
        needed = columns | self._rule_columns
        if self.port.capabilities.select:
            names = tuple(self.product.columns[index].name for index in sorted(needed))
            read = replace(read, select=names or self.product.primary_key or None)
        body = await self._body(read)
        try:
            return self.decoders.decoder(needed).decode(self.budget.spend(body), must | self._rule_columns)
        except GatewayError as error:
            raise self._error(error.code.name, error.message, plain=True) from None

    async def _body(self, read: Read) -> bytes:
        started = time.perf_counter()
        outcome = "ok"
        try:
            with span("upstream read", product=self.product.id, port=self.port.name):
                return await self.port.read(read, self.budget.call())
        except PortCannotError as error:
            outcome = "refused"
            raise self.cannot("answer this read", "Leave that part out") from error
        except PortBrokenPromiseError as error:
            outcome = "invalid"
            raise self._invalid(error.reason) from error
        except PortRefusedError as error:
            outcome = "refused"
            raise self._error("UPSTREAM_INVALID", "refused the gateway's question", reason=error.reason) from error
        except PortError as error:
            if error.reason == "timeout" and self.budget.is_over():
                outcome = "deadline"
                raise self._error("DEADLINE_EXCEEDED", "did not answer within the time for this request") from error
            outcome = "unavailable"
            raise self._error("UPSTREAM_UNAVAILABLE", "is not available", reason=error.reason) from error
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._on_read(self.product.id, outcome, time.perf_counter() - started)

    def _ruled(self, rows: list[Any], fetched: Fetched) -> list[Any]:
        if self.rule == TRUE:
            return rows
        test = self._passes(self.rule)
        assert test is not None
        kept = [row for row in rows if test(row)]
        fetched.dropped += len(rows) - len(kept)
        return kept

    # -- cells and refusals ------------------------------------------------------------------------------------------------

    def _passes(self, predicate: Predicate) -> Callable[[Any], bool] | None:
        if predicate == TRUE:
            return None
        test = compile_test(predicate, self._cell)

        def passes(row: Any) -> bool:
            try:
                return test(row) is True
            except TypeError:
                return False

        return passes

    def _indices(self, names: Any) -> frozenset[int]:
        columns = self.product.columns
        by_name = self.product.column_by_name
        return frozenset(columns.index(by_name[name]) for name in names)

    def _cell_at(self, index: int) -> Callable[[Any], Any]:
        return attrgetter(row_attribute(index))

    def _cell(self, name: str) -> Callable[[Any], Any]:
        return self._cell_at(self.product.columns.index(self.product.column_by_name[name]))

    def _tie_cell(self, name: str) -> Callable[[Any], Any]:
        cell = self._cell(name)
        if (tie := self.ties.get(name)) is None:
            return cell
        return lambda row: tie(cell(row))

    def _tie_type(self, name: str) -> FieldType:
        return Scalar(Kind.STRING) if name in self.ties else self.product.column_by_name[name].type

    def cannot(self, what: str, remedy: str) -> GatewayError:
        """Make the refusal of something that the port cannot do."""
        owner = self.product.contract.metadata.owner
        return self._error("PORT_CANNOT", f"cannot {what}", hint=f"{remedy}, or ask {owner} for a level 1 port.")

    def _invalid(self, what: str) -> GatewayError:
        return self._error("UPSTREAM_INVALID", f"does not keep the protocol ({what})")

    def _error(self, code: str, what: str, *, hint: str | None = None, plain: bool = False, **extra: Any) -> GatewayError:
        id_, owner = self.product.id, self.product.contract.metadata.owner
        message = what if plain else f"The port {self.port.name} of {id_} {what}."
        return GatewayError(code, message, hint=hint, product=id_, owner=owner, **extra)


async def _gathered(reads: Sequence[Any], *, at_once: int) -> list[Fetched]:
    gate = asyncio.Semaphore(at_once)

    async def one(read: Any) -> Fetched:
        async with gate:
            found: Fetched = await read
            return found

    return await together([one(read) for read in reads])
