"""The ports of one product for one step of a request: which is asked, and which next where one is away.

A read falls over to the next port when the one asked did not answer, or could not after all; nothing of it has been used by then, as
what is read is given on whole. A port that breaks its promise is not covered up for. Rejects with PORT_CANNOT where no port serves
such reads, and with what the port that suits best rejects.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from contracts.model import Use
from domain_adapters.errors import PortError
from domain_adapters.port import Port, Probes
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.asking.grouping import Grouping
from gateway.engine.reading.choice import Choice, Need, Offer, Option, Work, choose, settled
from gateway.engine.reading.pages import Pages
from gateway.errors import GatewayError

__all__ = ["OnFailover", "Ports"]

T = TypeVar("T")
OnFailover = Callable[[str, str, int], None]
"""Told of a read that another port than the best one answered: (product id, port's name, its level)."""

_PLAIN = Asked()


class Ports:
    """Reads one product through whichever of its ports suits. ``pages_of``: a port -> its pages for this step.

    ``rows``: how many rows the product is said to have, None where nobody said.
    """

    __slots__ = ("_found", "_offers", "_on_failover", "_pages_of", "_rows", "product")

    def __init__(
        self,
        product: Product,
        pages_of: Callable[[Port], Pages],
        offers: Callable[[Product], Sequence[Offer]],
        rows: int | None = None,
        on_failover: OnFailover = lambda _product, _port, _level: None,
    ) -> None:
        self.product = product
        self._rows = rows
        self._on_failover = on_failover
        self._pages_of = pages_of
        self._offers = offers
        self._found: dict[int, Pages] = {}

    @property
    def pages(self) -> Pages:
        """The pages of the first port in the contract: for what does not depend on the port, as cells and bounds."""
        return self._through(self.product.ports[0])

    def chosen(self, use: Use, asked: Asked = _PLAIN, **more: Any) -> Pages:
        """Give the pages of the port that a read asks first; ``more``: as in `Need`."""
        return self._through(self._choice(use, asked, more).options[0].offer.port)

    async def do(
        self,
        use: Use,
        work: Callable[[Pages, Asked], Awaitable[T]],
        asked: Asked = _PLAIN,
        *,
        keys: tuple[str, ...] = (),
        per_key: bool = False,
        grouping: Grouping | None = None,
    ) -> T:
        """Have a port do what ``work`` makes of its pages and the question; the next one where it is away."""
        ports = self.product.ports
        more = {"keys": keys, "per_key": per_key, "grouping": grouping}
        if len(ports) == 1 and self._rows is None and not self._is_restricted(ports[0]):
            pages = self._through(ports[0])
            if asked.place is not None and use is Use.LIST:
                asked = settled(asked, self.product, ports[0].capabilities, sorts=False)
            try:
                return _told(await work(pages, asked), lambda: self._choice(use, asked, more).options[0])
            except GatewayError as error:
                if error.code.name == "PORT_CANNOT":
                    _name_missing(error, self._choice(use, asked, more).options[0])
                raise
        return await self._first_able(self._choice(use, asked, more).options, work)

    async def _first_able(self, options: Sequence[Option], work: Callable[[Pages, Asked], Awaitable[T]]) -> T:
        best: tuple[Option, GatewayError] | None = None
        partly: list[T] = []
        is_over = False
        for option in options:
            if is_over and best is not None and option.work >= best[0].work:
                continue
            pages = await self._ready(option.offer)
            try:
                self._check_size(pages, option)
                found = _told(await work(pages, option.asked), lambda option=option: option)  # type: ignore[misc]  # mypy infers no lambda's defaults
                if not pages.gone:
                    self._note(option, options)
                    return found
                # A part of it failed, as a count may, because the port went away meanwhile.
                partly.append(found)
            except GatewayError as error:
                if not pages.gone and error.code.name != "PORT_CANNOT":
                    raise
                _name_missing(error, option)
                # What is too much to be done here, a port that is away might have done: then that is what is wrong.
                is_over = is_over or not pages.gone
                if best is None or option.work < best[0].work:
                    best = option, error
        if partly:
            return partly[0]
        assert best is not None
        raise best[1]

    async def stream(self, asked: Asked, read: Callable[[Pages, Asked], AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
        """Yield what a port streams; another takes over only before the first item."""
        options = self._choice(Use.EXPORT, asked, {}).options
        for at, option in enumerate(options):
            pages = await self._ready(option.offer)
            has_begun = False
            try:
                async with contextlib.aclosing(read(pages, option.asked)) as items:
                    async for item in items:
                        if not has_begun:
                            self._note(option, options)
                        has_begun = True
                        yield item
                    return
            except GatewayError:
                if has_begun or not pages.gone or at == len(options) - 1:
                    raise

    def _note(self, option: Option, options: Sequence[Option]) -> None:
        """Tell of an answer by another port than would have been asked if all of them were there."""
        if len(options) > 1 and min(options, key=self._rank) is not option:
            self._on_failover(self.product.id, option.offer.port.name, option.offer.port.capabilities.level)

    def _rank(self, option: Option) -> tuple[bool, Work, int, int]:
        place = next(at for at, port in enumerate(self.product.ports) if port is option.offer.port)
        return not option.offer.is_known, option.work, len(option.lacks), place

    def _check_size(self, pages: Pages, option: Option) -> None:
        """Refuse before any read to scan a product that is known to be too large for that."""
        rows_max = pages.budget.bounds.scan_rows_max
        if self._rows is not None and self._rows > rows_max and option.work is Work.SCAN and not option.narrows:
            raise pages.cannot(f"answer this without the gateway reading more than {rows_max} rows", "Narrow it with where or since")

    # -- choosing ----------------------------------------------------------------------------------------------------------

    def _choice(self, use: Use, asked: Asked, more: dict[str, Any]) -> Choice:
        pages = self.pages
        need = Need(use, asked, pages.rule, sorts_here=bool(pages.cells.ties), **more)
        choice = choose(need, self.product, self._offers(self.product))
        if choice.options:
            return choice
        if asked.place is not None and len(choice.barred) < len(self.product.ports):
            raise GatewayError("CURSOR_EXPIRED", f"The port of {self.product.id} that the cursor belongs to is no longer served.")
        owner = self.product.contract.metadata.owner
        raise GatewayError(
            "PORT_CANNOT",
            f"No port of {self.product.id} serves reads of the kind {use.value}.",
            hint=f"Leave it out, or ask {owner} for a port that serves {use.value}.",
            product=self.product.id,
            owner=owner,
            missing=[use.value],
        )

    async def _ready(self, offer: Offer) -> Pages:
        if not offer.is_known and isinstance(offer.port, Probes):
            with contextlib.suppress(PortError):  # then reading fails as well
                await offer.port.probe(self.pages.budget.call())
        return self._through(offer.port)

    def _is_restricted(self, port: Port) -> bool:
        return bool(getattr(port, "serves", ()))

    def _through(self, port: Port) -> Pages:
        found = self._found.get(id(port))
        if found is None:
            found = self._found[id(port)] = self._pages_of(port)
        return found


def _told(found: T, option: Callable[[], Option]) -> T:
    """Say of a count that failed alone what the port lacks for it."""
    if isinstance(found, Fetched) and found.count_error is not None:
        _name_missing(found.count_error, option())
    return found


def _name_missing(error: GatewayError, option: Option) -> None:
    if error.code.name == "PORT_CANNOT":
        error.extensions.setdefault("missing", [it.capability for it in option.lacks])
