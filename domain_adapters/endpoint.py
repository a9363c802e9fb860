"""Where a product is served and how we introduce ourselves there: the binding of a contract's ports (SPEC B1).

Rejects URLs with credentials and secrets that are not references; touches the environment and secret files when asked for a
credential. Credentials never stand in contracts, reprs, logs or messages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from domain_adapters.errors import PortUnavailableError
from domain_adapters.transport import Tls

__all__ = ["Endpoint", "bearer"]

_SECRET_MAX_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A product's base URL; each port's path is appended.

    ``auth``: reference to a bearer token, ``env:NAME`` or ``file:PATH``. ``level``: protocol level if known, else it is probed.
    ``compressed``: ask for compressed answers (worth it between sites, not on one machine). Raises: ValueError.
    """

    url: str
    auth: str | None = None
    level: Literal[0, 1] | None = None
    tls: Tls | None = None
    compressed: bool = False

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise ValueError("an endpoint's URL has a malformed host or port") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            raise ValueError("an endpoint's URL starts with http:// or https:// and names a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("an endpoint's URL holds no credentials; refer to them with auth: env:NAME or file:PATH")
        if parts.query or parts.fragment or not self.url.isascii() or any(sign <= " " for sign in self.url):
            raise ValueError("an endpoint's URL has no query, fragment, blanks or unencoded characters")
        if self.auth is not None and not (self.auth.startswith(("env:", "file:")) and self.auth.partition(":")[2]):
            raise ValueError("an endpoint's auth is a reference: env:NAME or file:PATH")

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def path_of(self, port_path: str | None) -> str:
        """Append a port's path to the endpoint's own."""
        base = urlsplit(self.url).path.rstrip("/")
        if not port_path:
            return base or "/"
        return f"{base}/{port_path.strip('/')}"


def bearer(reference: str | None) -> tuple[tuple[str, str], ...]:
    """Read the referenced token now, so that a rotated secret is used at once, and give the header to send.

    Raises: `PortUnavailableError` with reason ``credential``; the message names the reference only.
    """
    if reference is None:
        return ()
    kind, _, place = reference.partition(":")
    try:
        if kind == "env":
            token = os.environ[place]
        else:
            with Path(place).open("rb") as file:
                token = file.read(_SECRET_MAX_BYTES).decode()
    except (KeyError, OSError, UnicodeDecodeError):
        raise PortUnavailableError(f"the endpoint's credential {reference} cannot be read", reason="credential") from None
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise PortUnavailableError(f"the endpoint's credential {reference} is no bearer token", reason="credential")
    return (("Authorization", f"Bearer {token}"),)
