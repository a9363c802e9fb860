from __future__ import annotations

import msgspec
import pytest

from contracts.masks import Mask, MaskKind
from contracts.model import Contract, FieldClassification, Grant, Metadata, Visibility
from gateway.caller import Caller
from gateway.catalog.change import changed
from gateway.exchange import Frame, Question
from tests.attacks.lying import STRING, Answer, Mesh, analyst, contract

HIDDEN = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT), visibility=Visibility.HIDDEN)
WALK = "query ($first: Int, $after: String) { mesh { products(first: $first, after: $after) { id cursor } } }"


def listed(
    name: str, *, domain: str = "shop", version: str = "1.0.0", hidden: bool = False, served: bool = True, **more: object
) -> Contract:
    made = contract(
        name,
        {"id": STRING, "secret_word": STRING, "street_name": STRING},
        classified={"secret_word": HIDDEN},
        domain=domain,
        visibility=Visibility.HIDDEN if hidden else Visibility.LISTED,
        grants=(Grant(role="analyst", fields=("id", "street_name")),) if served else (),
    )
    metadata = made.metadata.model_copy(update={"version": version, **more})
    assert isinstance(metadata, Metadata)
    return made.model_copy(update={"metadata": metadata})


def mesh_of(*contracts: Contract) -> Mesh:
    return Mesh(*((it, None) for it in contracts))


def office() -> Mesh:
    return mesh_of(
        listed("a", tags=("gold", "eu")),
        listed("b", domain="depot", owner="depot@example.com", description="Parcels on their WAY."),
        listed("b", domain="depot", version="2.0.0", owner="depot@example.com", description="Parcels, again."),
        listed("c", served=False, tags=("gold",)),
        listed("d", hidden=True, served=False, tags=("gold",), description="Nobody may know of parcels here."),
        listed("e-f"),
    )


async def ids(mesh: Mesh, arguments: str = "") -> list[str]:
    found = await mesh.ask(f"{{ mesh {{ products{f'({arguments})' if arguments else ''} {{ id }} }} }}")
    assert found.errors == []
    return [it["id"] for it in found.data["mesh"]["products"]]


async def walked(mesh: Mesh, first: int) -> list[str]:
    found: list[str] = []
    after = None
    while page := (await mesh.ask(WALK, {"first": first, "after": after})).data["mesh"]["products"]:
        assert len(page) <= first
        found += [it["id"] for it in page]
        after = page[-1]["cursor"]
    return found


async def test_a_list_without_arguments_has_every_product_that_one_may_know_of_in_order() -> None:
    assert await ids(office()) == ["depot/b", "depot/b@1", "shop/a", "shop/c", "shop/e-f"]


@pytest.mark.parametrize("first", [1, 2, 3, 5, 100])
async def test_pages_hold_each_product_once_in_the_order_of_the_list(first: int) -> None:
    assert await walked(office(), first) == await ids(office())


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ('domain: "depot"', ["depot/b", "depot/b@1"]),
        ('owner: "depot@example.com"', ["depot/b", "depot/b@1"]),
        ('tag: "gold"', ["shop/a", "shop/c"]),
        ("accessible: true", ["depot/b", "depot/b@1", "shop/a", "shop/e-f"]),
        ("accessible: false", ["shop/c"]),
        ('accessible: true, tag: "gold"', ["shop/a"]),
        ('search: "parcels"', ["depot/b", "depot/b@1"]),
        ('search: "WAY parcels"', ["depot/b@1"]),
        ('search: "street_name"', ["depot/b", "depot/b@1", "shop/a", "shop/c", "shop/e-f"]),
        ('search: "streetname DEPOT"', ["depot/b", "depot/b@1"]),
        ('search: "gold"', ["shop/a", "shop/c"]),
        ('search: "  "', ["depot/b", "depot/b@1", "shop/a", "shop/c", "shop/e-f"]),
        ('search: "secret_word"', []),
        ('search: "secretWord"', []),
        ('search: "shop/d"', []),
        ('search: "nobody"', []),
        ('domain: "none"', []),
        ("first: 0", []),
        ("first: null, domain: null", ["depot/b", "depot/b@1", "shop/a", "shop/c", "shop/e-f"]),
    ],
)
async def test_filters_narrow_the_list_and_what_it_counts_and_find_nothing_hidden(arguments: str, names: list[str]) -> None:
    mesh = office()
    assert await ids(mesh, arguments) == names
    if "first" not in arguments:
        assert (await mesh.ask(f"{{ mesh {{ productsCount({arguments}) }} }}")).data["mesh"] == {"productsCount": len(names)}


