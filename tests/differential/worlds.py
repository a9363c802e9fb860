"""Generated meshes: contracts, a policy, rows with everything awkward in them, and callers. One seed, one world."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.masks import Mask, MaskKind, fits
from contracts.model import (
    Access,
    Aggregates,
    Cardinality,
    Contract,
    FieldClassification,
    Grant,
    Level,
    Metadata,
    OutputPort,
    Relationship,
    Restriction,
    Subject,
    Times,
    Visibility,
)
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy, RoleBound, TagPolicy, TagRule
from contracts.predicates import And, Claim, Compare, Not, Operator, Or, Predicate
from gateway.caller import Caller

__all__ = ["NOW", "TYPES", "World", "callers_of", "value_of", "world_of"]

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
ROLES = ("analyst", "auditor", "guest")
REGIONS = ("DE", "FR", "US", "日本")
TEXTS = ("", "a", "b", "B", "ab", "ä", "z", "Zoë", "日本", "a%b_c", 'q"uo\\te', "\U0001f600", "￿", "line\nbreak")
MAILS = ("ann@example.com", "bob@example.org", "no mail", "ann@example.com", "ünï@example.com")
_DAY = dt.date(2026, 11, 1)
_INSTANT = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)
_ZONED = dt.timezone(dt.timedelta(hours=2))

_NESTED = Record(
    "Place",
    (
        Field("street_name", Scalar(Kind.STRING)),
        Field("zip", Scalar(Kind.INT), physical_name="ZIP_CODE"),
        Field("geo", Record("Geo", (Field("lat", Scalar(Kind.FLOAT)), Field("since", Scalar(Kind.INSTANT))))),
        Field("lines", List(Record("Line", (Field("sku", Scalar(Kind.STRING)), Field("price", Scalar(Kind.DECIMAL, 10, 2)))), False)),
    ),
)
TYPES: dict[str, FieldType] = {
    "flag": Scalar(Kind.BOOLEAN),
    "item_count": Scalar(Kind.INT),
    "big": Scalar(Kind.LONG),
    "ratio": Scalar(Kind.FLOAT),
    "amount": Scalar(Kind.DECIMAL, 10, 2),
    "tiny_rate": Scalar(Kind.DECIMAL, 20, 9),
    "title": Scalar(Kind.STRING),
    "e-mail": Scalar(Kind.STRING),
    "blob": Scalar(Kind.BYTES),
    "ref": Scalar(Kind.UUID),
    "day": Scalar(Kind.DATE),
    "at_time": Scalar(Kind.TIME),
    "happened_at": Scalar(Kind.INSTANT),
    "exact_at": Scalar(Kind.INSTANT, unit=Unit.NANOS),
    "wall_clock": Scalar(Kind.LOCAL_DATETIME),
    "status": Enumeration("Status", ("OPEN", "PAID", "SHUT")),
    "grade": Enumeration("Grade", ("1st", "2nd", "n/a")),
    "place": _NESTED,
    "tags": List(Scalar(Kind.STRING)),
    "marks": List(Scalar(Kind.INT), item_required=False),
    "days": List(Scalar(Kind.DATE)),
    "extra": Map(Scalar(Kind.DECIMAL, 20, 9)),
    "places": Map(_NESTED),
    "doc": Scalar(Kind.JSON),
}
KEY_TYPES: tuple[FieldType, ...] = (
    Scalar(Kind.STRING),
    Scalar(Kind.STRING),
    Scalar(Kind.INT),
    Scalar(Kind.LONG),
    Scalar(Kind.UUID),
    Scalar(Kind.DATE),
    Scalar(Kind.INSTANT),
    Scalar(Kind.DECIMAL, 10, 2),
)


@dataclass(slots=True)
class World:
    """``rows``: product id -> rows in the order that a level-0 endpoint pages them. ``absent``: products without an endpoint."""

    seed: str
    contracts: list[Contract]
    policy: MeshPolicy
    rows: dict[str, list[dict[str, Any]]]
    absent: frozenset[str] = frozenset()
    lookups: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    name: str
    domain: str
    columns: dict[str, FieldType]
    key: tuple[str, ...]
    updated: str | None
    links: list[Relationship] = field(default_factory=list)
    # Foreign key column -> (product, column) that its values are taken from.
    sources: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.domain}/{self.name}"


def world_of(seed: str, *, totalled_only: bool = False) -> World:
    """Make the world of a seed. ``totalled_only``: some of its columns are for totals of enough subjects only."""
    random = Random(seed)
    drafts = [_draft(random, number) for number in range(random.randint(2, 4))]
    for number in range(len(drafts)):
        for _ in range(random.choice((0, 1, 1, 2))):
            _link(random, drafts, number)
    rows = _rows(random, drafts)
    contracts = [_contract(random, draft, number) for number, draft in enumerate(drafts)]
    policy = _policy(random)
    absent = frozenset(draft.id for draft in drafts if random.random() < 0.04)
    lookups = {draft.id: frozenset(name for name in draft.columns if random.random() < 0.5) for draft in drafts}
    if totalled_only:
        contracts, policy = _totalled_only(Random(f"{seed} totals"), contracts, policy)
    return World(seed, contracts, policy, rows, absent, lookups)


def _draft(random: Random, number: int) -> _Draft:
    name = ("orders", "client-files", "parcels", "notes_2")[number]
    domain = random.choice(("sales", "people", "back-office"))
    chosen = random.sample(sorted(TYPES), random.randint(3, 9))
    columns: dict[str, FieldType] = {}
    key: tuple[str, ...] = ()
    match random.choice(("single", "single", "single", "composite", "none")):
        case "single":
            key = ("id",)
            columns["id"] = random.choice(KEY_TYPES)
        case "composite":
            key = ("part", "line_no")
            columns["part"] = random.choice(KEY_TYPES)
            columns["line_no"] = Scalar(Kind.INT)
    columns["region"] = Scalar(Kind.STRING)
    columns.update((it, TYPES[it]) for it in chosen)
    updated = next((it for it in ("happened_at", "exact_at", "day", "wall_clock") if it in columns and random.random() < 0.7), None)
    if key and random.random() < 0.3:
        names = list(columns)
        random.shuffle(names)
        columns = {it: columns[it] for it in names}
    return _Draft(name, domain, columns, key, updated)


def _link(random: Random, drafts: list[_Draft], number: int) -> None:
    own = drafts[number]
    target_number = random.randrange(len(drafts))
    target = drafts[target_number]
    count = len(own.links)
    many = False
    if target.key and random.random() < 0.85:
        pairs = []
        for column in target.key:
            name = f"{target.name[:3]}{count}_{column}"
            own.columns[name] = target.columns[column]
            own.sources[name] = (target_number, column)
            pairs.append((name, column))
    else:
        pairs = [("region", "region")]
        many = random.random() < 0.6
    own.links.append(
        Relationship(
            name=f"to_{target.name[:3]}{count}",
            to=target.id,
            on=tuple(pairs),
            cardinality=Cardinality.MANY if many else Cardinality.ONE,
            inverse=f"back_{own.name[:3]}{count}_{number}" if random.random() < 0.7 else None,
        )
    )


# -- rows ----------------------------------------------------------------------------------------------------------------------


def _rows(random: Random, drafts: list[_Draft]) -> dict[str, list[dict[str, Any]]]:
    keys: list[list[tuple[Any, ...]]] = []
    for draft in drafts:
        wanted = random.choice((0, 1, 3, 8, 15, 24))
        found: dict[tuple[Any, ...], None] = {}
        for number in range(wanted if draft.key else 0):
            found[tuple(_key_value(random, draft.columns[name], number) for name in draft.key)] = None
        keys.append(list(found) if draft.key else [()] * wanted)
    rows: dict[str, list[dict[str, Any]]] = {}
    for draft, own_keys in zip(drafts, keys, strict=True):
        made = []
        for key in own_keys:
            row: dict[str, Any] = dict(zip(draft.key, key, strict=True))
            linked = {number: random.choice(keys[number]) if keys[number] else None for number, _ in draft.sources.values()}
            for name, type_ in draft.columns.items():
                if name in row:
                    continue
                source = draft.sources.get(name)
                row[name] = value_of(random, name, type_) if source is None else _foreign(random, drafts, type_, linked, source)
            made.append({name: row[name] for name in draft.columns})
        random.shuffle(made)
        rows[draft.id] = made
    return rows


def _foreign(random: Random, drafts: list[_Draft], type_: FieldType, linked: dict[int, Any], source: tuple[int, str]) -> Any:
    number, column = source
    chance = random.random()
    if chance < 0.1:
        return None
    if chance < 0.2 or linked[number] is None:
        return _key_value(random, type_, 900 + random.randrange(3))
    return linked[number][drafts[number].key.index(column)]


def _key_value(random: Random, type_: FieldType, number: int) -> Any:
    assert isinstance(type_, Scalar)
    number = number if random.random() < 0.8 else random.randrange(30)
    match type_.kind:
        case Kind.STRING:
            return f"{random.choice(('K', 'k', 'ä'))}{number}" if random.random() < 0.9 else f"k,{number} & (x)"
        case Kind.INT:
            return number - 5
        case Kind.LONG:
            return 2**40 + number
        case Kind.UUID:
            return str(uuid.UUID(int=(number * 7919) << 90 | number))
        case Kind.DATE:
            return _DAY + dt.timedelta(days=number)
        case Kind.INSTANT:
            return _INSTANT + dt.timedelta(hours=number, microseconds=number % 3)
    return Decimal(number).scaleb(-1).quantize(Decimal("0.01"))


def value_of(random: Random, name: str, type_: FieldType, *, null: float = 0.15) -> Any:
    if random.random() < null:
        return None
    match type_:
        case Enumeration(symbols=symbols):
            return random.choice(symbols)
        case List(item=item, item_required=required):
            return [value_of(random, name, item, null=0 if required else 0.3) for _ in range(random.randrange(4))]
        case Map(value=value):
            return {random.choice(TEXTS): value_of(random, name, value) for _ in range(random.randrange(3))}
        case Record(fields=fields):
            return {member.name: value_of(random, member.name, member.type) for member in fields}
    return _scalar(random, name, type_)


def _scalar(random: Random, name: str, type_: Scalar) -> Any:
    number = random.randrange(6)
    if type_.kind is Kind.DECIMAL:
        unit = Decimal(1).scaleb(-(type_.scale or 0))
        return (random.choice((0, 1, -1, 99, 12345)) * random.choice((unit, Decimal(1)))).quantize(unit)
    if type_.kind is Kind.STRING:
        return random.choice(REGIONS if name == "region" else MAILS if name == "e-mail" else TEXTS)
    if type_.kind is Kind.INSTANT and type_.unit is Unit.NANOS:
        return f"2026-11-0{number + 1}T08:00:00.00000000{number}Z"
    choices: dict[Kind, tuple[Any, ...]] = {
        Kind.BOOLEAN: (True, False),
        Kind.INT: (0, 1, -1, 7, 2**31 - 1, -(2**31), number),
        Kind.LONG: (0, 2**53 + 1, -(2**63), 2**63 - 1, number),
        Kind.FLOAT: (0.0, 0.1, -2.5, 1e300, 1e-7, 3.0, float(number)),
        Kind.BYTES: (base64.b64encode(bytes(range(number))).decode(),),
        Kind.UUID: (str(uuid.UUID(int=number << 120)),),
        Kind.DATE: (_DAY + dt.timedelta(days=number), dt.date(1, 1, 1), dt.date(9999, 12, 31)),
        Kind.TIME: (dt.time(number, 30), dt.time(23, 59, 59, 999999), dt.time(0, 0, 0, 100)),
        Kind.INSTANT: tuple(_INSTANT + dt.timedelta(days=number, microseconds=it) for it in (0, 0, 1, 120000)),
        Kind.LOCAL_DATETIME: (dt.datetime(2026, 11, number + 1, 8), dt.datetime(2026, 11, number + 1, 8, 0, 0, 5)),
        Kind.JSON: ({"a": [1, None, {"b": "x"}]}, [1, 2.5, "x"], "text", 5, True, {}, {"n": 1.0}),
    }
    return random.choice(choices[type_.kind])


# -- promises ------------------------------------------------------------------------------------------------------------------


def _contract(random: Random, draft: _Draft, number: int) -> Contract:
    columns = list(draft.columns)
    return Contract(
        metadata=Metadata(
            name=draft.name,
            domain=draft.domain,
            owner=f"{draft.domain}@example.com",
            version="1.2.0",
            visibility=Visibility.HIDDEN if random.random() < 0.15 else Visibility.LISTED,
        ),
        fields=tuple(
            Field(name, type_, required=name in draft.key, physical_name=f"T_{name.upper()}" if random.random() < 0.1 else None)
            for name, type_ in draft.columns.items()
        ),
        objectives=Objectives(),
        classification=tuple((name, _classification(random, draft.columns[name])) for name in columns if random.random() < 0.2),
        primary_key=draft.key,
        times=Times(updated=draft.updated),
        access=Access(grants=tuple(_grant(random, columns) for _ in range(random.randint(1, 4)))),
        relationships=tuple(draft.links),
        restrictions=(_restriction(random, columns),) if random.random() < 0.1 else (),
        output_ports=(OutputPort(type="rest-api", path=f"/data-products/{draft.name}"),),
        revision=f"r{number}",
    )


_MASKS = (
    Mask(MaskKind.REDACT),
    Mask(MaskKind.NULLIFY),
    Mask(MaskKind.PSEUDONYM),
    Mask(MaskKind.PSEUDONYM, scope="mesh"),
    Mask(MaskKind.EMAIL),
    Mask(MaskKind.PARTIAL, first=1, last=1),
    Mask(MaskKind.TRUNCATE, to="year"),
    Mask(MaskKind.TRUNCATE, to="month"),
    Mask(MaskKind.ROUND, to="10"),
)


def _classification(random: Random, type_: FieldType) -> FieldClassification:
    fitting = [mask for mask in _MASKS if fits(mask, type_)]
    return FieldClassification(
        level=random.choice((None, None, Level.INTERNAL, Level.CONFIDENTIAL)),
        tags=random.choice(((), ("pii",), ("pii",), ("secret",), ("pii", "secret"), ("unheard-of",))),
        mask=random.choice(fitting) if random.random() < 0.5 else None,
        visibility=Visibility.HIDDEN if random.random() < 0.3 else Visibility.LISTED,
    )


def _totalled_only(random: Random, contracts: list[Contract], policy: MeshPolicy) -> tuple[list[Contract], MeshPolicy]:
    """Let some columns be for totals of enough subjects only, by what a contract or a tag of the policy says of them."""
    found = []
    for contract in contracts:
        kinds = dict(contract.classification)
        for it in contract.fields:
            if _is_number(it.type) and not it.required and random.random() < 0.4:
                said = {"aggregates": _aggregates(random)} if random.random() < 0.7 else {"tags": ("pii",)}
                kinds[it.name] = kinds.get(it.name, FieldClassification(level=Level.CONFIDENTIAL)).model_copy(update=said)
        columns = [it.name for it in contract.fields if isinstance(it.type, Scalar) and it.type.kind is Kind.STRING]
        subject = Subject(column=random.choice(columns), of=contract.key) if random.random() < 0.6 else None
        found.append(contract.model_copy(update={"classification": tuple(kinds.items()), "subject": subject}))
    if random.random() < 0.5:
        tags = tuple(it.model_copy(update={"aggregates": _aggregates(random)}) for it in policy.tags)
        policy = policy.model_copy(update={"tags": tags})
    return found, policy


def _is_number(type_: FieldType) -> bool:
    return isinstance(type_, Scalar) and type_.kind in (Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DECIMAL)


def _aggregates(random: Random) -> Aggregates:
    return Aggregates(
        min_group=random.choice((2, 2, 3, 5)), functions=random.choice((("sum",), ("avg",), ("sum", "avg"), ("count", "sum", "avg")))
    )


def _grant(random: Random, columns: list[str]) -> Grant:
    some = tuple(random.sample(columns, random.randint(1, len(columns))))
    return Grant(
        role=random.choice(ROLES),
        fields=("*",) if random.random() < 0.75 else some,
        clear=random.choice(((), (), (), ("*",), some)),
        row_filter=_rule(random) if random.random() < 0.45 else None,
        purposes=("audit",) if random.random() < 0.15 else (),
        predicates=random.random() < 0.08,
    )


def _restriction(random: Random, columns: list[str]) -> Restriction:
    return Restriction(
        name="restricted",
        effect=random.choice(("mask", "deny")),
        roles=random.choice(((), ("analyst",))),
        fields=random.choice(((), (random.choice(columns),), ("*at*",))),
        tags=random.choice(((), ("pii",))),
        unless_purpose=random.choice(((), ("audit",))),
    )


def _rule(random: Random, depth: int = 0) -> Predicate:
    match random.randrange(6 if depth < 2 else 4):
        case 0:
            return Compare("region", Operator.IN, Claim("regions"))
        case 1:
            return Compare("region", Operator.EQ, random.choice(REGIONS))
        case 2:
            return Compare("region", Operator.NE, Claim("home"))
        case 3:
            return Compare("region", Operator.NOT_IN, tuple(random.sample(REGIONS, 2)))
        case 4:
            return Not(_rule(random, depth + 1))
    parts = (_rule(random, depth + 1), _rule(random, depth + 1))
    return Or(parts) if random.random() < 0.6 else And(parts)


def _policy(random: Random) -> MeshPolicy:
    pii = TagPolicy(
        tag="pii",
        rules=(
            TagRule(type="string", name="*mail*", mask=Mask(MaskKind.EMAIL)),
            TagRule(type="date", mask=Mask(MaskKind.TRUNCATE, to="year")),
            TagRule(type="int", mask=Mask(MaskKind.ROUND, to="10")),
            TagRule(type="string", mask=Mask(MaskKind.PSEUDONYM)),
        ),
    )
    return MeshPolicy(
        roles=ROLES,
        tags=(pii, TagPolicy(tag="secret", never_clear=True)),
        grants=(Grant(role="auditor", fields=("*",)),) if random.random() < 0.3 else (),
        bounds=(RoleBound(role="analyst", clear_tags=()),) if random.random() < 0.2 else (),
        restrictions=(_restriction(random, ["region", "id", "title"]),) if random.random() < 0.15 else (),
    )


def callers_of(world: World, count: int) -> list[Caller]:
    """Draw callers for a world."""
    random = Random(f"{world.seed} callers")
    found = []
    for number in range(count):
        roles = frozenset(random.sample(ROLES, random.choice((1, 1, 2, 3))))
        claims: dict[str, Any] = {}
        if random.random() < 0.8:
            claims["regions"] = random.sample(REGIONS, random.randint(1, 3))
        if random.random() < 0.7:
            claims["home"] = random.choice(REGIONS)
        found.append(Caller(f"c{number}", roles, purpose=random.choice((None, "audit")), claims=claims))
    return found
