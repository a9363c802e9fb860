"""Keys: the identity provider's published keys, fetched in the background, each usable with one algorithm only.

Only asymmetric signature keys are taken (RSA from 2048 bits: RS256, P-256: ES256, Ed25519: EdDSA); all else in the set is
passed over. While fetching fails the last good keys stay, up to a bound. A token with an unknown key id causes a fetch, but
at most one per cooldown. Touches: one HTTP address, without redirects or proxies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import msgspec

from gateway.observe import logs

__all__ = ["ALGORITHMS", "JwksKeys", "VerificationKey"]

ALGORITHMS = ("RS256", "ES256", "EdDSA")
_BODY_MAX_BYTES = 262_144
_KEYS_MAX = 100
_TIMEOUT_S = 5.0
_RSA_MIN_BITS = 2048
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the one algorithm that it verifies. ``mark`` differs when the key differs."""

    algorithm: str
    mark: str
    key: Any = field(compare=False)


class JwksKeys:
    """The keys of one identity provider."""

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        *,
        refresh_s: float = 300.0,
        cooldown_s: float = 10.0,
        stale_max_s: float = 86_400.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not url.lower().startswith(("https://", "http://")):
            raise ValueError("keys are fetched over http and https only")
        self._url = url
        self._client = client
        self._refresh_s = refresh_s
        self._cooldown_s = cooldown_s
        self._stale_max_s = stale_max_s
        self._clock = clock
        self._keys: dict[tuple[str | None, str], VerificationKey] = {}
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self.generation = 0
        """Grows when a key is removed or replaced: what was verified before may no longer be believed."""

    async def start(self) -> None:
        """Fetch the keys once, whatever comes of it, and keep them fresh in the background."""
        await self.refresh()
        self._refreshing = asyncio.create_task(self._refresh_forever(), name="jwks-refresh")

    async def aclose(self) -> None:
        """Stop refreshing."""
        for task in (self._refreshing, self._fetching):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._refreshing = self._fetching = None

    async def find(self, key_id: str | None, algorithm: str) -> VerificationKey | None:
        """Find the key a token names; without an id, the only key there is for its algorithm."""
        found = self._find(key_id, algorithm)
        if found is None and (self._asked_at is None or self._clock() - self._asked_at >= self._cooldown_s or self._fetching is not None):
            await self.refresh()
            found = self._find(key_id, algorithm)
        return found

    async def refresh(self) -> None:
        """Fetch the keys; callers at the same time share one fetch. Failure keeps the keys there are."""
        if self._fetching is None:
            self._asked_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch(), name="jwks-fetch")
            self._fetching.add_done_callback(self._forget_fetch)
        # One caller that leaves must not take the fetch from the others.
        await asyncio.shield(self._fetching)

    @property
    def age_s(self) -> float | None:
        """Seconds since the keys were last fetched with success; None before the first."""
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    def unready(self) -> str | None:
        """Say why no token can be verified now, if so."""
        if self._fetched_at is None:
            return "the identity provider's keys have not been fetched yet"
        if self._too_old():
            return "the identity provider's keys are too old"
        return None

    def _find(self, key_id: str | None, algorithm: str) -> VerificationKey | None:
        if self._too_old():
            return None
        if key_id is not None:
            return self._keys.get((key_id, algorithm))
        fitting = [key for (_, its), key in self._keys.items() if its == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def _too_old(self) -> bool:
        age_s = self.age_s
        return age_s is not None and age_s > self._stale_max_s

    def _forget_fetch(self, task: asyncio.Task[None]) -> None:
        if self._fetching is task:
            self._fetching = None

    async def _refresh_forever(self) -> None:
        while True:
            # Without any key every caller waits for the first fetch that works.
            await asyncio.sleep(self._refresh_s if self._fetched_at is not None else min(self._refresh_s, self._cooldown_s))
            await self.refresh()

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                document = _decode(await self._body())
            keys = _keys_of(document)
            if not keys:
                raise ValueError("no usable key")
        except (httpx.HTTPError, TimeoutError, msgspec.DecodeError, ValueError, RecursionError) as error:
            logs.event("jwks_failed", level=logging.WARNING, reason=type(error).__name__, age_s=self.age_s)
            return
        if any(keys.get(name) != key for name, key in self._keys.items()):
            self.generation += 1
        self._keys = keys
        self._fetched_at = self._clock()

    async def _body(self) -> bytes:
        found = bytearray()
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._client.stream("GET", self._url, headers=headers, follow_redirects=False) as response:
            if response.status_code != 200:
                raise ValueError("not answered with 200")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("compressed though it was not to be")
            async for chunk in response.aiter_raw():
                found += chunk
                if len(found) > _BODY_MAX_BYTES:
                    raise ValueError("larger than allowed")
        return bytes(found)


def _keys_of(document: Mapping[str, Any]) -> dict[tuple[str | None, str], VerificationKey]:
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > _KEYS_MAX:
        raise ValueError("no list of keys, or too many")
    found: dict[tuple[str | None, str], VerificationKey] = {}
    for entry in entries:
        if isinstance(entry, dict) and (key := _key_of(entry)) is not None:
            key_id = entry.get("kid")
            if key_id is None or (isinstance(key_id, str) and len(key_id) <= 256):
                found.setdefault((key_id, key.algorithm), key)
    return found


def _key_of(entry: dict[str, Any]) -> VerificationKey | None:
    algorithm = {"RSA": "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}.get(
        "RSA" if entry.get("kty") == "RSA" else (str(entry.get("kty")), str(entry.get("crv")))
    )
    operations = entry.get("key_ops")
    if (
        algorithm is None
        or entry.get("alg", algorithm) not in {algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm}
        or entry.get("use", "sig") != "sig"
        or (operations is not None and (not isinstance(operations, list) or "verify" not in operations))
        or "d" in entry
    ):
        # A private key that is published is nobody's proof of anything.
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm == "RS256" and key.key_size < _RSA_MIN_BITS:
        return None
    mark = "|".join(f"{name}={entry.get(name)}" for name in ("kty", "crv", "n", "e", "x", "y"))
    return VerificationKey(algorithm, mark, key)
