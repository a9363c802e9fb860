"""GraphiQL: the browser's page and its assets, from memory, without any address but our own.

Assets are named by their content, so that browsers keep them for good. The page runs only scripts that its policy names.
Touches: files of this package, once.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from starlette.types import Receive, Scope, Send

__all__ = ["ASSETS_PATH", "Page", "page"]

ASSETS_PATH = "/graphql/assets/"
_TYPES = {"js": b"text/javascript; charset=utf-8", "css": b"text/css; charset=utf-8"}
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Asset:
    content_type: bytes
    plain: bytes
    packed: bytes


class Page:
    """The page and its assets, ready to send."""

    def __init__(self, html: str, assets: dict[str, bytes]) -> None:
        self._assets: dict[str, _Asset] = {}
        for name, content in assets.items():
            stem, _, kind = name.rpartition(".")
            hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:20]}.{kind}"
            self._assets[hashed] = _Asset(_TYPES[kind], content, gzip.compress(content, 9, mtime=0))
            html = html.replace("{" + name + "}", ASSETS_PATH + hashed)
        self._html = html.encode()
        inline = " ".join(_source_hash(script) for script in _INLINE.findall(html))
        # Styles: the editor's libraries set them while they run, so the page cannot name them all beforehand.
        policy = (
            f"default-src 'none'; script-src 'self' {inline}; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
            "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(self._html)).encode()),
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept"),
        ]

    async def send(self, send: Send) -> None:
        """Send the page."""
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._html})

    def holds(self, path: str) -> bool:
        """Tell whether ``path`` is that of an asset."""
        return path.removeprefix(ASSETS_PATH) in self._assets

    async def asset(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send an asset that `holds` knows, as an ASGI application."""
        asset = self._assets[scope["path"].removeprefix(ASSETS_PATH)]
        accepted = next((value for name, value in scope["headers"] if name == b"accept-encoding"), b"")
        packed = any(part.strip().lower() == b"gzip" for part in accepted.split(b","))
        body = asset.packed if packed else asset.plain
        headers = [
            (b"content-type", asset.content_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"x-content-type-options", b"nosniff"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"vary", b"accept-encoding"),
        ]
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})

    @property
    def assets(self) -> tuple[str, ...]:
        """Paths of all assets."""
        return tuple(ASSETS_PATH + name for name in self._assets)


@cache
def page() -> Page:
    """Load the page that ships with the gateway."""
    here = resources.files("gateway.http")
    vendor = here / "vendor"
    names = ("react.js", "react-dom.js", "graphiql.js", "graphiql.css")
    return Page((here / "graphiql.html").read_text("utf-8"), {name: (vendor / name).read_bytes() for name in names})


def _source_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
