"""``meshgate check``: contracts and folders of contracts in, every mistake with file and line out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.failure import CommandError, told

if TYPE_CHECKING:
    from contracts.errors import Problem
    from contracts.model import Contract
    from contracts.policy import MeshPolicy

__all__ = ["add"]

_POLICY = Path("contracts/policies/mesh.yaml")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="find all mistakes in contracts",
        description="Check contracts by themselves, against the mesh policy and against each other. Exit status 1 when one is wrong.",
        epilog="example: meshgate check contracts/catalog my-contract.yaml --policy contracts/policies/mesh.yaml",
    )
    parser.add_argument("contracts", nargs="+", type=Path, metavar="CONTRACT", help="a contract, or a folder of contracts")
    parser.add_argument("--policy", type=Path, help=f"the mesh policy (default: {_POLICY}, if it is there)")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from contracts.errors import ContractInvalidError
    from contracts.load import load_contract, read_catalog
    from contracts.together import check_together

    policy = _policy(chosen.policy)
    problems: list[Problem] = []
    warnings: list[Problem] = []
    found: list[Contract] = []
    for path in chosen.contracts:
        if path.is_dir():
            reading = read_catalog(path, policy)
            problems.extend(reading.problems)
            warnings.extend(reading.warnings)
            found.extend(reading.contracts)
            continue
        try:
            contract = load_contract(path, policy)
        except ContractInvalidError as error:
            problems.extend(error.problems)
        else:
            found.append(contract)
            warnings.extend(contract.warnings)
    if len(chosen.contracts) > 1:
        together = check_together(tuple(found))
        problems.extend(problem for problem in together.problems if problem not in problems)
    if not found and not problems:
        raise CommandError("there are no contracts there")
    for warning in dict.fromkeys(warnings):
        print(f"warning: {warning}", file=sys.stderr)
    for problem in problems:
        print(problem)
    if problems:
        count = len(problems)
        print(
            f"{count} {'problem' if count == 1 else 'problems'} in {len({problem.file for problem in problems})} file(s)", file=sys.stderr
        )
        return 1
    for contract in found:
        print(f"{contract.key}@{contract.metadata.version}: ok")
    return 0


def _policy(path: Path | None) -> MeshPolicy | None:
    from contracts.errors import PolicyInvalidError
    from contracts.policy_document import load_policy

    if path is None and not _POLICY.is_file():
        return None
    with told(PolicyInvalidError):
        return load_policy(path or _POLICY)
