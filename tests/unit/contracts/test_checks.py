from __future__ import annotations

import pytest

from contracts import ProblemCode
from contracts.predicates import And, Claim, Compare, Not, Operator, Or, Predicate

from .written import contract, problems, text, wrong


@pytest.mark.parametrize(
    ("spec", "code", "at", "nearest"),
    [
        ("  primaryKey: [idd]\n", ProblemCode.UNKNOWN_COLUMN, "spec.primaryKey[0]", "id"),
        ("  primaryKey: [id, id]\n", ProblemCode.DUPLICATE, "spec.primaryKey[1]", None),
        ("  primaryKey: [labels]\n", ProblemCode.UNFIT_COLUMN, "spec.primaryKey[0]", None),
        ("  primaryKey: [place]\n", ProblemCode.UNFIT_COLUMN, "spec.primaryKey[0]", None),
        ("  time: {updated: att}\n", ProblemCode.UNKNOWN_COLUMN, "spec.time.updated", "at"),
        ("  time: {updated: id}\n", ProblemCode.UNFIT_COLUMN, "spec.time.updated", None),
        ("  time: {update: at}\n", ProblemCode.UNKNOWN_KEY, "spec.time.update", "updated"),
        ("  timestamp: att\n", ProblemCode.UNKNOWN_COLUMN, "spec.timestamp", "at"),
        ("  time: {updated: at}\n  timestamp: at\n", ProblemCode.CONTRADICTION, "spec.timestamp", None),
        ("  subject: {column: custmer_id, of: customer/customers}\n", ProblemCode.UNKNOWN_COLUMN, "spec.subject.column", "customer_id"),
        ("  subject: {column: customer_id, of: customers}\n", ProblemCode.BAD_NAME, "spec.subject.of", None),
        (
            "  slo: {availability: {target: '99%', expectedRows: {per: P1D, min: 1}}}\n",
            ProblemCode.CONTRADICTION,
            "spec.slo.availability.expectedRows",
            None,
        ),
        ("  slo: {freshness: 5}\n", ProblemCode.WRONG_VALUE, "spec.slo.freshness", None),
        ("  slo: {accuracy: 99.9}\n", ProblemCode.WRONG_VALUE, "spec.slo.accuracy", None),
        ("  slo: {accuracy: {target: '99%', window: -1}}\n", ProblemCode.WRONG_VALUE, "spec.slo.accuracy.window", None),
        ("  slo: {measure: {sampleRows: 0}}\n", ProblemCode.WRONG_VALUE, "spec.slo.measure.sampleRows", None),
        ("  classification: {pii: [fone]}\n", ProblemCode.UNKNOWN_COLUMN, "spec.classification.pii[0]", "phone"),
        ("  classification: {pii: [phone, phone]}\n", ProblemCode.DUPLICATE, "spec.classification.pii[1]", None),
        ("  classification: {fields: {fone: {tags: [pii]}}}\n", ProblemCode.UNKNOWN_COLUMN, "spec.classification.fields.fone", "phone"),
        ("  classification: {fields: {phone: {mask: emale}}}\n", ProblemCode.WRONG_VALUE, "spec.classification.fields.phone.mask", None),
        ("  classification: {fields: {phone: {mask: partial}}}\n", ProblemCode.WRONG_VALUE, "spec.classification.fields.phone.mask", None),
        ("  classification: {fields: {phone: {mask: regex}}}\n", ProblemCode.WRONG_VALUE, "spec.classification.fields.phone.mask", None),
        (
            "  classification: {fields: {phone: {mask: {type: partial}}}}\n",
            ProblemCode.WRONG_VALUE,
            "spec.classification.fields.phone.mask",
            None,
        ),
        (
            "  classification: {fields: {phone: {mask: {type: email, last: 2}}}}\n",
            ProblemCode.WRONG_VALUE,
            "spec.classification.fields.phone.mask",
            None,
        ),
        (
            "  classification: {fields: {day: {mask: {type: truncate, to: week}}}}\n",
            ProblemCode.WRONG_VALUE,
            "spec.classification.fields.day.mask",
            None,
        ),
        (
            "  classification: {fields: {amount: {mask: {type: round, to: -1}}}}\n",
            ProblemCode.WRONG_VALUE,
            "spec.classification.fields.amount.mask",
            None,
        ),
        (
            "  classification: {fields: {amount: {mask: {type: round}}}}\n",
            ProblemCode.WRONG_VALUE,
            "spec.classification.fields.amount.mask",
            None,
        ),
        ("  classification: {fields: {day: {mask: email}}}\n", ProblemCode.UNFIT_MASK, "spec.classification.fields.day.mask", None),
        ("  classification: {fields: {colour: {mask: redact}}}\n", ProblemCode.UNFIT_MASK, "spec.classification.fields.colour.mask", None),
        (
            "  classification: {fields: {phone: {tags: [pci.pan], mask: {type: partial, last: 5}}}}\n",
            ProblemCode.OUT_OF_BOUNDS,
            "spec.classification.fields.phone.mask",
            None,
        ),
        (
            "  classification: {fields: {phone: {classification: secret}}}\n",
            ProblemCode.WRONG_VALUE,
            "spec.classification.fields.phone.classification",
            None,
        ),
        ("  classification: {retention: forever}\n", ProblemCode.WRONG_VALUE, "spec.classification.retention", None),
        (
            "  classification: {retention: {period: 1 year, from: dy}}\n",
            ProblemCode.UNKNOWN_COLUMN,
            "spec.classification.retention.from",
            "day",
        ),
        (
            "  classification: {retention: {period: 1 year, from: id}}\n",
            ProblemCode.UNFIT_COLUMN,
            "spec.classification.retention.from",
            None,
        ),
        ("  classification: {retention: {perid: 1 year}}\n", ProblemCode.MISSING_KEY, "spec.classification.retention", None),
        ("  access: [{role: a, fields: [contry]}]\n", ProblemCode.UNKNOWN_COLUMN, "spec.access[0].fields[0]", "country"),
        ("  access: [{role: a, fields: [id, id]}]\n", ProblemCode.DUPLICATE, "spec.access[0].fields[1]", None),
        ("  access: [{role: a, clear: [contry]}]\n", ProblemCode.UNKNOWN_COLUMN, "spec.access[0].clear[0]", "country"),
        ("  access: [{role: a}]\n", ProblemCode.CONTRADICTION, "spec.access[0]", None),
        ("  access: [{role: a, fields: [id], until: 31.12.2027}]\n", ProblemCode.WRONG_VALUE, "spec.access[0].until", None),
        ("  access: [{role: a, fields: [id], claims: {'a b': x}}]\n", ProblemCode.BAD_NAME, "spec.access[0].claims.a b", None),
        ("  access: [{role: a, fields: [id], predicates: yes}]\n", ProblemCode.WRONG_VALUE, "spec.access[0].predicates", None),
        ("  relationships: [{name: c, to: customer, on: {id: id}}]\n", ProblemCode.BAD_NAME, "spec.relationships[0].to", None),
        ("  relationships: [{name: c, to: a/b, on: {idd: id}}]\n", ProblemCode.UNKNOWN_COLUMN, "spec.relationships[0].on.idd", "id"),
        ("  relationships: [{name: c, to: a/b, on: {labels: id}}]\n", ProblemCode.UNFIT_COLUMN, "spec.relationships[0].on.labels", None),
        ("  relationships: [{name: c, to: a/b, on: {}}]\n", ProblemCode.WRONG_VALUE, "spec.relationships[0].on", None),
        ("  relationships: [{name: country, to: a/b, on: {id: id}}]\n", ProblemCode.CONTRADICTION, "spec.relationships[0].name", None),
        ("  relationships: [{name: 'a\"', to: a/b, on: {id: id}}]\n", ProblemCode.BAD_NAME, "spec.relationships[0].name", None),
        (
            "  relationships: [{name: c, to: a/b, on: {id: id}}, {name: c, to: a/b, on: {id: id}}]\n",
            ProblemCode.DUPLICATE,
            "spec.relationships[1].name",
            None,
        ),
        ("  quality: [{field: amont, metric: nullValues}]\n", ProblemCode.UNKNOWN_COLUMN, "spec.quality[0].field", "amount"),
        ("  quality: [{field: amount, metric: nulValues}]\n", ProblemCode.WRONG_VALUE, "spec.quality[0].metric", "nullValues"),
        ("  quality: [{metric: nullValues}]\n", ProblemCode.MISSING_KEY, "spec.quality[0].field", None),
        (
            "  quality: [{field: amount, metric: nullValues, minimum: 2, maximum: 1}]\n",
            ProblemCode.CONTRADICTION,
            "spec.quality[0].minimum",
            None,
        ),
        ("  quality: [{field: amount, metric: nullValues, minimum: .inf}]\n", ProblemCode.WRONG_VALUE, "spec.quality[0].minimum", None),
        ("  quality: [{field: id, metric: invalidValues, pattern: '('}]\n", ProblemCode.WRONG_VALUE, "spec.quality[0].pattern", None),
        ("  quality: [{field: id, metric: invalidValues, pattern: '(?=a)'}]\n", ProblemCode.WRONG_VALUE, "spec.quality[0].pattern", None),
        ("  ports: {output: [{type: rest-api}]}\n", ProblemCode.MISSING_KEY, "spec.ports.output[0].path", None),
        ("  ports: {output: [{type: rest-api, path: orders}]}\n", ProblemCode.BAD_NAME, "spec.ports.output[0].path", None),
        ("  ports: {output: [{type: rest-api, path: //evil.example/x}]}\n", ProblemCode.WRONG_VALUE, "spec.ports.output[0].path", None),
        ("  ports: {output: [{type: rest-api, path: /a/../b}]}\n", ProblemCode.WRONG_VALUE, "spec.ports.output[0].path", None),
        ("  ports: {output: [{type: rest-api, path: '/a?b=1'}]}\n", ProblemCode.BAD_NAME, "spec.ports.output[0].path", None),
        ("  ports: {output: [{type: iceberg-table}]}\n", ProblemCode.MISSING_KEY, "spec.ports.output[0].catalog", None),
        (
            "  ports: {output: [{type: rest-api, path: /a, lookup: {idd: 'x={keys}'}}]}\n",
            ProblemCode.UNKNOWN_COLUMN,
            "spec.ports.output[0].lookup.idd",
            "id",
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, lookup: {id: 'x={key}'}}]}\n",
            ProblemCode.WRONG_VALUE,
            "spec.ports.output[0].lookup.id",
            None,
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, lookup: {id: 'x={keys} y'}}]}\n",
            ProblemCode.WRONG_VALUE,
            "spec.ports.output[0].lookup.id",
            None,
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, lookup: {id: 'x={keys}{'}}]}\n",
            ProblemCode.WRONG_VALUE,
            "spec.ports.output[0].lookup.id",
            None,
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, filters: {id: {inn: 'x={values}'}}}]}\n",
            ProblemCode.WRONG_VALUE,
            "spec.ports.output[0].filters.id.inn",
            "in",
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, filters: {idd: {in: 'x={values}'}}}]}\n",
            ProblemCode.UNKNOWN_COLUMN,
            "spec.ports.output[0].filters.idd",
            "id",
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, serves: [lookups]}]}\n",
            ProblemCode.WRONG_VALUE,
            "spec.ports.output[0].serves[0]",
            "lookup",
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, serves: [list, list]}]}\n",
            ProblemCode.DUPLICATE,
            "spec.ports.output[0].serves[1]",
            None,
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, name: x}, {type: rest-api, path: /b, name: x}]}\n",
            ProblemCode.DUPLICATE,
            "spec.ports.output[1].name",
            None,
        ),
        (
            "  ports: {output: [{type: rest-api, path: /a, params: {since: x, limit: x}}]}\n",
            ProblemCode.CONTRADICTION,
            "spec.ports.output[0].params",
            None,
        ),
        ("  ports: {output: [{type: rest-api, path: /a, level: 2}]}\n", ProblemCode.WRONG_VALUE, "spec.ports.output[0].level", None),
        ("  primary_key: [id]\n", ProblemCode.UNKNOWN_KEY, "spec.primary_key", "primaryKey"),
        ("  primaryKey: id\n", ProblemCode.WRONG_VALUE, "spec.primaryKey", None),
        ("  consent: {product: a/b, maxAge: 5m}\n", ProblemCode.WRONG_VALUE, "spec.consent.maxAge", None),
        ("  restrict: [{name: a, effect: allow}]\n", ProblemCode.WRONG_VALUE, "spec.restrict[0].effect", None),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_nearest_name(spec: str, code: ProblemCode, at: str, nearest: str | None) -> None:
    assert wrong(spec)[0] == (code, at, nearest)


