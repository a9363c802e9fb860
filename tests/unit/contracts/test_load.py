from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from pathlib import Path

import pytest

from contracts import ContractInvalidError, ProblemCode, load_catalog, load_contract, load_policy, mask_for, parse_contract, read_catalog
from contracts.durations import YEAR_S
from contracts.masks import Mask, MaskKind
from contracts.model import Aggregates, Cardinality, Consent, InputPort, Level, OutputPort, Restriction, Times, Use, Visibility
from contracts.objectives import RatioObjective, Retention, TimeObjective
from contracts.predicates import Claim, Compare, Operator

from .written import AVRO, CATALOG, GUIDE, POLICY, contract, problems, text, wrong

ORDERS_AVSC = (CATALOG / "order" / "schemas" / "orders-daily-v2.avsc").read_text(encoding="utf-8")


def test_the_guides_contract_loads_as_it_stands() -> None:
    guide = parse_contract(GUIDE, {"schemas/orders-daily-v2.avsc": ORDERS_AVSC})
    assert (guide.key, guide.major, guide.metadata.owner) == ("order/orders-daily", 2, "order-team@company.com")
    assert guide.objectives.freshness == TimeObjective("< 1 hour", 3_600)
    assert guide.objectives.completeness == RatioObjective("> 99.5%", 0.995)
    assert guide.objectives.accuracy == RatioObjective("> 99.9%", 0.999)
    assert guide.objectives.availability == RatioObjective("99.95%", 0.9995)
    assert guide.classification_by_name["phone"].tags == ("pii",)
    assert not guide.classification_by_name["status"].is_classified
    assert guide.retention == Retention("7 years", 7 * YEAR_S, None)
    assert guide.input_ports == (InputPort(type="kafka-topic", name="orders.events"),)
    assert [(port.type, port.path, port.catalog) for port in guide.output_ports] == [
        ("rest-api", "/data-products/orders", None),
        ("iceberg-table", None, "orders.daily_summary"),
    ]
    assert guide.access.grants == ()


def test_retention_that_no_column_dates_loads_with_a_warning() -> None:
    (warning,) = parse_contract(GUIDE, {"schemas/orders-daily-v2.avsc": ORDERS_AVSC}).warnings
    assert (warning.code, warning.line, warning.at) == (ProblemCode.NOT_ENFORCEABLE, 7, "spec.classification.retention")


def test_the_demo_catalog_loads_without_a_warning() -> None:
    reading = read_catalog(CATALOG, load_policy(POLICY))
    assert [contract.key for contract in reading.contracts] == ["customer/customers", "order/orders-daily", "payment/payments"]
    assert (reading.problems, reading.warnings) == ((), ())


def test_the_demo_masks_what_it_says() -> None:
    policy = load_policy(POLICY)
    masks = {
        (contract.metadata.name, field.name): mask
        for contract in load_catalog(CATALOG, policy)
        for field in contract.fields
        if (mask := mask_for(field, contract.classification_by_name[field.name], policy)) is not None
    }
    assert masks == {
        ("customers", "name"): Mask(MaskKind.REDACT),
        ("customers", "customer_email"): Mask(MaskKind.EMAIL),
        ("customers", "phone"): Mask(MaskKind.PARTIAL, last=2),
        ("customers", "birth_date"): Mask(MaskKind.TRUNCATE, to="year"),
        ("orders-daily", "customer_email"): Mask(MaskKind.EMAIL),
        ("orders-daily", "phone"): Mask(MaskKind.PARTIAL, last=2),
        ("payments", "card_number"): Mask(MaskKind.PARTIAL, last=4),
    }


