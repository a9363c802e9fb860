"""Pages of one product through one port, for one request: asked for, bounded, decoded, ruled on.

A row rule that was pushed is applied again to every row that arrives (SPEC A6). Rejects with PORT_CANNOT, UPSTREAM_INVALID,
UPSTREAM_UNAVAILABLE, DEADLINE_EXCEEDED, LIMIT_EXCEEDED, naming product and owner, never a value; with OVERLOADED. Touches the port.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs

from contracts.predicates import TRUE, Predicate, columns_of, comparisons_in, disjunction
from domain_adapters.errors import NoRoomError, PortBrokenPromiseError, PortCannotError, PortError, PortRefusedError, ReadInvalidError
from domain_adapters.port import Port, Read
from domain_adapters.values import canonical_instant
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.budget import Budget, overloaded
from gateway.engine.decoding.cells import Cells, Tie
from gateway.engine.decoding.cellwise import Bad, Page
from gateway.engine.decoding.decode import RowDecoders
from gateway.engine.decoding.large import fast_in_turns, slow_in_turns
from gateway.engine.reading.pushdown import can_push, wanted_of
from gateway.errors import GatewayError
from gateway.observe.traces import span

__all__ = ["OnRead", "Pages", "unfit_total"]

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

    async def one(self, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset(), resumes: bool = False) -> Page:
        """Read one page. ``must``: columns whose bad cells drop the row, beside those of the row rules.

        ``resumes``: the port's cursor comes from an earlier request, so that a refusal is CURSOR_EXPIRED.
        """
        needed = columns | self._rule_columns if self._rule_columns else columns
        if self.port.capabilities.select:
            names = tuple(self.product.columns[index].name for index in sorted(needed))
            read = structs.replace(read, select=names or self.product.primary_key or None)
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
            raise self._refused_here(error) from None
        self.budget.rows += len(page.rows) + page.dropped + len(page.groups or ())
        return page

    async def _body(self, read: Read, *, resumes: bool) -> bytes:
        started = time.perf_counter()
        outcome = "ok"
        budget = self.budget
        call = budget.call()
        try:
            with span("upstream read", product=self.product.id, port=self.port.name):
                return await self.port.read(read, call)
        except NoRoomError:
            outcome = "overloaded"
            raise overloaded() from None
        except PortCannotError as error:
            outcome = "refused"
            self.gone = True
            raise self.cannot("answer this read", "Leave that part out") from error
        except PortBrokenPromiseError as error:
            if error.reason == "too_large" and call.body_max_bytes < budget.bounds.body_max_bytes:
                # A page like any other: it is the request that has taken in too much.
                outcome = "refused"
                raise self._refused_here(budget.too_much()) from None
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

    def _refused_here(self, error: GatewayError) -> GatewayError:
        return error if error.code.name == "OVERLOADED" else self._error(error.code.name, error.message, plain=True)

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
