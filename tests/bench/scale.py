"""``python -m tests.bench.scale [PRODUCTS]``: what a wide mesh costs to start, to hold, to ask and to change.

One process, no network: ports answer from memory. Times are of the process's CPU unless they are said to be of the loop, which is
how long its longest turn was; others on the machine change them little.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from graphql import get_introspection_query

from contracts import load_policy, parse_contract, read_catalog
from gateway.caller import Caller
from gateway.contracts_copy import ContractsCopy
from gateway.exchange import Frame, Question, Reply
from gateway.observe.metrics import Metrics
from gateway.service import Service, build
from gateway.settings import Settings
from gateway.settings_sections import CacheSettings, ProductSettings
from tests.attacks.lying import Lying, page
from tests.attacks.ticks import ticking
from tests.bench.wide import WideMesh, contract_text, write

__all__ = ["Figures", "measure"]

ANALYST = Caller("ann", frozenset({"analyst"}))
STEWARD = Caller("stu", frozenset({"steward"}))
STRANGER = Caller("str", frozenset({"dashboard"}))
INTROSPECTION = get_introspection_query()
TWENTY = ("area-000/*-0000*", "area-000/*-0001*", "area-000/*-00020")
"""The first twenty of the ring that analysts see (they do not see the eleventh), one linked to the next."""
FOUR = "{ area000 { orders00000(first: 10) { nodes { id ref0 { id ref0 { id ref0 { id status } } } } } } }"
MISSPELT = {
    "domain": ("{ aera000 { orders00000 { totalCount } } }", "area000"),
    "product": ("{ area000 { ordres00000 { totalCount } } }", "orders00000"),
    "field": ("{ area000 { orders00000 { nodes { statsu } } } }", "status"),
    "relationship": ("{ area000 { orders00000 { nodes { rf0 { id } } } } }", "ref0"),
    "input field": ("{ area000 { orders00000(where: {statsu: {eq: OPEN}}) { totalCount } } }", "status"),
    "relationship in where": ("{ area000 { orders00000(where: {rf0: {id: {eq: 1}}}) { totalCount } } }", "ref0"),
    "argument": ("{ area000 { orders00000(whre: {}) { totalCount } } }", "where"),
    "enumeration": ("{ area000 { orders00000(where: {status: {eq: OPNE}}) { totalCount } } }", "OPEN"),
    "column in groups": ("{ area000 { orders00000 { groups(by: [{field: STATSU}]) { count } } } }", "STATUS"),
    "type": ("query ($w: Area000Orders00000Wher) { area000 { orders00000(where: $w) { totalCount } } }", "Area000Orders00000Where"),
    "directive": ("{ area000 { orders00000 @skp(if: true) { totalCount } } }", "@skip"),
    "variable": ("query ($first: Int) { area000 { orders00000(first: $frist) { totalCount } } }", "$first"),
}
"""Operations with one name that does not exist, and what was meant."""

_CHANGED = (4, 5, 6)
"""Products that `FOUR` does not read; the last one that it reads is linked to the first of them."""
CATALOGUE = "{ mesh { products { id owner accessible cursor } } }"
COUNTED = "{ mesh { productsCount } }"
SEARCHED = '{ mesh { products(search: "orders-0299", accessible: true) { id } } }'


@dataclass(slots=True)
class Figures:
    """What was measured: seconds, unless a name says otherwise."""

    products: int
    seconds: dict[str, float] = field(default_factory=dict)
    mib: dict[str, float] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    answered: int = 0
    """Questions answered while products were changed."""

    def lines(self) -> list[str]:
        """Write the figures, one to a line."""
        times = [f"{name:52} {value * 1000:10.1f} ms" for name, value in self.seconds.items()]
        return [f"{self.products} products", *times, *(f"{name:52} {value:10.1f} MiB" for name, value in self.mib.items())]


def measure(folder: Path, products: int) -> Figures:
    """Write a mesh of so many products below ``folder``, and measure it."""
    figures = Figures(products)
    mesh = write(folder, products)
    settings = _settings(mesh)
    policy = load_policy(mesh.policy)
    before_mib = _resident_mib()
    service = _timed(figures, "start: read contracts, make the mesh, open ports", lambda: build(settings, metrics=Metrics()))
    gc.collect()
    figures.mib["held: contracts, mesh, ports, board"] = _resident_mib() - before_mib
    gc.disable()  # as the start does
    _timed(figures, "  of that, read contracts", lambda: read_catalog(mesh.catalog, policy))
    copy = ContractsCopy(settings, policy)
    read_catalog(mesh.catalog, policy, judged=copy.judged)
    _timed(figures, "keep a copy of the contracts", copy.keep)
    gc.enable()
    del copy
    again = _timed(figures, "start from the copy", lambda: build(settings, metrics=Metrics()))
    asyncio.run(again.aclose())
    del again
    gc.collect()
    before_mib = _resident_mib()
    asyncio.run(_ask(service, figures))
    figures.mib["held more after all questions"] = _resident_mib() - before_mib
    return figures


async def _ask(service: Service, figures: Figures) -> None:
    try:
        await _questions(service, figures)
        await _change(service, figures)
    finally:
        await service.aclose()


async def _questions(service: Service, figures: Figures) -> None:
    engine = service.answerer.engine
    for product in engine.snapshot.products.values():
        object.__setattr__(product, "ports", (Lying(lambda _: page([{"id": 1, "ref0_id": 1, "status": "OPEN"}])),))

    async def ask(name: str, text: str, caller: Caller = ANALYST, *, scope: tuple[str, ...] = ()) -> None:
        frame = Frame(caller, asyncio.get_running_loop().time() + 300, "bench", scope=scope)
        gc.collect()
        began_s = time.process_time()
        reply = await service.answerer.answer(Question(text), frame)
        figures.seconds[name] = time.process_time() - began_s
        figures.replies[name] = reply

    await ask("introspect 20 linked products, nothing seen before", INTROSPECTION, scope=TWENTY)
    await ask("  of other rulings", INTROSPECTION, STEWARD, scope=TWENTY)
    for name in ("  again", "introspect 20 linked products, seen before"):
        await ask(name, INTROSPECTION, scope=TWENTY)
    began_s = time.process_time()
    engine.sdl(Frame(ANALYST, 0.0, "bench", scope=TWENTY))
    figures.seconds["print their schema"] = time.process_time() - began_s
    await ask("4 products in one operation, first time", FOUR)
    for name in ("  second time", "4 products in one operation, third time"):
        await ask(name, FOUR)
    for what, (text, _) in MISSPELT.items():
        await ask(f"misspelt: {what}", text)
    await ask("misspelt: domain, by who has access to nothing", MISSPELT["domain"][0], STRANGER)
    await ask("catalogue: its first 100 products", CATALOGUE)
    await ask("catalogue: count all products", COUNTED)
    await ask("catalogue: search all products, first time of a view", SEARCHED)
    await ask("catalogue: search all products, again", SEARCHED)


async def _change(service: Service, figures: Figures) -> None:
    contract = parse_contract(contract_text(_CHANGED[0], figures.products, version="1.1.0", note=" Changed."))
    gc.collect()
    began_s = time.process_time()
    async with ticking() as longest_s:
        await service.publish(contract)
    figures.seconds["change one product"] = time.process_time() - began_s
    figures.seconds["  longest turn of the loop meanwhile"] = longest_s()
    await _change_under_load(service, figures)


async def _change_under_load(service: Service, figures: Figures) -> None:
    """Change products, one after the other, while eight callers ask for what is linked to them: every answer is whole."""
    done = asyncio.Event()

    async def ask() -> None:
        while not done.is_set():
            reply = await service.answerer.answer(Question(FOUR), Frame(ANALYST, asyncio.get_running_loop().time() + 300, "bench"))
            figures.answered += 1
            if reply.has_errors:
                figures.replies["asked while products change"] = reply
            await asyncio.sleep(0)

    askers = [asyncio.create_task(ask()) for _ in range(8)]
    for number in _CHANGED:
        before = figures.answered
        await service.publish(parse_contract(contract_text(number, figures.products, version="1.2.0", note=" Changed again.")))
        while figures.answered < before + 8:
            await asyncio.sleep(0)
    done.set()
    await asyncio.gather(*askers)


def _timed(figures: Figures, name: str, work: Callable[[], Any]) -> Any:
    gc.collect()
    began_s = time.process_time()
    made = work()
    figures.seconds[name] = time.process_time() - began_s
    return made


def _settings(mesh: WideMesh) -> Settings:
    return Settings(
        catalog_dir=mesh.catalog,
        policy_file=mesh.policy,
        secret="a secret for a bench, long enough to be one",  # type: ignore[arg-type]  # settings wrap it
        products={id_: ProductSettings(endpoint="http://127.0.0.1:9") for id_ in mesh.products},
        cache=CacheSettings(contracts_dir=mesh.policy.parent / "copies"),
    )


def _resident_mib() -> float:
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(found.split()[1]) / 1024


def main() -> int:
    """Measure and print."""
    products = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), products)
    sys.stdout.write("\n".join(figures.lines()) + "\n")
    failed = [name for name, reply in figures.replies.items() if reply.has_errors and not name.startswith("misspelt")]
    for name in failed:
        sys.stderr.write(f"{name}: {msgspec.json.decode(figures.replies[name].body)['errors'][0]['message']}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