def test_problems_stand_in_the_line_of_the_mistake() -> None:
    (problem,) = problems(text("  primaryKey:\n    - id\n    - idd\n"))
    assert problem.line == 8


def test_a_nullable_key_and_a_needless_clear_are_warnings() -> None:
    made = contract("  primaryKey: [customer_id]\n  access: [{role: a, clear: [country]}]\n")
    assert [(warning.code, warning.at) for warning in made.warnings] == [
        (ProblemCode.UNFIT_COLUMN, "spec.primaryKey[0]"),
        (ProblemCode.CONTRADICTION, "spec.access[0].clear[0]"),
    ]


def test_enumerations_can_be_keys() -> None:
    assert contract("  primaryKey: [colour]\n").primary_key == ("colour",)


def row_filter(written: str) -> Predicate | None:
    return contract(f"  access: [{{role: a, fields: [id], rowFilter: {written}}}]\n").access.grants[0].row_filter


DE = Compare("country", Operator.EQ, "DE")
RED = Compare("colour", Operator.EQ, "RED")


@pytest.mark.parametrize(
    ("written", "predicate"),
    [
        ('{country: {in: "$claims.countries"}}', Compare("country", Operator.IN, Claim("countries"))),
        ("{country: {eq: DE}}", DE),
        ("{country: {eq: $$DE}}", Compare("country", Operator.EQ, "$DE")),
        ("{country: {in: [$$a, b]}}", Compare("country", Operator.IN, ("$a", "b"))),
        ("{country: {eq: DE}, colour: {eq: RED}}", And((DE, RED))),
        ("{count: {gte: 1, lt: 5}}", And((Compare("count", Operator.LT, 5), Compare("count", Operator.GTE, 1)))),
        ("{or: [{country: {eq: DE}}, {colour: {eq: RED}}]}", Or((DE, RED))),
        ("{and: [{country: {eq: DE}}, {colour: {eq: RED}}]}", And((DE, RED))),
        ("{not: {country: {eq: DE}}}", Not(DE)),
        ("{colour: {eq: RED}, not: {country: {eq: DE}}}", And((RED, Not(DE)))),
        ("{phone: {isNull: false}}", Compare("phone", Operator.IS_NULL, value=False)),
        ("{labels: {contains: x}}", Compare("labels", Operator.CONTAINS, "x")),
        ("{country: {startsWith: D}}", Compare("country", Operator.STARTS_WITH, "D")),
    ],
)
def test_row_filters_become_predicates(written: str, predicate: Predicate) -> None:
    assert row_filter(written) == predicate


