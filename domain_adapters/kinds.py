"""Opens the port that a contract's output port and a product's endpoint describe: one entry per kind.

Rejects kinds that nobody serves yet (`PortCannotError`): such a port is listed, not read. Opening connects to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from contracts.model import Contract, OutputPort
from domain_adapters.addresses import AddressPolicy, Resolve, system_resolve
from domain_adapters.allowance import Allowance
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import PortCannotError
from domain_adapters.port import Port
from domain_adapters.remote import RemotePort
from domain_adapters.transport import Limits, PooledClient

__all__ = ["KINDS", "Surroundings", "is_served", "open_port", "open_remote"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every port is opened with: where it may connect, how many connections, who resolves names, what all of them may hold."""

    policy: AddressPolicy = field(default_factory=AddressPolicy)
    limits: Limits = field(default_factory=Limits)
    resolve: Resolve = system_resolve
    allowance: Allowance = field(default_factory=Allowance)


def open_remote(contract: Contract, output: OutputPort, endpoint: Endpoint, around: Surroundings) -> RemotePort:
    """Open a ``rest-api`` port with a pool of its own."""
    client = PooledClient(
        endpoint.origin,
        policy=around.policy,
        tls=endpoint.tls,
        limits=around.limits,
        compressed=endpoint.compressed,
        resolve=around.resolve,
        allowance=around.allowance,
    )
    return RemotePort(contract, output, endpoint, client)


KINDS: Mapping[str, Callable[[Contract, OutputPort, Endpoint, Surroundings], Port]] = {"rest-api": open_remote}


def is_served(output: OutputPort) -> bool:
    """Tell whether ports of this type can be opened."""
    return output.type in KINDS


def open_port(contract: Contract, output: OutputPort, endpoint: Endpoint, around: Surroundings | None = None) -> Port:
    """Open one output port of one product. Raises: `PortCannotError` for types that are listed only."""
    if output.type not in KINDS:
        raise PortCannotError(f"ports of type {output.type} are listed only", reason="kind")
    return KINDS[output.type](contract, output, endpoint, around or Surroundings())
