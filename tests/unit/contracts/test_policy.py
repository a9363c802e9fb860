from __future__ import annotations

from pathlib import Path

import pytest

from contracts import PolicyInvalidError, ProblemCode, load_policy, mask_for, parse_policy
from contracts.fields import Field, FieldType, Kind, List, Record, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Aggregates, FieldClassification, Level
from contracts.policy import never_persisted, type_name

from .written import POLICY, contract, policy, problems, text, wrong

TEXT = Scalar(Kind.STRING)
NULLIFY = Mask(MaskKind.NULLIFY)
REDACT = Mask(MaskKind.REDACT)

MESH = policy("""\
  roles: [analyst, fraud, steward]
  grantableRoles: [analyst, fraud]
  anonymousRole: analyst
  purposes: [fraud-prevention]
  grants: [{role: steward, fields: ["*"], purposes: [fraud-prevention]}]
  bounds: {fraud: {clearTags: [pii]}}
  retentionNeedsDate: true
  tags:
    pii:
      aggregates: {min_group: 5, functions: [count]}
      rules:
        - {type: string, name: "*email*", mask: email}
        - {type: date, mask: {type: truncate, to: year}}
        - {name: "id", mask: hash}
    contact: {rules: [{mask: {type: partial, last: 2}}]}
    pci.pan: {neverClear: true}
  restrictions: [{name: night, effect: mask, roles: [analyst], products: ["order/*"], unlessPurpose: [fraud-prevention]}]
""")


def masked(name: str, type_: FieldType, *tags: str, mask: Mask | None = None, level: Level | None = None) -> Mask | None:
    return mask_for(Field(name, type_), FieldClassification(tags=tags, mask=mask, level=level), MESH)


def test_the_first_rule_that_fits_decides() -> None:
    assert masked("customer_email", TEXT, "pii") == Mask(MaskKind.EMAIL)
    assert masked("born", Scalar(Kind.DATE), "pii") == Mask(MaskKind.TRUNCATE, to="year")
    assert masked("id", TEXT, "pii") == Mask(MaskKind.PSEUDONYM)


def test_a_rule_whose_mask_does_not_fit_is_passed_over() -> None:
    assert masked("id", Scalar(Kind.LONG), "pii") == NULLIFY


def test_what_no_rule_fits_is_redacted_or_nullified() -> None:
    assert masked("name", TEXT, "pii") == REDACT
    assert masked("names", List(TEXT), "pii") == REDACT
    assert masked("age", Scalar(Kind.INT), "pii") == NULLIFY
    assert masked("place", Record("P", (Field("x", TEXT),)), "pii") == NULLIFY
    assert masked("secret", TEXT, level=Level.RESTRICTED) == REDACT
    assert masked("pan", TEXT, "pci.pan") == REDACT


def test_conflicting_tags_get_the_strictest_mask() -> None:
    assert masked("customer_email", TEXT, "pii", "contact") == Mask(MaskKind.PARTIAL, last=2)


def test_an_unknown_tag_withholds_the_field() -> None:
    assert masked("customer_email", TEXT, "pii", "unheard-of") == NULLIFY
    assert mask_for(Field("a", TEXT), FieldClassification(tags=("pii",)), None) == NULLIFY


def test_a_fields_own_mask_comes_first_if_it_fits() -> None:
    assert masked("customer_email", TEXT, "pii", mask=REDACT) == REDACT
    assert masked("age", Scalar(Kind.INT), "pii", mask=REDACT) == NULLIFY


def test_what_is_not_classified_has_no_mask() -> None:
    assert masked("a", TEXT) is None
    assert masked("a", TEXT, level=Level.INTERNAL) is None


def test_types_are_named_as_rules_name_them() -> None:
    assert [type_name(type_) for type_ in (TEXT, Scalar(Kind.LOCAL_DATETIME), List(TEXT))] == ["string", "local-datetime", "list"]


