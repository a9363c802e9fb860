"""Callers: the Authorization and Mesh-Purpose headers in, a verified `Caller` out.

A token is verified once and remembered, by a digest, until it expires or its key is replaced or withdrawn. Every doubt is a
refusal. May reject with UNAUTHENTICATED (401) and FORBIDDEN (403, purpose). Touches: the clock, and the keys' address.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jwt

from gateway.caller import Caller
from gateway.http.keys import ALGORITHMS, JwksKeys
from gateway.http.refusals import RefusalError
from gateway.http.tokens import DEMO_ISSUER
from gateway.settings_sections import AuthSettings

__all__ = ["Callers"]

_TIME_MAX_S = 1e12
_NAMES_MAX = 100
# Claims take ten times the room of their token: tokens with long lists are remembered in smaller numbers.
_REMEMBERED_BYTES_MAX = 8 * 1024 * 1024
_NAME_MAX_CHARACTERS = 256
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


@dataclass(slots=True)
class _Remembered:
    caller: Caller
    ends_at_s: float
    generation: int
    weight: int
    by_purpose: dict[bytes, Caller] = field(default_factory=dict)


class Callers:
    """Tells who asks. ``anonymous_role``: the role of those without a token; None refuses them."""

    def __init__(
        self,
        settings: AuthSettings,
        *,
        keys: JwksKeys | None = None,
        anonymous_role: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._demo_key = settings.demo_key.get_secret_value() if settings.demo_key is not None else None
        self._anonymous = Caller(subject="anonymous", roles=frozenset({anonymous_role})) if anonymous_role is not None else None
        self._clock = clock
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._remembered_bytes = 0

    def remembered(self, authorization: bytes | None, purpose: bytes | None) -> Caller | None:
        """Find a caller whose token was verified before, without waiting; None when it has to be identified."""
        if authorization is None:
            return None
        digest = hashlib.blake2b(authorization, digest_size=32).digest()
        entry = self._remembered.get(digest)
        if entry is None:
            return None
        if self._clock() >= entry.ends_at_s or entry.generation != self._generation:
            self._forget(digest)
            return None
        self._remembered.move_to_end(digest)
        if purpose is None:
            return entry.caller
        caller = entry.by_purpose.get(purpose)
        if caller is None:
            # Bounded: only purposes that the token holds get here.
            caller = entry.by_purpose[purpose] = _stated(entry.caller, purpose)
        return caller

    async def identify(self, authorization: bytes | None, purpose: bytes | None) -> Caller:
        """Verify who asks. Raises: RefusalError, UNAUTHENTICATED or FORBIDDEN."""
        if authorization is None:
            if self._anonymous is None:
                raise _unauthenticated("The request carries no token.", error=None)
            return self._anonymous if purpose is None else _stated(self._anonymous, purpose)
        caller = self.remembered(authorization, purpose)
        if caller is not None:
            return caller
        token = _bearer(authorization, self._settings.token_max_bytes)
        generation = self._generation
        verified = self._caller_of(await self._payload(token))
        self._remember(hashlib.blake2b(authorization, digest_size=32).digest(), verified, generation, weight=len(authorization))
        return verified if purpose is None else _stated(verified, purpose)

    def unready(self) -> str | None:
        """Say why callers cannot be identified now, if so."""
        return self._keys.unready() if self._keys is not None else None

    @property
    def remembered_count(self) -> int:
        """How many verified tokens are remembered."""
        return len(self._remembered)

    @property
    def _generation(self) -> int:
        return self._keys.generation if self._keys is not None else 0

    def _remember(self, digest: bytes, caller: Caller, generation: int, *, weight: int) -> None:
        if caller.expires_at_s is None:
            return
        self._forget(digest)  # two requests may verify one token side by side
        self._remembered[digest] = _Remembered(caller, caller.expires_at_s + self._settings.leeway_s, generation, weight)
        self._remembered_bytes += weight
        while len(self._remembered) > self._settings.remembered_max or self._remembered_bytes > _REMEMBERED_BYTES_MAX:
            self._forget(next(iter(self._remembered)))

    def _forget(self, digest: bytes) -> None:
        entry = self._remembered.pop(digest, None)
        if entry is not None:
            self._remembered_bytes -= entry.weight

    async def _payload(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except Exception:  # Whatever the library makes of hostile bytes, it is not a token.
            raise _unauthenticated("The token cannot be read.") from None
        algorithm = header.get("alg")
        if "crit" in header:
            raise _unauthenticated("The token demands extensions that are not supported.")
        if str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise _unauthenticated("The token is not an access token.")
        # INVARIANT: the algorithm decides the kind of key. The shared key verifies HS256 only, published keys never do.
        if algorithm == "HS256" and self._demo_key is not None:
            return self._decode(token, self._demo_key, "HS256", DEMO_ISSUER)
        if algorithm not in ALGORITHMS or self._keys is None:
            raise _unauthenticated("The token's algorithm is not accepted.")
        key_id = header.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise _unauthenticated("The token cannot be read.")
        key = await self._keys.find(key_id, algorithm)
        if key is None:
            raise _unauthenticated("The token's key is not known.")
        return self._decode(token, key.key, key.algorithm, self._settings.issuer)

    def _decode(self, token: str, key: Any, algorithm: str, issuer: str | None) -> dict[str, Any]:
        try:
            payload: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=issuer,
                leeway=self._settings.leeway_s,
                # Times are judged below, by the clock that was passed in.
                options={"require": ["exp", "aud", "iss", "sub"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidSignatureError:
            raise _unauthenticated("The token's signature does not match.") from None
        except jwt.InvalidAudienceError:
            raise _unauthenticated("The token is meant for another audience.") from None
        except jwt.InvalidIssuerError:
            raise _unauthenticated("The token's issuer is not accepted.") from None
        except jwt.MissingRequiredClaimError as error:
            raise _unauthenticated(f"The token has no claim {error.claim}.") from None
        except Exception:  # Fail closed: RecursionError, OverflowError and the like, from payloads made to cause them.
            raise _unauthenticated("The token cannot be verified.") from None
        self._check_times(payload)
        return payload

    def _check_times(self, payload: Mapping[str, Any]) -> None:
        now_s, leeway_s = self._clock(), self._settings.leeway_s
        times: dict[str, float] = {}
        for name in ("exp", "nbf", "iat"):
            value = payload.get(name)
            if value is None and name != "exp":
                continue
            # Written so that NaN fails it, and integers too large for a float do not break it.
            if isinstance(value, bool) or not isinstance(value, int | float) or not -_TIME_MAX_S < value < _TIME_MAX_S:
                raise _unauthenticated(f"The token's claim {name} is not a time.")
            times[name] = float(value)
        if times["exp"] + leeway_s <= now_s:
            raise _unauthenticated("The token has expired.")
        if max(times.get("nbf", now_s), times.get("iat", now_s)) > now_s + leeway_s:
            raise _unauthenticated("The token is not valid yet.")

    def _caller_of(self, payload: Mapping[str, Any]) -> Caller:
        settings = self._settings
        subject = _text(payload, "sub")
        if not subject:
            raise _unauthenticated("The token has no claim sub.")
        purposes = tuple(dict.fromkeys(_names(payload, settings.purposes_claim)))
        return Caller(
            subject=subject,
            roles=frozenset(_names(payload, settings.roles_claim)),
            purposes=purposes,
            purpose=purposes[0] if len(purposes) == 1 else None,
            domain=_text(payload, settings.domain_claim),
            client=_text(payload, settings.client_claim),
            claims=payload,
            expires_at_s=float(payload["exp"]),
        )


def _stated(caller: Caller, purpose: bytes) -> Caller:
    try:
        named = purpose.decode()
    except UnicodeDecodeError:
        named = ""
    if named not in caller.purposes:
        raise RefusalError(
            "FORBIDDEN", "The purpose in Mesh-Purpose is not among those of the token.", hint="State one of the token's purposes, or none."
        )
    return replace(caller, purpose=named)


def _bearer(authorization: bytes, max_bytes: int) -> str:
    scheme, _, token = authorization.strip().partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        raise _unauthenticated("The Authorization header must be: Bearer <token>.", error="invalid_request")
    if len(token) > max_bytes:
        raise _unauthenticated("The token is too long.")
    try:
        return token.decode("ascii")
    except UnicodeDecodeError:
        raise _unauthenticated("The token cannot be read.") from None


def _claim(payload: Mapping[str, Any], path: str) -> Any:
    if path in payload:
        # Claims named by an address hold dots themselves: https://example.com/roles.
        return payload[path]
    found: Any = payload
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def _text(payload: Mapping[str, Any], path: str) -> str | None:
    value = _claim(payload, path)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _NAME_MAX_CHARACTERS:
        raise _unauthenticated(f"The token's claim {path} is not a short text.")
    return value


def _names(payload: Mapping[str, Any], path: str) -> list[str]:
    value = _claim(payload, path)
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list) or len(value) > _NAMES_MAX:
        raise _unauthenticated(f"The token's claim {path} is not a list of names.")
    if not all(isinstance(name, str) and len(name) <= _NAME_MAX_CHARACTERS for name in value):
        raise _unauthenticated(f"The token's claim {path} is not a list of names.")
    return value


def _unauthenticated(message: str, *, error: str | None = "invalid_token") -> RefusalError:
    challenge = 'Bearer realm="meshgate"'
    if error is not None:
        challenge += f', error="{error}"'
    return RefusalError("UNAUTHENTICATED", message, headers=((b"www-authenticate", challenge.encode()),))
