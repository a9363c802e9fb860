"""Changes of state for Prometheus' Alertmanager, API v2: told again while they last, ended with ``endsAt``.

An alert is known by its labels, so nothing that changes stands in them; every gateway tells it, and it takes them for one. What no
gateway tells it any more ends by itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from domain_adapters.endpoint import bearer
from domain_adapters.errors import PortError
from domain_adapters.values import canonical_instant
from gateway.slo.alerting.alert import FIRING, Alert, SinkError
from gateway.slo.alerting.post import Post
from gateway.slo.status import SloStatus

__all__ = ["Alertmanager"]

_NAMES = {
    SloStatus.AT_RISK: ("DataProductAtRisk", "warning"),
    SloStatus.BREACHED: ("DataProductBreached", "critical"),
    SloStatus.UNKNOWN: ("DataProductUnknown", "warning"),
}
_MISSED_MAX = 4
"""So many times in a row an alert may not be told again before it ends."""


class Alertmanager:
    """A `Sink`. ``post``: to the address that ends in ``/api/v2/alerts``; ``auth``: reference to a bearer token, if it wants one."""

    name = "alertmanager"
    tells_replicas_apart = True

    def __init__(self, post: Post, *, resend_s: float, auth: str | None = None) -> None:
        self.resend_s = resend_s
        self._post = post
        self._auth = auth

    async def send(self, alerts: Sequence[Alert], now: dt.datetime) -> None:
        """Tell all of these. **Raises** `SinkError`."""
        body = msgspec.json.encode([entry for alert in alerts for entry in self._entries(alert, now)])
        try:
            headers = bearer(self._auth)
        except PortError as error:
            raise SinkError(error.reason) from None
        await self._post.send(body, headers)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._post.aclose()

    def _entries(self, alert: Alert, now: dt.datetime) -> Iterator[dict[str, Any]]:
        change = alert.change
        if alert.told in FIRING and alert.told is not change.after:
            assert alert.told is not None
            # Without a start: it is over, whenever it began.
            yield {**_entry(alert, alert.told), "endsAt": canonical_instant(min(change.at, now))}
        if change.after in FIRING:
            ends_at = now + dt.timedelta(seconds=_MISSED_MAX * self.resend_s)
            started = min(change.at, now)
            yield {**_entry(alert, change.after), "startsAt": canonical_instant(started), "endsAt": canonical_instant(ends_at)}


def _entry(alert: Alert, status: SloStatus) -> dict[str, Any]:
    change, meta = alert.change, alert.contract.metadata
    name, severity = _NAMES[status]
    labels = {
        "alertname": name,
        "severity": severity,
        "domain": meta.domain,
        "product": meta.name,
        "major": str(alert.contract.major),
        "objective": alert.objective,
        "owner": meta.owner,
    }
    annotations = {
        "summary": alert.summary(),
        "version": change.version,
        "request_access": meta.owner,
        **({"runbook_url": meta.docs} if meta.docs else {}),
        **({"finding": change.finding} if change.finding else {}),
    }
    return {"labels": labels, "annotations": annotations}
