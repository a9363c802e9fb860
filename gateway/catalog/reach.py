"""An operation's text -> the products and relationships that it names, for one view.

Walks selections by what they would mean in the whole mesh, each fragment once per meaning, so that the slice holds what the
text needs and nothing else. Rejects nothing: unknown names are left for validation. Touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode, OperationDefinitionNode, SelectionSetNode

from gateway.catalog.measures import FUNCTIONS
from gateway.catalog.mentions import NO_TRACE, Mention, Mentions, Trace
from gateway.catalog.snapshot import Domain, Product, Relation, Snapshot
from gateway.governance.ruling import ProductRuling, Standing

__all__ = ["TOTALS", "Reach", "reach_of"]

RulingOf = Callable[[Product], ProductRuling]
StandingOf = Callable[[Product], Standing]
"""The same, where no more of a ruling is needed: much cheaper for who has no access."""
_INTROSPECTION = frozenset({"__schema", "__type"})
TOTALS = ("aggregate", "groups")
"""What a connection has beside its rows."""

_PLAIN = frozenset({"nodes", "edges", "pageInfo", "totalCount", "metadata", "__typename"})


@dataclass(slots=True)
class Reach:
    """What a text names. ``roots``: domain field -> product fields asked there; ``links``: product id -> relationship names followed.

    ``filters``: product id -> relationship names that conditions on it follow; ``measured``: those that totals are taken along.
    ``totals``: (product id, `TOTALS` that its connections are asked for). ``forbidden``: listed products named at the root without
    access. ``introspects``: asks for ``__schema`` or ``__type``.
    """

    roots: dict[str, set[str]] = field(default_factory=dict)
    links: dict[str, set[str]] = field(default_factory=dict)
    filters: dict[str, set[str]] = field(default_factory=dict)
    measured: dict[str, set[str]] = field(default_factory=dict)
    totals: set[tuple[str, str]] = field(default_factory=set)
    forbidden: dict[str, Product] = field(default_factory=dict)
    introspects: bool = False
    asks_mesh: bool = False

    def key(self) -> tuple[object, ...]:
        """Identify the slice that this reach needs."""
        return (
            tuple(sorted((name, tuple(sorted(fields))) for name, fields in self.roots.items())),
            tuple(sorted((id_, tuple(sorted(names))) for id_, names in self.links.items())),
            tuple(sorted((id_, tuple(sorted(names))) for id_, names in self.filters.items())),
            tuple(sorted((id_, tuple(sorted(names))) for id_, names in self.measured.items())),
            tuple(sorted(self.totals)),
        )

    def add(self, other: Reach) -> None:
        """Let what ``other`` names stand in the slice, too."""
        for own, others in (
            (self.roots, other.roots),
            (self.links, other.links),
            (self.filters, other.filters),
            (self.measured, other.measured),
        ):
            for key, names in others.items():
                own.setdefault(key, set()).update(names)
        self.totals.update(other.totals)
        self.forbidden.update(other.forbidden)


def reach_of(
    snapshot: Snapshot,
    ruling_of: RulingOf,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    trace: Trace = NO_TRACE,
    *,
    standing_of: StandingOf | None = None,
) -> Reach:
    """Find what ``operation`` names, with variables of this ``trace``. What is hidden from the view is treated as a misspelling."""
    walk = _Walk(
        snapshot, ruling_of, standing_of or (lambda product: ruling_of(product).standing), fragments, Mentions(snapshot, operation, trace)
    )
    walk.root(operation.selection_set)
    return walk.reach


class _Walk:
    def __init__(
        self,
        snapshot: Snapshot,
        ruling_of: RulingOf,
        standing_of: StandingOf,
        fragments: Mapping[str, FragmentDefinitionNode],
        mentions: Mentions,
    ) -> None:
        self.snapshot = snapshot
        self.ruling_of = ruling_of
        self.standing_of = standing_of
        self.fragments = fragments
        self.mentions = mentions
        self.reach = Reach()
        self._seen: set[tuple[str, str, str]] = set()

    def root(self, selections: SelectionSetNode) -> None:
        self._each(selections, ("root", ""), self._root_field)

    def _root_field(self, node: FieldNode) -> None:
        name = node.name.value
        if name in _INTROSPECTION:
            self.reach.introspects = True
        elif name == "mesh":
            self.reach.asks_mesh = True
        elif (domain := self.snapshot.domains.get(name)) is not None and node.selection_set is not None:
            asked = self.reach.roots.setdefault(name, set())
            self._each(node.selection_set, ("domain", name), lambda child: self._domain_field(domain, child))
            if not asked:
                self._stand_in(domain)

    def _stand_in(self, domain: Domain) -> None:
        """Let a domain of which nothing is named right exist all the same, if it does for this view."""
        for product in domain.products.values():
            if self.standing_of(product) is Standing.SERVED:
                self.reach.roots[domain.graphql_name].add(product.graphql_name)
                self.reach.links.setdefault(product.id, set())
                return
        del self.reach.roots[domain.graphql_name]

    def _domain_field(self, domain: Domain, node: FieldNode) -> None:
        name = node.name.value
        by_key = name.endswith("ByKey") and name not in domain.products
        product = domain.products.get(name.removesuffix("ByKey") if by_key else name)
        if product is None:
            return
        standing = self.ruling_of(product).standing
        if standing is Standing.LISTED:
            self.reach.forbidden[product.id] = product
        if standing is not Standing.SERVED:
            return
        self.reach.roots[domain.graphql_name].add(name)
        self.reach.links.setdefault(product.id, set())
        self._filtered(product, self.mentions.of(product, node))
        if node.selection_set is not None:
            (self._row if by_key else self._connection)(product, node.selection_set)

    def _connection(self, product: Product, selections: SelectionSetNode) -> None:
        def visit(node: FieldNode) -> None:
            if node.name.value not in _PLAIN:
                # A misspelling is told from what there is.
                names = (node.name.value,) if node.name.value in TOTALS else TOTALS
                self.reach.totals.update((product.id, name) for name in names)
            if node.selection_set is None:
                return
            match node.name.value:
                case "nodes":
                    self._row(product, node.selection_set)
                case "edges":
                    self._each(node.selection_set, ("edge", product.id), edge)
                case "aggregate":
                    self._totals(product, node.selection_set)
                case "groups":
                    self._groups(product, node, node.selection_set)

        def edge(node: FieldNode) -> None:
            if node.name.value == "node" and node.selection_set is not None:
                self._row(product, node.selection_set)

        self._each(selections, ("connection", product.id), visit)

    def _groups(self, product: Product, node: FieldNode, selections: SelectionSetNode) -> None:
        def visit(child: FieldNode) -> None:
            if child.name.value == "key" and child.selection_set is not None:
                self._key(product, child.selection_set)

        self._filtered(product, self.mentions.of(product, node))
        self._measured(product, self.mentions.of_totals(product, node))
        # A misspelt name is told from what there is: all that is one step away is there.
        for relation in product.relations:
            self._follow(product, relation)
        self._keyed(product, self.mentions.of_keys(product, node))
        self._each(selections, ("group", product.id), visit)
        self._totals(product, selections)

    def _totals(self, product: Product, selections: SelectionSetNode) -> None:
        def visit(node: FieldNode) -> None:
            if node.name.value in FUNCTIONS and node.selection_set is not None and not self._measure(product, node.selection_set):
                # Of nothing in particular: whether there is such a function depends on the partners as well.
                self._measured(product, tuple(map(Mention, product.relations)))

        self._each(selections, ("totals", product.id), visit)

    def _filtered(self, product: Product, mentions: tuple[Mention, ...]) -> None:
        """Let conditions follow relationships, as far as the view knows of where they lead."""
        for mention in mentions:
            target = self.snapshot.products[mention.relation.target]
            if self.ruling_of(target).standing is not Standing.HIDDEN:
                self.reach.filters.setdefault(product.id, set()).add(mention.relation.graphql_name)
                self.reach.links.setdefault(target.id, set())
                self._filtered(target, mention.below)

    def _measure(self, product: Product, selections: SelectionSetNode) -> bool:
        """Let totals be taken along what is selected; says whether anything is."""
        named: set[str] = set()

        def visit(node: FieldNode) -> None:
            named.add(node.name.value)
            relation = product.relation_by_name.get(node.name.value)
            if relation is None or relation.many or node.selection_set is None:
                return
            self._measured(product, (Mention(relation),))
            target = self.snapshot.products[relation.target]
            if self.ruling_of(target).standing is not Standing.HIDDEN:
                self._measure(target, node.selection_set)

        self._each(selections, ("measure", product.id), visit)
        return named != {"__typename"}

    def _measured(self, product: Product, mentions: tuple[Mention, ...]) -> None:
        """Let totals be taken along relationships, as far as the view knows of where they lead."""
        for mention in mentions:
            target = self.snapshot.products[mention.relation.target]
            if not mention.relation.many and self.ruling_of(target).standing is not Standing.HIDDEN:
                self.reach.measured.setdefault(product.id, set()).add(mention.relation.graphql_name)
                self.reach.links.setdefault(target.id, set())
                self._measured(target, mention.below)

    def _follow(self, product: Product, relation: Relation) -> Product | None:
        """Let groups follow a relationship, if it leads to one partner and the view knows of it."""
        target = self.snapshot.products[relation.target]
        if relation.many or self.ruling_of(target).standing is Standing.HIDDEN:
            return None
        self.reach.links.setdefault(product.id, set()).add(relation.graphql_name)
        self.reach.links.setdefault(target.id, set())
        return target

    def _keyed(self, product: Product, mentions: tuple[Mention, ...]) -> None:
        """Let groups follow the relationships that their arguments name."""
        for mention in mentions:
            if (target := self._follow(product, mention.relation)) is not None:
                self._keyed(target, mention.below)

    def _key(self, product: Product, selections: SelectionSetNode) -> None:
        def visit(node: FieldNode) -> None:
            relation = product.relation_by_name.get(node.name.value)
            if relation is not None and node.selection_set is not None and (target := self._follow(product, relation)) is not None:
                self._key(target, node.selection_set)

        self._each(selections, ("key", product.id), visit)

    def _row(self, product: Product, selections: SelectionSetNode) -> None:
        def visit(node: FieldNode) -> None:
            relation = product.relation_by_name.get(node.name.value)
            if relation is None or node.selection_set is None:
                return
            target = self.snapshot.products[relation.target]
            if self.ruling_of(target).standing is Standing.HIDDEN:
                return
            self.reach.links.setdefault(product.id, set()).add(relation.graphql_name)
            self.reach.links.setdefault(target.id, set())
            self._filtered(target, self.mentions.of(target, node))
            (self._connection if relation.many else self._row)(target, node.selection_set)

        self._each(selections, ("row", product.id), visit)

    def _each(self, selections: SelectionSetNode, meaning: tuple[str, str], visit: Callable[[FieldNode], None]) -> None:
        for node in selections.selections:
            match node:
                case FieldNode():
                    visit(node)
                case InlineFragmentNode():
                    self._each(node.selection_set, meaning, visit)
                case FragmentSpreadNode():
                    name = node.name.value
                    fragment = self.fragments.get(name)
                    if fragment is not None and (*meaning, name) not in self._seen:
                        self._seen.add((*meaning, name))
                        self._each(fragment.selection_set, meaning, visit)
