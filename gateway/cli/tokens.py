"""``meshgate token``: a token signed with the demo key, on the last line of the output."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.cli import callers
from gateway.cli.failure import CommandError, settings_of

__all__ = ["add", "demo_token", "signed_for"]

_LIFETIME_S = 12 * 3600


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "token",
        help="sign a demo token",
        description="Sign a token with the demo key. The token is the last line of the output.",
        epilog='example: curl -H "Authorization: Bearer $(meshgate token --role analyst --claim countries=DE,FR | tail -n 1)" ...',
    )
    callers.add_options(parser)
    parser.add_argument("--subject", help="the claim sub; made from the roles when left out")
    parser.add_argument("--lifetime", type=float, default=_LIFETIME_S, metavar="SECONDS", help="validity (default: 12 hours)")
    parser.add_argument("--config", type=Path, help="settings whose auth.demo_key signs; else the demo's published key does")
    parser.set_defaults(run=_run)


def demo_token(role: str, claims: Mapping[str, str], purposes: tuple[str, ...]) -> str:
    """Sign a token for the demo, with claims spelled as on the command line."""
    return _sign([role], callers.claims_of(claims.items()), list(purposes), _key(None))


def signed_for(role: str, claims: Iterable[tuple[str, str]], config: Path | None) -> str:
    """Sign a short-lived token of one role for a command that asks the gateway itself."""
    return _sign([role], callers.claims_of(claims), [], _key(config), lifetime_s=600)


def _run(chosen: argparse.Namespace) -> int:
    try:
        token = _sign(
            chosen.role,
            callers.claims_of(chosen.claim),
            chosen.purpose,
            _key(chosen.config),
            domain=chosen.domain,
            lifetime_s=chosen.lifetime,
            subject=chosen.subject,
        )
    except ValueError as error:
        raise CommandError(f"{error}; use the option of that name") from None
    print(token)
    return 0


def _key(config: Path | None) -> str:
    from gateway.settings import DEMO_KEY

    configured = settings_of(config).auth.demo_key
    return configured.get_secret_value() if configured is not None else DEMO_KEY


def _sign(
    roles: list[str],
    claims: dict[str, str | list[str]],
    purposes: list[str],
    key: str,
    *,
    domain: str | None = None,
    lifetime_s: float = _LIFETIME_S,
    subject: str | None = None,
) -> str:
    from gateway.http.tokens import sign

    return sign(roles, claims, purposes=purposes, domain=domain, key=key, lifetime_s=lifetime_s, subject=subject)
