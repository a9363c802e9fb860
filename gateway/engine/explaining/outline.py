"""One estimated read of an operation -> lines that a person can read: its port and why, what is pushed, what is done here and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from contracts.predicates import FALSE, TRUE, Predicate, disjunction
from domain_adapters.port import Capabilities
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import ConnectionStep, KeyStep, LinkStep, PartnerStep, Step, TotalsStep
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.grouping import Grouping, names_of
from gateway.engine.asking.links import links_of
from gateway.engine.budget import Bounds
from gateway.engine.explaining.cost import PartCost
from gateway.engine.explaining.wording import conjuncts, order_words, words
from gateway.engine.reading.choice import Choice, Offer, Option, Work, looks_up
from gateway.engine.reading.lists import full_order
from gateway.engine.reading.pushdown import divide, rename, wanted_of
from gateway.governance.ruling import ProductRuling

__all__ = ["calls", "outline", "sees_all_rows"]

Bound = Mapping[tuple[str, ...], Any]
"""Questions by response path, as `gateway.engine.asking.binding` gives them."""


def outline(cost: PartCost, bound: Bound, rules: Mapping[str, tuple[Predicate, ...]], bounds: Bounds) -> Iterator[str]:
    """Write what is read, line by line."""
    part = cost.part
    step, product = part.step, part.product
    if part.is_idle and product.ports:
        yield f"{'.'.join(step.path)}: nothing is read of the page of {product.id}, only totals"
        return
    options = cost.choice.options if cost.choice is not None else ()
    option = options[0] if options else None
    yield f"{'.'.join(step.path)}: {_how(step)} of {product.id}@{product.contract.metadata.version} through {_through(product, option)}"
    yield from _indented(_why(product, cost.choice))
    if option is not None:
        yield from _indented(_question(cost, option, bound, rules, bounds))
        yield from _indented(_done_here(option, step, bounds))
        count = calls(cost, bound)
        more = " or more" if Work.COUNT <= option.work <= Work.SCAN else ""
        yield f"  {_some(count, 'call')}{more}, at most {_some(cost.rows, 'row')}, cost {cost.cost:.0f}"


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _question(cost: PartCost, option: Option, bound: Bound, rules: Mapping[str, tuple[Predicate, ...]], bounds: Bounds) -> Iterator[str]:
    part, step, product = cost.part, cost.part.step, cost.part.product
    grouping: Grouping | None = bound[step.path] if part.is_totals else None
    able = option.offer.port.capabilities
    if grouping is None:
        columns = ", ".join(product.columns[index].name for index in sorted(step.columns))
        yield f"columns: {columns or 'none'}{'' if able.select or not columns else ' (of whole rows: the port does not select)'}"
    if isinstance(step, LinkStep):
        name = step.relation.graphql_name
        yield f"for the condition on {name}: its keys are found first, else those of the list are looked up here, if they are fewer"
        yield (
            f"of more than {bounds.keys_max} keys on both sides: rows are read on and their partners looked up until a page is full; "
            f"for numbers and totals every row is tested here, at most {bounds.scan_rows_max} of either"
        )
    elif part.keys:
        by_port = f"looked up by the port, {able.keys_max} at a time" if looks_up(able, part.keys) else "found by reading rows"
        yield f"keys: {', '.join(part.keys)} ({by_port})"
    rule = disjunction(*rules[product.id]) if rules[product.id] else TRUE
    yield from _conditions(product, grouping.asked if grouping is not None else option.asked, rule, step.ruling, able)
    if isinstance(step, ConnectionStep):
        yield from _page(step, option.asked, option)
    if grouping is not None:
        yield from _grouped(step, grouping, option)


def _how(step: Step) -> str:
    match step:
        case KeyStep():
            return "row by key"
        case PartnerStep():
            return "one partner each"
        case LinkStep():
            return "keys for a condition"
        case TotalsStep():
            return "totals per parent" if step.target else "totals"
    return "page per parent" if step.target else "page"


def _through(product: Product, option: Option | None) -> str:
    if option is None:
        return "no port: none serves such reads" if product.ports else "no port: it has no endpoint here"
    only = ", its only port" if len(product.ports) == 1 else ""
    return f"{option.offer.port.name} (level {option.offer.port.capabilities.level}){only}"


def _why(product: Product, choice: Choice | None) -> Iterator[str]:
    if choice is None or (len(product.ports) == 1 and not choice.barred):
        return
    for at, option in enumerate(choice.options):
        if at:
            yield f"not {_other(option.offer)}: {_passed_over(option)}"
        elif not option.lacks:
            yield "why: the first port in the contract that answers and can do all of it"
        else:
            yield "why: of the ports that answer, it leaves least to the gateway"
    for offer in choice.barred:
        yield f"not {_other(offer)}: it serves {', '.join(sorted(offer.serves))} only"


def _other(offer: Offer) -> str:
    return f"{offer.port.name} (level {offer.port.capabilities.level})"


def _passed_over(option: Option) -> str:
    if option.offer.is_away:
        return "its circuit is open"
    if not option.offer.is_known:
        return "it has not said yet what it can do"
    return f"it lacks {', '.join(_capabilities(option))}" if option.lacks else "it stands later in the contract"


def _capabilities(option: Option) -> list[str]:
    return list(dict.fromkeys(it.capability for it in option.lacks))


def _conditions(product: Product, asked: Asked, rule: Predicate, ruling: ProductRuling, able: Capabilities) -> Iterator[str]:
    wanted = wanted_of(product, asked, rule, able)
    if wanted == FALSE:
        yield "nothing is read: no row satisfies the condition and the row rule"
    pushed = set(conjuncts(divide(wanted, able)[0]))
    for part in conjuncts(asked.where):
        how = "here" if part not in pushed else "pushed, as keys" if next(links_of(part), None) is not None else "pushed"
        yield f"filter: {words(part)} ({how})"
    if asked.since is not None:
        yield f"since: {asked.since.isoformat()} ({'pushed' if able.since else 'here, as a condition'})"
    if not sees_all_rows(ruling):
        how = "pushed, and applied again to every row here" if pushed.issuperset(conjuncts(rule)) else "here"
        yield f"row rule: {' or '.join(words(it) for it in ruling.row_rules)} ({how})"


def _page(step: ConnectionStep, asked: Asked, option: Option) -> Iterator[str]:
    lacks = {it.capability: it.work for it in option.lacks}
    works = set(lacks.values())
    if Work.REFUSED in works:
        yield f"order: {order_words(asked.order)} (refused: the product has no primary key to break ties with)"
        return
    if asked.rows and _is_sorted(step, asked, option):
        by_port = "limitPerKey" not in lacks if step.target else Work.SCAN not in works
        yield f"order: {order_words(full_order(step.product, asked.order))} ({'pushed' if by_port else 'here'})"
    elif asked.rows:
        yield "order: the port's own"
    if asked.rows:
        is_cut_here = not works.isdisjoint((Work.FILTER, Work.MORE, Work.SCAN))
        how = "here, after what is filtered or sorted here" if is_cut_here else "pushed, and one more to know whether there are others"
        yield f"limit: {asked.first}{' for each parent' if step.target else ''} ({how})"
    if "after" in step.arguments:
        yield "page: after the cursor given"
    if step.counts:
        by_rows = "by reading rows" if Work.COUNT in works or "count per key" in lacks else "by the port"
        yield f"totalCount: {'with the rows, all of which are read' if Work.SCAN in works else by_rows}"


def _is_sorted(step: ConnectionStep, asked: Asked, option: Option) -> bool:
    return bool(step.product.primary_key) and (option.offer.port.capabilities.order_by or bool(asked.order) or bool(step.target))


def _grouped(step: Step, grouping: Grouping, option: Option) -> Iterator[str]:
    totals = [f"{it.function} {'.'.join((*names_of(it.path), it.column.name))}" if it.column else it.function for it in grouping.measures]
    yield f"totals: {', '.join(totals) or 'none'} ({'from rows' if _is_from_rows(option) else 'by the port'})"
    related = dict.fromkeys(product.id for path in grouping.paths for _, product in path)
    if related:
        yield f"partners: grouped by foreign key first, then put together by one look-up each in {', '.join(related)}"
    if not grouping.by:
        return
    keys = []
    for term in grouping.by:
        cut = f" cut to {term.part}{f' in {term.zone}' if term.zone else ''}" if term.part else ""
        keys.append(".".join((*names_of(term.path), term.column.name)) + cut)
    yield f"by: {', '.join(keys)}"
    names = {f"k{at}": key for at, key in enumerate(keys)} | {f"m{at}": total for at, total in enumerate(totals)} | {"r": "remainder"}
    how = "here" if option.lacks or related or step.target else "pushed"
    if grouping.having != TRUE:
        yield f"having: {words(rename(grouping.having, names))} ({how})"
    yield f"order: {order_words(replace(it, column=names[it.column]) for it in grouping.order)} ({how})"
    yield f"limit: {grouping.first} groups{' for each parent' if step.target else ''} ({how})"


def _is_from_rows(option: Option) -> bool:
    return any(it.capability not in ("orderBy", "having") for it in option.lacks)


def _done_here(option: Option, step: Step, bounds: Bounds) -> Iterator[str]:
    by_work: dict[Work, list[str]] = {}
    for lack in option.lacks:
        by_work.setdefault(lack.work, []).append(lack.capability)
    cut = "all groups are read, sorted and cut" if isinstance(step, TotalsStep) else "all rows of the keys are read, and cut"
    if isinstance(step, TotalsStep) and _is_from_rows(option):
        by_work = {option.work: [it.capability for it in option.lacks if it.capability not in ("orderBy", "having")]}
        cut = "all rows of the keys are read, and added up"
    said = {
        Work.SCAN: f"all that matches is read, at most {bounds.scan_rows_max} rows",
        Work.COUNT: f"rows are read to be counted, at most {bounds.scan_rows_max}",
        Work.MORE: cut,
        Work.FILTER: "rows that do not match are dropped",
    }
    for work in sorted(by_work.keys() & said.keys(), reverse=True):
        yield f"here: {said[work]}, because the port lacks {', '.join(by_work[work])}"


def calls(cost: PartCost, bound: Bound) -> int:
    """Say how many upstream calls a read is, but for further chunks of keys and pages of a scan."""
    step = cost.part.step
    options = cost.choice.options if cost.choice is not None else ()
    if not options or options[0].work is Work.REFUSED:
        return 0
    if cost.part.is_totals:
        grouping: Grouping = bound[step.path]
        paths = {names_of(path[:size]) for path in grouping.paths for size in range(1, len(path) + 1)}
        return 1 + len(paths)
    if not isinstance(step, ConnectionStep) or not step.counts or options[0].work is Work.SCAN:
        return 1
    if not options[0].asked.rows:
        return 1
    if step.target:
        # Some rows of each parent do not tell how many there are, nor does a page that is not the first, or not sorted.
        return 2 if options[0].offer.port.capabilities.limit_per_key else 1
    return 2 if "after" in step.arguments or not _is_sorted(step, options[0].asked, options[0]) else 1


def sees_all_rows(ruling: ProductRuling) -> bool:
    """Whether no row rule narrows what is seen."""
    return not ruling.row_rules or TRUE in ruling.row_rules
