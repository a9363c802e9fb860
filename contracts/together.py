"""Whether contracts go together: relationships lead to products and columns that are there, and inverses do not clash.

Pure. A target that is not known yet is a warning (teams publish in any order); everything else is a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from contracts.errors import Problem, ProblemCode, nearest_of, quoted
from contracts.fields import Enumeration, FieldType, Kind, Scalar
from contracts.model import Contract, Relationship

__all__ = ["Together", "check_together", "target_of"]


_SUGGESTIONS_MAX = 50


@dataclass(frozen=True, slots=True)
class Together:
    """What is wrong and what is odd between contracts."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def target_of(relationship: Relationship, contracts: Iterable[Contract]) -> Contract | None:
    """Find the contract that a relationship leads to: of the major asked for, else the newest."""
    candidates = [
        contract
        for contract in contracts
        if contract.key == relationship.to and (relationship.to_major is None or contract.major == relationship.to_major)
    ]
    return max(candidates, key=_version, default=None)


def check_together(contracts: Sequence[Contract]) -> Together:
    """Check every relationship against its target. Problems name the product in place of a file."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    by_key: dict[str, list[Contract]] = {}
    for contract in contracts:
        by_key.setdefault(contract.key, []).append(contract)
    inverses: dict[tuple[str, int, str], str] = {}
    for contract in contracts:
        for index, relationship in enumerate(contract.relationships):
            at = f"spec.relationships[{index}]"
            target = target_of(relationship, by_key.get(relationship.to, ()))
            if target is None:
                nearest = nearest_of(relationship.to, by_key) if len(warnings) < _SUGGESTIONS_MAX else None
                message = f"product {quoted(_asked(relationship))} is not known yet"
                warnings.append(_problem(contract, ProblemCode.UNKNOWN_PRODUCT, f"{at}.to", message, nearest))
                continue
            problems.extend(_pairs(contract, relationship, target, at))
            problems.extend(_inverse(contract, relationship, target, f"{at}.inverse", inverses))
        for at, product in _named(contract):
            if product not in by_key:
                message = f"product {quoted(product)} is not known yet"
                nearest = nearest_of(product, by_key) if len(warnings) < _SUGGESTIONS_MAX else None
                warnings.append(_problem(contract, ProblemCode.UNKNOWN_PRODUCT, at, message, nearest))
    return Together(tuple(problems), tuple(warnings))


def _named(contract: Contract) -> Iterator[tuple[str, str]]:
    if contract.subject is not None:
        yield "spec.subject.of", contract.subject.of
    if contract.consent is not None:
        yield "spec.consent.product", contract.consent.product


def _asked(relationship: Relationship) -> str:
    return relationship.to if relationship.to_major is None else f"{relationship.to}@{relationship.to_major}"


def _version(contract: Contract) -> tuple[int, ...]:
    plain = contract.metadata.version.partition("+")[0]
    numbers, _, pre = plain.partition("-")
    return (*(int(part) for part in numbers.split(".")), 0 if pre else 1)


def _problem(contract: Contract, code: ProblemCode, at: str, message: str, nearest: str | None = None) -> Problem:
    return Problem(code, message, f"{contract.key}@{contract.metadata.version}", None, at, nearest)


def _pairs(contract: Contract, relationship: Relationship, target: Contract, at: str) -> list[Problem]:
    found: list[Problem] = []
    for own, other in relationship.on:
        here = f"{at}.on.{own}"
        theirs = target.field_by_name.get(other)
        if theirs is None:
            message = f"{target.key} has no column {quoted(other)}"
            nearest = nearest_of(other, target.field_by_name)
            found.append(_problem(contract, ProblemCode.UNKNOWN_COLUMN, here, message, nearest))
        elif not _comparable(contract.field_by_name[own].type, theirs.type):
            message = f"columns {quoted(own)} and {quoted(other)} have types that cannot be compared"
            found.append(_problem(contract, ProblemCode.UNFIT_COLUMN, here, message))
    return found


_TEXT = frozenset({Kind.STRING, Kind.UUID})
_WHOLE = frozenset({Kind.INT, Kind.LONG})


def _comparable(own: FieldType, other: FieldType) -> bool:
    kinds = {_kind(own), _kind(other)}
    return None not in kinds and (len(kinds) == 1 or kinds <= _TEXT or kinds <= _WHOLE)


def _kind(type_: FieldType) -> Kind | None:
    match type_:
        case Scalar(kind=kind):
            return kind
        case Enumeration():
            return Kind.STRING
        case _:
            return None


def _inverse(
    contract: Contract, relationship: Relationship, target: Contract, at: str, inverses: dict[tuple[str, int, str], str]
) -> list[Problem]:
    name = relationship.inverse
    if name is None:
        return []
    owner = f"{contract.key}@{contract.major}"
    if name in target.field_by_name or any(other.name == name for other in target.relationships):
        return [_problem(contract, ProblemCode.CONTRADICTION, at, f"{target.key} has a column or relationship {quoted(name)} already")]
    taken = inverses.setdefault((target.key, target.major, name), owner)
    # Two majors of one product point back under the same name; the newer one is meant.
    if taken != owner and taken.partition("@")[0] != contract.key:
        return [_problem(contract, ProblemCode.CONTRADICTION, at, f"{taken} gives {target.key} an inverse {quoted(name)} already")]
    return []
