"""``meshgate slo``: the board of a running gateway in a terminal, live with ``--watch``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from gateway.cli import callers
from gateway.cli.failure import CommandError, read_text, settings_of
from gateway.cli.tokens import signed_for

__all__ = ["add_options", "show"]

_CLEAR = "\x1b[H\x1b[2J"
_TIMEOUT_S = 15.0
_DEMO_CLAIMS = [("countries", "DE,FR")]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the board."""
    parser.add_argument("--url", help="the gateway (default: where the settings let it listen)")
    parser.add_argument("--token-file", type=Path, metavar="PATH", help="file with the token to ask with (default: one of the demo)")
    parser.add_argument("--role", default="analyst", help="role of the demo token (default: %(default)s)")
    parser.add_argument(
        "--claim", action="append", type=callers.claim, metavar="NAME=VALUE", help="a claim of the demo token (default: countries=DE,FR)"
    )
    parser.add_argument("--domain", help="only products of this domain")
    parser.add_argument("--watch", nargs="?", type=float, const=2.0, metavar="SECONDS", help="show it again every so often (default: 2)")
    parser.add_argument("--config", type=Path, help="settings file (default: $MESHGATE_CONFIG)")
    parser.set_defaults(run=show)


def show(chosen: argparse.Namespace) -> int:
    """Show the board once, or until interrupted."""
    import httpx

    from gateway.slo.terminal import board_lines

    settings = settings_of(chosen.config)
    url = (chosen.url or f"http://{settings.http.host}:{settings.http.port}").rstrip("/")
    token = (
        read_text(chosen.token_file).strip()
        if chosen.token_file is not None
        else signed_for(chosen.role, chosen.claim or _DEMO_CLAIMS, chosen.config)
    )
    is_terminal = sys.stdout.isatty()
    with httpx.Client(trust_env=False, timeout=_TIMEOUT_S, headers={"authorization": f"Bearer {token}"}) as client:
        while True:
            lines = board_lines(_asked(client, url, chosen.domain), colored=is_terminal)
            print((_CLEAR if chosen.watch is not None and is_terminal else "") + "\n".join(lines), flush=True)
            if chosen.watch is None:
                return 0
            time.sleep(max(0.1, chosen.watch))


def _asked(client: Any, url: str, domain: str | None) -> list[dict[str, Any]]:
    import httpx

    from gateway.slo.terminal import QUERY

    found: list[dict[str, Any]] = []
    try:
        while True:
            after = found[-1]["cursor"] if found else None
            answer = client.post(f"{url}/graphql", json={"query": QUERY, "variables": {"domain": domain, "after": after}}).json()
            mesh = answer["data"]["mesh"]
            found += mesh["products"]
            if not mesh["products"] or len(found) >= mesh["productsCount"]:
                return found
    except httpx.HTTPError as error:
        raise CommandError(f"{url} cannot be asked ({type(error).__name__}); start it, or name another with --url") from None
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{url} did not answer as a gateway does, or not to this token; see --token-file and --role") from None
