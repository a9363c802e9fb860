"""Callers: whom a token makes, and every token that makes nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.caller import Caller
from gateway.http.callers import Callers
from gateway.http.keys import JwksKeys
from gateway.http.refusals import RefusalError
from gateway.http.tokens import DEMO_ISSUER, sign
from gateway.settings_sections import AuthSettings
from tests.unit.gateway.http.transports import Streaming

KEY = "a shared key for tests only, of some length"
NOW_S = 1_000_000.0
ISSUER = "https://id.example.com"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def settings(**more: Any) -> AuthSettings:
    return AuthSettings(**{"demo_key": KEY, "issuer": ISSUER, **more})


def demo(roles: list[str] | None = None, **more: Any) -> str:
    options = {"claims": {}, "purposes": [], "domain": None, "key": KEY, "lifetime_s": 600, "now_s": NOW_S, **more}
    return sign(roles or ["analyst"], options.pop("claims"), **options)


def payload(**more: Any) -> dict[str, Any]:
    return {"iss": DEMO_ISSUER, "aud": "meshgate", "sub": "alice", "exp": NOW_S + 600, "roles": ["analyst"], **more}


def encoded(claims: Mapping[str, Any], key: Any = KEY, algorithm: str = "HS256", headers: dict[str, Any] | None = None) -> str:
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers=headers)


def crafted(header: object, claims: object, secret: bytes = KEY.encode()) -> str:
    """Sign by hand what the library would refuse to sign."""

    def part(value: object) -> bytes:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=")

    head = part(header) + b"." + part(claims)
    return (head + b"." + part(hmac.new(secret, head, hashlib.sha256).digest())).decode()


async def identified(token: str, *, purpose: bytes | None = None, callers: Callers | None = None) -> Caller:
    callers = callers or Callers(settings(), clock=Clock())
    return await callers.identify(f"Bearer {token}".encode(), purpose)


async def refusal(token: str, callers: Callers | None = None) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        await identified(token, callers=callers)
    assert caught.value.status == 401
    assert caught.value.code.name == "UNAUTHENTICATED"
    assert caught.value.headers[0][0] == b"www-authenticate"
    assert token not in str(caught.value)
    return caught.value


async def test_a_demo_token_makes_its_caller() -> None:
    token = demo(["analyst", "steward"], claims={"countries": ["DE"], "client_id": "notebook"}, purposes=["p"], domain="order")
    caller = await identified(token)
    assert caller.subject == "demo-analyst-steward"
    assert caller.roles == {"analyst", "steward"}
    assert (caller.purposes, caller.purpose) == (("p",), "p")
    assert (caller.domain, caller.client) == ("order", "notebook")
    assert caller.claims["countries"] == ["DE"]
    assert caller.expires_at_s == NOW_S + 600


@pytest.mark.parametrize("name", ["exp", "roles", "sub", "aud", "purposes"])
def test_a_demo_token_takes_no_claim_that_has_its_own_argument(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        demo(claims={name: "x"})


async def test_without_a_token_nobody_is_anybody() -> None:
    with pytest.raises(RefusalError) as caught:
        await Callers(settings()).identify(None, None)
    assert caught.value.status == 401
    assert caught.value.headers == ((b"www-authenticate", b'Bearer realm="meshgate"'),)


async def test_an_anonymous_role_serves_those_without_a_token_and_gives_no_purpose() -> None:
    callers = Callers(settings(), anonymous_role="public")
    caller = await callers.identify(None, None)
    assert caller.roles == {"public"}
    with pytest.raises(RefusalError, match="purpose"):
        await callers.identify(None, b"p")
    assert (await refusal("nonsense", callers)).status == 401


@pytest.mark.parametrize(
    "authorization", [b"", b"Basic YTpi", b"Bearer", b"Bearer ", b"bearer: x", b"Token x", b"Bearer \xff\xfe", b"\xff", b"Bearer a b"]
)
async def test_other_credentials_are_refused(authorization: bytes) -> None:
    with pytest.raises(RefusalError) as caught:
        await Callers(settings(), anonymous_role="public").identify(authorization, None)
    assert caught.value.status == 401


async def test_the_scheme_is_read_without_case() -> None:
    callers = Callers(settings(), clock=Clock())
    assert (await callers.identify(f"bearer  {demo()} ".encode(), None)).roles == {"analyst"}


async def test_a_token_that_is_too_long_is_refused_unread() -> None:
    callers = Callers(settings(token_max_bytes=100), clock=Clock())
    assert "too long" in (await refusal(demo(), callers)).message


async def test_hs256_is_refused_without_a_demo_key() -> None:
    assert "algorithm" in (await refusal(demo(), Callers(AuthSettings(), clock=Clock()))).message


FORGED: dict[str, Callable[[], str]] = {
    "another key": lambda: demo(key="another shared key, also of some length"),
    "nonsense": lambda: "a.b.c",
    "no dots": lambda: "abc",
    "none": lambda: crafted({"alg": "none"}, payload()).rsplit(".", 1)[0] + ".",
    "None in odd case": lambda: crafted({"alg": "nOnE"}, payload()),
    "hs512": lambda: encoded(payload(), KEY * 3, "HS512"),
    "no algorithm": lambda: crafted({}, payload()),
    "a list of algorithms": lambda: crafted({"alg": ["HS256"]}, payload()),
    "crit": lambda: crafted({"alg": "HS256", "crit": ["b64"], "b64": False}, payload()),
    "an empty crit": lambda: crafted({"alg": "HS256", "crit": []}, payload()),
    "another type": lambda: encoded(payload(), headers={"typ": "logout+jwt"}),
    "a header that is a list": lambda: crafted([], payload()),
    "a payload that is a list": lambda: crafted({"alg": "HS256"}, []),
    "a payload that is nothing": lambda: crafted({"alg": "HS256"}, b"\xff"),
    "a deep payload": lambda: crafted({"alg": "HS256"}, b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "a kid that is a number": lambda: crafted({"alg": "RS256", "kid": 7}, payload()),
    "no sub": lambda: encoded({key: value for key, value in payload().items() if key != "sub"}),
    "an empty sub": lambda: encoded(payload(sub="")),
    "a sub that is a number": lambda: crafted({"alg": "HS256"}, payload(sub=7)),
    "a very long sub": lambda: encoded(payload(sub="x" * 300)),
    "no aud": lambda: encoded({key: value for key, value in payload().items() if key != "aud"}),
    "another aud": lambda: encoded(payload(aud="other")),
    "an aud that holds ours": lambda: encoded(payload(aud="meshgate-staging")),
    "no iss": lambda: encoded({key: value for key, value in payload().items() if key != "iss"}),
    "another iss": lambda: encoded(payload(iss=ISSUER)),
    "an iss that is ours in part": lambda: encoded(payload(iss="meshgate")),
    "no exp": lambda: encoded({key: value for key, value in payload().items() if key != "exp"}),
    "an expired one": lambda: encoded(payload(exp=NOW_S - 31)),
    "an exp that is true": lambda: crafted({"alg": "HS256"}, payload(exp=True)),
    "an exp that is text": lambda: crafted({"alg": "HS256"}, payload(exp="2000000")),
    "an exp that is no number": lambda: crafted({"alg": "HS256"}, payload(exp=float("nan"))),
    "an exp without end": lambda: crafted({"alg": "HS256"}, payload(exp=float("inf"))),
    "an exp of a thousand digits": lambda: crafted({"alg": "HS256"}, payload(exp=10**1000)),
    "an exp that is null": lambda: crafted({"alg": "HS256"}, payload(exp=None)),
    "an nbf to come": lambda: encoded(payload(nbf=NOW_S + 31)),
    "an nbf that is text": lambda: crafted({"alg": "HS256"}, payload(nbf="x")),
    "an iat to come": lambda: encoded(payload(iat=NOW_S + 31)),
    "roles that are an object": lambda: encoded(payload(roles={})),
    "roles that are numbers": lambda: encoded(payload(roles=[1])),
    "too many roles": lambda: encoded(payload(roles=["r"] * 101)),
    "a very long role": lambda: encoded(payload(roles=["r" * 300])),
    "a domain that is a list": lambda: encoded(payload(domain=["order"])),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_token_with_a_flaw_is_refused(name: str) -> None:
    await refusal(FORGED[name](), Callers(settings(token_max_bytes=20_000), clock=Clock()))


async def test_clocks_may_differ_by_the_leeway() -> None:
    assert (await identified(encoded(payload(exp=NOW_S - 29, nbf=NOW_S + 29, iat=NOW_S + 29)))).subject == "alice"


async def test_several_audiences_are_fine_when_ours_is_among_them() -> None:
    assert (await identified(encoded(payload(aud=["other", "meshgate"])))).subject == "alice"


async def test_claim_paths_are_settings() -> None:
    callers = Callers(settings(roles_claim="realm.roles", client_claim="https://x.example/client"), clock=Clock())
    token = encoded(payload(realm={"roles": ["steward"]}, **{"https://x.example/client": "bi"}))
    caller = await identified(token, callers=callers)
    assert (caller.roles, caller.client) == ({"steward"}, "bi")
    missing = await identified(encoded(payload(realm=7)), callers=callers)
    assert missing.roles == frozenset()


async def test_roles_may_be_one_text_with_spaces() -> None:
    assert (await identified(encoded(payload(roles="a b")))).roles == {"a", "b"}


async def test_a_token_without_roles_has_none() -> None:
    assert (await identified(encoded(payload(roles=None)))).roles == frozenset()


async def test_the_purpose_stated_must_be_one_of_the_token() -> None:
    callers = Callers(settings(), clock=Clock())
    token = demo(purposes=["a", "b"])
    assert (await identified(token, callers=callers)).purpose is None
    for _ in range(2):
        assert (await identified(token, purpose=b"b", callers=callers)).purpose == "b"
        for wrong in (b"c", b"", b"\xff", b"a b"):
            with pytest.raises(RefusalError) as caught:
                await identified(token, purpose=wrong, callers=callers)
            assert (caught.value.status, caught.value.code.name) == (403, "FORBIDDEN")


async def test_a_verified_token_is_remembered_until_it_expires() -> None:
    clock = Clock()
    callers = Callers(settings(), clock=clock)
    authorization = f"Bearer {demo()}".encode()
    assert callers.remembered(authorization, None) is None
    caller = await callers.identify(authorization, None)
    assert callers.remembered(authorization, None) is caller
    assert await callers.identify(authorization, None) is caller
    clock.now_s += 600 + 30
    assert callers.remembered(authorization, None) is None
    assert callers.remembered_count == 0
    with pytest.raises(RefusalError, match="expired"):
        await callers.identify(authorization, None)


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    callers = Callers(settings(remembered_max=2), clock=Clock())
    tokens = [f"Bearer {demo([role])}".encode() for role in "abc"]
    await callers.identify(tokens[0], None)
    await callers.identify(tokens[1], None)
    assert callers.remembered(tokens[0], None) is not None
    await callers.identify(tokens[2], None)
    assert callers.remembered_count == 2
    assert callers.remembered(tokens[1], None) is None


def test_nobody_is_remembered_without_a_token() -> None:
    assert Callers(settings()).remembered(None, None) is None


# --- published keys


def jwk(key: Any, key_id: str, **more: Any) -> dict[str, Any]:
    public = key.public_key()
    algorithm: Any = (
        jwt.algorithms.RSAAlgorithm
        if isinstance(key, rsa.RSAPrivateKey)
        else jwt.algorithms.ECAlgorithm
        if isinstance(key, ec.EllipticCurvePrivateKey)
        else jwt.algorithms.OKPAlgorithm
    )
    return {**json.loads(algorithm.to_jwk(public)), "kid": key_id, "use": "sig", "key_ops": ["verify"], **more}


class Provider:
    """An identity provider: a real JSON document behind httpx."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.fails = False
        self.asked = 0

    def __call__(self, _request: httpx.Request) -> tuple[int, bytes, dict[str, str]]:
        self.asked += 1
        return (503, b"", {}) if self.fails else (200, json.dumps({"keys": self.keys}).encode(), {})


