"""Measures one product through its ports: ``/slo`` and rows in, readings out.

Two measurements: `quick` (freshness, availability) and `sample` (completeness, accuracy). Touches the ports, within a bound of calls, time
and bytes each; whatever they do becomes a reading or a finding that quotes no value; what there is no room for is not measured this time.
Never raises but for cancellation.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from contracts.model import Contract
from contracts.objectives import RatioObjective
from contracts.predicates import Compare, Operator
from domain_adapters.allowance import Allowance, Share
from domain_adapters.breaker import Circuit
from domain_adapters.errors import NoRoomError, PortCannotError, PortError, PortRefusedError
from domain_adapters.port import Call, Order, Port, Read
from domain_adapters.values import canonical_instant
from gateway.slo.cadence import Cadence
from gateway.slo.calls import Calls
from gateway.slo.documents import DOCUMENT_BYTES_MAX, SKEW_MAX_S, read_figures
from gateway.slo.figures import Figures
from gateway.slo.measured import ObjectiveName
from gateway.slo.newest import Newest, NewestUpdate, can_tell
from gateway.slo.reading import Reading, Source
from gateway.slo.rows import count_of, rows_in_turns
from gateway.slo.sample import Sample, Sampler

__all__ = ["Gauge"]

_DAY_S = 86_400.0
_PAGE_BYTES_MAX = 16 * 1024 * 1024
_SLICE_CELLS = 500
_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_STATED_MAX = dt.timedelta(days=1)
"""What a port itself measured longer ago than that is no figure any more."""
_NO_DOCUMENT = "the port has no /slo document"
_LEVEL_0 = "an endpoint of level 0 without /slo says nothing about this"
_BOASTS = "the /slo document claims newer updates than the rows hold"


@dataclass(slots=True)
class _Stated:
    """What the port itself said last."""

    figures: Figures | None = None
    source: str = Source.SLO
    finding: str | None = None


class Gauge:
    """One product's instrument; it remembers what the port stated and whether its rows agreed."""

    def __init__(
        self,
        contract: Contract,
        ports: Sequence[Port],
        cadence: Cadence,
        *,
        clock: Callable[[], dt.datetime],
        calls: Calls | None = None,
        product: str | None = None,
        timeout_s: float = 5.0,
        allowance: Allowance | None = None,
    ) -> None:
        self._contract = contract
        self._ports = ports
        self._cadence = cadence
        self._clock = clock
        self._calls = calls or Calls()
        self._product = product or contract.key
        self._timeout_s = timeout_s
        self._allowance = allowance or Allowance()
        self._stated = _Stated()
        self._is_distrusted = False
        freshness = contract.objectives.freshness
        self._newest = NewestUpdate(contract, freshness.limit_s if freshness is not None else 0.0, self._read)

    async def quick(self, *, counts: bool = True) -> list[Reading]:
        """Measure freshness and availability. ``counts``: whether a failure counts against availability."""
        try:
            port, self._stated, answered = await self._document()
        except NoRoomError:
            return []
        now = self._clock()
        readings = [self._availability(now, answered=answered, counts=counts)]
        if not answered:
            return [*readings, self._failed(ObjectiveName.FRESHNESS, now, self._stated.finding)]
        with suppress(NoRoomError):
            readings.append(await self._freshness(port))
        if not self._can_sample(port):
            readings += [self._as_stated(ObjectiveName.COMPLETENESS, now), self._as_stated(ObjectiveName.ACCURACY, now)]
        return readings

    async def sample(self) -> list[Reading]:
        """Measure completeness and accuracy over rows; nothing where the port only states them."""
        port = self._port()
        if port is None or not self._can_sample(port):
            return []
        try:
            sample, whole = await self._sampled(port)
            expected = await self._expected(port, sample, whole=whole)
        except NoRoomError:
            return []
        except (PortError, TimeoutError) as error:
            now = self._clock()
            return [self._failed(name, now, _reason(error)) for name in (ObjectiveName.COMPLETENESS, ObjectiveName.ACCURACY)]
        self._compare(sample, port, whole=whole)
        return [self._completeness(sample, expected), self._accuracy(sample)]

    # -- freshness and availability ----------------------------------------------------------------------------------------

    async def _document(self) -> tuple[Port, _Stated, bool]:
        """Ask the ports in turn; a port that has no document is there all the same."""
        finding = "no port is open"
        for port in self._in_turn():
            try:
                body = await self._within(port.slo(Call(self._timeout_s, DOCUMENT_BYTES_MAX)))
            except PortRefusedError:
                return port, _Stated(finding=_NO_DOCUMENT), True
            except NoRoomError:
                raise
            except (PortError, TimeoutError) as error:
                finding = _reason(error)
            except Exception:  # one port's bug must not end the measuring of all
                finding = "the port failed"
            else:
                figures = read_figures(body, self._clock(), unit_s=_unit_s(self._contract, port))
                source = Source.STATS if port.capabilities.stats else Source.SLO
                return port, _Stated(figures, source, "; ".join(figures.findings) or None), True
        return self._ports[0], _Stated(finding=finding), False

    def _availability(self, now: dt.datetime, *, answered: bool, counts: bool) -> Reading:
        bad, total = self._calls.take(self._product)
        if answered or counts:
            bad, total = bad + (not answered), total + 1
        stated = self._stated.figures
        return Reading(
            ObjectiveName.AVAILABILITY,
            now,
            now + dt.timedelta(seconds=self._cadence.freshness_stale_s),
            figure=None if stated is None else stated.availability_ratio,
            source=Source.CALLS,
            bad=bad,
            total=total,
            failed=not answered,
            finding=None if answered else self._stated.finding,
        )

    async def _freshness(self, port: Port) -> Reading:
        figures = self._stated.figures
        is_silent = figures is None or (figures.last_update_at is None and not figures.findings)
        if not is_silent and not self._is_distrusted:
            assert figures is not None
            return self._lag(figures.last_update_at, figures.measured_at, self._stated.source, self._stated.finding)
        if not can_tell(self._contract, port):
            return self._lag(None, self._clock(), None, _BOASTS if self._is_distrusted else self._stated.finding or _NO_DOCUMENT)
        try:
            newest = await self._newest.find(port, self._clock())
        except NoRoomError:
            raise
        except (PortError, TimeoutError) as error:
            return self._failed(ObjectiveName.FRESHNESS, self._clock(), _reason(error))
        finding = newest.finding
        if self._is_distrusted and figures is not None:
            self._is_distrusted = _claims_more(figures, newest)
            finding = _BOASTS if self._is_distrusted else finding
        return self._lag(newest.at, self._clock(), Source.ROWS, finding)

    def _lag(self, updated_at: dt.datetime | None, measured_at: dt.datetime, source: str | None, finding: str | None) -> Reading:
        now = self._clock()
        stale_at = now + dt.timedelta(seconds=self._cadence.freshness_stale_s)
        lag_s = None if updated_at is None else max(0.0, (measured_at - updated_at).total_seconds())
        objective = self._contract.objectives.freshness
        is_late = objective is not None and lag_s is not None and lag_s > objective.limit_s
        return Reading(
            ObjectiveName.FRESHNESS,
            measured_at,
            min(stale_at, measured_at + _STATED_MAX),
            figure=lag_s,
            source=source,
            last_update_at=updated_at,
            bad=float(is_late),
            total=0.0 if lag_s is None else 1.0,
            finding=finding,
        )

    # -- completeness and accuracy -----------------------------------------------------------------------------------------

    def _can_sample(self, port: Port) -> bool:
        return bool(self._contract.fields) and (port.capabilities.level > 0 or self._stated.figures is not None)

    async def _sampled(self, port: Port) -> tuple[Sample, bool]:
        """Read and judge rows; tell also whether they were all that changed within the window."""
        can, updated = port.capabilities, self._contract.times.updated
        now = self._clock()
        since = None if updated is None or not can.since else canonical_instant(now - dt.timedelta(seconds=self._window_s()))
        order: tuple[Order, ...] = ()
        if updated is not None and can.order_by:
            order = (Order(updated, descending=True), *(Order(name) for name in self._contract.primary_key if name != updated))
        select = tuple(field.name for field in self._contract.fields) if can.select else None
        read = Read(select=select, order_by=order, since=since, limit=min(self._cadence.sample_rows, can.page_max))
        body = await self._read(port, read)
        with Share(self._allowance) as share:
            share.reach(len(body))
            rows, cursor = await rows_in_turns(body)
            rows = rows[: self._cadence.sample_rows]
            sampler = Sampler(self._contract, port.spelling, self._clock())
            at_once = max(1, _SLICE_CELLS // len(self._contract.fields))
            for start in range(0, len(rows), at_once):
                sampler.judge(rows[start : start + at_once])
                await asyncio.sleep(0)
            return sampler.sample(), cursor is None

    def _window_s(self) -> float:
        objectives = self._contract.objectives
        windows = [it.window_s for it in (objectives.completeness, objectives.accuracy) if it is not None and it.window_s is not None]
        return max(windows, default=_DAY_S)

    async def _expected(self, port: Port, sample: Sample, *, whole: bool) -> tuple[float | None, str | None]:
        """Compare the rows of the expectation's period with how many were promised."""
        objective = self._contract.objectives.completeness
        if objective is None or objective.expected_rows_min is None or objective.expected_rows_per_s is None:
            return 1.0, None
        updated, can = self._contract.times.updated, port.capabilities
        if updated is None:
            return None, "rows are expected per period, but no column dates them"
        begin = self._clock() - dt.timedelta(seconds=objective.expected_rows_per_s)
        if can.count and can.tests(updated, Operator.GTE):
            where = Compare(updated, Operator.GTE, begin)
            counted = count_of(await self._read(port, Read(where=where, limit=1, count=True)))
        elif whole and objective.expected_rows_per_s >= self._window_s():
            counted = sample.rows
        else:
            return None, "the port cannot count the rows that are expected"
        return min(1.0, counted / objective.expected_rows_min), None if counted >= objective.expected_rows_min else "rows are missing"

    def _compare(self, sample: Sample, port: Port, *, whole: bool) -> None:
        """Hold what ``/slo`` claims about freshness against the rows."""
        figures = self._stated.figures
        if figures is None or figures.last_update_at is None or self._contract.times.updated is None:
            return
        if not (whole or port.capabilities.order_by):
            return
        window_begin = self._clock() - dt.timedelta(seconds=self._window_s())
        newest = sample.newest or (window_begin if port.capabilities.since else None)
        if newest is not None and _claims_more(figures, Newest(newest)):
            self._is_distrusted = True

    def _completeness(self, sample: Sample, expected: tuple[float | None, str | None]) -> Reading:
        rows_ratio, finding = expected
        cells_ratio = sample.completeness_ratio
        if cells_ratio is None and rows_ratio is not None and self._expects_rows():
            cells_ratio = 1.0  # no cell is missing of no rows; the rows are
        ratio = None if cells_ratio is None or rows_ratio is None else min(cells_ratio, rows_ratio)
        stated = None if self._stated.figures is None else self._stated.figures.completeness_ratio
        return self._share(ObjectiveName.COMPLETENESS, ratio, stated, sample, finding)

    def _accuracy(self, sample: Sample) -> Reading:
        stated = None if self._stated.figures is None else self._stated.figures.accuracy_ratio
        return self._share(ObjectiveName.ACCURACY, sample.accuracy_ratio, stated, sample, None)

    def _share(self, name: ObjectiveName, ours: float | None, stated: float | None, sample: Sample, finding: str | None) -> Reading:
        now = self._clock()
        # A port may know of what no sample met; it cannot talk away what one did.
        ratio = ours if ours is None or stated is None else min(ours, stated)
        is_ours = ratio is None or ratio == ours
        findings = [finding, *sample.findings] if is_ours else [finding]
        if not sample.rows and ours is None:
            findings.append("no row changed within the window that is looked at")
        return Reading(
            name,
            now,
            now + dt.timedelta(seconds=self._cadence.sample_stale_s),
            figure=ratio,
            source=Source.ROWS if is_ours else self._stated.source,
            sample=sample.rows,
            bad=0.0 if ratio is None else (1.0 - ratio) * max(1, sample.rows),
            total=0.0 if ratio is None else float(max(1, sample.rows)),
            finding="; ".join(it for it in findings if it) or None,
        )

    def _as_stated(self, name: ObjectiveName, now: dt.datetime) -> Reading:
        figures = self._stated.figures
        ratio: float | None = None if figures is None else getattr(figures, f"{name.value}_ratio")
        measured_at = now if figures is None else figures.measured_at
        stale_at = now + dt.timedelta(seconds=self._cadence.freshness_stale_s)
        return Reading(
            name,
            measured_at,
            min(stale_at, measured_at + _STATED_MAX),
            figure=ratio,
            source=self._stated.source,
            bad=0.0 if ratio is None else 1.0 - ratio,
            total=0.0 if ratio is None else 1.0,
            finding=self._stated.finding if figures is not None else _LEVEL_0,
        )

    def _expects_rows(self) -> bool:
        objective: RatioObjective | None = self._contract.objectives.completeness
        return objective is not None and objective.expected_rows_min is not None

    # -- asking ------------------------------------------------------------------------------------------------------------

    def _in_turn(self) -> list[Port]:
        shut = [port for port in self._ports if getattr(port, "circuit", None) == Circuit.OPEN]
        return [port for port in self._ports if port not in shut] or shut

    def _port(self) -> Port | None:
        return next(iter(self._in_turn()), None)

    async def _read(self, port: Port, read: Read) -> bytes:
        try:
            return await self._within(port.read(read, Call(self._timeout_s, _PAGE_BYTES_MAX)))
        except (PortError, TimeoutError):
            raise
        except Exception:  # one port's bug must not end the measuring of all
            raise PortCannotError("the port failed", reason="failed") from None

    async def _within(self, answer: Awaitable[bytes]) -> bytes:
        async with asyncio.timeout(self._timeout_s):
            return await answer

    def _failed(self, name: ObjectiveName, now: dt.datetime, finding: str | None) -> Reading:
        return Reading(name, now, now, failed=True, finding=finding)


def _unit_s(contract: Contract, port: Port) -> float:
    """Tell the unit of bare durations at a port."""
    named = zip(contract.port_names, contract.output_ports, strict=True)
    return next((_UNITS_S[output.durations] for name, output in named if name == port.name), 1.0)


def _claims_more(figures: Figures, newest: Newest) -> bool:
    if newest.at is None or figures.last_update_at is None:
        return figures.last_update_at is not None
    return (figures.last_update_at - newest.at).total_seconds() > SKEW_MAX_S


def _reason(error: PortError | TimeoutError) -> str:
    return f"the port did not answer: {getattr(error, 'reason', 'timeout')}"
