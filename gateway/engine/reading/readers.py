"""A step of an executable -> what reads it: the product's ports, decoders for what they send, and what is believed of their counts.

Holds what is known of ports from request to request. Rejects with UPSTREAM_UNAVAILABLE products without any endpoint; touches ports
only to ask those that nobody has asked yet what they can do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Use
from contracts.predicates import Predicate
from domain_adapters.port import Call, Port, Probes
from gateway.catalog.change import Change
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.executable import Step
from gateway.engine.budget import Budget
from gateway.engine.decoding.cells import Tie
from gateway.engine.decoding.decode import RowDecoders
from gateway.engine.reading.choice import Offer
from gateway.engine.reading.pages import OnRead, Pages
from gateway.engine.reading.ports import OnFailover, Ports
from gateway.errors import GatewayError
from gateway.governance.masks import MaskKeys, mask_function

__all__ = ["Readers"]

_ALL_USES: frozenset[Use] = frozenset()


class Readers:
    """Opens the products of one snapshot for steps. ``rows``: product's key -> how many rows it is said to have."""

    def __init__(
        self,
        snapshot: Snapshot,
        masks: MaskKeys,
        *,
        rows: Mapping[str, int],
        on_read: OnRead,
        on_failover: OnFailover,
        unprobed: dict[int, Probes] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._masks = masks
        self._rows = rows
        self._on_read = on_read
        self._on_failover = on_failover
        self._decoders: dict[tuple[str, int, int], RowDecoders] = {}
        self._unprobed = _probing(snapshot.products.values()) if unprobed is None else unprobed
        # By product and the port's identity; successors share them, so that no proof and no disproof is lost on the way.
        self._proved: set[tuple[str, int]] = set()
        self._proved_totals: set[tuple[str, int]] = set()

    def open(self, step: Step, budget: Budget, rules: tuple[Predicate, ...]) -> Ports:
        """Open a step's product for one request. **Raises** `GatewayError` UPSTREAM_UNAVAILABLE where it has no endpoint."""
        product = step.product
        if product.ports:
            rows = self._rows.get(product.contract.key) if self._rows else None
            return Ports(product, lambda port: self._pages(step, port, budget, rules), self.offers, rows, self._on_failover)
        owner = product.contract.metadata.owner
        raise GatewayError(
            "UPSTREAM_UNAVAILABLE",
            f"{product.id} has no endpoint that this gateway reads.",
            hint=f"Tell {owner}, or set its endpoint.",
            product=product.id,
            owner=owner,
        )

    def offers(self, product: Product) -> list[Offer]:
        """List a product's ports with what is known of them."""
        return [
            Offer(
                port,
                # Not isinstance of the protocols, which looks at every member anew: this is asked of every read.
                getattr(port, "serves", _ALL_USES),
                trusts_counts=(product.id, id(port)) in self._proved,
                trusts_totals=(product.id, id(port)) in self._proved_totals,
                is_known=getattr(port, "probed", True),
            )
            for port in product.ports
        ]

    @property
    def knows_all(self) -> bool:
        """Whether every port has said what it can do."""
        return not self._unprobed

    async def know(self, products: Iterable[str], timeout_s: float) -> None:
        """Let ports that nobody has probed yet say what they can do; one that does not answer fails when it is read."""
        asked = [self._snapshot.products[id_].ports for id_ in products]
        # Where one port of a product is known, nobody waits for the others.
        unknown = [self._unprobed[id(port)] for ports in asked if all(map(self._is_unknown, ports)) for port in ports]
        if unknown:
            await asyncio.gather(*(port.probe(Call(timeout_s)) for port in unknown), return_exceptions=True)

    def note_proof(self, product: Product, port: Port, *, proved: bool, totals: bool) -> None:
        """Take in whether a port's counts under row rules hold (SPEC A6), and its ``totals``; until then they are made here, from rows."""
        known = self._snapshot.products.get(product.id)
        if known is None or not any(it is port for it in known.ports):
            return  # it was asked before the product was changed
        key = (product.id, id(port))
        (self._proved.add if proved else self._proved.discard)(key)
        (self._proved_totals.add if totals else self._proved_totals.discard)(key)

    def successor(self, change: Change) -> Readers:
        """Make those of the next snapshot, which share what the change does not touch."""
        before, after = ([it.products[id_] for id_ in change.replaced if id_ in it.products] for it in (self._snapshot, change.snapshot))
        gone = {id(port) for product in before for port in product.ports}
        unprobed = {key: it for key, it in list(self._unprobed.items()) if key not in gone} | _probing(after)
        made = Readers(
            change.snapshot, self._masks, rows=self._rows, on_read=self._on_read, on_failover=self._on_failover, unprobed=unprobed
        )
        made._proved, made._proved_totals = self._proved, self._proved_totals
        # Lists first: this runs beside the loop, where requests add to both.
        made._decoders = {key: it for key, it in list(self._decoders.items()) if key[0] not in change.replaced}
        return made

    def forget_gone(self) -> None:
        """Trust ports that are here no longer no longer."""
        here = {id(port) for product in self._snapshot.products.values() for port in product.ports}
        for proofs in (self._proved, self._proved_totals):
            proofs.difference_update([key for key in proofs if key[1] not in here])

    def _is_unknown(self, port: Port) -> bool:
        found = self._unprobed.get(id(port))
        if found is not None and found.probed:
            del self._unprobed[id(port)]
            return False
        return found is not None

    def _pages(self, step: Step, port: Port, budget: Budget, rules: tuple[Predicate, ...]) -> Pages:
        product = step.product
        unusable = step.unusable
        tie = self._tie(product) if unusable and unusable.intersection(product.primary_key) else None
        return Pages(
            product,
            port,
            self._decoders_of(product, port),
            budget,
            visible=step.columns,
            rules=rules,
            ties={name: tie for name in product.primary_key if name in unusable} if tie is not None else {},
            unusable=unusable,
            trusts_counts=(product.id, id(port)) in self._proved,
            trusts_totals=(product.id, id(port)) in self._proved_totals,
            pin=port.name if len(product.ports) > 1 else "",
            on_read=self._on_read,
        )

    def _tie(self, product: Product) -> Tie:
        pseudonym = mask_function(Mask(MaskKind.PSEUDONYM), Scalar(Kind.STRING), self._masks, product.contract.metadata.domain)
        return lambda cell: None if cell is None else pseudonym(str(cell))

    def _decoders_of(self, product: Product, port: Port) -> RowDecoders:
        key = (product.id, id(port), port.capabilities.level)
        found = self._decoders.get(key)
        if found is None:
            found = self._decoders[key] = RowDecoders(product, port.spelling)
        return found


def _probing(products: Iterable[Product]) -> dict[int, Probes]:
    ports = (port for product in products for port in product.ports)
    # Not isinstance of the protocol, which looks at every member of thousands of ports anew.
    return {id(port): cast("Probes", port) for port in ports if hasattr(port, "probe")}
