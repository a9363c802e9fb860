"""Keeps a replica like its origin: looks for changes, walks over everything on schedule, tries again after failures.

A walk counts only when it has ended; whatever fails before leaves the copy, and what is said of its age, as they were. Rejects
origins that lead in circles, never end, or have lost most of their rows all at once. Source: SPEC B4.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, TypeVar

from contracts.model import Contract
from domain_adapters.duck import Cursors
from domain_adapters.errors import PortBrokenPromiseError, PortError, PortUnavailableError
from domain_adapters.mirror.bounds import Bounds
from domain_adapters.mirror.folder import Folder
from domain_adapters.mirror.intake import Intake, Taken
from domain_adapters.mirror.replica import Facts, Replica
from domain_adapters.port import Call, Port, Read
from domain_adapters.values import canonical_instant

__all__ = ["Erased", "Progress", "Refresher", "Standing"]

_log = logging.getLogger(__name__)
_EMPTY_PAGES_MAX = 1_000
_PAUSE_MAX_S = 30.0
_Result = TypeVar("_Result")

Erased = Callable[[], Sequence[Any]]
"""The subjects (values of the contract's ``subject`` column) of whom nothing may be kept, asked for before each change of the copy."""


def _none_erased() -> Sequence[Any]:
    return ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a walk is. ``expected``: rows in all, as far as the origin says."""

    product: str
    everything: bool
    pages: int
    rows: int
    expected: int | None
    elapsed_s: float
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How the mirror stands. ``failure``: the stable word of what failed last, None while all is well."""

    facts: Facts = field(default_factory=Facts)
    attempted_at: dt.datetime | None = None
    failure: str | None = None


class Refresher:
    """Owns the writing side of one replica. ``refresh`` is one look or walk; ``run`` does them on schedule until cancelled."""

    def __init__(
        self,
        contract: Contract,
        origin: Port,
        replica: Replica,
        folder: Folder,
        *,
        bounds: Bounds,
        erased: Erased = _none_erased,
        on_change: Callable[[], None] = lambda: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        clock: Callable[[], dt.datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._contract = contract
        self._origin = origin
        self._replica = replica
        self._folder = folder
        self._bounds = bounds
        self._erased = erased
        self._on_change = on_change
        self._on_progress = on_progress
        self._clock = clock
        self._sleep = sleep
        self._intake = Intake(contract, origin.spelling)
        self._writer = Cursors(replica.connection, cursors=1)
        self._is_doubted = False
        self._lock = asyncio.Lock()
        self.standing = Standing()

    @property
    def can_look(self) -> bool:
        """Whether changes alone can be asked for: rows have keys and say when they were updated."""
        return bool(self._contract.primary_key) and self._contract.times.updated is not None

    async def begin(self) -> None:
        """Take up where the last process left off: nothing half done is kept, and nothing that may not be."""
        await self._write(self._replica.abandon)
        facts = await self._write(self._replica.facts)
        await self._purged(facts)

    async def refresh(self, *, everything: bool | None = None) -> Standing:
        """Bring the copy up to date, by a walk over ``everything`` where that is due (or said). Raises: `PortError`."""
        async with self._lock:
            began_at = self._clock()
            facts = await self._purged(self.standing.facts)
            if everything is None:
                everything = self._is_due(facts, began_at)
            try:
                facts = await self._walked(facts, began_at, everything=everything or not self.can_look or facts.watermark is None)
            except PortError as error:
                self.standing = replace(self.standing, attempted_at=began_at, failure=error.reason)
                await self._write(self._replica.abandon)
                raise
            self._stand(Standing(facts, began_at))
            return self.standing

    async def forget(self) -> None:
        """Take out at once what is erased now (see `Erased`) or has passed its retention."""
        async with self._lock:
            await self._purged(self.standing.facts)

    async def run(self) -> None:
        """Refresh on schedule until cancelled; after a failure soon again, and ever more seldom."""
        failures = 0
        while True:
            pause_s = self._bounds.refresh_s if self.can_look else self._bounds.rewalk_s
            try:
                await self.refresh()
                failures = 0
            except PortError as error:
                failures += 1
                pause_s = min(pause_s, self._bounds.retry_s * 2 ** min(failures - 1, 20))
                _log.warning("the mirror of %s stays as it was: %s", self._contract.key, error.reason)
            except Exception:
                pause_s = min(pause_s, self._bounds.refresh_s)
                _log.exception("the mirror of %s could not be refreshed", self._contract.key)
            await self._sleep(pause_s)

    async def aclose(self) -> None:
        """Stop what is being written."""
        await self._writer.aclose()

    # -- a walk ------------------------------------------------------------------------------------------------------------

    def _is_due(self, facts: Facts, now: dt.datetime) -> bool:
        return facts.walked_at is None or abs((now - facts.walked_at).total_seconds()) >= self._bounds.rewalk_s

    async def _walked(self, facts: Facts, began_at: dt.datetime, *, everything: bool) -> Facts:
        since = None if everything else self._since(facts)
        await self._write(self._replica.begin)
        await self._gathered(since, everything=everything)
        kept = await self._write(self._replica.settle)
        if not everything:
            return await self._write(lambda cursor: self._replica.merge(cursor, facts, began_at, self._erased()))
        self._refuse_shrunk(facts, kept)
        return await self._write(lambda cursor: self._replica.swap(cursor, facts, began_at, self._erased()))

    def _since(self, facts: Facts) -> str | None:
        if facts.watermark is None:
            return None
        try:
            begin = facts.watermark - dt.timedelta(seconds=self._bounds.overlap_s)
        except OverflowError:
            return None  # near the beginning of the calendar: from there on is everything
        return canonical_instant(begin)

    async def _gathered(self, since: str | None, *, everything: bool) -> None:
        """Read all pages, each away from the event loop and into the database before the next one is asked for."""
        began_s, told_s = time.monotonic(), float("-inf")
        cursors: set[bytes] = set()
        prints: set[bytes] = set()
        pages = rows = empty = 0
        cursor: str | None = None
        expected: int | None = None
        while True:
            taken = await self._page(since, cursor)
            pages, rows = pages + 1, rows + len(taken.rows)
            expected = taken.expected if expected is None else expected
            empty = 0 if taken.rows else empty + 1
            self._refuse_endless(rows, empty)
            if taken.print_ is not None:
                if taken.print_ in prints:
                    raise PortBrokenPromiseError("the origin gave the same page twice", reason="repeated_page")
                prints.add(taken.print_)
            cursor = taken.next_cursor
            now_s = time.monotonic()
            if cursor is None or now_s - told_s >= 1.0:
                told_s = now_s
                product = self._contract.key
                self._on_progress(Progress(product, everything, pages, rows, expected, now_s - began_s, is_over=cursor is None))
            if cursor is None:
                return
            told = blake2b(cursor.encode(), digest_size=16).digest()
            if told in cursors:
                raise PortBrokenPromiseError("the origin gave a cursor twice", reason="repeated_cursor")
            cursors.add(told)

    async def _page(self, since: str | None, cursor: str | None) -> Taken:
        body = await self._body(Read(since=since, cursor=cursor, limit=self._bounds.page_rows))

        def take(writer: Any) -> Taken:
            taken = self._intake.page(body)
            self._replica.add(writer, taken.rows)
            return taken

        return await self._write(take)

    async def _body(self, read: Read) -> bytes:
        call = Call(timeout_s=self._bounds.page_timeout_s, body_max_bytes=self._bounds.page_max_bytes)
        for attempt in range(1, self._bounds.attempts_max):
            try:
                return await self._origin.read(read, call)
            except PortUnavailableError as error:
                # A walk is long: one page that does not come must not cost all that came before.
                pause_s = self._bounds.retry_s * 2 ** (attempt - 1)
                await self._sleep(min(_PAUSE_MAX_S, max(pause_s, error.retry_after_s or 0.0)))
        return await self._origin.read(read, call)

    def _refuse_endless(self, rows: int, empty: int) -> None:
        if rows > self._bounds.rows_max:
            raise PortBrokenPromiseError("the origin has more rows than the mirror may take", reason="rows_max")
        if empty > _EMPTY_PAGES_MAX:
            raise PortBrokenPromiseError("the origin gives one page without rows after another", reason="empty_pages")
        if self._folder.size_bytes > self._bounds.disk_max_bytes:
            raise PortUnavailableError("the copy needs more disk than it may have", reason="disk_max")

    def _refuse_shrunk(self, facts: Facts, kept: int) -> None:
        is_shrunk = facts.rows >= self._bounds.shrink_rows_min and kept < facts.rows * self._bounds.shrink_ratio
        if is_shrunk and not self._is_doubted:
            self._is_doubted = True
            raise PortBrokenPromiseError("the origin has lost most of its rows; believed when the next walk says so too", reason="shrunk")
        self._is_doubted = False

    # -- the copy ----------------------------------------------------------------------------------------------------------

    async def _purged(self, facts: Facts) -> Facts:
        now = self._clock()
        found = await self._write(lambda cursor: self._replica.purge(cursor, facts, now, self._erased()))
        if found != self.standing.facts:
            self._stand(replace(self.standing, facts=found))
        return found

    def _stand(self, standing: Standing) -> None:
        has_changed = standing.facts.edition != self.standing.facts.edition
        self.standing = standing
        if has_changed:
            self._on_change()

    async def _write(self, work: Callable[[Any], _Result]) -> _Result:
        return await self._writer.run(work, self._bounds.merge_timeout_s)