def test_the_policy_is_read_whole() -> None:
    assert (MESH.roles, MESH.grantable_roles, MESH.anonymous_role) == (("analyst", "fraud", "steward"), ("analyst", "fraud"), "analyst")
    assert (MESH.purposes, MESH.retention_needs_date, len(MESH.revision)) == (("fraud-prevention",), True, 64)
    assert MESH.grants[0].role == "steward"
    assert MESH.bounds[0].clear_tags == ("pii",)
    assert MESH.tags[0].aggregates == Aggregates(min_group=5, functions=("count",))
    assert [tag.never_clear for tag in MESH.tags] == [False, False, True]
    assert MESH.restrictions[0].products == ("order/*",)


def test_the_demos_policy_loads() -> None:
    demo = load_policy(POLICY)
    assert [grant.role for grant in demo.grants] == ["steward", "break-glass"]
    assert demo.grants[1].claims == (("ticket", "present"),)


@pytest.mark.parametrize(
    ("spec", "code", "at", "nearest"),
    [
        ("  roles: [a]\n  grants: [{role: b, fields: [x]}]\n", ProblemCode.UNKNOWN_ROLE, "spec.grants[0].role", None),
        ("  roles: [analyst]\n  grantableRoles: [analist]\n", ProblemCode.UNKNOWN_ROLE, "spec.grantableRoles[0]", "analyst"),
        ("  roles: [analyst]\n  anonymousRole: analist\n", ProblemCode.UNKNOWN_ROLE, "spec.anonymousRole", "analyst"),
        ("  roles: [a]\n  bounds: {b: {}}\n", ProblemCode.UNKNOWN_ROLE, "spec.bounds.b", None),
        (
            "  roles: [a]\n  tags: {pii: {}}\n  bounds: {a: {clearTags: [pi]}}\n",
            ProblemCode.UNKNOWN_TAG,
            "spec.bounds.a.clearTags[0]",
            "pii",
        ),
        (
            "  roles: [a]\n  purposes: [x]\n  grants: [{role: a, fields: [x], purposes: [y]}]\n",
            ProblemCode.UNKNOWN_PURPOSE,
            "spec.grants[0].purposes[0]",
            None,
        ),
        (
            "  roles: [a]\n  grants: [{role: a, fields: [x], rowFilter: {x: {eq: 1}}}]\n",
            ProblemCode.CONTRADICTION,
            "spec.grants[0].rowFilter",
            None,
        ),
        ("  roles: [a]\n  grants: [{role: a}]\n", ProblemCode.CONTRADICTION, "spec.grants[0]", None),
        (
            "  roles: [a]\n  restrictions: [{name: n, effect: deny, roles: [b]}]\n",
            ProblemCode.UNKNOWN_ROLE,
            "spec.restrictions[0].roles[0]",
            None,
        ),
        (
            "  roles: [a]\n  tags: {pii: {rules: [{type: text, mask: email}]}}\n",
            ProblemCode.WRONG_VALUE,
            "spec.tags.pii.rules[0].type",
            None,
        ),
        ("  roles: [a]\n  tags: {pii: {rules: [{mask: {type: partial}}]}}\n", ProblemCode.WRONG_VALUE, "spec.tags.pii.rules[0].mask", None),
        ("  roles: [a]\n  tags: {pii: {neverclear: true}}\n", ProblemCode.UNKNOWN_KEY, "spec.tags.pii.neverclear", "neverClear"),
        (
            "  roles: [a]\n  tags: {pci.pan: {rules: [{mask: {type: partial, last: 5}}]}}\n",
            ProblemCode.OUT_OF_BOUNDS,
            "spec.tags.pci.pan.rules[0].mask",
            None,
        ),
        ("  rolls: [a]\n", ProblemCode.MISSING_KEY, "spec", None),
    ],
)
def test_a_policy_that_cannot_be_read_with_certainty_is_refused(spec: str, code: ProblemCode, at: str, nearest: str | None) -> None:
    with pytest.raises(PolicyInvalidError) as caught:
        policy(spec)
    first = caught.value.problems[0]
    assert (first.code, first.at, first.nearest) == (code, at, nearest)


