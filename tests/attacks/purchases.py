"""Orders and the people who made them, behind ports that do what they are asked in the plainest way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Contract, FieldClassification
from contracts.predicates import compile_test
from domain_adapters.port import Capabilities, Read

from .lying import LEVEL_1, STRING, Lying, Mesh, contract, link, page

__all__ = ["FEW", "INT", "MASKED", "ORDERS", "PEOPLE", "TO_PERSON", "bought", "few", "held", "ids", "orders_of", "people", "people_of"]

MASKED = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT))
INT = Scalar(Kind.INT)


def held(rows: list[dict[str, Any]], capabilities: Capabilities = LEVEL_1, *, ignores_where: bool = False) -> Lying:
    """A port that does what it is asked, in the plainest way."""

    def answer(read: Read) -> bytes:
        found = rows
        if read.where is not None and not ignores_where:
            test = compile_test(read.where, lambda name: lambda row: row.get(name))
            found = [row for row in found if test(row) is True]
        if read.keys is not None:
            wanted = set(read.keys.values)
            found = [row for row in found if tuple(row.get(name) for name in read.keys.columns) in wanted]
        if read.aggregates:
            counts = Counter(tuple(row.get(it.column) for it in read.group_by) for row in found)
            keys = sorted(counts, key=repr) if read.group_by else [()]
            start = int(read.cursor or 0)
            end = start + min(read.limit or 1_000, capabilities.page_max)
            groups = [{"key": list(key), "values": {it.name: counts[key] for it in read.aggregates}} for key in keys[start:end]]
            return page([], str(end) if end < len(keys) else None, groups=groups)
        for term in reversed(read.order_by):
            found = sorted(found, key=lambda row: (row.get(term.column) is None, row.get(term.column)), reverse=term.descending)
        if read.keys is not None and read.limit_per_key is not None:
            given: Counter[Any] = Counter()
            kept = []
            for row in found:
                key = tuple(row.get(name) for name in read.keys.columns)
                given[key] += 1
                if given[key] <= read.limit_per_key + 1:
                    kept.append(row)
            found = kept
        start = int(read.cursor or 0)
        end = start + min(read.limit or capabilities.page_max, capabilities.page_max)
        return page(found[start:end], str(end) if end < len(found) else None, count=len(found))

    return Lying(answer, capabilities)


def people(number: int) -> list[dict[str, Any]]:
    return [{"id": f"c{at}", "mail": f"p{at}@example.com", "land": "DE" if at % 2 else "FR"} for at in range(number)]


def bought(pairs: Iterable[tuple[str, str | None]]) -> list[dict[str, Any]]:
    return [{"id": id_, "person_id": person, "size": at} for at, (id_, person) in enumerate(pairs)]


def orders_of(*links: Any, person_id: Scalar = STRING) -> Contract:
    return contract("orders", {"id": STRING, "person_id": person_id, "size": INT}, links=links)


def people_of(**changes: Any) -> Contract:
    given = {"classified": {"mail": MASKED}} | changes
    return contract("people", {"id": STRING, "mail": STRING, "land": STRING}, **given)


TO_PERSON = link("person", "shop/people", {"person_id": "id"}, inverse="orders")
ORDERS, PEOPLE = orders_of(TO_PERSON), people_of()
FEW = bought([("o1", "c1"), ("o2", "c2"), ("o3", None), ("o4", "c99"), ("o5", "c1")])


def few(**changes: Any) -> tuple[Mesh, Lying, Lying]:
    orders, persons = held(FEW), held(people(4))
    return Mesh((ORDERS, orders), (PEOPLE, persons), **changes), orders, persons


def ids(answer: Any, name: str = "orders") -> list[str]:
    assert answer.errors == [], answer.body
    return [it["id"] for it in answer.data["shop"][name]["nodes"]]