EVERYTHING = """\
  alignment: source-aligned
  primaryKey: [id]
  time: {updated: at, event: day, deleted: at}
  subject: {column: customer_id, of: customer/customers}
  consent: {product: customer/consents, maxAge: PT5M}
  slo:
    freshness: {target: "< 1 hour"}
    completeness: {target: "> 99%", expectedRows: {per: P1D, min: 900}}
    availability: {target: "99.9%", window: P30D}
    measure: {every: PT60S, sampleRows: 1000}
  classification:
    pii: [customer_email, phone]
    retention: {period: "7 years"}
    fields:
      phone: {classification: restricted, tags: [contact], mask: hash, visibility: hidden}
      amount: {mask: {type: round, to: 10}, aggregates: {min_group: 10, functions: [sum, avg]}}
      day: {mask: {type: truncate, to: month}}
      country: {classification: public}
  access:
    - role: analyst
      fields: ["*"]
      clear: [phone]
      rowFilter: {country: {in: "$claims.geo.countries"}}
      purposes: [fraud]
      until: 2027-12-31
      claims: {ticket: present, acr: mfa}
      predicates: allow
  restrict:
    - {name: night, effect: deny, roles: [analyst], fields: [phone], tags: [pii], unlessPurpose: [fraud]}
  relationships:
    - {name: customer, to: customer/customers@2, on: {customer_id: id, country: country}, cardinality: many, inverse: orders}
  quality:
    - {field: colour, metric: invalidValues, validValues: [RED], pattern: "^R", minimum: 0, maximum: 1, dimension: accuracy}
    - {metric: rowCount, minimum: 1}
  ports:
    input: [{type: kafka-topic, name: t, partitions: 3, options: {a: [1, x]}}]
    output:
      - type: rest-api
        path: /orders
        naming: camelCase
        lookup: {id: "id=in:({keys})"}
        params: {since: from, limit: size, cursor: page}
        filters: {colour: {in: "colour={values}", eq: "c={value}"}}
        serves: [lookup]
        level: 0
        alignment: aggregate
"""


def test_ports_are_called_by_their_names_else_their_types() -> None:
    outputs = [OutputPort(type="a"), OutputPort(type="a"), OutputPort(type="b", name="a-2"), OutputPort(type="a", name="c")]
    assert contract(EVERYTHING).model_copy(update={"output_ports": tuple(outputs)}).port_names == ("a", "a-3", "a-2", "c")
    assert contract(EVERYTHING).output_ports[0].serves == (Use.LOOKUP,)


def test_every_optional_block_is_read() -> None:
    made = contract(EVERYTHING)
    assert made.warnings == ()
    assert made.times == Times(updated="at", event="day", deleted="at")
    assert made.retention == Retention("7 years", 7 * YEAR_S, "day")
    assert made.consent == Consent(product="customer/consents", max_age_s=300)
    assert made.objectives.completeness == RatioObjective("> 99%", 0.99, expected_rows_min=900, expected_rows_per_s=86_400)
    assert made.objectives.availability == RatioObjective("99.9%", 0.999, window_s=30 * 86_400)
    assert (made.objectives.measure_every_s, made.objectives.sample_rows) == (60, 1_000)
    phone, amount = made.classification_by_name["phone"], made.classification_by_name["amount"]
    assert (phone.level, phone.tags, phone.mask) == (Level.RESTRICTED, ("pii", "contact"), Mask(MaskKind.PSEUDONYM))
    assert phone.visibility is Visibility.HIDDEN
    assert amount.mask == Mask(MaskKind.ROUND, to="10")
    assert amount.aggregates == Aggregates(min_group=10, functions=("sum", "avg"))
    assert not made.classification_by_name["country"].is_classified
    (grant,) = made.access.grants
    assert grant.row_filter == Compare("country", Operator.IN, Claim("geo.countries"))
    assert (grant.until, grant.claims, grant.predicates) == (dt.date(2027, 12, 31), (("ticket", "present"), ("acr", "mfa")), True)
    assert made.restrictions == (
        Restriction(name="night", effect="deny", roles=("analyst",), fields=("phone",), tags=("pii",), unless_purpose=("fraud",)),
    )
    (relationship,) = made.relationships
    assert (relationship.to, relationship.to_major, relationship.cardinality) == ("customer/customers", 2, Cardinality.MANY)
    assert relationship.on == (("customer_id", "id"), ("country", "country"))
    assert made.input_ports[0].options == (("partitions", 3), ("options", (("a", (1, "x")),)))
    (port,) = made.output_ports
    assert port.params == (("since", "from"), ("limit", "size"), ("cursor", "page"))
    assert port.filters == (("colour", (("in", "colour={values}"), ("eq", "c={value}"))),)
    assert hash(made) == hash(contract(EVERYTHING))