class Published:
    """Callers over a provider, with a clock of their own."""

    def __init__(self, provider: Provider, **more: Any) -> None:
        self.clock = Clock()
        self.client = httpx.AsyncClient(transport=Streaming(provider))
        self.keys = JwksKeys("https://id.example.com/keys", self.client, clock=self.clock, **more)
        self.callers = Callers(settings(), keys=self.keys, clock=self.clock)

    async def __aenter__(self) -> Callers:
        await self.keys.start()
        return self.callers

    async def __aexit__(self, *_: object) -> None:
        await self.keys.aclose()
        await self.client.aclose()


SIGNERS = {"RS256": RSA, "ES256": EC, "EdDSA": ED}


def issued(algorithm: str, key_id: str | None = "k", key: Any = None, **more: Any) -> str:
    headers = {"kid": key_id} if key_id is not None else None
    return encoded(payload(iss=ISSUER, **more), key or SIGNERS[algorithm], algorithm, headers)


@pytest.mark.parametrize("algorithm", SIGNERS)
async def test_published_keys_verify_their_algorithm(algorithm: str) -> None:
    async with Published(Provider(jwk(SIGNERS[algorithm], "k"))) as callers:
        assert (await identified(issued(algorithm), callers=callers)).subject == "alice"
        assert (await identified(issued(algorithm, key_id=None), callers=callers)).subject == "alice"
        assert callers.unready() is None


