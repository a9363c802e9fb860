"""Generated operations: everything that a query can say over one view's schema, with its variables."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

from contracts.fields import Enumeration, Scalar
from domain_adapters.values import emitter_of
from gateway.catalog.snapshot import Column, Product, Relation, Snapshot

from .groupings import groups_text
from .worlds import World

__all__ = ["Operation", "operation_of"]

_DEPTH_MAX = 4
_MESH = (
    "mesh { products { id accessible primaryKey fields { name access mask usable } relationships { name to } } }",
    'mesh { __typename product(domain: "sales", name: "orders") { id owner slo { status } } }',
    'mesh { product(domain: "people", name: "orders") { id version } other: product(domain: "sales", name: "parcels") { id } }',
)


@dataclass(slots=True)
class Operation:
    """A document with what is sent beside it. ``cursors``: variables that stand in ``after``, none of them sent at first."""

    text: str
    name: str | None
    variables: dict[str, Any]
    cursors: tuple[str, ...]


def operation_of(schema: GraphQLSchema, world: World, snapshot: Snapshot, random: Random, *, exact: bool = False) -> Operation:
    """Draw an operation that is valid in ``schema``. ``exact``: no groups are kept or sorted by what holds to the last digit or so."""
    drawing = _Drawing(schema, world, snapshot, random, exact=exact)
    return drawing.draw()


@dataclass(slots=True)
class _Drawing:
    schema: GraphQLSchema
    world: World
    snapshot: Snapshot
    random: Random
    exact: bool = False
    variables: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    cursors: list[str] = field(default_factory=list)
    # Type name -> (fragment's name, its text); fields without an alias always have the same arguments, so that they merge.
    fragments: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    plain_arguments: dict[tuple[str, str], str] = field(default_factory=dict)
    aliases: int = 0
    size: int = 0
    size_max: int = 0

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def draw(self) -> Operation:
        query = self.schema.query_type
        assert query is not None
        self.size_max = self.random.choice((3, 5, 8, 12, 20))
        body = self._selection(query, 0)
        name = None
        if self.chance(0.4):
            name = "Asked"
        definitions = ", ".join(f"${variable}: {declared}" for variable, declared in self.variables)
        head = f"query {name or ''}{f'({definitions})' if definitions else ''} "
        parts = [f"{head}{body}" if name or definitions or self.chance(0.5) else body]
        parts += [f"fragment {fragment} on {type_} {text}" for type_, found in self.fragments.items() for fragment, text in found]
        if name and self.chance(0.3):
            parts.insert(self.random.randrange(2), "query Other { __typename }")
        elif name and self.chance(0.5):
            name = None
        return Operation("\n".join(parts), name, self.values, tuple(self.cursors))

    # -- selections --------------------------------------------------------------------------------------------------------

    def _selection(self, type_: GraphQLObjectType, depth: int) -> str:
        parts = self._picked(type_, depth)
        if depth == 0 and "mesh" in type_.fields and self.chance(0.06):
            parts.append(self.random.choice(_MESH))
        if self.chance(0.12):
            parts.append("__typename" if self.chance(0.7) else f"{self._alias()}: __typename")
        parts = parts or ["__typename"]
        if len(parts) > 1 and self.chance(0.25):
            cut = self.random.randrange(1, len(parts))
            parts[cut:] = [self._fragment(type_, parts[cut:])]
        if self.chance(0.1) and (known := self.fragments.get(type_.name)):
            parts.append(f"...{self.random.choice(known)[0]}{self._directives()}")
        self.random.shuffle(parts)
        return "{ " + " ".join(parts) + " }"

    def _picked(self, type_: GraphQLObjectType, depth: int) -> list[str]:
        names = [name for name in type_.fields if name != "mesh"]
        if not names:
            return []
        weights = [self._weight(type_, name, depth) for name in names]
        if not sum(weights):
            return []
        parts: list[str] = []
        most = 2 if depth < 2 else 5 if depth < 5 else 3
        for name in dict.fromkeys(self.random.choices(names, weights, k=self.random.randint(1, most))):
            parts.extend(self._field(type_, name, depth))
        return parts

    def _weight(self, type_: GraphQLObjectType, name: str, depth: int) -> float:
        if name in ("nodes", "edges"):
            return 4
        if not isinstance(get_named_type(type_.fields[name].type), GraphQLObjectType):
            return 1
        is_row = any(type_.name == product.type_name for product in self.snapshot.products.values())
        if not is_row:
            # Totals follow relationships, and those lead round.
            return 0 if "_" in type_.name and self.size >= self.size_max else 1.5
        return 2 if self.size < self.size_max and depth < 3 * _DEPTH_MAX else 0

    def _field(self, type_: GraphQLObjectType, name: str, depth: int) -> list[str]:
        definition = type_.fields[name]
        self.size += 1
        if name == "groups" and "by" in definition.args:
            product = next(it for it in self.snapshot.products.values() if f"{it.type_name}Connection" == type_.name)
            return [groups_text(self, product, definition)]
        alias, arguments = "", ""
        needed = any(isinstance(it.type, GraphQLNonNull) for it in definition.args.values())
        if definition.args:
            if self.chance(0.4):
                alias, arguments = f"{self._alias()}: ", self._arguments(type_, name, definition, needed)
            else:
                known = self.plain_arguments.get((type_.name, name))
                arguments = known if known is not None else self._arguments(type_, name, definition, needed)
                self.plain_arguments[type_.name, name] = arguments
        elif self.chance(0.12):
            alias = f"{self._alias()}: "
        head = f"{alias}{name}{arguments}"
        named = get_named_type(definition.type)
        if not isinstance(named, GraphQLObjectType):
            found = [f"{head}{self._directives()}"]
            return found * 2 if self.chance(0.05) else found
        parts = [f"{head}{self._directives()} {self._selection(named, depth + 1)}"]
        if self.chance(0.12):
            parts.append(f"{head}{self._directives()} {self._selection(named, depth + 1)}")
        return parts

    def _fragment(self, type_: GraphQLObjectType, parts: list[str]) -> str:
        body = "{ " + " ".join(parts) + " }"
        if self.chance(0.5):
            name = f"F{sum(map(len, self.fragments.values()))}"
            self.fragments.setdefault(type_.name, []).append((name, body))
            return f"...{name}{self._directives()}"
        condition = f" on {type_.name}" if self.chance(0.6) else ""
        return f"...{condition}{self._directives()} {body}"

    def _directives(self) -> str:
        if not self.chance(0.06):
            return ""
        found = []
        for name in self.random.sample(("skip", "include"), self.random.choice((1, 1, 2))):
            holds = self.chance(0.5 if name == "include" else 0.3)
            if self.chance(0.5):
                found.append(f"@{name}(if: {json.dumps(holds)})")
            else:
                found.append(f"@{name}(if: ${self._condition(holds)})")
        return " " + " ".join(found)

    def _condition(self, holds: bool) -> str:
        default = self.chance(0.3)
        declared = ("Boolean" if self.chance(0.3) else "Boolean!") + f" = {json.dumps(holds)}" if default else "Boolean!"
        return self._variable(declared, holds, sent=not default or self.chance(0.3))

    def _alias(self) -> str:
        self.aliases += 1
        return f"a{self.aliases}"

    def _variable(self, declared: str, value: Any, *, sent: bool = True) -> str:
        name = f"v{len(self.variables)}"
        self.variables.append((name, declared))
        if sent:
            self.values[name] = value
        return name

    # -- arguments ---------------------------------------------------------------------------------------------------------

    def _arguments(self, type_: GraphQLObjectType, name: str, definition: GraphQLField, needed: bool) -> str:
        product = self._product(type_, name)
        parts: list[str] = []
        for argument, declared in definition.args.items():
            if not needed and not self.chance(0.35 if argument != "after" else 0.15):
                continue
            match argument:
                case "first":
                    value = self.random.choice((0, 1, 1, 2, 2, 3, 5, 1000)) if self.chance(0.97) else self.random.choice((-1, 1001))
                    parts.append(f"first: {self._given(value, 'Int', str(value))}")
                case "after":
                    self.cursors.append(self._variable("String", None, sent=False))
                    parts.append(f"after: ${self.cursors[-1]}")
                case "since":
                    value = self._since()
                    parts.append(f"since: {self._given(value, 'DateTime', json.dumps(value))}")
                case "where":
                    parts.append(f"where: {self._input(product, declared.type, self._where(product, declared.type, 0))}")
                case "orderBy":
                    parts.append(f"orderBy: {self._order(declared.type)}")
                case "key":
                    parts.append(f"key: {self._input(product, declared.type, self._key(product))}")
        return f"({', '.join(parts)})" if parts else ""

    def _product(self, type_: GraphQLObjectType, name: str) -> Product:
        named = get_named_type(type_.fields[name].type)
        row = named.name.removesuffix("Connection")
        return next(it for it in self.snapshot.products.values() if it.type_name in (row, named.name))

    def _since(self) -> str:
        return self.random.choice(
            ("2026-11-01T08:00:00Z", "2026-11-03T10:30:00+02:00", "2026-11-05T00:00:00.000001Z", "1999-12-31T00:00:00Z")
        )

    def _given(self, value: Any, declared: str, literal: str) -> str:
        if self.chance(0.75):
            return literal
        match self.random.randrange(4):
            case 0:
                return "$" + self._variable(declared + "!", value)
            case 1:
                return "$" + self._variable(f"{declared} = {literal}", value, sent=False)
            case 2:
                return "$" + self._variable(f"{declared} = null", value, sent=self.chance(0.8))
        return "$" + self._variable(declared, value, sent=self.chance(0.9))

    def _order(self, declared: Any) -> str:
        item = declared.of_type.of_type
        names = list(item.fields)
        if self.chance(0.12):
            value = [{name: self.random.choice(("ASC", "DESC_NULLS_FIRST"))} for name in self.random.sample(names, 1)]
            return "$" + self._variable(f"[{item.name}!]", value)
        terms = [f"{{{name}: {self._direction()}}}" for name in self.random.choices(names, k=self.random.randint(0, min(3, len(names))))]
        return terms[0] if len(terms) == 1 and self.chance(0.3) else f"[{', '.join(terms)}]"

    def _direction(self) -> str:
        direction = self.random.choice(("ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST"))
        return f"${self._variable('SortDirection!', direction)}" if self.chance(0.1) else direction

    def _key(self, product: Product) -> dict[str, Any]:
        rows = self.world.rows[product.id]
        row = self.random.choice(rows) if rows and self.chance(0.9) else None
        found = {}
        for name in product.primary_key:
            column = product.column_by_name[name]
            value = row[name] if row is not None else None
            found[column.graphql_name] = _Leaf(column, value if value is not None else self._sample(column))
        return found

    def _where(self, product: Product, declared: Any, depth: int) -> dict[str, Any]:
        type_ = get_named_type(declared)
        assert isinstance(type_, GraphQLInputObjectType)
        found: dict[str, Any] = {}
        for name in self.random.sample(sorted(type_.fields), min(len(type_.fields), self.random.choice((0, 1, 1, 2)))):
            if name in ("and", "or"):
                if depth < 2:
                    found[name] = [self._where(product, declared, depth + 1) for _ in range(self.random.randint(0, 2))]
            elif name == "not":
                if depth < 2:
                    found[name] = self._where(product, declared, depth + 1)
            elif (relation := product.relation_by_name.get(name)) is not None:
                if depth < 3:
                    found[name] = self._partners(relation, get_named_type(type_.fields[name].type), depth)
            else:
                found[name] = self._comparisons(product.column_by_graphql_name[name], get_named_type(type_.fields[name].type))
        if self.chance(0.01):
            found[self.random.choice(("and", "not"))] = None
        return found

    def _partners(self, relation: Relation, type_: Any, depth: int) -> dict[str, Any] | None:
        target = self.snapshot.products[relation.target]
        if self.chance(0.01):
            return None
        if not relation.many:
            return self._where(target, type_, depth + 1)
        words = self.random.sample(("some", "none"), self.random.choice((1, 1, 1, 2)))
        return {word: self._where(target, type_.fields[word].type, depth + 1) for word in words}

    def _comparisons(self, column: Column, type_: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for operator in self.random.sample(sorted(type_.fields), self.random.choice((1, 1, 1, 2))):
            match operator:
                case "isNull":
                    found[operator] = self.chance(0.5)
                case "in" | "notIn":
                    found[operator] = [_Leaf(column, self._sample(column)) for _ in range(self.random.randint(0, 3))]
                case _:
                    found[operator] = _Leaf(column, self._sample(column)) if self.chance(0.985) else None
        return found

    def _sample(self, column: Column) -> Any:
        product = next(it for it in self.snapshot.products.values() if any(one is column for one in it.columns))
        cells = [row[column.name] for row in self.world.rows[product.id] if row[column.name] is not None]
        if cells and self.chance(0.9):
            return self.random.choice(cells)
        match column.type:
            case Enumeration(symbols=symbols):
                return self.random.choice(symbols)
            case Scalar():
                return _SAMPLES[column.type.kind]
        raise TypeError(column.name)

    # -- writing -----------------------------------------------------------------------------------------------------------

    def _input(self, product: Product, declared: Any, value: Any) -> str:
        """Write an input object as a literal, or send it as one variable, or send single leaves."""
        if self.chance(0.15):
            text = str(declared) if self.chance(0.5) else f"{get_named_type(declared).name}!"
            return "$" + self._variable(text, _json(value))
        return self._literal(value, declared)

    def _literal(self, value: Any, declared: Any) -> str:
        type_ = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
        if value is None:
            return "null"
        if isinstance(type_, GraphQLList):
            if isinstance(value, list):
                texts = [self._literal(it, type_.of_type) for it in value]
                alone = len(texts) == 1 and not texts[0].startswith("$") and self.chance(0.3)
                return texts[0] if alone else f"[{', '.join(texts)}]"
            return self._literal(value, type_.of_type)
        if isinstance(type_, GraphQLInputObjectType):
            return "{" + ", ".join(f"{name}: {self._literal(it, type_.fields[name].type)}" for name, it in value.items()) + "}"
        wire = _json(value)
        if self.chance(0.1):
            return "$" + self._variable(f"{type_.name}!", wire)
        if isinstance(type_, GraphQLEnumType):
            return str(wire)
        return json.dumps(wire, ensure_ascii=self.chance(0.5)) if "\U0001f600" not in str(wire) else json.dumps(wire, ensure_ascii=False)


_SAMPLES: dict[str, Any] = {
    "boolean": True,
    "int": 1,
    "long": 2**53 + 1,
    "float": 0.1,
    "string": "b",
    "uuid": "00000000-0000-0000-0000-000000000001",
    "date": dt.date(2026, 11, 3),
    "time": dt.time(3, 30),
    "instant": dt.datetime(2026, 11, 3, 8, tzinfo=dt.UTC),
    "local-datetime": dt.datetime(2026, 11, 3, 8),
    "decimal": 1,
    "bytes": "AAE=",
}


@dataclass(frozen=True, slots=True)
class _Leaf:
    column: Column
    value: Any


def _json(value: Any) -> Any:
    match value:
        case _Leaf(column=column, value=leaf):
            type_ = column.type
            if isinstance(leaf, str) and isinstance(type_, Scalar) and type_.kind == "instant":
                return leaf[:26] + "Z"  # GraphQL's instants have microseconds at most
            if isinstance(leaf, dt.datetime) and leaf.tzinfo is not None:
                return leaf.isoformat().replace("+00:00", "Z")
            writer: Callable[[Any], Any] = emitter_of(type_)
            return writer(leaf)
        case dict():
            return {name: _json(it) for name, it in value.items()}
        case list():
            return [_json(it) for it in value]
    return value
