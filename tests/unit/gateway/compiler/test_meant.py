from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest
from graphql import GraphQLError

from contracts.fields import Enumeration
from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification, Grant, Visibility
from gateway.catalog.nearest import nearest
from gateway.catalog.reach import Reach
from gateway.compiler.meant import Meant
from tests.attacks.lying import STRING, Mesh, contract, link
from tests.conftest import within

MASKED = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT))
HIDDEN = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT), visibility=Visibility.HIDDEN)


def mesh_of(*more: Any) -> Mesh:
    orders = contract(
        "orders-daily",
        {"id": STRING, "status": Enumeration("Status", ("OPEN", "SHUT")), "customer_id": STRING, "e_mail": STRING, "secret": STRING},
        classified={"e_mail": MASKED, "secret": HIDDEN},
        grants=(Grant(role="analyst", fields=("id", "status", "customer_id", "e_mail")),),
        links=(
            link("customer", "people/clients", {"customer_id": "id"}, inverse="orders"),
            link("vault", "people/vault", {"customer_id": "id"}),
            link("closed", "people/closed", {"customer_id": "id"}),
        ),
    )
    clients = contract("clients", {"id": STRING, "name": STRING}, domain="people")
    vault = contract("vault", {"id": STRING}, domain="people", visibility=Visibility.HIDDEN, grants=())
    closed = contract("closed", {"id": STRING}, domain="people", grants=())
    keyless = contract("keyless", {"id": STRING}, key=(), domain="people")
    return Mesh(*((it, None) for it in (orders, clients, vault, closed, keyless, *more)))


MESH = mesh_of()
A = "{ shop { ordersDaily"
WHERE = f"query ($w: ShopOrdersDailyWhere) {A}(where: $w) {{ totalCount }} }} }}"


