"""Keys: which published keys are taken, and what fetching them survives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.http.keys import JwksKeys
from tests.unit.gateway.http.test_callers import EC, ED, RSA, Clock, jwk
from tests.unit.gateway.http.transports import Streaming

URL = "https://id.example.com/keys"
Handler = Callable[[httpx.Request], Any]
NO_HEADERS: dict[str, str] = {}


def document(value: Any) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps(value).encode(), NO_HEADERS


async def fetched(handler: Handler, names: list[tuple[str | None, str]]) -> list[bool]:
    """Fetch once and tell which keys are there."""
    async with httpx.AsyncClient(transport=Streaming(handler)) as client:
        keys = JwksKeys(URL, client, clock=Clock())
        await keys.refresh()
        return [await keys.find(*name) is not None for name in names]


def publishing(*keys: Any) -> Handler:
    return lambda _: document({"keys": list(keys)})


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "data:,{}", "//a", ""])
async def test_only_http_addresses_are_fetched(url: str) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(ValueError, match="http"):
            JwksKeys(url, client)


SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # too small on purpose
P384 = ec.generate_private_key(ec.SECP384R1())
REFUSED: dict[str, tuple[Any, str]] = {
    "for encryption": (jwk(RSA, "k", use="enc"), "RS256"),
    "not for verifying": (jwk(RSA, "k", key_ops=["encrypt"]), "RS256"),
    "with odd operations": (jwk(RSA, "k", key_ops="verify"), "RS256"),
    "for another algorithm": (jwk(RSA, "k", alg="PS256"), "RS256"),
    "for a shared algorithm": (jwk(RSA, "k", alg="HS256"), "RS256"),
    "too small": (jwk(SMALL, "k"), "RS256"),
    "on another curve": (jwk(P384, "k"), "ES256"),
    "private": (jwk(RSA, "k", d="AQAB"), "RS256"),
    "shared": ({"kty": "oct", "kid": "k", "k": "AAAA"}, "RS256"),
    "broken": ({"kty": "RSA", "kid": "k", "n": "!", "e": "!"}, "RS256"),
    "incomplete": ({"kty": "RSA", "kid": "k"}, "RS256"),
    "of numbers": ({"kty": "EC", "crv": "P-256", "x": 1, "y": 2, "kid": "k"}, "ES256"),
    "no object": ("k", "RS256"),
    "with a number as id": (jwk(RSA, "k", kid=7), "RS256"),
    "with a very long id": (jwk(RSA, "x" * 300), "RS256"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_key_that_cannot_be_trusted_is_passed_over(name: str) -> None:
    entry, algorithm = REFUSED[name]
    key_id = entry.get("kid") if isinstance(entry, dict) and isinstance(entry.get("kid"), str) else "k"
    assert await fetched(publishing(entry, jwk(ED, "good")), [(key_id, algorithm), ("good", "EdDSA")]) == [False, True]


async def test_keys_may_name_their_algorithm_or_leave_it_out() -> None:
    plain = {key: value for key, value in jwk(EC, "e").items() if key not in {"use", "key_ops", "alg"}}
    entries = (jwk(RSA, "r", alg="RS256"), plain, jwk(ED, "d", alg="EdDSA"))
    assert await fetched(publishing(*entries), [("r", "RS256"), ("e", "ES256"), ("d", "EdDSA")]) == [True] * 3


async def test_without_an_id_a_key_is_found_only_if_it_is_the_only_one() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert await fetched(publishing(jwk(RSA, "a"), jwk(EC, "b")), [(None, "RS256")]) == [True]
    assert await fetched(publishing(jwk(RSA, "a"), jwk(other, "b")), [(None, "RS256")]) == [False]


BROKEN: dict[str, Handler] = {
    "unreachable": lambda request: (_ for _ in ()).throw(httpx.ConnectError("no", request=request)),
    "a redirect": lambda _: (302, b"", {"location": "https://evil.example/keys"}),
    "an error": lambda _: (500, document({"keys": [jwk(RSA, "k")]})[1], NO_HEADERS),
    "no JSON": lambda _: (200, b"<html>", NO_HEADERS),
    "a list": lambda _: document([jwk(RSA, "k")]),
    "no keys": lambda _: document({}),
    "keys that are an object": lambda _: document({"keys": {}}),
    "too many keys": lambda _: document({"keys": [jwk(RSA, str(i)) for i in range(101)]}),
    "a deep document": lambda _: (200, b'{"keys":' + b"[" * 100_000 + b"]" * 100_000 + b"}", NO_HEADERS),
    "too large": lambda _: (200, b" " * 300_000, NO_HEADERS),
    "compressed": lambda _: (200, b"x", {"content-encoding": "gzip"}),
    "nothing usable": lambda _: document({"keys": []}),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_fetch_that_fails_keeps_the_keys_there_were(name: str) -> None:
    handlers = [publishing(jwk(RSA, "k")), BROKEN[name]]

    def answer(request: httpx.Request) -> Any:
        return handlers[0](request)

    async with httpx.AsyncClient(transport=Streaming(answer)) as client:
        keys = JwksKeys(URL, client, clock=Clock())
        await keys.refresh()
        handlers.pop(0)
        await keys.refresh()
        assert await keys.find("k", "RS256") is not None
        assert keys.generation == 0
        assert keys.unready() is None


async def test_callers_at_the_same_time_share_one_fetch_and_one_leaving_takes_nothing_away() -> None:
    asked, answer = 0, asyncio.Event()

    async def handler(_request: httpx.Request) -> Any:
        nonlocal asked
        asked += 1
        await answer.wait()
        return document({"keys": [jwk(RSA, "k")]})

    async with httpx.AsyncClient(transport=Streaming(handler)) as client:
        keys = JwksKeys(URL, client, clock=Clock())
        waiting = [asyncio.create_task(keys.find("k", "RS256")) for _ in range(5)]
        while not asked:
            await asyncio.sleep(0)
        waiting[0].cancel()
        answer.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert all(key is not None and not isinstance(key, BaseException) for key in found[1:])
        assert asked == 1


async def test_the_background_fetches_again_and_can_be_closed_at_any_time() -> None:
    asked = asyncio.Semaphore(0)

    async def handler(_request: httpx.Request) -> Any:
        asked.release()
        return document({"keys": [jwk(RSA, "k")]})

    async with httpx.AsyncClient(transport=Streaming(handler)) as client:
        keys = JwksKeys(URL, client, refresh_s=0.001)
        assert keys.age_s is None
        await keys.start()
        assert keys.age_s is not None
        async with asyncio.timeout(10):
            for _ in range(3):
                await asked.acquire()
        await keys.aclose()
        await keys.aclose()


async def test_closing_ends_a_fetch_that_hangs() -> None:
    begun = asyncio.Event()

    async def handler(_request: httpx.Request) -> Any:
        begun.set()
        return await asyncio.Event().wait()

    async with httpx.AsyncClient(transport=Streaming(handler)) as client:
        keys = JwksKeys(URL, client)
        waiting = asyncio.create_task(keys.refresh())
        await begun.wait()
        await keys.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting


def test_keys_are_compared_by_what_they_are() -> None:
    from gateway.http.keys import _key_of

    entry = json.loads(json.dumps(jwk(RSA, "k")))
    assert _key_of(entry) == _key_of(dict(entry))
    assert _key_of(entry) != _key_of(jwk(EC, "k"))
