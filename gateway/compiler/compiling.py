"""A ruled plan -> executable.

Decides which columns each read needs, generates the shaping functions and encodes what never changes. Accepts nothing but a
`RuledPlan`; pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

import msgspec

from contracts.fields import Enumeration, FieldType, Kind, Scalar
from contracts.masks import Mask, MaskKind
from gateway.catalog.measures import is_clear, is_open
from gateway.catalog.snapshot import Product, Relation
from gateway.compiler.executable import Child, ConnectionStep, DomainSteps, Executable, KeyStep, LinkStep, PartnerStep, RowShape, TotalsStep
from gateway.compiler.parts import parts_of
from gateway.compiler.plan import (
    ColumnPick,
    ConnectionPick,
    CountPick,
    CursorPick,
    Demand,
    DomainPick,
    EdgesPick,
    ForeignPick,
    LinkPick,
    MetadataPick,
    PageInfoPick,
    PartnerPick,
    RowPick,
    Rows,
    TypenamePick,
)
from gateway.compiler.shaping import shape_of
from gateway.compiler.structs import output_class
from gateway.compiler.totals import AggregatePick, GroupsPick, TotalsPick
from gateway.governance.masks import MaskFunction, MaskKeys, fitting, mask_function
from gateway.governance.rule import RuledPlan, RulingOf
from gateway.governance.ruling import Access, ProductRuling

__all__ = ["compile_plan"]

# Measured with tracemalloc over generated operations, classes of answers included: tests/property/test_kept_operations.py.
_EXECUTABLE_BASE_BYTES = 2_000
_SELECTION_BYTES = 2_500
_PICK_BYTES = 700
_RECEIPT_BYTES = 600
_NESTED_WEIGHT = 100


def compile_plan(ruled: RuledPlan, ruling_of: RulingOf, keys: MaskKeys, *, long_as_text: bool = False) -> Executable:
    """Compile a ruled plan into what the engine runs."""
    compiling = _Compiling(ruling_of, keys, long_as_text=long_as_text)
    members: list[DomainSteps | ForeignPick | str] = []
    for pick in ruled.plan.picks:
        match pick:
            case DomainPick():
                members.append(compiling.domain(pick))
            case ForeignPick():
                members.append(pick)
            case TypenamePick(type_name=name):
                members.append(name)
    return Executable(
        ruled=ruled,
        output=output_class(tuple(pick.key for pick in ruled.plan.picks)),
        members=tuple(members),
        products=tuple((id_, tuple(paths)) for id_, paths in compiling.paths.items()),
        questions=tuple(_questions(it for member in members if isinstance(member, DomainSteps) for it in member.members)),
        rulings={product.id: ruling_of(product) for product in ruled.plan.products},
        masked=msgspec.json.encode([receipt.entry() for receipt in ruled.masked]),
        denied=msgspec.json.encode([receipt.entry() for receipt in ruled.denied]),
        lifted={product.id: found for product in ruled.plan.products if (found := _lifted(ruling_of(product)))},
        demands=tuple((demand, tuple(_below(demand, compiling.paths))) for demand in ruled.plan.demands),
        size_bytes=compiling.size_bytes + _RECEIPT_BYTES * (len(ruled.masked) + len(ruled.denied)),
        parts=parts_of(it for member in members if isinstance(member, DomainSteps) for it in member.members if not isinstance(it, str)),
        product_ids=tuple(compiling.paths),
        reads=tuple(it for member in members if isinstance(member, DomainSteps) for it in member.members if not isinstance(it, str)),
    )


def _below(demand: Demand, paths: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for id_, found in paths.items():
        for text in found:
            path = tuple(text.split("."))
            if path[: len(demand.path)] == demand.path:
                yield id_, path


def _questions(steps: Iterable[ConnectionStep | KeyStep | PartnerStep | str]) -> Iterator[ConnectionStep | KeyStep]:
    for step in steps:
        if isinstance(step, str):
            continue
        if not isinstance(step, PartnerStep):
            yield step
        shapes = step.row_shapes if isinstance(step, ConnectionStep) else (step.rows,)
        yield from _questions(child.step for shape in shapes for child in shape.children)


class _Compiling:
    def __init__(self, ruling_of: RulingOf, keys: MaskKeys, *, long_as_text: bool) -> None:
        self.ruling_of = ruling_of
        self.keys = keys
        self.long_as_text = long_as_text
        self.paths: dict[str, list[str]] = {}
        self.size_bytes = _EXECUTABLE_BASE_BYTES

    def domain(self, pick: DomainPick) -> DomainSteps:
        members: list[ConnectionStep | KeyStep | str] = []
        for it in pick.picks:
            match it:
                case TypenamePick(type_name=name):
                    members.append(name)
                case ConnectionPick():
                    members.append(self._connection(it))
                case RowPick():
                    members.append(self._key(it))
        return DomainSteps(pick.key, output_class(tuple(it.key for it in pick.picks)), tuple(members))

    def _key(self, pick: RowPick) -> KeyStep:
        self._note(pick.product, pick.path)
        shape, columns = self._rows(pick.rows)
        key = _indices(pick.product, pick.product.primary_key)
        return KeyStep(
            pick.product, self.ruling_of(pick.product), pick.path, columns | set(key), key, pick.unusable, shape, pick.key_source
        )

    def _partner(self, pick: PartnerPick) -> PartnerStep:
        product = pick.rows.product
        self._note(product, pick.path)
        shape, columns = self._rows(pick.rows)
        target = _indices(product, pick.relation.target_columns)
        needed = columns | set(target)
        if pick.unusable.intersection(product.primary_key) or not product.is_unique_by(pick.relation.target_columns):
            # Of several partners the first is shown: by primary key, not by the port's own order, and by its pseudonyms where it is masked.
            needed |= set(_indices(product, product.primary_key))
        return PartnerStep(product, self.ruling_of(product), pick.path, needed, target, pick.unusable, shape)

    def _connection(self, pick: ConnectionPick) -> ConnectionStep:
        product = pick.product
        self._note(product, pick.path)
        self.size_bytes += _SELECTION_BYTES + _PICK_BYTES * len(pick.parts)
        target = _indices(product, pick.relation.target_columns) if pick.relation is not None else ()
        shapes: list[RowShape] = []
        columns: set[int] = set(target)
        for rows in pick.row_sets:
            shape, needed = self._rows(rows)
            shapes.append(shape)
            columns |= needed
        cursors = any(isinstance(it, CursorPick) for part in pick.parts if isinstance(part, EdgesPick) for it in part.picks)
        page_names = {name for part in pick.parts if isinstance(part, PageInfoPick) for _, name in part.names}
        counts = any(isinstance(part, CountPick) for part in pick.parts) or any(
            name == "totalRecords" for part in pick.parts if isinstance(part, MetadataPick) for _, name in part.names
        )
        shows_places = cursors or bool(page_names & {"startCursor", "endCursor"})
        # Edges without anything in them still are as many as there are rows.
        has_edges = any(isinstance(part, EdgesPick) for part in pick.parts)
        links = tuple(self._link(it, pick.path) for it in pick.links)
        return ConnectionStep(
            product,
            self.ruling_of(product),
            pick.path,
            frozenset(columns),
            target,
            pick.unusable,
            arguments=pick.arguments,
            parts=pick.parts,
            row_shapes=tuple(shapes),
            output=output_class(tuple(part.key for part in pick.parts)),
            counts=counts,
            cursors=shows_places,
            wants_rows=bool(shapes) or shows_places or has_edges or "hasNextPage" in page_names,
            binding=_binding(product, self.ruling_of(product)),
            totals=tuple(self._totals(pick, part, target, links) for part in pick.parts if isinstance(part, (AggregatePick, GroupsPick))),
            links=links,
        )

    def _link(self, pick: LinkPick, path: tuple[str, ...]) -> LinkStep:
        """Compile what a condition follows: its products are read for the list at ``path``."""
        product = pick.product
        self._note(product, path)
        target = _indices(product, pick.relation.target_columns)
        below = tuple(self._link(it, path) for it in pick.links)
        return LinkStep(product, self.ruling_of(product), path, frozenset(target), target, pick.unusable, pick.relation, below)

    def _totals(self, pick: ConnectionPick, part: TotalsPick, target: tuple[int, ...], links: tuple[LinkStep, ...]) -> TotalsStep:
        partners = part.partners
        return TotalsStep(
            pick.product,
            self.ruling_of(pick.product),
            part.path,
            frozenset(),
            target,
            pick.unusable,
            pick=part,
            partners=partners,
            partner_rulings={it.id: self.ruling_of(it) for it in partners},
            links=links,
            masks=self._masks(pick.product, part, partners),
        )

    def _masks(self, product: Product, part: TotalsPick, partners: tuple[Product, ...]) -> dict[tuple[str, str], MaskFunction]:
        # The product may be a partner of its own, and ruled otherwise there than where the answer joins its columns with others.
        fields = [("", product, it) for it in part.veiled.values()]
        for partner in partners:
            fields += [(partner.id, partner, it) for it in self.ruling_of(partner).fields if is_open(it) and not is_clear(it)]
        found = {}
        for whose, one, it in fields:
            type_ = one.column_by_name[it.column].type
            mask = fitting(it.mask or Mask(MaskKind.NULLIFY), type_)
            found[whose, it.column] = mask_function(mask, type_, self.keys, one.contract.metadata.domain)
        return found

    def _rows(self, rows: Rows) -> tuple[RowShape, frozenset[int]]:
        shape, tests = shape_of(rows, self.keys, long_as_text=self.long_as_text)
        product = rows.product
        self.size_bytes += _SELECTION_BYTES + _PICK_BYTES * len(rows.picks)
        columns: set[int] = set()
        cells: list[tuple[str, int]] = []
        children: list[Child] = []
        for pick in rows.picks:
            match pick:
                case ColumnPick() if _shows(pick):
                    index = product.index_by_name[pick.column.name]
                    columns.add(index)
                    cells.append((pick.key, index))
                case PartnerPick(denied=False):
                    children.append(self._child(product, pick.relation, self._partner(pick)))
                case ConnectionPick(denied=False, relation=relation) if relation is not None:
                    children.append(self._child(product, relation, self._connection(pick)))
        for child in children:
            columns.update(child.own)
        weight = 1 + sum(_weight(product.columns[index].type) for _, index in cells)
        return RowShape(product, shape, tuple(children), tests, tuple(cells), rows.path, weight), frozenset(columns)

    def _child(self, product: Product, relation: Relation, step: PartnerStep | ConnectionStep) -> Child:
        return Child(relation, _indices(product, relation.own_columns), step)

    def _note(self, product: Product, path: tuple[str, ...]) -> None:
        shown = ".".join(path)
        if shown not in (known := self.paths.setdefault(product.id, [])):
            known.append(shown)


def _binding(product: Product, ruling: ProductRuling) -> bytes:
    fields = tuple((it.column, it.access.value, it.usable) for it in ruling.fields)
    text = repr((product.id, product.contract.revision, ruling.contract, ruling.row_rules, fields))
    return blake2b(text.encode(), digest_size=16).digest()


def _shows(pick: ColumnPick) -> bool:
    """Whether anything of the column's cells gets into the answer. What does not is not read, and cannot be told malformed."""
    ruling = pick.ruling
    if ruling is None or ruling.varies or ruling.access is Access.CLEAR:
        return ruling is not None
    return (
        ruling.access is Access.MASKED and ruling.mask is not None and fitting(ruling.mask, pick.column.type).kind is not MaskKind.NULLIFY
    )


def _lifted(ruling: ProductRuling) -> frozenset[str]:
    return frozenset(it.column for it in ruling.fields if it.usable and not is_clear(it))


def _indices(product: Product, names: Iterable[str]) -> tuple[int, ...]:
    return tuple(product.index_by_name[name] for name in names)


def _weight(type_: FieldType) -> int:
    return _NESTED_WEIGHT if not isinstance(type_, Scalar | Enumeration) or (isinstance(type_, Scalar) and type_.kind is Kind.JSON) else 1
