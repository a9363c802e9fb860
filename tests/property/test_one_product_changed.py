"""A mesh that changes product by product is the mesh that its contracts make from nothing, and shares what did not change."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fields import Enumeration, Field, Kind, Record, Scalar
from contracts.model import Contract, Metadata, Relationship
from contracts.objectives import Objectives
from gateway.catalog.change import changed
from gateway.catalog.snapshot import CatalogError, Product, Snapshot, snapshot_of

TEXT = Scalar(Kind.STRING)
KEYS = ("shop/orders", "shop/order", "shop/orders-v-1", "shop-2/orders", "people/clients", "people/client-orders")


def contract_of(random: Random, key: str, major: int) -> Contract:
    domain, name = key.split("/")
    columns = random.sample(["id", "name", "partner", "orders", "state"], random.randint(2, 5))
    types = {"name": Enumeration("Name", ("A", "B")), "state": Record("State", (Field("x", TEXT),))}
    links = tuple(
        Relationship(
            name=random.choice(("partner", "other", "next")),
            to=random.choice(KEYS),
            to_major=random.choice((None, None, 1, 2)),
            on=((random.choice(columns), "id"),),
            inverse=random.choice((None, "orders", "back", f"from_{name}")),
        )
        for _ in range(random.choice((0, 1, 2)))
    )
    return Contract(
        metadata=Metadata(name=name, domain=domain, owner="o", version=f"{major}.{random.randrange(3)}.0"),
        fields=tuple(Field(column, types.get(column, TEXT)) for column in columns),
        objectives=Objectives(),
        relationships=links,
    )


def told(snapshot: Snapshot) -> object:
    """Tell everything of a snapshot but its revision and the order of findings."""
    return (
        [(it.id, it.graphql_name, it.type_name, it.deprecated, it.contract, it.relations) for it in snapshot.products.values()],
        [(it, [product.id for product in domain.products.values()]) for it, domain in snapshot.domains.items()],
        all(snapshot.products[product.id] is product for domain in snapshot.domains.values() for product in domain.products.values()),
        dict(snapshot.names),
        sorted(set(snapshot.findings)),
    )


def same(first: Product, second: Product) -> bool:
    return first.contract is second.contract and first.relations == second.relations and first.id == second.id


@given(seed=st.integers(0, 2**32))
def test_changes_one_by_one_give_the_mesh_that_all_contracts_give_at_once(seed: int) -> None:
    random = Random(seed)
    held: dict[str, list[Contract]] = {}
    snapshot = snapshot_of([], {})
    for step in range(8):
        key = random.choice(KEYS)
        majors = random.choice(([], [1], [1], [2], [1, 2], [1, 2, 3]))
        contracts = [contract_of(random, key, major) for major in majors]
        try:
            change = changed(snapshot, key, contracts, {}, revision=str(step))
        except CatalogError:
            with pytest.raises(CatalogError):
                snapshot_of([it for key_, all_ in {**held, key: contracts}.items() for it in all_], {})
            continue
        held[key] = contracts
        assert told(change.snapshot) == told(snapshot_of([it for all_ in held.values() for it in all_], {}))
        for id_, product in change.snapshot.products.items():
            before = snapshot.products.get(id_)
            assert (before is product) is (id_ not in change.touched)
            assert id_ in change.touched or (before is not None and same(before, product))
        assert snapshot.products.keys() - change.snapshot.products.keys() <= change.touched
        assert change.replaced == {id_ for id_ in change.touched if id_.partition("@")[0] == key}
        snapshot = change.snapshot
