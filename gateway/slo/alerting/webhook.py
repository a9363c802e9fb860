"""Changes of state as signed JSON to an address of one's own.

The signature covers the time of sending, so that what was recorded cannot be sent again later; the id stays the same from try to try, so
that what arrived twice is told apart (gateway/docs/alerts.md says how to check both).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Sequence

import msgspec

from domain_adapters.values import canonical_instant
from gateway.slo.alerting.alert import Alert, SinkError
from gateway.slo.alerting.post import Post

__all__ = ["Webhook", "signature"]


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Sign a body as sent at ``timestamp`` (Unix seconds). Shapes: ``v1=`` and the hexadecimal HMAC-SHA256 of ``timestamp.body``."""
    return "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Webhook:
    """A `Sink`. ``secret``: reads the shared secret when it is needed, so that a rotated one is used at once."""

    name = "webhook"
    resend_s = None
    tells_replicas_apart = False

    def __init__(self, post: Post, secret: Callable[[], bytes]) -> None:
        self._post = post
        self._secret = secret

    async def send(self, alerts: Sequence[Alert], now: dt.datetime) -> None:
        """Send one request with all of them. **Raises** `SinkError`."""
        keys = "\n".join(alert.change.key for alert in alerts)
        id_ = hashlib.sha256(keys.encode()).hexdigest()[:32]
        document = {"version": 1, "id": id_, "sentAt": canonical_instant(now), "changes": [alert.members() for alert in alerts]}
        body = msgspec.json.encode(document)
        timestamp = str(int(now.timestamp()))
        try:
            signed = signature(self._secret(), timestamp, body)
        except (OSError, ValueError, KeyError):
            raise SinkError("secret") from None
        await self._post.send(body, (("Mesh-Id", id_), ("Mesh-Timestamp", timestamp), ("Mesh-Signature", signed)))

    async def aclose(self) -> None:
        """Close its connections."""
        await self._post.aclose()
