"""A verdict about a name that does not exist -> the name that was meant, out of those that the caller may know of.

A slice holds what was named right, so graphql-core can suggest columns from it, but neither the domains, products and relationships that
nobody named right, nor what a document defines itself. What is hidden is no candidate, so it takes nobody's place. Rejects and touches
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from graphql import FieldNode, FragmentDefinitionNode, GraphQLError, OperationDefinitionNode

from contracts.model import Visibility
from gateway.catalog.mentions import followable
from gateway.catalog.nearest import nearest
from gateway.catalog.reach import Reach, RulingOf, StandingOf
from gateway.catalog.require_slo import DIRECTIVES
from gateway.catalog.slices import usable_columns
from gateway.catalog.snapshot import Domain, Product, Relation, Snapshot
from gateway.compiler.documents import Document
from gateway.governance.ruling import Standing

__all__ = ["Meant"]

_TOLD_MAX = 3
_LOOKED_MAX, _CANDIDATES_MAX = 4_000, 10_000
"""When so many names were looked through for one document, no more suggestions are made; and how many are for one mistake at most."""

_LOOKED_AT_MAX = 500
"""Products that are looked at to find out which of the domains named nearly so are served."""

_SUGGESTED = re.compile(r" Did you mean .*\?")
_SELECTION = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'\.(?: Did you mean .*)?")
_INPUT = re.compile(r"value of type '(\w+)' not to include unknown field '(\w+)'")
_OF_DOCUMENT = re.compile(r"(?:Unknown (directive) '@|Unknown (fragment) '|(Variable) '\$)(\w+)'(?:\.| is not defined.*)")


def _plain(message: str) -> str:
    return _SUGGESTED.sub("", message, count=1)


@dataclass(slots=True)
class Meant:
    """Finds what was meant in one document. ``looked``: how many names were looked through so far."""

    snapshot: Snapshot
    ruling_of: RulingOf
    standing_of: StandingOf
    looked: int = 0

    # -- relationships: into the slice, for graphql-core to suggest ---------------------------------------------------------

    def widened(self, reach: Reach, errors: Iterable[GraphQLError]) -> Reach | None:
        """Add the relationships whose names are like those that were not found where products have such; None if there are none."""
        added: dict[str, dict[str, Relation]] = {}
        types = {self.snapshot.products[id_].type_name: self.snapshot.products[id_] for id_ in reach.links}
        for name, type_name in dict.fromkeys(_unknown(errors)):
            product = types.get(type_name.removesuffix("Where").partition("_")[0])
            if product is not None:
                for relation in self._relations(product, name):
                    added.setdefault(product.id, {})[relation.graphql_name] = relation
        if not added:
            return None
        links, filters, measured = ({id_: set(it) for id_, it in names.items()} for names in (reach.links, reach.filters, reach.measured))
        for id_, relations in added.items():
            conditions = {it.graphql_name for it in followable(self.snapshot.products[id_])}
            for name, relation in relations.items():
                links[id_].add(name)
                links.setdefault(relation.target, set())
                if name in conditions:
                    filters.setdefault(id_, set()).add(name)
                if not relation.many:
                    measured.setdefault(id_, set()).add(name)
        return replace(reach, links=links, filters=filters, measured=measured)

    def _relations(self, product: Product, name: str) -> Iterator[Relation]:
        relations = product.relation_by_name
        known = (it for it, relation in relations.items() if self._is_known(self.snapshot.products[relation.target]))
        return (relations[it] for it in islice(nearest(name, self._candidates(known)), _TOLD_MAX))

    # -- all else: into the message -----------------------------------------------------------------------------------------

    def told(self, error: GraphQLError, document: Document) -> str | None:
        """Say what was meant by a domain, a product, or what the document defines; None where graphql-core's message says all."""
        if (found := _OF_DOCUMENT.fullmatch(error.message)) is not None:
            kind = found[1] or found[2] or found[3]
            return _suggesting(error.message, self._defined(kind, found[4], document))
        found = _SELECTION.fullmatch(error.message)
        if found is None or not (error.nodes and isinstance(error.nodes[0], FieldNode)):
            return None
        name, type_name = found.groups()
        if type_name == "Query":
            return _suggesting(_plain(error.message), self._domains(name))
        domain = next((it for it in self.snapshot.domains.values() if it.type_name == type_name), None)
        return None if domain is None else _suggesting(_plain(error.message), self._fields(name, domain))

    def _defined(self, kind: str, name: str, document: Document) -> Iterator[str]:
        if kind == "directive":
            return (f"@{it}" for it in nearest(name, [it.name for it in DIRECTIVES]))
        definitions = document.ast.definitions
        if kind == "fragment":
            return nearest(name, self._candidates([it.name.value for it in definitions if isinstance(it, FragmentDefinitionNode)]))
        variables = [it.variable_definitions or () for it in definitions if isinstance(it, OperationDefinitionNode)]
        return (f"${it}" for it in nearest(name, self._candidates(dict.fromkeys(it.variable.name.value for of in variables for it in of))))

    def _domains(self, name: str) -> Iterator[str]:
        domains = self.snapshot.domains
        known = (it for it, domain in domains.items() if any(map(self._is_known, domain.products.values())))
        looked_at = 0
        for it in nearest(name, ("mesh", *self._candidates(known))):
            if it == "mesh":
                yield it
                continue
            for product in filter(self._is_known, domains[it].products.values()):
                looked_at += 1
                if looked_at > _LOOKED_AT_MAX:
                    return
                if self.standing_of(product) is Standing.SERVED:
                    yield it
                    break

    def _fields(self, name: str, domain: Domain) -> Iterator[str]:
        products = domain.products
        by_key = nearest("ByKey", (name[-5:],))
        stem = name[:-5] if any(by_key) and len(name) > len("ByKey") else name
        near = nearest(stem, self._candidates(it for it, product in products.items() if self._is_known(product)))
        served = (products[it] for it in near if self.standing_of(products[it]) is Standing.SERVED)
        for product in served:
            has_key = stem != name and self._has_key(product)
            yield f"{product.graphql_name}ByKey" if has_key else product.graphql_name

    def _has_key(self, product: Product) -> bool:
        usable = {column.name for column in usable_columns(product, self.ruling_of(product))}
        return bool(product.primary_key) and usable.issuperset(product.primary_key)

    def _is_known(self, product: Product) -> bool:
        # INVARIANT: asked before any name is compared, or what is hidden would take others' places.
        return product.contract.metadata.visibility is Visibility.LISTED or self.standing_of(product) is not Standing.HIDDEN

    def _candidates(self, known: Iterable[str]) -> list[str]:
        """Take names to look through, as long as there may be more."""
        found = [] if self.looked >= _LOOKED_MAX else list(islice(known, _CANDIDATES_MAX))
        self.looked += len(found)
        return found


def _unknown(errors: Iterable[GraphQLError]) -> Iterator[tuple[str, str]]:
    for error in errors:
        if (selection := _SELECTION.fullmatch(error.message)) is not None:
            yield selection[1], selection[2]
        elif (member := _INPUT.search(error.message)) is not None:
            yield member[2], member[1]


def _suggesting(stem: str, names: Iterator[str]) -> str:
    meant = [f"'{it}'" for it in islice(names, _TOLD_MAX)]
    if not meant:
        return stem
    return f"{stem} Did you mean {' or '.join(meant)}?"
