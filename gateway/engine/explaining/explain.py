"""An operation with one request's values -> a text that a person can read: reads, ports, what is pushed and what not, and why.

Nothing is read. Row rules stand as the contract has them: the values of claims are not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.predicates import Predicate
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.executable import Executable
from gateway.compiler.plan import Demand, ForeignPick
from gateway.engine.budget import Bounds
from gateway.engine.explaining.cost import Estimate, PartCost, Tariff
from gateway.engine.explaining.outline import calls, outline, sees_all_rows
from gateway.governance.rule import Receipt
from gateway.governance.ruling import ProductRuling

__all__ = ["Explained", "explain"]


@dataclass(frozen=True, slots=True)
class Explained:
    """An operation as one caller asks it. ``missing``: variables without a value; what they say is left out."""

    executable: Executable
    bound: Mapping[tuple[str, ...], Any]
    rules: Mapping[str, tuple[Predicate, ...]]
    estimate: Estimate
    tariff: Tariff
    bounds: Bounds
    missing: tuple[str, ...] = ()


def explain(explained: Explained, snapshot: Snapshot) -> str:
    """Write the plan of an operation."""
    executable, estimate = explained.executable, explained.estimate
    lines = ["plan"]
    if explained.missing:
        lines.append(f"  without values for {', '.join(f'${name}' for name in explained.missing)}: what variables say is left out here")
    lines += [f"  {it.key}: answered from the catalogue" for it in executable.members if isinstance(it, ForeignPick)]
    for part in estimate.parts:
        indent = "  " * (1 + _depth(part, estimate))
        lines.extend(indent + line for line in outline(part, explained.bound, explained.rules, explained.bounds))
    lines += ["", "rulings"]
    for id_ in executable.rulings:
        lines.extend(_ruling(snapshot.products[id_], executable.rulings[id_]))
    for title, receipts in (("masked", executable.ruled.masked), ("denied", executable.ruled.denied)):
        if receipts:
            lines += ["", title, *(f"  {_receipt(it)}" for it in receipts)]
    if executable.demands:
        lines += ["", "demanded", *(f"  {_demand(demand, reads)}" for demand, reads in executable.demands)]
    count = sum(calls(part, explained.bound) for part in estimate.parts if not part.part.is_idle)
    lines += ["", f"upstream calls: {count} + one per further chunk of keys or page of a scan", _cost(explained)]
    return "\n".join(lines) + "\n"


def _depth(part: PartCost, estimate: Estimate) -> int:
    depth, it = 0, part.part
    while it.parent is not None:
        depth, it = depth + 1, estimate.parts[it.parent].part
    # Totals and conditions of a list stand below it.
    return depth + (it.is_totals or it.is_link or part.part.is_totals)


def _cost(explained: Explained) -> str:
    estimate, tariff = explained.estimate, explained.tariff
    if not estimate.parts:
        return "cost: 0"
    dearest = estimate.dearest()
    what = "more is refused" if tariff.is_enforced else "only measured"
    share = f"; most of it {'.'.join(dearest.part.step.path)} ({dearest.cost:.0f})" if len(estimate.parts) > 1 else ""
    return f"cost: at most {estimate.cost:.0f} for {estimate.rows} rows, of {tariff.cost_max} ({what}){share}"


def _demand(demand: Demand, reads: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    products = ", ".join(dict.fromkeys(id_ for id_, _ in reads)) or "nothing that is read"
    said = "as variables say"
    if (it := demand.constant) is not None:
        terms = {"freshness": it.freshness_s, "completeness": it.completeness_ratio, "accuracy": it.accuracy_ratio, "status": it.status}
        said = ", ".join(f"{name} {f'{term:g}' if isinstance(term, float) else term}" for name, term in terms.items() if term is not None)
        said += f", else {it.on_breach}"
    return f"{'.'.join(demand.path) or 'the operation'}: {said}; of {products}"


def _ruling(product: Product, ruling: ProductRuling) -> Iterator[str]:
    rules = len(ruling.row_rules)
    some = "rows that satisfy a rule" if rules == 1 else f"rows that satisfy one of {rules} rules"
    rows = "all rows" if sees_all_rows(ruling) else some
    yield f"  {ruling.contract}: {rows}"
    for column, field in zip(product.columns, ruling.fields, strict=True):
        if field.hidden or field.access == "clear":
            continue
        mask = f" {field.mask.kind.value}" if field.mask is not None else ""
        because = f", because of {field.reason.because} ({field.reason.source})" if field.reason is not None else ""
        yield f"    {column.graphql_name}: {field.access.value}{mask}{because}{', varies by row' if field.varies else ''}"


def _receipt(receipt: Receipt) -> str:
    return f"{receipt.path}: {receipt.mask or 'null'}, because of {receipt.because} in {receipt.contract}; ask {receipt.request_access}"
