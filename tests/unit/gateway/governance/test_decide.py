"""Rulings, case by case: SPEC A1, A2, A8, A9."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts.fields import Enumeration, FieldType, Kind, List, Map, Record, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Contract, FieldClassification, Grant, Level, Restriction, Visibility
from contracts.policy import MeshPolicy, RoleBound, TagPolicy, TagRule
from contracts.predicates import FALSE, TRUE, Claim, Compare, Operator
from gateway.caller import Caller
from gateway.governance.decide import decide
from gateway.governance.facts import OWN_DOMAIN, Reading
from gateway.governance.ruling import Access, FieldRuling, ProductRuling, Reason, Standing

from .promises import EMAIL, OWN_COUNTRIES, PAN, PII, TEXT, caller, contract, policy

LABEL = "order/orders-daily@2.1.0"
TODAY = dt.date(2026, 11, 23)
PAID = Compare("country", Operator.EQ, "PAID")
ANALYST = Grant(role="analyst", fields=("*",), row_filter=OWN_COUNTRIES)
FRAUD = Grant(role="fraud", fields=("*",), clear=("email",), purposes=("fraud-prevention",))


def ruled(promise: Contract, who: Caller, mesh: MeshPolicy | None = None, today: dt.date = TODAY) -> ProductRuling:
    mesh = mesh or policy()
    return decide(promise, mesh, Reading(mesh, [promise]).facts(who, today))


def test_pii_is_masked_with_the_tags_mask_and_says_why() -> None:
    ruling = ruled(contract(ANALYST), caller("analyst", countries=["DE"]))
    assert ruling.standing is Standing.SERVED
    assert ruling.owner == "order-team@company.com"
    assert ruling.field("email") == FieldRuling("email", Access.MASKED, EMAIL, Reason("pii", LABEL), usable=False)
    assert ruling.field("order_id") == FieldRuling("order_id", Access.CLEAR)
    assert ruling.row_rules == (OWN_COUNTRIES,)


def test_a_covering_grant_that_clears_shows_the_value_for_its_purpose_only() -> None:
    promise = contract(FRAUD)
    assert ruled(promise, caller("fraud", purpose="fraud-prevention")).field("email").access is Access.CLEAR
    without = ruled(promise, caller("fraud", purpose="marketing"))
    assert without.standing is Standing.LISTED
    assert without.reason == Reason("purpose", LABEL)


def test_never_clear_holds_against_break_glass() -> None:
    mesh = policy(grants=(Grant(role="break-glass", fields=("*",), clear=("*",), claims=(("ticket", "present"),)),))
    ruling = ruled(contract(), caller("break-glass", ticket="INC-1"), mesh)
    assert ruling.field("email").access is Access.CLEAR
    assert ruling.field("card").access is Access.MASKED
    assert ruling.field("card").mask == Mask(MaskKind.PARTIAL, last=4)
    assert ruling.field("card").reason == Reason("pci.pan", LABEL)


def test_a_grant_whose_condition_fails_grants_nothing() -> None:
    mesh = policy(grants=(Grant(role="break-glass", fields=("*",), claims=(("ticket", "present"),)),))
    assert ruled(contract(), caller("break-glass"), mesh).standing is Standing.LISTED
    assert ruled(contract(), caller("break-glass", ticket="  "), mesh).reason == Reason("claim", LABEL)


@pytest.mark.parametrize("countries", [None, [], "", [None], {"a": 1}, [[]], ["x"] * 1_001])
def test_a_grant_whose_row_claim_cannot_be_resolved_grants_nothing(countries: object) -> None:
    ruling = ruled(contract(ANALYST), caller("analyst", countries=countries))
    assert ruling.standing is Standing.LISTED
    assert ruling.row_rules == (FALSE,)
    assert {field.access for field in ruling.fields} == {Access.DENIED}


def test_a_grant_holds_through_its_last_day() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), until=TODAY))
    held = ruled(promise, caller("analyst"))
    assert held.standing is Standing.SERVED
    assert held.valid_until == dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    assert ruled(promise, caller("analyst"), today=dt.date(2026, 11, 24)).reason == Reason("expired", LABEL)


def test_a_grant_without_fields_grants_only_what_it_clears() -> None:
    ruling = ruled(contract(Grant(role="analyst", clear=("email",))), caller("analyst"))
    assert [field.access for field in ruling.fields] == [Access.DENIED, Access.DENIED, Access.CLEAR, Access.DENIED]
    assert ruling.field("order_id").reason == Reason("no grant", LABEL)


def test_rows_of_one_grant_never_meet_columns_of_another() -> None:
    narrow = Grant(role="analyst", fields=("order_id",))
    wide = Grant(role="fraud", fields=("*",), row_filter=PAID)
    ruling = ruled(contract(narrow, wide), caller("analyst", "fraud"))
    assert ruling.row_rules == (TRUE, PAID)
    assert ruling.field("order_id") == FieldRuling("order_id", Access.CLEAR)
    country = ruling.field("country")
    assert (country.access, country.clear_rows, country.masked_rows, country.usable) == (Access.DENIED, (1,), (), False)
    email = ruling.field("email")
    assert (email.access, email.mask, email.clear_rows, email.masked_rows) == (Access.DENIED, EMAIL, (), (1,))


def test_equal_row_rules_leave_nothing_to_test_per_row() -> None:
    clearing = Grant(role="fraud", clear=("email",), row_filter=OWN_COUNTRIES)
    ruling = ruled(contract(ANALYST, clearing), caller("analyst", "fraud", countries=["DE"]))
    assert ruling.row_rules == (OWN_COUNTRIES,)
    assert ruling.field("email") == FieldRuling("email", Access.CLEAR)
    assert not any(field.varies for field in ruling.fields)


def test_a_grant_of_every_row_takes_in_the_rules_of_the_others() -> None:
    ruling = ruled(contract(ANALYST, Grant(role="fraud", fields=("*",))), caller("analyst", "fraud", countries=["DE"]))
    assert ruling.row_rules == ()
    assert not any(field.varies for field in ruling.fields)


def test_a_field_cleared_for_some_rows_is_masked_in_the_others() -> None:
    clearing = Grant(role="fraud", fields=("*",), clear=("email",), row_filter=PAID)
    ruling = ruled(contract(Grant(role="analyst", fields=("*",)), clearing), caller("analyst", "fraud"))
    assert ruling.row_rules == (TRUE, PAID)
    email = ruling.field("email")
    assert (email.access, email.mask, email.clear_rows, email.masked_rows) == (Access.MASKED, EMAIL, (1,), (0,))
    assert email.reason == Reason("pii", LABEL)
    two = ruled(contract(ANALYST, clearing), caller("analyst", "fraud", countries=["DE"]))
    assert two.field("email").masked_rows != two.field("email").clear_rows
    assert two.field("order_id") == FieldRuling("order_id", Access.CLEAR)


def test_a_grant_that_shows_nothing_opens_no_rows() -> None:
    mesh = policy(restrictions=(Restriction(name="closed", effect="deny", fields=("email",)),))
    promise = contract(Grant(role="analyst", fields=("email", "unheard_of")), Grant(role="fraud", fields=("order_id",), row_filter=PAID))
    assert ruled(promise, caller("analyst", "fraud"), mesh).row_rules == (PAID,)
    assert ruled(promise, caller("analyst"), mesh).standing is Standing.LISTED


def test_an_unknown_tag_denies_and_an_unknown_role_holds_nothing() -> None:
    mesh = policy(grants=(Grant(role="break-glass", fields=("*",), clear=("*",)),))
    ruling = ruled(contract(tags={"email": ("piii",)}), caller("break-glass"), mesh)
    assert ruling.field("email") == FieldRuling("email", Access.DENIED, None, Reason("piii", "policy"), usable=False)
    promise = contract(Grant(role="stranger", fields=("*",)))
    assert ruled(promise, caller("stranger")).standing is Standing.LISTED
    assert decide(promise, policy(roles=("analyst",)), Reading(policy(), [promise]).facts(caller("stranger"), TODAY)).row_rules == (FALSE,)


@pytest.mark.parametrize(
    ("level", "access"), [("public", "clear"), ("internal", "clear"), ("confidential", "masked"), ("restricted", "masked")]
)
def test_levels_from_confidential_on_need_clearing(level: str, access: str) -> None:
    promise = contract(Grant(role="analyst", fields=("*",)), classified={"country": FieldClassification(level=Level(level))})
    field = ruled(promise, caller("analyst")).field("country")
    assert field.access == access
    if access == "masked":
        assert (field.mask, field.reason) == (Mask(MaskKind.REDACT), Reason(level, LABEL))


def test_a_masking_restriction_of_the_mesh_names_itself_and_masks_the_unclassified_too() -> None:
    mesh = policy(restrictions=(Restriction(name="quiet", effect="mask", products=("order/*",), fields=("coun*",)),))
    field = ruled(contract(Grant(role="analyst", fields=("*",), clear=("*",))), caller("analyst"), mesh).field("country")
    assert field == FieldRuling("country", Access.MASKED, Mask(MaskKind.REDACT), Reason("quiet", "policy"), usable=False)


def test_a_restriction_matches_by_product_field_tag_and_purpose() -> None:
    everything = Grant(role="analyst", fields=("*",), clear=("*",))

    def access(restriction: Restriction, purpose: str | None = None) -> list[str]:
        mesh = policy(restrictions=(restriction,))
        return [field.access for field in ruled(contract(everything), caller("analyst", purpose=purpose), mesh).fields]

    untouched = ["clear", "clear", "clear", "masked"]
    assert access(Restriction(name="r", effect="deny", products=("payment/*",))) == untouched
    assert access(Restriction(name="r", effect="deny", tags=("pii",))) == ["clear", "clear", "denied", "masked"]
    assert access(Restriction(name="r", effect="deny", fields=("order_id",), tags=("pii",))) == untouched
    assert access(Restriction(name="r", effect="mask", unless_purpose=("audit",)), "audit") == untouched
    assert access(Restriction(name="r", effect="mask", unless_purpose=("audit",)), "other") == ["masked"] * 4
    assert access(Restriction(name="r", effect="deny", tags=("pii",)))[2] == "denied"


def test_a_contracts_own_restriction_is_its_own_source() -> None:
    promise = contract(Grant(role="analyst", fields=("*",)), restrictions=(Restriction(name="ours", effect="deny", fields=("country",)),))
    assert ruled(promise, caller("analyst")).field("country").reason == Reason("ours", LABEL)


def test_a_restriction_that_names_roles_takes_only_from_what_they_grant() -> None:
    mesh = policy(restrictions=(Restriction(name="juniors", effect="deny", roles=("analyst",), fields=("country",)),))
    promise = contract(Grant(role="analyst", fields=("*",)), Grant(role="fraud", fields=("country",)))
    assert ruled(promise, caller("analyst"), mesh).field("country").reason == Reason("juniors", "policy")
    assert ruled(promise, caller("analyst", "fraud"), mesh).field("country").access is Access.CLEAR


def test_contracts_cannot_grant_beyond_the_policys_bounds() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), clear=("*",), predicates=True), Grant(role="owner", fields=("*",)))
    mesh = policy(bounds=(RoleBound(role="analyst", clear_tags=()),), grantable_roles=("analyst",))
    email = ruled(promise, caller("analyst"), mesh).field("email")
    assert (email.access, email.reason, email.usable) == (Access.MASKED, Reason("pii", LABEL), False)
    assert ruled(promise, caller("owner"), mesh).standing is Standing.LISTED
    allowed = policy(bounds=(RoleBound(role="analyst", clear_tags=("pii",)),))
    assert ruled(promise, caller("analyst"), allowed).field("email").access is Access.CLEAR


def test_bounds_do_not_bind_the_policys_own_grants() -> None:
    mesh = policy(bounds=(RoleBound(role="analyst", clear_tags=()),), grants=(Grant(role="analyst", fields=("*",), clear=("*",)),))
    assert ruled(contract(), caller("analyst"), mesh).field("email").access is Access.CLEAR


def test_predicates_lift_the_mask_of_a_classification_but_not_of_a_restriction() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), predicates=True))
    ruling = ruled(promise, caller("analyst"))
    assert (ruling.field("email").access, ruling.field("email").usable) == (Access.MASKED, True)
    assert (ruling.field("card").access, ruling.field("card").usable) == (Access.MASKED, False)


def test_predicates_for_some_rows_only_make_a_field_unusable() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), row_filter=PAID, predicates=True), Grant(role="fraud", fields=("*",)))
    assert not ruled(promise, caller("analyst", "fraud")).field("email").usable


def test_a_hidden_field_is_hidden_only_from_those_without_it() -> None:
    promise = contract(
        Grant(role="analyst", fields=("order_id",)),
        Grant(role="fraud", fields=("*",)),
        classified={"country": FieldClassification(visibility=Visibility.HIDDEN)},
    )
    assert ruled(promise, caller("analyst")).field("country").hidden
    assert not ruled(promise, caller("analyst")).field("email").hidden
    assert ruled(promise, caller("fraud")).field("country") == FieldRuling("country", Access.CLEAR)


def test_a_hidden_product_is_hidden_only_from_those_without_access() -> None:
    promise = contract(ANALYST, visibility=Visibility.HIDDEN)
    assert ruled(promise, caller("fraud")).standing is Standing.HIDDEN
    assert ruled(promise, caller("analyst", countries="DE")).standing is Standing.SERVED


def test_an_owner_sees_the_products_of_the_own_domain() -> None:
    mesh = policy(grants=(Grant(role="owner", fields=("*",), claims=(("domain", OWN_DOMAIN),)),))
    assert ruled(contract(), caller("owner", domain="order"), mesh).standing is Standing.SERVED
    assert ruled(contract(), caller("owner", domain="payment"), mesh).standing is Standing.LISTED
    assert ruled(contract(), caller("owner"), mesh).standing is Standing.LISTED
    elsewhere = policy(grants=(Grant(role="owner", fields=("*",), claims=(("team", OWN_DOMAIN),)),))
    assert ruled(contract(), caller("owner", domain="order", team="order"), elsewhere).standing is Standing.LISTED


def test_a_row_filter_that_no_row_satisfies_grants_nothing() -> None:
    assert ruled(contract(Grant(role="analyst", fields=("*",), row_filter=FALSE)), caller("analyst")).standing is Standing.LISTED


def test_of_conflicting_tags_the_strictest_mask_is_chosen() -> None:
    health = TagPolicy(tag="health", rules=(TagRule(mask=Mask(MaskKind.NULLIFY)),))
    promise = contract(Grant(role="analyst", fields=("*",)), tags={"email": ("pii", "health")})
    field = ruled(promise, caller("analyst"), policy(tags=(PII, health))).field("email")
    assert (field.mask, field.reason) == (Mask(MaskKind.NULLIFY), Reason("health", LABEL))


def test_a_contracts_mask_wins_and_where_none_fits_nothing_shows() -> None:
    types: dict[str, FieldType] = {
        "email": TEXT,
        "born": Scalar(Kind.DATE),
        "died": Scalar(Kind.DATE),
        "names": List(TEXT),
        "home": Record("home", ()),
        "seen": Scalar(Kind.INSTANT),
        "kind": Enumeration("kind", ("A",)),
        "extra": Map(TEXT),
    }
    classified = {
        "email": FieldClassification(tags=("pii",), mask=Mask(MaskKind.PSEUDONYM)),
        "born": FieldClassification(tags=("pii",), mask=EMAIL),
        "died": FieldClassification(tags=("pii",)),
        "names": FieldClassification(tags=("pii",)),
        "home": FieldClassification(tags=("pii",)),
        "seen": FieldClassification(level=Level.RESTRICTED),
        "kind": FieldClassification(tags=("pii",)),
        "extra": FieldClassification(tags=("pii",)),
    }
    promise = contract(Grant(role="analyst", fields=("*",)), fields=types, tags={}, classified=classified)
    masks = {field.column: field.mask for field in ruled(promise, caller("analyst")).fields}
    assert masks == {
        "email": Mask(MaskKind.PSEUDONYM),
        "born": Mask(MaskKind.NULLIFY),
        "died": Mask(MaskKind.TRUNCATE, to="year"),
        "names": Mask(MaskKind.REDACT),
        "home": Mask(MaskKind.NULLIFY),
        "seen": Mask(MaskKind.NULLIFY),
        "kind": Mask(MaskKind.NULLIFY),
        "extra": Mask(MaskKind.NULLIFY),
    }


def test_a_card_number_keeps_at_most_six_and_four() -> None:
    generous = {"card": FieldClassification(tags=("pci.pan",), mask=Mask(MaskKind.PARTIAL, first=8, last=8))}
    field = ruled(contract(Grant(role="analyst", fields=("*",)), classified=generous), caller("analyst")).field("card")
    assert field.mask == Mask(MaskKind.PARTIAL, first=6, last=4)


def test_a_tag_rule_for_another_type_or_name_is_passed_over() -> None:
    tag = TagPolicy(
        tag="pii",
        rules=(
            TagRule(type="long", mask=Mask(MaskKind.NULLIFY)),
            TagRule(name="phone*", mask=Mask(MaskKind.NULLIFY)),
            TagRule(mask=Mask(MaskKind.ROUND, to="10")),
            TagRule(type="string", mask=EMAIL),
        ),
    )
    assert ruled(contract(Grant(role="analyst", fields=("*",))), caller("analyst"), policy(tags=(tag, PAN))).field("email").mask == EMAIL


def test_claims_in_conditions_compare_as_text_and_lists_by_membership() -> None:
    def held(required: str, value: object) -> bool:
        promise = contract(Grant(role="analyst", fields=("*",), claims=(("deep.acr", required),)))
        return ruled(promise, caller("analyst", deep={"acr": value})).standing is Standing.SERVED

    assert held("mfa", "mfa")
    assert held("mfa", ["pwd", "mfa"])
    assert held("7", 7)
    assert held("true", True)
    assert held("present", 1)
    assert not held("mfa", "MFA")
    assert not held("true", 1)
    assert not held("1", True)
    assert not held("mfa", {"mfa": 1})
    assert not held("mfa", ["x"] * 1_001 + ["mfa"])
    assert not held("present", False)
    assert not held(str(2**80), 2**80)


def test_a_claim_that_denies_all_fields_leaves_the_product_listed_with_its_fields() -> None:
    ruling = ruled(contract(ANALYST), caller("auditor"))
    assert [field.column for field in ruling.fields] == ["order_id", "country", "email", "card"]
    assert ruling.reason == Reason("no grant", LABEL)
    with pytest.raises(KeyError):
        ruling.field("unheard_of")


def test_a_row_filter_may_hold_claims_in_lists_and_under_not() -> None:
    rule = Compare("country", Operator.NOT_IN, ("US", Claim("blocked")))
    promise = contract(Grant(role="analyst", fields=("*",), row_filter=rule))
    assert ruled(promise, caller("analyst", blocked="DE")).row_rules == (rule,)
    assert ruled(promise, caller("analyst")).standing is Standing.LISTED