async def test_the_default_page_is_bounded_and_the_count_tells_of_the_rest() -> None:
    mesh = mesh_of(*(listed(f"p{number:03}") for number in range(130)))
    found = await mesh.ask("{ mesh { productsCount products { id } } }")
    assert (found.data["mesh"]["productsCount"], len(found.data["mesh"]["products"])) == (130, 100)
    assert len(await walked(mesh, 50)) == 130


async def refused(mesh: Mesh, arguments: str, caller: Caller | None = None) -> Answer:
    return await mesh.ask(f"{{ mesh {{ products({arguments}) {{ id }} }} }}", caller=caller or analyst())


async def test_pages_that_are_too_large_negative_or_searched_by_a_novel_are_refused() -> None:
    assert (await refused(office(), "first: 1001")).refusal == "LIMIT_EXCEEDED"
    assert (await refused(office(), "first: -1")).refusal == "BAD_USER_INPUT"
    assert (await refused(office(), f'search: "{"a" * 201}"')).refusal == "LIMIT_EXCEEDED"


async def cursor_of(mesh: Mesh, arguments: str, caller: Caller | None = None) -> str:
    found = await mesh.ask(f"{{ mesh {{ products({arguments}) {{ cursor }} }} }}", caller=caller or analyst())
    cursor = found.data["mesh"]["products"][-1]["cursor"]
    assert isinstance(cursor, str)
    return cursor


async def test_a_cursor_belongs_to_its_filter_and_its_callers_view_and_shows_nothing() -> None:
    mesh = office()
    cursor = await cursor_of(mesh, "first: 1")
    assert await ids(mesh, f'first: 1, after: "{cursor}"') == ["depot/b@1"]
    for arguments, caller in (
        (f'tag: "gold", after: "{cursor}"', None),
        (f'after: "{cursor}"', Caller("stu", frozenset({"steward"}))),
        (f'after: "{cursor[:-1]}A"', None),
        ('after: "depot/b"', None),
        ('after: ""', None),
    ):
        assert (await refused(mesh, arguments, caller)).refusal == "BAD_USER_INPUT"
    lengths = {len(await cursor_of(mesh, f'search: "{name}"')) for name in ("depot/b", "shop/e-f")}
    assert len(lengths) == 1
    assert await cursor_of(mesh, "first: 1") == cursor


async def test_a_page_goes_on_behind_its_place_whatever_came_or_went_meanwhile() -> None:
    mesh = office()
    cursor = await cursor_of(mesh, "first: 3")  # shop/a
    engine = mesh.engine
    for contracts, key, rest in (
        ([], "shop/a", ["shop/c", "shop/e-f"]),
        ([listed("aa")], "shop/aa", ["shop/aa", "shop/c", "shop/e-f"]),
        ([listed("a0", domain="depot")], "depot/a0", ["shop/aa", "shop/c", "shop/e-f"]),
        ([listed("e-f", version="2.0.0"), listed("e-f")], "shop/e-f", ["shop/aa", "shop/c", "shop/e-f", "shop/e-f@1"]),
    ):
        engine = engine.successor(changed(engine.snapshot, key, contracts, {}, revision=key))
        text = f'{{ mesh {{ products(after: "{cursor}") {{ id }} }} }}'
        reply = await engine.answer(Question(text), Frame(analyst(), 1e9, "r"))
        assert [it["id"] for it in msgspec.json.decode(reply.body)["data"]["mesh"]["products"]] == rest


async def test_one_product_has_its_cursor_in_the_whole_list() -> None:
    mesh = office()
    found = await mesh.ask('{ mesh { product(domain: "shop", name: "a") { id cursor } } }')
    assert await ids(mesh, f'after: "{found.data["mesh"]["product"]["cursor"]}"') == ["shop/c", "shop/e-f"]
    for name in ("d", "nothing"):
        assert (await mesh.ask(f'{{ mesh {{ product(domain: "shop", name: "{name}") {{ id }} }} }}')).data == {"mesh": {"product": None}}
