"""Where a client may connect: turns a host name into the addresses that the operator's policy allows.

Rejects names that resolve to nothing allowed; touches the resolver only. The connection is made to the address that was
checked, never to a second look-up of the name. Source: DESIGN SPEC B7, OWASP SSRF cheat sheet.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain_adapters.errors import PortUnavailableError

__all__ = ["AddressPolicy", "Resolve", "checked_addresses", "system_resolve"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_METADATA = (ipaddress.ip_address("100.100.100.200"), ipaddress.ip_address("fd00:ec2::254"))


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses endpoints may have.

    Link-local, metadata, multicast, unspecified and reserved addresses are never allowed. ``loopback`` and ``private`` must be
    switched on. ``only``: where not empty, nothing outside these networks is allowed.
    """

    loopback: bool = False
    private: bool = False
    only: tuple[Network, ...] = ()

    def allows(self, address: str) -> bool:
        """Decide over one numeric address; an IPv4 address inside an IPv6 one counts as itself."""
        try:
            found = _innermost(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if found in _METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
            return False
        if self.only and not any(found in network for network in self.only if network.version == found.version):
            return False
        if found.is_loopback:
            return self.loopback
        if found.is_reserved:
            return False
        return self.private if found.is_private or found in _SHARED else found.is_global


def _innermost(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


async def system_resolve(host: str, port: int) -> tuple[str, ...]:
    """Ask the system's resolver; numeric hosts come back as they are, without asking it, which takes a thread."""
    if "%" not in host:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass  # a name, or a number spelt as only resolvers read it
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked_addresses(host: str, port: int, policy: AddressPolicy, resolve: Resolve = system_resolve) -> tuple[str, ...]:
    """Resolve a name and keep the allowed addresses, in the resolver's order.

    Raises: `PortUnavailableError` with reason ``unresolved`` or ``address_denied``.
    """
    try:
        found = await resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise PortUnavailableError("the endpoint's host name does not resolve", reason="unresolved") from error
    allowed = tuple(address for address in found if policy.allows(address))
    if not allowed:
        raise PortUnavailableError("the endpoint's address is not one that the address policy allows", reason="address_denied")
    return allowed
