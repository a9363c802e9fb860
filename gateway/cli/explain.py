"""``meshgate explain``: what the gateway would do for an operation and a caller, without doing it."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli import callers
from gateway.cli.failure import CommandError, read_text, service_of, settings_of

if TYPE_CHECKING:
    from gateway.exchange import Frame, Question
    from gateway.settings import Settings

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explain",
        help="show plan, rulings and upstream calls",
        description="Show how an operation would be answered for a role: plan, what is masked or denied and why, upstream calls.",
        epilog="example: meshgate explain '{ order { ordersDaily { nodes { orderId } } } }' --role analyst --claim countries=DE,FR",
    )
    parser.add_argument("operation", help="a file, or the text of the operation")
    callers.add_options(parser)
    parser.add_argument("--variables", type=_object, metavar="JSON", help="the variables")
    parser.add_argument("--operation-name", metavar="NAME", help="which operation, where the document holds several")
    parser.add_argument("--config", type=Path, help="settings file (default: $MESHGATE_CONFIG)")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from gateway.exchange import Question

    text = chosen.operation if "{" in chosen.operation else read_text(Path(chosen.operation))
    question = Question(text, chosen.operation_name, chosen.variables)
    print(asyncio.run(_explained(_placed(settings_of(chosen.config)), question, chosen)))
    return 0


def _placed(settings: Settings) -> Settings:
    """Assume the demo's endpoints where no settings name any: explaining is most of all for those who try the demo."""
    if settings.products:
        return settings
    from gateway import demo
    from gateway.settings import load

    print("meshgate: the settings name no endpoints; assuming those of `meshgate demo`", file=sys.stderr)
    placed = load(environment=demo._addresses("127.0.0.1", demo.Ports()))
    return settings.model_copy(update={"products": placed.products})


async def _explained(settings: Settings, question: Question, chosen: argparse.Namespace) -> str:
    from gateway.errors import GatewayError

    built = service_of(settings)
    try:
        found: Any = built.explain(question, _frame(chosen, asyncio.get_running_loop().time() + settings.timeouts.request_s))
        return str(await found if inspect.isawaitable(found) else found)
    except GatewayError as error:
        raise CommandError(f"{error.code.name}: {error.message}\n  {error.hint}") from None
    finally:
        await built.aclose()


def _frame(chosen: argparse.Namespace, deadline_s: float) -> Frame:
    from gateway.caller import Caller
    from gateway.exchange import Frame

    claims = callers.claims_of(chosen.claim)
    purposes = tuple(dict.fromkeys(chosen.purpose))
    caller = Caller(
        subject="explain",
        roles=frozenset(chosen.role),
        purposes=purposes,
        purpose=purposes[0] if len(purposes) == 1 else None,
        domain=chosen.domain,
        claims={"sub": "explain", "roles": list(chosen.role), "purposes": list(purposes), **claims},
    )
    return Frame(caller, deadline_s, request_id="explain")


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value
