"""A copy after any walks is what a few lines of Python make of the same pages: newest update wins, tombstones and malformed rows go."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, Metadata, OutputPort, Times
from contracts.objectives import Objectives
from domain_adapters.mirror.bounds import Bounds
from domain_adapters.mirror.folder import Folder
from domain_adapters.mirror.intake import Intake
from domain_adapters.mirror.replica import Replica

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
CONTRACT = Contract(
    metadata=Metadata(name="things", domain="test", owner="team@example.com", version="1.0.0"),
    fields=(
        Field("id", Scalar(Kind.LONG)),
        Field("size", Scalar(Kind.INT)),
        Field("updated", Scalar(Kind.INSTANT)),
        Field("deleted", Scalar(Kind.INSTANT)),
    ),
    objectives=Objectives(),
    primary_key=("id",),
    times=Times(updated="updated", deleted="deleted"),
    output_ports=(OutputPort(type="rest-api", path="/things"),),
)
SPELLING = {field.name: field.name for field in CONTRACT.fields}
CLOCKS = st.sampled_from([None, "never", *(f"2026-11-23T0{hour}:00:00Z" for hour in range(4))])
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from([1, 2, 3, None, "no number"]),
        "size": st.sampled_from([1, 2, None, "large"]),
        "updated": CLOCKS,
        "deleted": st.sampled_from([None, None, None, "2026-11-22T00:00:00Z", "soon"]),
    }
)
WALKS = st.lists(st.tuples(st.booleans(), st.lists(st.lists(ROWS, max_size=4), max_size=3)), min_size=1, max_size=5)

KEPT, DELETED, MALFORMED = range(3)


class Naive:
    """The specification. ``copy``: key -> (size, updated); ``left_out``: keys, and rows that have none."""

    def __init__(self) -> None:
        self.copy: dict[int, tuple[int | None, str | None]] = {}
        self.left_out: list[Any] = []

    def walk(self, pages: list[list[dict[str, Any]]], *, everything: bool) -> None:
        newest: dict[int, tuple[Any, int, int | None, str | None]] = {}
        keyless = []
        for place, row in enumerate(row for page in pages for row in page):
            fate, size, updated = _judged(row)
            if row["id"] not in (1, 2, 3):
                keyless.append(msgspec.json.encode(row))
                continue
            rank = (fate == MALFORMED and updated is None, updated or "", place)
            if row["id"] not in newest or rank > newest[row["id"]][0]:
                newest[row["id"]] = (rank, fate, size, updated)
        if everything:
            self.copy = {key: (size, updated) for key, (_, fate, size, updated) in newest.items() if fate == KEPT}
            self.left_out = [*keyless, *(key for key, found in newest.items() if found[1] == MALFORMED)]
            return
        for key, (_, fate, size, updated) in newest.items():
            held = self.copy.get(key)
            if held is not None and _is_replaced(held[1], updated, fate):
                del self.copy[key]
            if fate == KEPT:
                self.copy.setdefault(key, (size, updated))
            if fate != MALFORMED:
                self.left_out = [it for it in self.left_out if it != key]
        bad = [*keyless, *(key for key, found in newest.items() if found[1] == MALFORMED and key not in self.copy)]
        self.left_out += [it for it in dict.fromkeys(bad) if it not in self.left_out]


def _judged(row: dict[str, Any]) -> tuple[int, int | None, str | None]:
    updated = None if row["updated"] == "never" else row["updated"]
    if row["deleted"] not in (None, "soon") and row["updated"] != "never":
        return DELETED, None, updated
    if row["size"] == "large" or row["updated"] == "never" or row["deleted"] == "soon":
        return MALFORMED, None, updated
    return KEPT, row["size"], updated


def _is_replaced(held: str | None, updated: str | None, fate: int) -> bool:
    return held is None or (updated is not None and held <= updated) or (updated is None and fate == MALFORMED)


@settings(max_examples=80, deadline=None)
@given(WALKS)
def test_a_copy_is_what_the_specification_makes_of_the_same_pages(walks: list[tuple[bool, list[list[dict[str, Any]]]]]) -> None:
    intake, naive = Intake(CONTRACT, SPELLING), Naive()
    with tempfile.TemporaryDirectory() as root:
        folder = Folder(Path(root), CONTRACT.key)
        replica = Replica(CONTRACT, folder, "http://origin", SPELLING, Bounds(memory_max="128MiB"))
        cursor = replica.connection.cursor()
        try:
            facts = replica.facts(cursor)
            for everything, pages in walks:
                replica.begin(cursor)
                for rows in pages:
                    replica.add(cursor, intake.page(msgspec.json.encode({"data": rows})).rows)
                kept = replica.settle(cursor)
                finish = replica.swap if everything else replica.merge
                before, facts = facts, finish(cursor, facts, NOW, ())
                held = dict(naive.copy)
                naive.walk(pages, everything=everything)
                found = cursor.execute("SELECT c0, c1, strftime(c2, '%Y-%m-%dT%H:%M:%SZ') FROM mirrored ORDER BY c0").fetchall()
                assert {key: (size, updated) for key, size, updated in found} == naive.copy
                assert len(found) == len(naive.copy)
                assert (facts.rows, facts.left_out) == (len(naive.copy), len(naive.left_out))
                assert kept <= sum(map(len, pages))
                if not everything:
                    assert (facts.edition > before.edition) == (held != naive.copy)
        finally:
            cursor.close()
            replica.connection.close()
            folder.close()