def test_timestamp_is_short_for_the_updated_time() -> None:
    assert contract("  timestamp: at\n").times == Times(updated="at")


def test_equal_text_has_an_equal_revision_and_other_text_another() -> None:
    plain = contract()
    assert plain.revision == contract().revision
    assert len(plain.revision) == 64
    assert contract("  timestamp: at\n").revision != plain.revision
    assert contract(avro=AVRO + "\n").revision != plain.revision


def test_every_mistake_of_shape_is_told_with_its_line() -> None:
    document = """\
apiVersion: datamesh/v1
kind: DataContract
metadata:
  name: Orders
  domain: order
  version: 2.1
  ownr: x
spec:
  schema: {type: avro, ref: rows.avsc}
"""
    assert [(problem.line, problem.code, problem.at, problem.nearest) for problem in problems(document)] == [
        (3, ProblemCode.MISSING_KEY, "metadata", None),
        (4, ProblemCode.BAD_NAME, "metadata.name", None),
        (6, ProblemCode.WRONG_VALUE, "metadata.version", None),
        (7, ProblemCode.UNKNOWN_KEY, "metadata.ownr", "owner"),
    ]


def test_mistakes_of_shape_and_of_meaning_are_told_together() -> None:
    assert wrong(
        """\
  slo:
    freshnes: "< 1 hour"
    accuracy: 99
  primaryKey: [idd]
  access:
    - {role: a, fields: [7], until: 2027-02-30}
    - {role: b, fields: [contry], rowFilter: {country: {inn: [DE]}, flag: {lt: 3}}}
    - role: c
  ports:
    output: [{type: rest-api, naming: snake}]
"""
    ) == [
        (ProblemCode.UNKNOWN_KEY, "spec.slo.freshnes", "freshness"),
        (ProblemCode.WRONG_VALUE, "spec.slo.accuracy", None),
        (ProblemCode.UNKNOWN_COLUMN, "spec.primaryKey[0]", "id"),
        (ProblemCode.WRONG_VALUE, "spec.access[0].fields[0]", None),
        (ProblemCode.WRONG_VALUE, "spec.access[0].until", None),
        (ProblemCode.UNKNOWN_KEY, "spec.access[1].rowFilter.country.inn", "in"),
        (ProblemCode.UNFIT_COLUMN, "spec.access[1].rowFilter.flag.lt", None),
        (ProblemCode.UNKNOWN_COLUMN, "spec.access[1].fields[0]", "country"),
        (ProblemCode.CONTRADICTION, "spec.access[2]", None),
        (ProblemCode.WRONG_VALUE, "spec.ports.output[0].naming", None),
        (ProblemCode.MISSING_KEY, "spec.ports.output[0].path", None),
    ]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("[]", ProblemCode.WRONG_VALUE),
        ("text", ProblemCode.WRONG_VALUE),
        ("{}", ProblemCode.MISSING_KEY),
        (text().replace("datamesh/v1", "datamesh/v2"), ProblemCode.WRONG_VALUE),
        (text().replace("datamesh/v1", "v3.1.0"), ProblemCode.UNSUPPORTED),
        (text().replace("DataContract", "DataProduct"), ProblemCode.WRONG_VALUE),
        (text().replace("avro, ref", "avro, reff"), ProblemCode.UNKNOWN_KEY),
        (text().replace("type: avro", "type: json-scema"), ProblemCode.WRONG_VALUE),
        (text().replace("rows.avsc", "row.avsc"), ProblemCode.BAD_REFERENCE),
    ],
)
def test_what_is_no_contract_is_refused(document: str, code: ProblemCode) -> None:
    assert problems(document)[0].code is code


