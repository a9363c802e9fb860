"""``meshgate slo``: the board; ``meshgate slo rules | dashboard``: what Prometheus and Grafana need, from the contracts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli import slo_board
from gateway.cli.failure import CommandError, settings_of, told

if TYPE_CHECKING:
    from contracts.model import Contract

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    slo = commands.add_parser("slo", help="how well the promises are kept", description="Show the board: how products keep their promises.")
    slo_board.add_options(slo)
    below = slo.add_subparsers(title="commands", metavar="COMMAND")
    rules = below.add_parser(
        "rules",
        help="write rules for Prometheus",
        description="Write recording, burn-rate and alerting rules for the objectives of contracts, as a rule file of Prometheus.",
        epilog="example: meshgate slo rules contracts/catalog > meshgate.rules.yml && promtool check rules meshgate.rules.yml",
    )
    _add_contracts(rules)
    rules.set_defaults(run=_rules)
    board = below.add_parser(
        "dashboard",
        help="write a dashboard for Grafana",
        description="Write a Grafana dashboard for the objectives of contracts, ready to be imported.",
        epilog="example: meshgate slo dashboard contracts/catalog/order > order.json",
    )
    _add_contracts(board)
    board.add_argument("--title", default="Data products", help="title of the dashboard (default: Data products)")
    board.set_defaults(run=_dashboard)


def _add_contracts(parser: argparse.ArgumentParser) -> None:
    paths = "contracts, or folders of contracts (default: those that the gateway serves by its settings)"
    parser.add_argument("contracts", nargs="*", type=Path, metavar="CONTRACT", help=paths)
    parser.add_argument("--config", type=Path, help="settings file (default: $MESHGATE_CONFIG)")


def _rules(chosen: argparse.Namespace) -> int:
    from gateway.slo.rules import rules_yaml

    print(rules_yaml(_contracts(chosen)), end="")
    return 0


def _dashboard(chosen: argparse.Namespace) -> int:
    from gateway.slo.dashboard import dashboard

    with told(ValueError):
        print(json.dumps(dashboard(_contracts(chosen), title=chosen.title), indent=2, ensure_ascii=False))
    return 0


def _contracts(chosen: argparse.Namespace) -> list[Contract]:
    """Load what can be loaded; a contract that is wrong is told and left out, as the gateway does."""
    from contracts.errors import ContractInvalidError
    from contracts.load import load_contract, read_catalog

    found: dict[tuple[str, int], Contract] = {}
    for path in chosen.contracts or [settings_of(chosen.config).catalog_dir]:
        if path.is_dir():
            reading = read_catalog(path)
            found.update({(it.key, it.major): it for it in reading.contracts})
            for problem in reading.problems:
                print(f"left out: {problem}", file=sys.stderr)
        else:
            with told(ContractInvalidError):
                contract = load_contract(path)
            found[contract.key, contract.major] = contract
    if not found:
        raise CommandError("there are no contracts there")
    return [found[key] for key in sorted(found)]
