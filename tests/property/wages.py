"""Wages that may only be totalled, questions about them, and other wages that every such total holds for as well (SPEC A8, A10)."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

from contracts.fields import Field, Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Access, Aggregates, Contract, FieldClassification, Grant, Metadata, Subject, Times
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy, TagPolicy, TagRule
from gateway.caller import Caller

from ..differential.worlds import NOW, World

__all__ = ["CLERK", "LEAST", "Question", "other_wages", "question", "wages", "wages_of"]

CLERK = Caller("clerk", frozenset({"clerk"}))
LEAST = 3
_TEXT, _INT = Scalar(Kind.STRING), Scalar(Kind.INT)
_KEYS = {"TEAM": "team", "SITE": "site", "GRADE": "grade"}
Row = dict[str, Any]


_COLUMNS = {"wage_id": _INT, "person": _TEXT, "team": _TEXT, "site": _TEXT, "grade": _INT, "pay": _INT, "at": Scalar(Kind.INSTANT)}
_PAY = TagPolicy(
    tag="pay", rules=(TagRule(mask=Mask(MaskKind.NULLIFY)),), aggregates=Aggregates(min_group=LEAST, functions=("count", "sum", "avg"))
)


def wages_of(seed: str, rows: list[Row], **changes: Any) -> World:
    """Make a world of wages, with as many columns as the rows have; ``changes``: to the contract."""
    contract = Contract(
        metadata=Metadata(name="wages", domain="people", owner="people@example.com", version="1.0.0"),
        fields=tuple(Field(name, type_) for name, type_ in _COLUMNS.items() if name in rows[0]),
        objectives=Objectives(),
        classification=(("pay", FieldClassification(tags=("pay",))),),
        primary_key=("wage_id",),
        times=Times(updated="at"),
        access=Access(grants=(Grant(role="clerk", fields=("*",)),)),
        revision="1",
        **{"subject": Subject(column="person", of="people/people"), **changes},
    )
    return World(seed, [contract], MeshPolicy(roles=("clerk",), tags=(_PAY,)), {contract.key: rows})


def wages(seed: str) -> World:
    """Make the wages of a few dozen people, some of whom have several or none."""
    random = Random(seed)
    rows = [
        {
            "wage_id": at,
            "person": f"p{random.randrange(40)}",
            "team": random.choice(("red", "red", "blue", "green", "tiny")),
            "site": random.choice("ABCDEF"),
            "grade": random.choice((1, 1, 2, 3, 9)),
            "pay": random.choice((None, 100, 2_000, 30_000)),
            "at": NOW - dt.timedelta(days=at),
        }
        for at in range(random.choice((2, 12, 30, 45)))
    ]
    return wages_of(seed, rows)


class Question:
    """``aggregate`` or ``groups`` of wages. ``text``: as asked; ``whole``: every group, unfiltered, which says what was merged."""

    def __init__(self, random: Random) -> None:
        self.by = random.sample(sorted(_KEYS), random.choice((0, 1, 1, 2)))
        self.where = {column: value for column, value in (("team", "red"), ("grade", 1)) if random.random() < 0.25}
        tests = ", ".join(
            f"{name}: {{eq: {value if isinstance(value, int) else chr(34) + value + chr(34)}}}" for name, value in self.where.items()
        )
        total = random.choice(("sum { pay }", "avg { pay }", "sum { pay } avg { pay }"))
        rows = random.choice(("", "nodes { wageId pay }", "totalCount"))
        if not self.by:
            arguments = f"(where: {{{tests}}})" if tests else ""
            self.text = f"{{ people {{ wages{arguments} {{ aggregate {{ count {total} }} {rows} }} }} }}"
            self.whole = self.text
            return
        by = "by: [" + ", ".join(f"{{field: {it}}}" for it in self.by) + "]"
        filtered = f", where: {{{tests}}}" if tests else ""
        key = "key { " + " ".join(_KEYS[it] for it in self.by) + " }"
        order = random.choice(("", ", orderBy: [{sum: {pay: DESC}}]", ", orderBy: [{count: DESC}, {avg: {pay: ASC}}]"))
        having = random.choice(("", ", having: {count: {gt: 2}}", ", having: {sum: {pay: {gt: 5000}}}"))
        first = random.choice(("", ", first: 2"))
        cursor = random.choice(("", "cursor"))
        asked = f"groups({by}{filtered}{order}{having}{first}) {{ {key} count {total} {cursor} }}"
        self.text = f"{{ people {{ wages {{ {asked} {rows} }} }} }}"
        self.whole = f"{{ people {{ wages {{ groups({by}{filtered}, first: 1000) {{ {key} sum {{ pay }} }} }} }} }}"

    def labels(self, rows: list[Row], data: Any) -> list[object]:
        """Say for each row which total it is in: None for one that is in none that shows."""
        wanted = [all(row[name] == value for name, value in self.where.items()) for row in rows]
        part = data["people"]["wages"]
        if not self.by:
            shows = part["aggregate"].get("sum", part["aggregate"].get("avg"))["pay"] is not None
            return ["all" if is_in and shows else None for is_in in wanted]
        shown = {tuple(it["key"].values()): it["sum"]["pay"] is not None for it in part["groups"]}
        rest = (None,) * len(self.by)
        keys = [tuple(row[_KEYS[it]] for it in self.by) for row in rows]
        found = [key if key in shown else rest for key in keys]
        return [key if is_in and shown.get(key) else None for key, is_in in zip(found, wanted, strict=True)]


def question(random: Random) -> Question:
    """Draw a question."""
    return Question(random)


def other_wages(rows: list[Row], labels: list[object], random: Random) -> list[Row]:
    """Pay others: within each total that shows as much altogether, and anything where none shows."""
    made = [dict(row) for row in rows]
    by_label: dict[object, list[Row]] = {}
    for row, label in zip(made, labels, strict=True):
        if row["pay"] is not None:
            if label is None:
                row["pay"] = random.randrange(100_000)
            else:
                by_label.setdefault(label, []).append(row)
    for members in by_label.values():
        for _ in range(3):
            one, other = random.choice(members), random.choice(members)
            moved = random.randrange(1, 50_000)
            one["pay"] += moved
            other["pay"] -= moved
    return made