def test_problems_of_a_schema_name_the_schema_file() -> None:
    broken = json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": "strng"}]})
    with pytest.raises(ContractInvalidError) as caught:
        parse_contract(text(), {"rows.avsc": broken}, file="c.yaml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.nearest) == ("c.yaml -> rows.avsc", "string")
    with pytest.raises(ContractInvalidError, match="not well-formed JSON"):
        parse_contract(text(), {"rows.avsc": "{"})


def test_a_json_schema_may_be_written_in_yaml() -> None:
    document = text().replace("type: avro, ref: rows.avsc", "type: json-schema, ref: rows.yaml")
    made = parse_contract(document, {"rows.yaml": "type: object\nproperties: {a: {type: string}}\n"})
    assert [field.name for field in made.fields] == ["a"]
    with pytest.raises(ContractInvalidError, match="second time"):
        parse_contract(document, {"rows.yaml": "type: object\ntype: object\n"})


@pytest.mark.parametrize(
    "reference",
    [
        "../rows.avsc",
        "/etc/passwd",
        "a/../../rows.avsc",
        "..\\\\rows.avsc",
        "https://example.com/rows.avsc",
        "file:rows.avsc",
        "missing.avsc",
        ".",
    ],
)
def test_references_never_leave_the_contracts_folder(tmp_path: Path, reference: str) -> None:
    (tmp_path / "rows.avsc").write_text(AVRO, encoding="utf-8")
    folder = tmp_path / "order"
    folder.mkdir()
    (folder / "c.yaml").write_text(text().replace("rows.avsc", f'"{reference}"'), encoding="utf-8")
    with pytest.raises(ContractInvalidError) as caught:
        load_contract(folder / "c.yaml")
    assert [problem.code for problem in caught.value.problems] == [ProblemCode.BAD_REFERENCE]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "rows.avsc").write_text(AVRO, encoding="utf-8")
    folder = tmp_path / "order"
    folder.mkdir()
    (folder / "rows.avsc").symlink_to(tmp_path / "rows.avsc")
    (folder / "c.yaml").write_text(text(), encoding="utf-8")
    with pytest.raises(ContractInvalidError, match="out of the contract's folder"):
        load_contract(folder / "c.yaml")


def test_references_are_bounded_and_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text(), encoding="utf-8")
    (tmp_path / "rows.avsc").write_bytes(b"[" + b" " * 2_000_000 + b"]")
    with pytest.raises(ContractInvalidError, match="larger than"):
        load_contract(tmp_path / "c.yaml")
    (tmp_path / "rows.avsc").write_bytes(b"\xff")
    with pytest.raises(ContractInvalidError, match="not UTF-8"):
        load_contract(tmp_path / "c.yaml")
    (tmp_path / "rows.avsc").unlink()
    (tmp_path / "rows.avsc").symlink_to(tmp_path / "rows.avsc")
    with pytest.raises(ContractInvalidError, match=r"cannot be read|no such file"):
        load_contract(tmp_path / "c.yaml")


def test_a_file_that_is_not_there_is_a_problem_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(ContractInvalidError, match="cannot be read"):
        load_contract(tmp_path / "none.yaml")


def test_a_catalog_tells_the_mistakes_of_all_its_files(tmp_path: Path) -> None:
    shutil.copytree(CATALOG, tmp_path / "catalog")
    broken = tmp_path / "catalog" / "order" / "orders-daily.yaml"
    broken.write_text(broken.read_text(encoding="utf-8").replace("order_id]", "ordr_id]"), encoding="utf-8")
    (tmp_path / "catalog" / "new.yml").write_text("a: [", encoding="utf-8")
    (tmp_path / "catalog" / "order" / "schemas" / "ignored.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "catalog" / ".hidden.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ContractInvalidError) as caught:
        load_catalog(tmp_path / "catalog")
    assert {Path(problem.file).name for problem in caught.value.problems} == {"new.yml", "orders-daily.yaml"}
    reading = read_catalog(tmp_path / "catalog")
    assert [contract.key for contract in reading.contracts] == ["customer/customers", "payment/payments"]
    assert [warning.code for warning in reading.warnings] == [ProblemCode.UNKNOWN_PRODUCT]


