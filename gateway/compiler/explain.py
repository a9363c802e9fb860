"""An executable -> a text that a person can read: which reads, through which ports, what is pushed, what is masked and why.

Nothing is read. What depends on a request's values (conditions in variables) is said as what will be decided then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contracts.predicates import TRUE, Operator
from domain_adapters.port import Port
from gateway.catalog.snapshot import Product, Snapshot
from gateway.compiler.executable import (
    ConnectionStep,
    DomainSteps,
    Executable,
    KeyStep,
    LinkStep,
    PartnerStep,
    RowShape,
    TotalsStep,
    steps_below,
)
from gateway.compiler.plan import Demand
from gateway.compiler.totals import GroupsPick, KeyPick, measures_of
from gateway.governance.rule import Receipt
from gateway.governance.ruling import ProductRuling

__all__ = ["explain"]


def explain(executable: Executable, snapshot: Snapshot) -> str:
    """Write the plan of a compiled operation."""
    lines = ["plan", *_steps(executable), "", "rulings"]
    for id_ in executable.rulings:
        lines.extend(_ruling(snapshot.products[id_], executable.rulings[id_]))
    for title, receipts in (("masked", executable.ruled.masked), ("denied", executable.ruled.denied)):
        if receipts:
            lines += ["", title, *(f"  {_receipt(it)}" for it in receipts)]
    if executable.demands:
        lines += ["", "demanded", *(f"  {_demand(demand, reads)}" for demand, reads in executable.demands)]
    calls = _calls(executable)
    lines += ["", f"upstream calls: {calls} + one per further chunk of keys or page of a scan"]
    return "\n".join(lines) + "\n"


def _demand(demand: Demand, reads: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    products = ", ".join(dict.fromkeys(id_ for id_, _ in reads)) or "nothing that is read"
    said = "as variables say"
    if (it := demand.constant) is not None:
        terms = {"freshness": it.freshness_s, "completeness": it.completeness_ratio, "accuracy": it.accuracy_ratio, "status": it.status}
        said = ", ".join(f"{name} {f'{term:g}' if isinstance(term, float) else term}" for name, term in terms.items() if term is not None)
        said += f", else {it.on_breach}"
    return f"{'.'.join(demand.path) or 'the operation'}: {said}; of {products}"


def _steps(executable: Executable) -> Iterator[str]:
    for member in executable.members:
        if isinstance(member, DomainSteps):
            for it in member.members:
                if not isinstance(it, str):
                    yield from _step(it, 1)
        elif not isinstance(member, str):
            yield f"  {member.key}: answered from the catalogue"


def _step(step: ConnectionStep | KeyStep | PartnerStep, depth: int) -> Iterator[str]:
    indent = "  " * depth
    port = step.product.ports[0] if step.product.ports else None
    how = {ConnectionStep: "page", KeyStep: "row by key", PartnerStep: "one partner each"}[type(step)]
    if isinstance(step, ConnectionStep) and step.target:
        how = "page per parent"
    columns = ", ".join(step.product.columns[index].name for index in sorted(step.columns))
    yield f"{indent}{'.'.join(step.path)}: {how} of {step.product.id}@{step.product.contract.metadata.version} through {_port(port)}"
    yield f"{indent}  columns: {columns or 'none'}"
    if step.target:
        keys = ", ".join(step.product.columns[index].name for index in step.target)
        batched = port is not None and port.capabilities.keys
        yield f"{indent}  keys: {keys} ({'one batched read' if batched else 'found by scanning: the port knows no look-up by keys'})"
    if isinstance(step, ConnectionStep):
        yield f"{indent}  arguments: {', '.join(step.arguments) or 'none'}; {_pushed(step, port)}"
        for link in step.links:
            yield from _link(link, step.product, indent + "  ")
        if step.counts:
            yield f"{indent}  totalCount: {_counted(step.ruling, port)}"
        for it in step.totals:
            yield from _totals(it, port, indent)
    if not _sees_all_rows(step.ruling):
        yield f"{indent}  row rule: pushed where the port can, and applied again to every row here"
    shapes: tuple[RowShape, ...] = step.row_shapes if isinstance(step, ConnectionStep) else (step.rows,)
    for shape in shapes:
        for child in shape.children:
            yield from _step(child.step, depth + 1)


def _link(link: LinkStep, product: Product, indent: str) -> Iterator[str]:
    port, own = _first(link.product), _first(product)
    keys, names = ", ".join(link.relation.target_columns), ", ".join(link.relation.own_columns)
    partners = f"{link.product.id}@{link.product.contract.metadata.version} through {_port(port)}"
    yield f"{indent}where {link.relation.graphql_name}: first, the {keys} of what matches in {partners}"
    if own is None or not all(own.capabilities.tests(name, Operator.IN) for name in link.relation.own_columns):
        applied = "applied here"
    else:
        applied = "pushed" if len(link.relation.pairs) == 1 else "pushed one by one, and applied here together"
    yield f"{indent}  then {names} among them, {applied}; if those are too many, the list's own {names} are looked up there"
    if not _sees_all_rows(link.ruling):
        yield f"{indent}  row rule: pushed where the port can, and applied again to every row here"
    for below in link.links:
        yield from _link(below, link.product, indent + "  ")


def _first(product: Product) -> Port | None:
    return product.ports[0] if product.ports else None


def _port(port: Port | None) -> str:
    if port is None:
        return "no port: it has no endpoint here"
    return f"{port.name} (level {port.capabilities.level})"


def _pushed(step: ConnectionStep, port: Port | None) -> str:
    if port is None:
        return "nothing can be read"
    able = port.capabilities
    done = {"where": able.boolean, "orderBy": able.order_by, "since": able.since, "first": able.order_by or "orderBy" not in step.arguments}
    pushed = [name for name, can in done.items() if can and name in (*step.arguments, "first")]
    here = [name for name, can in done.items() if not can and name in (*step.arguments, "first")]
    if not here:
        return f"pushed: {', '.join(pushed)}"
    return f"pushed: {', '.join(pushed) or 'none'}; done here within the scan budget, because the port cannot: {', '.join(here)}"


def _counted(ruling: ProductRuling, port: Port | None) -> str:
    if port is None or not port.capabilities.count:
        return "by reading the rows, within the scan budget"
    return "by the port" if _sees_all_rows(ruling) else "by the port, once its counts under the row rule are proved; else from rows"


def _totals(step: TotalsStep, port: Port | None, indent: str) -> Iterator[str]:
    picked = dict.fromkeys(f"{it.function} {it.column.name}" if it.column else it.function for it, _ in measures_of(step.pick))
    yield f"{indent}  {step.pick.key}: {', '.join(picked) or 'no totals'}; {_totalled(step, port)}"
    related = {it.product.id for it in _keys(step.pick.picks) if it.path}
    if related:
        names = ", ".join(it.id for it in step.partners if it.id in related)
        yield f"{indent}    groups by related columns: by foreign key first, then put together by one look-up each in {names}"


def _keys(picks: Iterable[object]) -> Iterator[KeyPick]:
    for it in picks:
        if isinstance(it, KeyPick):
            yield it
            yield from _keys(it.picks)


def _totalled(step: TotalsStep, port: Port | None) -> str:
    if port is None:
        return "nothing can be read"
    used = {it.column.name for it, _ in measures_of(step.pick) if it.column is not None}
    if guarded := sorted(used & step.pick.protected.keys()):
        least = max(step.pick.protected[name] for name in guarded)
        return f"from rows, within the scan budget, because totals of {', '.join(guarded)} are for at least {least} subjects"
    able = port.capabilities
    needed = dict.fromkeys(it.function for it, _ in measures_of(step.pick))
    lacking = [name for name in needed if name not in able.aggregates]
    if (isinstance(step.pick, GroupsPick) or step.target) and not able.group_by:
        lacking.append("groupBy")
    if lacking:
        return f"from rows, within the scan budget, because the port cannot: {', '.join(lacking)}"
    return "by the port" if _sees_all_rows(step.ruling) else "by the port, once its totals under the row rule are proved; else from rows"


def _sees_all_rows(ruling: ProductRuling) -> bool:
    return not ruling.row_rules or TRUE in ruling.row_rules


def _ruling(product: Product, ruling: ProductRuling) -> Iterator[str]:
    rules = len(ruling.row_rules)
    some = "rows that satisfy a rule" if rules == 1 else f"rows that satisfy one of {rules} rules"
    rows = "all rows" if _sees_all_rows(ruling) else some
    yield f"  {ruling.contract}: {rows}"
    for column, field in zip(product.columns, ruling.fields, strict=True):
        if field.hidden or field.access == "clear":
            continue
        mask = f" {field.mask.kind.value}" if field.mask is not None else ""
        because = f", because of {field.reason.because} ({field.reason.source})" if field.reason is not None else ""
        yield f"    {column.graphql_name}: {field.access.value}{mask}{because}{', varies by row' if field.varies else ''}"


def _receipt(receipt: Receipt) -> str:
    return f"{receipt.path}: {receipt.mask or 'null'}, because of {receipt.because} in {receipt.contract}; ask {receipt.request_access}"


def _own_calls(step: ConnectionStep | KeyStep | PartnerStep) -> int:
    if not step.product.ports:
        return 0
    if not isinstance(step, ConnectionStep):
        return 1
    return (0 if step.is_bare else _page_calls(step)) + len(step.totals) + sum(bool(it.product.ports) for it in steps_below(step.links))


def _page_calls(step: ConnectionStep) -> int:
    if not step.counts:
        return 1
    # A page that does not begin with the first row, or that holds some rows of each parent, does not tell how many there are.
    apart = step.product.ports[0].capabilities.limit_per_key if step.target else "after" in step.arguments
    return 2 if apart else 1


def _calls(executable: Executable) -> int:
    def count(step: ConnectionStep | KeyStep | PartnerStep) -> int:
        shapes: tuple[RowShape, ...] = step.row_shapes if isinstance(step, ConnectionStep) else (step.rows,)
        return _own_calls(step) + sum(count(child.step) for shape in shapes for child in shape.children)

    return sum(
        count(it) for member in executable.members if isinstance(member, DomainSteps) for it in member.members if not isinstance(it, str)
    )
