"""Everybody who is told of changes of state, from the settings: a listener to the board that notes, and couriers that tell."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.model import Contract
from domain_adapters.addresses import AddressPolicy
from gateway.settings_sections import AlertSettings
from gateway.slo.alerting.alert import Sink
from gateway.slo.alerting.alertmanager import Alertmanager
from gateway.slo.alerting.courier import Courier, Outcome
from gateway.slo.alerting.events import Events, exporter_of
from gateway.slo.alerting.post import Post
from gateway.slo.alerting.told import Told, ToldHere
from gateway.slo.alerting.webhook import Webhook
from gateway.slo.changes import Change

__all__ = ["Alerts", "secret_of", "sinks_of"]

_SECRET_MIN_BYTES, _SECRET_MAX_BYTES = 32, 16 * 1024


class Alerts:
    """A `gateway.slo.changes.Listener`. ``run`` tells until cancelled; ``contract_of``: product as the board names it -> its contract."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        contract_of: Callable[[str], Contract | None],
        *,
        clock: Callable[[], dt.datetime],
        told: Told | None = None,
        chance: Callable[[], float] = random.random,
        on_outcome: Outcome = lambda _sink, _outcome, _count: None,
    ) -> None:
        self._sinks = tuple(sinks)
        shared = told or ToldHere(clock)
        self.couriers = tuple(Courier(it, shared, contract_of, clock=clock, chance=chance, on_outcome=on_outcome) for it in self._sinks)

    def changed(self, change: Change) -> None:
        """Note a change; that of a product as a whole follows from those of its objectives, which are told."""
        if change.objective is not None:
            for courier in self.couriers:
                courier.take(change)

    async def run(self) -> None:
        """Tell until cancelled; one receiver that hangs holds up no other."""
        async with asyncio.TaskGroup() as group:
            for courier in self.couriers:
                group.create_task(courier.run())

    async def aclose(self) -> None:
        """Let go of all receivers."""
        for sink in self._sinks:
            await sink.aclose()


def sinks_of(settings: AlertSettings) -> tuple[Sink, ...]:
    """Make the receivers that the settings name. **Raises** ValueError (addresses), RuntimeError (an exporter is not installed)."""
    policy = AddressPolicy(loopback=settings.loopback, private=settings.private)
    found: list[Sink] = []
    if settings.webhook_url is not None:
        reference = settings.webhook_secret or ""
        found.append(Webhook(Post(settings.webhook_url, policy, timeout_s=settings.timeout_s), lambda: secret_of(reference)))
    if settings.alertmanager_url is not None:
        post = Post(settings.alertmanager_url, policy, path="/api/v2/alerts", timeout_s=settings.timeout_s)
        found.append(Alertmanager(post, resend_s=settings.resend_s, auth=settings.alertmanager_auth))
    if settings.events != "off":
        found.append(Events(exporter_of(settings.events)))
    return tuple(found)


def secret_of(reference: str) -> bytes:
    """Read the referenced secret now (``env:NAME`` or ``file:PATH``). **Raises** OSError, KeyError, ValueError (too short to be one)."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        secret = os.environ[place].encode()
    else:
        with Path(place).open("rb") as file:
            secret = file.read(_SECRET_MAX_BYTES)
    secret = secret.strip()
    if len(secret) < _SECRET_MIN_BYTES:
        raise ValueError("a secret has at least 32 characters")
    return secret
