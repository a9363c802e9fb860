"""A valid operation and its slice -> plan.

Collects and merges fields as GraphQL prescribes (aliases, fragments, @skip and @include), with names of types resolved by the
slice. Rejects nothing that validation passes but too much introspection; touches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLInputObjectType,
    GraphQLObjectType,
    InlineFragmentNode,
    NamedTypeNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from contracts.fields import FieldType, List, Record
from gateway.catalog.mentions import NO_TRACE, Mention, Mentions, Trace
from gateway.catalog.names import column_name
from gateway.catalog.slices import Slice
from gateway.catalog.snapshot import Product, Snapshot
from gateway.catalog.standing import Members
from gateway.compiler.arguments import argument_sources
from gateway.compiler.demands import demands_of
from gateway.compiler.documents import Document
from gateway.compiler.plan import (
    ColumnPick,
    ConnectionPart,
    ConnectionPick,
    CountPick,
    CursorPick,
    Demand,
    DomainPick,
    EdgesPick,
    ForeignPick,
    LinkPick,
    MemberPick,
    MetadataPick,
    NodePick,
    NodesPick,
    PageInfoPick,
    PartnerPick,
    Plan,
    RowPick,
    Rows,
    TypenamePick,
)
from gateway.compiler.totals_planner import TotalsPlanner
from gateway.errors import GatewayError

__all__ = ["plan_of"]

_FOREIGN = frozenset({"mesh", "__schema", "__type"})
_INTROSPECTIONS_MAX = 5
_NAME_MAX = 100
_Fields = dict[str, list[FieldNode]]
_Path = tuple[str, ...]


def plan_of(document: Document, slice_: Slice, snapshot: Snapshot, conditions: Mapping[str, bool], trace: Trace = NO_TRACE) -> Plan:
    """Plan an operation for one set of @skip/@include variables, and variables of this ``trace``."""
    return _Planner(document, slice_, snapshot, conditions, Mentions(snapshot, document.operation, trace)).plan()


@dataclass(slots=True)
class _Planner:
    document: Document
    slice: Slice
    snapshot: Snapshot
    conditions: Mapping[str, bool]
    mentions: Mentions
    _products: dict[str, Product] = field(default_factory=dict)
    _demands: list[Demand] = field(default_factory=list)

    def plan(self) -> Plan:
        query = self.slice.schema.query_type
        assert query is not None
        picks: list[DomainPick | ForeignPick | TypenamePick] = []
        for key, nodes in self._collect(query, [self.document.operation.selection_set]).items():
            name = nodes[0].name.value
            if name == "__typename":
                picks.append(TypenamePick(key, query.name))
            elif name in _FOREIGN:
                picks.append(ForeignPick(key, name, tuple(nodes)))
            else:
                picks.append(self._domain(key, name, nodes))
        if sum(isinstance(pick, ForeignPick) and pick.name != "mesh" for pick in picks) > _INTROSPECTIONS_MAX:
            raise GatewayError("LIMIT_EXCEEDED", f"An operation may ask for __schema and __type at most {_INTROSPECTIONS_MAX} times.")
        demands = (*demands_of(self.document.operation.directives or (), ()), *self._demands)
        shape = blake2b(repr((self.document.shape, sorted(self.conditions.items()))).encode(), digest_size=8).hexdigest()
        named = self.document.operation.name
        return Plan(tuple(picks), tuple(self._products.values()), demands, shape, None if named is None else named.value[:_NAME_MAX])

    def _domain(self, key: str, name: str, nodes: list[FieldNode]) -> DomainPick:
        domain = self.snapshot.domains[name]
        type_ = self._type(domain.type_name)
        picks: list[ConnectionPick | RowPick | TypenamePick] = []
        for child_key, child_nodes in self._collect(type_, _sets(nodes)).items():
            child = child_nodes[0].name.value
            path = (key, child_key)
            self._demand(child_nodes, path)
            if child == "__typename":
                picks.append(TypenamePick(child_key, type_.name))
            elif (product := domain.products.get(child)) is not None:
                picks.append(self._connection(child_key, type_, child_nodes, product, path))
            else:
                product = domain.products[child.removesuffix("ByKey")]
                sources = argument_sources(child_nodes[0], type_.fields[child], self.document.literal_index)
                self._products.setdefault(product.id, product)
                picks.append(RowPick(child_key, product, sources["key"], self._rows(product, _sets(child_nodes), path), path))
        return DomainPick(key, tuple(picks))

    def _connection(self, key: str, parent: GraphQLObjectType, nodes: list[FieldNode], product: Product, path: _Path) -> ConnectionPick:
        self._products.setdefault(product.id, product)
        definition = parent.fields[nodes[0].name.value]
        type_ = get_named_type(definition.type)
        assert isinstance(type_, GraphQLObjectType)
        parts: list[ConnectionPart] = []
        mentions = list(self.mentions.of(product, nodes[0]))
        for part_key, part_nodes in self._collect(type_, _sets(nodes)).items():
            match part_nodes[0].name.value:
                case "__typename":
                    parts.append(TypenamePick(part_key, type_.name))
                case "nodes":
                    parts.append(NodesPick(part_key, self._rows(product, _sets(part_nodes), (*path, part_key))))
                case "edges":
                    parts.append(EdgesPick(part_key, self._edges(product, part_nodes, (*path, part_key))))
                case "totalCount":
                    parts.append(CountPick(part_key))
                case "pageInfo":
                    parts.append(PageInfoPick(part_key, self._names("PageInfo", part_nodes)))
                case "aggregate":
                    aggregate = self._totals().aggregate(product, type_, part_nodes, (*path, part_key))
                    self._products.update({it.id: it for it in aggregate.partners if it.id not in self._products})
                    parts.append(aggregate)
                case "groups":
                    mentions.extend(self.mentions.of(product, part_nodes[0]))
                    groups = self._totals().groups(product, type_, part_nodes, (*path, part_key))
                    self._products.update({it.id: it for it in groups.partners if it.id not in self._products})
                    parts.append(groups)
                case _:
                    parts.append(self._metadata(part_key, part_nodes))
        sources = argument_sources(nodes[0], definition, self.document.literal_index)
        return ConnectionPick(key, product, sources, tuple(parts), path, links=self._links(product, mentions, path))

    def _links(self, product: Product, mentions: Iterable[Mention], path: _Path) -> tuple[LinkPick, ...]:
        """Plan what conditions follow, as far as the slice lets them."""
        found: dict[str, list[Mention]] = {}
        for mention in mentions:
            found.setdefault(mention.relation.graphql_name, []).append(mention)
        where = self.slice.schema.type_map.get(f"{product.type_name}Where")
        picks: list[LinkPick] = []
        for name, same in found.items():
            if isinstance(where, GraphQLInputObjectType) and name in where.fields:
                relation = same[0].relation
                target = self.snapshot.products[relation.target]
                self._products.setdefault(target.id, target)
                below = (*path, f"?{name}")
                picks.append(LinkPick(relation, target, below, self._links(target, [it for one in same for it in one.below], below)))
        return tuple(picks)

    def _demand(self, nodes: list[FieldNode], path: _Path) -> None:
        for node in nodes:
            if node.directives:
                self._demands += demands_of(node.directives, path)

    def _totals(self) -> TotalsPlanner:
        return TotalsPlanner(self.slice, self.snapshot, self.document.literal_index, self._collect)

    def _edges(self, product: Product, nodes: list[FieldNode], path: _Path) -> tuple[CursorPick | NodePick | TypenamePick, ...]:
        type_ = self._type(f"{product.type_name}Edge")
        picks: list[CursorPick | NodePick | TypenamePick] = []
        for key, part_nodes in self._collect(type_, _sets(nodes)).items():
            match part_nodes[0].name.value:
                case "__typename":
                    picks.append(TypenamePick(key, type_.name))
                case "cursor":
                    picks.append(CursorPick(key))
                case _:
                    picks.append(NodePick(key, self._rows(product, _sets(part_nodes), (*path, key))))
        return tuple(picks)

    def _names(self, type_name: str, nodes: list[FieldNode]) -> tuple[tuple[str, str], ...]:
        return tuple((key, found[0].name.value) for key, found in self._collect(self._type(type_name), _sets(nodes)).items())

    def _metadata(self, key: str, nodes: list[FieldNode]) -> MetadataPick:
        found = self._collect(self._type("ProductMetadata"), _sets(nodes))
        names = tuple((part_key, part[0].name.value) for part_key, part in found.items())
        slo = tuple((part_key, self._slo("ProductSlo", part)) for part_key, part in found.items() if part[0].name.value == "slo")
        return MetadataPick(key, names, slo)

    def _slo(self, type_name: str, nodes: list[FieldNode]) -> Members:
        type_ = self._type(type_name)
        members: list[tuple[str, str, Members]] = []
        for key, found in self._collect(type_, _sets(nodes)).items():
            name = found[0].name.value
            inner = None if name == "__typename" else get_named_type(type_.fields[name].type)
            members.append((key, name, self._slo(inner.name, found) if isinstance(inner, GraphQLObjectType) else ()))
        return tuple(members)

    def _rows(self, product: Product, sets: Iterable[SelectionSetNode], path: _Path) -> Rows:
        type_ = self._type(product.type_name)
        picks: list[ColumnPick | PartnerPick | ConnectionPick | TypenamePick] = []
        for key, nodes in self._collect(type_, sets).items():
            name = nodes[0].name.value
            if name == "__typename":
                picks.append(TypenamePick(key, type_.name))
            elif (column := product.column_by_graphql_name.get(name)) is not None:
                picks.append(ColumnPick(key, column, self._members(column.type, type_, nodes)))
            elif (relation := product.relation_by_name.get(name)) is not None:
                target = self.snapshot.products[relation.target]
                child_path = (*path, key)
                self._demand(nodes, child_path)
                if relation.many:
                    connection = self._connection(key, type_, nodes, target, child_path)
                    picks.append(replace(connection, relation=relation))
                else:
                    self._products.setdefault(target.id, target)
                    picks.append(PartnerPick(key, relation, self._rows(target, _sets(nodes), child_path), child_path))
        return Rows(product, tuple(picks), path)

    def _members(self, type_: FieldType, parent: GraphQLObjectType, nodes: list[FieldNode]) -> tuple[MemberPick | TypenamePick, ...]:
        while isinstance(type_, List):
            type_ = type_.item
        if not isinstance(type_, Record):
            return ()
        named = get_named_type(parent.fields[nodes[0].name.value].type)
        assert isinstance(named, GraphQLObjectType)
        members = {column_name(member.name): member for member in type_.fields}
        picks: list[MemberPick | TypenamePick] = []
        for key, child_nodes in self._collect(named, _sets(nodes)).items():
            name = child_nodes[0].name.value
            if name == "__typename":
                picks.append(TypenamePick(key, named.name))
            else:
                member = members[name]
                picks.append(MemberPick(key, member.name, member.type, self._members(member.type, named, child_nodes)))
        return tuple(picks)

    def _type(self, name: str) -> GraphQLObjectType:
        type_ = self.slice.schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)
        return type_

    def _collect(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> _Fields:
        fields: _Fields = {}
        seen: set[str] = set()
        for selections in sets:
            self._gather(type_.name, selections, fields, seen)
        return fields

    def _gather(self, type_name: str, selections: SelectionSetNode, fields: _Fields, seen: set[str]) -> None:
        for node in selections.selections:
            if not self._included(node):
                continue
            match node:
                case FieldNode():
                    fields.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
                case InlineFragmentNode():
                    if _applies(node.type_condition, type_name):
                        self._gather(type_name, node.selection_set, fields, seen)
                case FragmentSpreadNode():
                    name = node.name.value
                    if name not in seen:
                        seen.add(name)
                        fragment = self.document.fragments[name]
                        if _applies(fragment.type_condition, type_name):
                            self._gather(type_name, fragment.selection_set, fields, seen)

    def _included(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                arguments = directive.arguments
                assert arguments
                value = arguments[0].value
                assert isinstance(value, (VariableNode, BooleanValueNode))
                holds = self.conditions[value.name.value] if isinstance(value, VariableNode) else value.value
                if holds is (name == "skip"):
                    return False
        return True


def _applies(condition: NamedTypeNode | None, type_name: str) -> bool:
    return condition is None or condition.name.value == type_name


def _sets(nodes: list[FieldNode]) -> list[SelectionSetNode]:
    return [node.selection_set for node in nodes if node.selection_set is not None]