async def told(text: str, variables: dict[str, Any] | None = None, mesh: Mesh = MESH) -> list[str]:
    """What was suggested, mistake by mistake."""
    found = await mesh.ask(text, variables)
    assert mesh.failures == []
    assert found.errors
    return [error["message"].partition("Did you mean ")[2].partition("?")[0].replace("the enum value ", "") for error in found.errors]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("{ shpo { ordersDaily { totalCount } } }", "'shop'"),
        ("{ mseh { products { id } } }", "'mesh'"),
        ("{ mesh { prodcuts { id } } }", "'products' or 'product'"),
        ('{ mesh { products(domian: "x") { id } } }', "'domain'"),
        ("{ shop { orderDayly { totalCount } } }", "'ordersDaily'"),
        ("{ shop { ORDERSDAILY { totalCount } } }", "'ordersDaily'"),
        ("{ shop { orders_daily { totalCount } } }", "'ordersDaily'"),
        ('{ shop { orderDailyByKey(key: {id: "1"}) { id } } }', "'ordersDailyByKey'"),
        ('{ shop { ordersDailyByKye(key: {id: "1"}) { id } } }', "'ordersDailyByKey'"),
        ('{ people { keylesByKey(key: {id: "1"}) { id } } }', "'keyless'"),
        (f"{A}(whre: {{}}) {{ totalCount }} }} }}", "'where'"),
        (f"{A} {{ totalCuont }} }} }}", "'totalCount'"),
        (f"{A} {{ nodes {{ statsu }} }} }} }}", "'status'"),
        (f"{A} {{ nodes {{ custmer {{ id }} }} }} }} }}", "'customer'"),
        (f"{A} {{ nodes {{ clsoed {{ id }} }} }} }} }}", "'closed'"),
        (f"{A} {{ edges {{ node {{ custmer {{ id }} }} }} }} }} }}", "'customer'"),
        ("{ people { clients { nodes { order { totalCount } } } } }", "'orders'"),
        (f"{A}(where: {{statsu: {{eq: OPEN}}}}) {{ totalCount }} }} }}", "'status'"),
        (f"{A}(where: {{status: {{eqq: OPEN}}}}) {{ totalCount }} }} }}", "'eq'"),
        (f"{A}(where: {{status: {{eq: OPNE}}}}) {{ totalCount }} }} }}", "'OPEN'"),
        (f'{A}(where: {{custmer: {{name: {{eq: "x"}}}}}}) {{ totalCount }} }} }}', "'customer'"),
        (f'{A}(where: {{or: [{{custmer: {{name: {{eq: "x"}}}}}}]}}) {{ totalCount }} }} }}', "'customer'"),
        (f'{A}(where: {{customer: {{nam: {{eq: "x"}}}}}}) {{ totalCount }} }} }}', "'name'"),
        ('{ people { clients(where: {order: {some: {id: {eq: "x"}}}}) { totalCount } } }', "'orders' or 'or'"),
        (f"{A}(orderBy: [{{statsu: ASC}}]) {{ totalCount }} }} }}", "'status'"),
        (f"{A}(orderBy: [{{status: ACS}}]) {{ totalCount }} }} }}", "'ASC'"),
        (f"{A} {{ groups(by: [{{field: STATSU}}]) {{ count }} }} }} }}", "'STATUS'"),
        (f"{A} {{ groups(by: [{{path: [CUSTMER], field: NAME}}]) {{ count }} }} }} }}", "'CUSTOMER'"),
        (f"{A} {{ groups(by: [{{field: STATUS}}]) {{ key {{ custmer {{ name }} }} count }} }} }} }}", "'customer'"),
        (f"{A} {{ groups(by: [{{field: STATUS}}], having: {{cuont: {{gt: 1}}}}) {{ count }} }} }} }}", "'count' or 'not'"),
        (f"{A} {{ aggregate {{ maxx {{ id }} }} }} }} }}", "'max'"),
        (f"{A} {{ aggregate {{ max {{ custmer {{ name }} }} }} }} }} }}", "'customer'"),
        (f"{A} @requireSol(status: MET) {{ totalCount }} }} }}", "'@requireSlo'"),
        (f"{A} @skp(if: true) {{ totalCount }} }} }}", "'@skip'"),
        (f"{A} @skip(iff: true) {{ totalCount }} }} }}", "'if'"),
        (f"query ($first: Int) {A}(first: $frist) {{ totalCount }} }} }}", "'$first'"),
        (f"query Q($first: Int) {A}(first: $frist) {{ totalCount }} }} }}", "'$first'"),
        (f"query ($w: ShopOrdersDalyWhere) {A}(where: $w) {{ totalCount }} }} }}", "'ShopOrdersDailyWhere'"),
        (f"{A} {{ nodes {{ ...Ron }} }} }} }} fragment Row on ShopOrdersDaily {{ id }}", "'Row'"),
        (f"{A} {{ nodes {{ ...Row }} }} }} }} fragment Row on ShopOrderDaily {{ id }}", "'ShopOrdersDaily'"),
    ],
)
async def test_a_misspelt_name_is_answered_with_what_was_meant(text: str, meant: str) -> None:
    assert (await told(text))[0].startswith(meant)


@pytest.mark.parametrize(
    ("where", "meant"),
    [
        ({"statsu": {"eq": "OPEN"}}, "'status'"),
        ({"status": {"eq": "OPNE"}}, "'OPEN'"),
        ({"custmer": {"name": {"eq": "x"}}}, "'customer'"),
        ({"customer": {"nam": {"eq": "x"}}}, "'name'"),
        ({"customer": {"oders": {"some": {}}}}, "'orders'"),
        ({"not": {"custmer": {}}}, "'customer'"),
    ],
)
async def test_a_name_misspelt_in_a_variable_is_answered_with_what_was_meant(where: dict[str, Any], meant: str) -> None:
    assert (await told(WHERE, {"w": where}))[0].startswith(meant)