def test_policy_files_that_are_no_yaml_or_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalidError, match="not well-formed"):
        parse_policy(b"a: [")
    with pytest.raises(PolicyInvalidError, match="cannot be read"):
        load_policy(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("spec", "code", "at", "nearest"),
    [
        ("  access: [{role: analist, fields: [id]}]\n", ProblemCode.UNKNOWN_ROLE, "spec.access[0].role", "analyst"),
        ("  access: [{role: steward, fields: [id]}]\n", ProblemCode.OUT_OF_BOUNDS, "spec.access[0].role", None),
        ("  access: [{role: fraud, fields: [id], purposes: [fraud]}]\n", ProblemCode.UNKNOWN_PURPOSE, "spec.access[0].purposes[0]", None),
        (
            "  classification: {fields: {phone: {tags: [contact]}}}\n  access: [{role: fraud, clear: [phone]}]\n",
            ProblemCode.OUT_OF_BOUNDS,
            "spec.access[0].clear[0]",
            None,
        ),
        (
            "  classification: {fields: {phone: {classification: restricted}}}\n  access: [{role: fraud, clear: ['*']}]\n",
            ProblemCode.OUT_OF_BOUNDS,
            "spec.access[0].clear[0]",
            None,
        ),
        (
            "  classification: {fields: {phone: {tags: [pci.pan]}}}\n  access: [{role: analyst, clear: [phone]}]\n",
            ProblemCode.OUT_OF_BOUNDS,
            "spec.access[0].clear[0]",
            None,
        ),
        ("  restrict: [{name: n, effect: deny, roles: [analist]}]\n", ProblemCode.UNKNOWN_ROLE, "spec.restrict[0].roles[0]", "analyst"),
        (
            "  restrict: [{name: n, effect: deny, unlessPurpose: [x]}]\n",
            ProblemCode.UNKNOWN_PURPOSE,
            "spec.restrict[0].unlessPurpose[0]",
            None,
        ),
        ("  classification: {retention: 1 year}\n", ProblemCode.NOT_ENFORCEABLE, "spec.classification.retention", None),
    ],
)
def test_contracts_may_grant_only_within_the_bounds(spec: str, code: ProblemCode, at: str, nearest: str | None) -> None:
    assert wrong(spec, MESH)[0] == (code, at, nearest)


def test_what_lies_within_the_bounds_loads() -> None:
    spec = """\
  classification: {pii: [phone], fields: {customer_email: {tags: [pci.pan]}}}
  access:
    - {role: fraud, clear: [phone], purposes: [fraud-prevention]}
    - {role: analyst, fields: ["*"], clear: ["*"]}
"""
    assert contract(spec, policy=MESH).warnings == ()


def test_an_unknown_tag_loads_with_a_warning() -> None:
    (warning,) = contract("  classification: {fields: {phone: {tags: [contakt]}}}\n", policy=MESH).warnings
    assert (warning.code, warning.at, warning.nearest) == (ProblemCode.UNKNOWN_TAG, "spec.classification.fields.phone", "contact")


def test_bounds_are_checked_together_with_everything_else() -> None:
    found = problems(text("  primaryKey: [idd]\n  access: [{role: analist, fields: [id]}]\n"), MESH)
    assert [problem.code for problem in found] == [ProblemCode.UNKNOWN_COLUMN, ProblemCode.UNKNOWN_ROLE]


PERSISTENT = """\
  classification:
    pii: [customer_email]
    fields:
      phone: {tags: [%s]}
      amount: {classification: restricted, neverPersist: %s}
"""
KEEPING = policy("""\
  roles: [analyst]
  tags:
    pii: {}
    pci.pan: {}
    pci.sad: {neverClear: true, neverPersist: true}
""")


def test_what_may_not_be_kept_is_named_by_the_contract_and_by_tags() -> None:
    assert never_persisted(contract(PERSISTENT % ("pci.pan", "false")), KEEPING) == ()
    assert never_persisted(contract(PERSISTENT % ("pci.pan", "true")), KEEPING) == ("amount",)
    assert never_persisted(contract(PERSISTENT % ("pci.sad", "true")), KEEPING) == ("phone", "amount")


def test_a_tag_that_nobody_explains_may_not_be_kept() -> None:
    assert never_persisted(contract(PERSISTENT % ("unheard-of", "false")), KEEPING) == ("phone",)
    assert never_persisted(contract(PERSISTENT % ("pci.pan", "false")), None) == ("customer_email", "phone")
    assert never_persisted(contract(), None) == ()