def test_each_major_of_a_product_stands_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "rows.avsc").write_text(AVRO, encoding="utf-8")
    (tmp_path / "a.yaml").write_text(text(), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(text(version="1.1.0"), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(text(version="2.0.0"), encoding="utf-8")
    reading = read_catalog(tmp_path)
    assert [contract.major for contract in reading.contracts] == [1, 2]
    assert [(problem.code, Path(problem.file).name) for problem in reading.problems] == [(ProblemCode.DUPLICATE, "b.yaml")]


def test_three_thousand_contracts_of_thirty_fields_load_in_seconds() -> None:
    columns = [{"name": f"column_{index}", "type": ["null", "string"]} for index in range(30)]
    avro = json.dumps({"type": "record", "name": "R", "fields": columns})
    document = text(GUIDE.partition("  classification")[0].partition('avsc"}\n')[2] + "  classification: {pii: [column_1, column_2]}\n")
    began = time.process_time()
    for _ in range(300):
        parse_contract(document, {"rows.avsc": avro})
    assert (time.process_time() - began) * 10 < 20  # some 3 s where nothing else runs


def test_the_readmes_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = CATALOG.parents[1]
    monkeypatch.chdir(root)
    code = (root / "contracts" / "README.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102  # our own page
    assert "order/orders-daily 2.1.0 TimeObjective" in capsys.readouterr().out


def test_a_contract_without_a_name_has_its_schema_judged_all_the_same() -> None:
    text = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {nme: x, domain: shop, owner: a@example.com, version: "1.0.0"}
spec: {schema: {type: inline, fields: [{name: id, type: strng}]}}
"""
    with pytest.raises(ContractInvalidError) as refused:
        parse_contract(text, {})
    assert {(problem.code, problem.nearest) for problem in refused.value.problems} == {
        (ProblemCode.MISSING_KEY, None),
        (ProblemCode.UNKNOWN_KEY, "name"),
        (ProblemCode.BAD_SCHEMA, "string"),
    }


@pytest.mark.parametrize(
    ("slo", "at"),
    [
        ('{freshness: "< 1 hour", measure: {every: PT2H}}', "spec.slo.measure.every"),
        ('{availability: {target: "99%", window: PT1S}}', "spec.slo.availability.window"),
        ('{accuracy: {target: "99%", window: P200D}}', "spec.slo.accuracy.window"),
        ('{completeness: {target: "99%", expectedRows: {per: "1 s", min: 1}}}', "spec.slo.completeness.expectedRows.per"),
        ('{freshness: "soon"}', "spec.slo.freshness"),
        ('{freshness: {target: "> 1 hour"}}', "spec.slo.freshness.target"),
        ('{accuracy: "very"}', "spec.slo.accuracy"),
        ('{availability: {target: "101%", window: P30D}}', "spec.slo.availability.target"),
    ],
)
def test_objectives_that_can_never_be_known_load_with_a_warning_at_their_line(slo: str, at: str) -> None:
    (warning,) = contract(f"  slo: {slo}\n").warnings
    assert (warning.at, warning.line is not None) == (at, True)
    assert "never known" in warning.message


def test_an_objective_that_cannot_be_read_leaves_the_others_as_they_are() -> None:
    made = contract('  slo: {freshness: "as fresh as can be", completeness: "> 99%", availability: {target: "never", window: P30D}}\n')
    assert made.objectives.completeness == RatioObjective("> 99%", 0.99)
    assert (made.objectives.freshness, made.objectives.availability) == (None, None)
    assert {name: it.text for name, it in made.objectives.unreadable} == {"freshness": "as fresh as can be", "availability": "never"}
