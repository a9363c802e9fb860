"""JSON sent to an address of the operator's settings: checked addresses only, no redirects, no proxy, bounded, in time.

Rejects with `SinkError`, whose reason holds no address and no secret. Touches the network.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from domain_adapters.addresses import AddressPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import PortError
from domain_adapters.transport import Limits, PooledClient
from gateway.slo.alerting.alert import SinkError

__all__ = ["Post"]

_ANSWER_MAX_BYTES = 64 * 1024


class Post:
    """One address. ``path`` is appended to that of ``url``. **Raises** ValueError for what is no plain http address."""

    def __init__(self, url: str, policy: AddressPolicy, *, path: str | None = None, timeout_s: float = 10.0) -> None:
        endpoint = Endpoint(url)
        self._target = endpoint.path_of(path) if path is not None else urlsplit(url).path or "/"
        self._timeout_s = timeout_s
        self._client = PooledClient(endpoint.origin, policy=policy, limits=Limits(connections=2))

    async def send(self, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
        """Send and expect 2xx. **Raises** `SinkError`."""
        try:
            answer = await self._client.send(
                "POST", self._target, headers=headers, body=body, timeout_s=self._timeout_s, body_max_bytes=_ANSWER_MAX_BYTES
            )
        except PortError as error:
            raise SinkError(error.reason) from None
        if not 200 <= answer.status < 300:
            raise SinkError(f"status {answer.status}", retry_after_s=answer.retry_after_s)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()
