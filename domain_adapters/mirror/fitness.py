"""Decides whether a product may be mirrored at all. Pure; refuses with `SourceError`, naming columns and the remedy."""

from __future__ import annotations

from contracts.errors import quoted
from contracts.model import Contract, OutputPort
from contracts.policy import MeshPolicy, never_persisted
from domain_adapters.errors import SourceError

__all__ = ["output_of", "refuse_unfit"]


def refuse_unfit(contract: Contract, policy: MeshPolicy | None) -> None:
    """Refuse a product of which no copy may be kept, or that nothing can be read of. Raises: `SourceError`. Source: SPEC B4."""
    output_of(contract)
    columns = never_persisted(contract, policy)
    if columns:
        named = ", ".join(quoted(name) for name in columns)
        raise SourceError(
            f"{contract.key} cannot be mirrored: no copy may be kept of {named} (neverPersist, or a tag that the mesh policy does not "
            "explain); take the column out of the product, or serve level 1 at the source"
        )
    if contract.retention is not None and contract.retention.from_column is None:
        raise SourceError(
            f"{contract.key} cannot be mirrored: it limits how long rows are kept, and no column dates them; "
            'name one with "retention: {period, from}" or "time: {event}"'
        )


def output_of(contract: Contract) -> OutputPort:
    """Find the port whose copy is kept: the first ``rest-api`` that is not level 1 anyway. Raises: `SourceError` where there is none."""
    for output in contract.output_ports:
        if output.type == "rest-api" and output.level != 1:
            return output
    raise SourceError(f"{contract.key} has no output port of type rest-api and level 0 to be mirrored")