@pytest.mark.parametrize(
    "text",
    [
        "{ shop { xyz { totalCount } } }",
        "{ xyz { totalCount } }",
        f"{A} {{ nodes {{ valt {{ id }} }} }} }} }}",
        f"{A} {{ nodes {{ secrte }} }} }} }}",
        f"{A}(where: {{valt: {{}}}}) {{ totalCount }} }} }}",
        f"{A}(where: {{clsoed: {{}}}}) {{ totalCount }} }} }}",
        "{ people { valt { totalCount } } }",
        "{ people { clsed { totalCount } } }",
        f"{A} @xyz {{ totalCount }} }} }}",
        f"query ($first: Int) {A}(first: $xyz) {{ totalCount }} }} }}",
    ],
)
async def test_nothing_is_suggested_that_nobody_could_mean_or_that_the_caller_may_not_use(text: str) -> None:
    assert (await told(text))[0] == ""


async def test_what_is_masked_is_refused_as_masked_also_beside_a_misspelt_relationship() -> None:
    found = await MESH.ask(f'{A}(where: {{eMail: {{eq: "x"}}, custmer: {{name: {{eq: "x"}}}}}}) {{ totalCount }} }} }}')
    assert sorted(found.codes) == ["GRAPHQL_VALIDATION_FAILED", "MASKED_FIELD_IN_PREDICATE"]


async def test_what_is_hidden_takes_no_place_among_what_is_suggested() -> None:
    def vaults(domain: str, count: int) -> list[Any]:
        return [contract(f"client{n}", {"id": STRING}, domain=domain, visibility=Visibility.HIDDEN, grants=()) for n in range(count)]

    crowded = mesh_of(*vaults("people", 60), *(it for n in range(60) for it in vaults(f"sho{n}", 1)))
    for text in ("{ people { client { totalCount } } }", "{ shoo { ordersDaily { totalCount } } }"):
        few, many = await MESH.ask(text), await crowded.ask(text)
        assert few.body == many.body
        assert "Did you mean" in few.errors[0]["message"]


@pytest.mark.parametrize("text", ["{ shop { orderDaily { totalCount } } }", WHERE])
async def test_what_is_wrong_is_explained_beside_the_loop(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    widened = Meant.widened

    def noted(meant: Meant, reach: Reach, errors: Iterable[GraphQLError]) -> Reach | None:
        threads.append(threading.current_thread().name)
        return widened(meant, reach, errors)

    monkeypatch.setattr(Meant, "widened", noted)
    assert (await told(text, {"w": {"statsu": {"eq": "OPEN"}}}))[0]
    (thread,) = threads
    assert thread.startswith("compiler")


async def test_names_are_looked_through_in_bounded_time_however_many_there_are_and_are_wrong() -> None:
    many = [contract(f"orders-{n:05}", {"id": STRING}, grants=(Grant(role="analyst", fields=("*",)),)) for n in range(3_000)]
    mesh = Mesh(*((it, None) for it in many))
    await mesh.ask("{ shop { orders00001 { totalCount } } }")
    began_s = time.process_time()
    wrong = " ".join(f"a{n}: ordres{n:05} {{ totalCount }}" for n in range(20))
    found = await mesh.ask(f"{{ shop {{ {wrong} }} }}")
    assert time.process_time() - began_s < within(0.5)
    assert "Did you mean 'orders00000'" in found.errors[0]["message"]
    assert len(found.errors) == 20
    assert "Did you mean" not in found.errors[-1]["message"]


def test_the_nearest_names_come_first_and_only_near_ones_at_all() -> None:
    known = ("status", "statusCode", "state", "street", "id", "total")
    assert next(nearest("statsu", known)) == "status"
    assert next(nearest("STATUS", known)) == "status"
    assert list(nearest("ix", known)) == []
    assert list(nearest("ids", known)) == ["id"]
    assert list(nearest("", known)) == []
    assert list(nearest("s" * 61, ("s" * 60,))) == []
