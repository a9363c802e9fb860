"""The selections under ``aggregate`` and ``groups`` -> picks. A part of `gateway.compiler.planner`, which lends its way of collecting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from graphql import FieldNode, GraphQLObjectType, SelectionSetNode, get_named_type

from gateway.catalog.measures import FUNCTIONS
from gateway.catalog.slices import Slice
from gateway.catalog.snapshot import Product, Relation, Snapshot
from gateway.compiler.arguments import argument_sources
from gateway.compiler.plan import TypenamePick
from gateway.compiler.totals import AggregatePick, FunctionPick, GroupCursorPick, GroupsPick, KeyCellPick, KeyPick, MeasurePick

__all__ = ["TotalsPlanner"]

_Path = tuple[str, ...]
Collect = Callable[[GraphQLObjectType, Iterable[SelectionSetNode]], dict[str, list[FieldNode]]]


@dataclass(frozen=True, slots=True)
class TotalsPlanner:
    """Plans totals of connections of one operation."""

    slice: Slice
    snapshot: Snapshot
    literal_index: Mapping[int, int]
    collect: Collect

    def aggregate(self, product: Product, parent: GraphQLObjectType, nodes: list[FieldNode], path: _Path) -> AggregatePick:
        """Plan ``aggregate``."""
        type_ = _named(parent, nodes)
        picks: list[MeasurePick | FunctionPick | TypenamePick] = []
        for key, found in self.collect(type_, _sets(nodes)).items():
            name = found[0].name.value
            picks.append(TypenamePick(key, type_.name) if name == "__typename" else self._total(product, type_, key, found))
        return AggregatePick(path[-1], path, tuple(picks), self._partners(product, keys=False))

    def groups(self, product: Product, parent: GraphQLObjectType, nodes: list[FieldNode], path: _Path) -> GroupsPick:
        """Plan ``groups``."""
        type_ = _named(parent, nodes)
        picks: list[MeasurePick | FunctionPick | KeyPick | GroupCursorPick | TypenamePick] = []
        for key, found in self.collect(type_, _sets(nodes)).items():
            match found[0].name.value:
                case "__typename":
                    picks.append(TypenamePick(key, type_.name))
                case "cursor":
                    picks.append(GroupCursorPick(key))
                case "key":
                    picks.append(self._key(product, type_, key, found, ()))
                case _:
                    picks.append(self._total(product, type_, key, found))
        arguments = argument_sources(nodes[0], parent.fields["groups"], self.literal_index)
        return GroupsPick(path[-1], path, tuple(picks), arguments, self._partners(product, keys=True))

    def _total(self, product: Product, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> MeasurePick | FunctionPick:
        function = nodes[0].name.value
        if function == "count":
            return MeasurePick(key, function)
        return self._function(product, parent, key, nodes, function, ())

    def _function(
        self,
        product: Product,
        parent: GraphQLObjectType,
        key: str,
        nodes: list[FieldNode],
        function: str,
        path: tuple[tuple[Relation, Product], ...],
    ) -> FunctionPick:
        type_ = _named(parent, nodes)
        picks: list[MeasurePick | FunctionPick | TypenamePick] = []
        for child_key, found in self.collect(type_, _sets(nodes)).items():
            name = found[0].name.value
            if name == "__typename":
                picks.append(TypenamePick(child_key, type_.name))
            elif (column := product.column_by_graphql_name.get(name)) is not None:
                picks.append(MeasurePick(child_key, function, column, path))
            else:
                relation = product.relation_by_name[name]
                target = self.snapshot.products[relation.target]
                picks.append(self._function(target, type_, child_key, found, function, (*path, (relation, target))))
        return FunctionPick(key, tuple(picks))

    def _key(self, product: Product, parent: GraphQLObjectType, key: str, nodes: list[FieldNode], path: _Path) -> KeyPick:
        type_ = _named(parent, nodes)
        picks: list[KeyCellPick | KeyPick | TypenamePick] = []
        for child_key, found in self.collect(type_, _sets(nodes)).items():
            name = found[0].name.value
            if (column := product.column_by_graphql_name.get(name)) is not None:
                picks.append(KeyCellPick(child_key, column))
            elif (relation := product.relation_by_name.get(name)) is not None:
                picks.append(self._key(self.snapshot.products[relation.target], type_, child_key, found, (*path, name)))
            elif name == "__typename":
                picks.append(TypenamePick(child_key, type_.name))
        return KeyPick(key, product, path, tuple(picks))

    def _partners(self, product: Product, *, keys: bool) -> tuple[Product, ...]:
        """Find every product that totals can be of, and groups be formed by, as the slice has them."""
        suffixes = [f"_{it[0].upper()}{it[1:]}" for it in FUNCTIONS] + (["_GroupKey"] if keys else [])
        found: dict[str, Product] = {}
        pending = [product]
        while pending:
            one = pending.pop()
            for suffix in suffixes:
                type_ = self.slice.schema.type_map.get(f"{one.type_name}{suffix}")
                for name in type_.fields if isinstance(type_, GraphQLObjectType) else ():
                    relation = one.relation_by_name.get(name)
                    if relation is not None and relation.target not in found:
                        found[relation.target] = self.snapshot.products[relation.target]
                        pending.append(found[relation.target])
        return tuple(found.values())


def _named(parent: GraphQLObjectType, nodes: list[FieldNode]) -> GraphQLObjectType:
    type_ = get_named_type(parent.fields[nodes[0].name.value].type)
    assert isinstance(type_, GraphQLObjectType)
    return type_


def _sets(nodes: list[FieldNode]) -> list[SelectionSetNode]:
    return [node.selection_set for node in nodes if node.selection_set is not None]