async def test_a_public_key_is_no_shared_secret() -> None:
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = jwk(RSA, "k")
    async with Published(Provider(key)) as callers:
        for secret in (pem, json.dumps(key).encode(), b""):
            await refusal(crafted({"alg": "HS256", "kid": "k"}, payload(iss=ISSUER), secret), callers)


async def test_a_key_verifies_no_algorithm_but_its_own() -> None:
    async with Published(Provider(jwk(RSA, "k"))) as callers:
        await refusal(encoded(payload(iss=ISSUER), RSA, "RS512", {"kid": "k"}), callers)
        await refusal(encoded(payload(iss=ISSUER), RSA, "PS256", {"kid": "k"}), callers)
        await refusal(issued("ES256"), callers)


async def test_a_shared_key_in_the_set_is_passed_over() -> None:
    shared = {"kty": "oct", "kid": "s", "k": base64.urlsafe_b64encode(b"x" * 32).decode(), "alg": "HS256"}
    async with Published(Provider(shared, jwk(RSA, "k"))) as callers:
        await refusal(crafted({"alg": "HS256", "kid": "s"}, payload(iss=ISSUER), b"x" * 32), callers)


async def test_issuers_are_bound_to_their_keys() -> None:
    async with Published(Provider(jwk(RSA, "k"))) as callers:
        await refusal(encoded(payload(iss=DEMO_ISSUER), RSA, "RS256", {"kid": "k"}), callers)
        await refusal(encoded(payload(iss=ISSUER)), callers)


