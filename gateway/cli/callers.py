"""Options that say who asks, shared by ``token`` and ``explain``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

__all__ = ["add_options", "claim", "claims_of", "value_of"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --role, --claim, --purpose, --domain."""
    parser.add_argument("--role", action="append", default=[], metavar="ROLE", required=True, help="a role; may be given several times")
    parser.add_argument(
        "--claim",
        action="append",
        default=[],
        type=claim,
        metavar="NAME=VALUE",
        help="a further claim; a comma makes a list: countries=DE,FR (countries=DE, is a list of one)",
    )
    parser.add_argument("--purpose", action="extend", nargs="+", default=[], metavar="PURPOSE", help="purposes that the caller may state")
    parser.add_argument("--domain", help="the domain, for a domain team's token")


def claims_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Read claims as given on the command line."""
    return {name: value_of(text) for name, text in pairs}


def value_of(text: str) -> str | list[str]:
    """Read a claim's value: a list where there is a comma."""
    return [part.strip() for part in text.split(",") if part.strip()] if "," in text else text


def claim(text: str) -> tuple[str, str]:
    """Read one claim as given on the command line."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value