@pytest.mark.parametrize(
    ("written", "code", "at", "nearest"),
    [
        ("{contry: {eq: DE}}", ProblemCode.UNKNOWN_COLUMN, "contry", "country"),
        ("{country: {startswith: D}}", ProblemCode.UNKNOWN_KEY, "country.startswith", "startsWith"),
        ("{country: DE}", ProblemCode.WRONG_VALUE, "country", None),
        ("{country: {}}", ProblemCode.CONTRADICTION, "country", None),
        ("{}", ProblemCode.CONTRADICTION, "", None),
        ("{not: {}}", ProblemCode.CONTRADICTION, "not", None),
        ("{or: [{contry: {eq: DE}}]}", ProblemCode.UNKNOWN_COLUMN, "or[0].contry", "country"),
        ("{country: {eq: 7}}", ProblemCode.WRONG_VALUE, "country.eq", None),
        ("{country: {eq: null}}", ProblemCode.WRONG_VALUE, "country.eq", None),
        ("{country: {in: DE}}", ProblemCode.WRONG_VALUE, "country.in", None),
        ("{country: {in: []}}", ProblemCode.WRONG_VALUE, "country.in", None),
        ('{country: {in: ["$claims.a"]}}', ProblemCode.WRONG_VALUE, "country.in", None),
        ("{country: {eq: $claim.a}}", ProblemCode.WRONG_VALUE, "country.eq", None),
        ("{country: {eq: $claims.}}", ProblemCode.WRONG_VALUE, "country.eq", None),
        ("{country: {isNull: 1}}", ProblemCode.WRONG_VALUE, "country.isNull", None),
        ("{country: {isNull: null}}", ProblemCode.WRONG_VALUE, "country.isNull", None),
        ("{flag: {gt: true}}", ProblemCode.UNFIT_COLUMN, "flag.gt", None),
        ("{place: {eq: x}}", ProblemCode.UNFIT_COLUMN, "place.eq", None),
        ("{colour: {eq: BLUE}}", ProblemCode.WRONG_VALUE, "colour.eq", None),
        ("{amount: {lt: 1.234}}", ProblemCode.WRONG_VALUE, "amount.lt", None),
    ],
)
def test_row_filters_that_no_row_could_satisfy_are_refused(written: str, code: ProblemCode, at: str, nearest: str | None) -> None:
    found = wrong(f"  access: [{{role: a, fields: [id], rowFilter: {written}}}]\n")
    assert found == [(code, "spec.access[0].rowFilter" + (f".{at}" if at else ""), nearest)]