async def test_a_removed_key_ends_what_it_verified() -> None:
    provider = Provider(jwk(RSA, "old"), jwk(EC, "kept"))
    published = Published(provider)
    async with published as callers:
        token = issued("RS256", "old")
        await identified(token, callers=callers)
        assert callers.remembered(f"Bearer {token}".encode(), None) is not None
        provider.keys = [jwk(EC, "kept")]
        await published.keys.refresh()
        assert callers.remembered(f"Bearer {token}".encode(), None) is None
        await refusal(token, callers)
        assert (await identified(issued("ES256", "kept"), callers=callers)).subject == "alice"


async def test_an_added_key_leaves_what_is_remembered() -> None:
    provider = Provider(jwk(RSA, "old"))
    published = Published(provider)
    async with published as callers:
        token = issued("RS256", "old")
        await identified(token, callers=callers)
        provider.keys.append(jwk(EC, "new"))
        await published.keys.refresh()
        assert callers.remembered(f"Bearer {token}".encode(), None) is not None


async def test_a_replaced_key_under_the_same_id_ends_what_it_verified() -> None:
    provider = Provider(jwk(RSA, "k"))
    published = Published(provider)
    async with published as callers:
        token = issued("RS256")
        await identified(token, callers=callers)
        provider.keys = [jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), "k")]
        await published.keys.refresh()
        assert callers.remembered(f"Bearer {token}".encode(), None) is None
        await refusal(token, callers)


async def test_an_outage_is_survived_on_the_last_good_keys_until_they_are_too_old() -> None:
    provider = Provider(jwk(RSA, "k"))
    published = Published(provider, stale_max_s=1000)
    async with published as callers:
        provider.fails = True
        published.clock.now_s += 500
        await published.keys.refresh()
        assert (await identified(issued("RS256"), callers=callers)).subject == "alice"
        published.clock.now_s += 501
        assert callers.unready() == "the identity provider's keys are too old"
        assert "key is not known" in (await refusal(issued("RS256", exp=NOW_S + 9000), callers)).message
        provider.fails = False
        await published.keys.refresh()
        assert (await identified(issued("RS256", exp=NOW_S + 9000), callers=callers)).subject == "alice"


async def test_a_new_key_is_found_when_a_token_names_it() -> None:
    provider = Provider(jwk(RSA, "old"))
    published = Published(provider, cooldown_s=10)
    async with published as callers:
        provider.keys.append(jwk(EC, "new"))
        published.clock.now_s += 11
        assert (await identified(issued("ES256", "new"), callers=callers)).subject == "alice"
        assert provider.asked == 2


async def test_unknown_key_ids_ask_the_provider_once_per_cooldown() -> None:
    provider = Provider(jwk(RSA, "k"))
    published = Published(provider, cooldown_s=10)
    async with published as callers:
        for number in range(50):
            await refusal(issued("RS256", f"unknown-{number}"), callers)
        assert provider.asked == 1
        published.clock.now_s += 11
        for number in range(50):
            await refusal(issued("RS256", f"unknown-{number}"), callers)
        assert provider.asked == 2


async def test_without_any_key_the_gateway_is_not_ready() -> None:
    provider = Provider()
    async with Published(provider) as callers:
        assert callers.unready() == "the identity provider's keys have not been fetched yet"
        await refusal(issued("RS256"), callers)
