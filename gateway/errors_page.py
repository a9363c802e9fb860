"""The public table of error codes as a page of documentation: ``python -m gateway.errors_page > gateway/docs/errors.md``."""

from __future__ import annotations

import sys

from gateway.errors import CODES, Fault

__all__ = ["page"]

_HEAD = """\
# Error codes

Every error carries `extensions.code`, one of these for as long as there is a Meshgate, and `extensions.hint`, which says what to do next.
The status is that of an answer which holds nothing but this error (with `Accept: application/json`, refusals of a well-formed GraphQL
request are 200). This page is written by `python -m gateway.errors_page`; a test compares it with the code.
"""
_WHO = {
    Fault.CALLER: "who asks",
    Fault.CAPACITY: "nobody: try again",
    Fault.DOMAIN: "the domain that owns the product",
    Fault.GATEWAY: "who runs the gateway",
}


def page() -> str:
    """Write the page."""
    parts = [_HEAD]
    for fault, who in _WHO.items():
        rows = [f"| `{code.name}` | {code.status} | {code.hint} |" for code in CODES.values() if code.fault is fault]
        parts.append("\n".join([f"## For {who}\n", "| code | status | what to do |", "| --- | --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
