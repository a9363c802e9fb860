"""Both ends of a relationship are one value: SPEC A7."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Aggregates, Contract, FieldClassification, Level, Relationship, Visibility
from gateway.catalog.measures import is_open
from gateway.governance.joins import differing_pairs, stricter
from gateway.governance.ruling import Access, FieldRuling, Reason

from .promises import EMAIL, TEXT, contract, policy

REDACT = Mask(MaskKind.REDACT)
CLEAR = FieldRuling("own", Access.CLEAR)
MASKED = FieldRuling("other", Access.MASKED, EMAIL, Reason("pii", "b"), usable=False)
REDACTED = FieldRuling("other", Access.MASKED, REDACT, Reason("gdpr", "c"), usable=False)
DENIED = FieldRuling("other", Access.DENIED, None, Reason("no grant", "d"), usable=False)
HIDDEN = FieldRuling("other", Access.DENIED, None, Reason("no grant", "d"), usable=False, hidden=True)
VARIES = FieldRuling("other", Access.MASKED, EMAIL, Reason("pii", "b"), usable=False, clear_rows=(0,), masked_rows=(1,))
SOMETIMES = FieldRuling("other", Access.DENIED, EMAIL, Reason("pii", "b"), usable=False, masked_rows=(1,))


@pytest.mark.parametrize(
    ("other", "access", "mask", "because"),
    [
        (CLEAR, Access.CLEAR, None, None),
        (MASKED, Access.MASKED, EMAIL, "pii"),
        (DENIED, Access.DENIED, None, "no grant"),
        (VARIES, Access.MASKED, EMAIL, "pii"),
        (SOMETIMES, Access.DENIED, None, "pii"),
    ],
)
def test_the_stricter_end_rules_from_either_side(other: FieldRuling, access: Access, mask: Mask | None, because: str | None) -> None:
    for found in (stricter(CLEAR, other), stricter(other, CLEAR)):
        assert (found.access, found.mask, found.varies) == (access, mask, False)
        assert (found.reason.because if found.reason else None) == because
        assert found.usable is (access is Access.CLEAR)
    assert stricter(CLEAR, other).column == "own"
    assert stricter(other, CLEAR).column == other.column


def test_of_two_masks_the_one_that_shows_less_is_taken() -> None:
    assert stricter(MASKED, REDACTED).mask == REDACT
    assert stricter(REDACTED, MASKED).mask == REDACT


def test_equal_and_clear_ends_change_nothing() -> None:
    assert stricter(MASKED, MASKED) is MASKED
    assert stricter(MASKED, CLEAR) is MASKED
    assert stricter(VARIES, VARIES).varies is False


@pytest.mark.parametrize("usable", [False, True])
def test_what_is_for_totals_only_at_one_end_is_so_at_the_other_and_no_more_whether_its_grant_lifts_the_mask_or_not(usable: bool) -> None:
    pay = Aggregates(min_group=3, functions=("sum", "avg"))
    totalled = FieldRuling("other", Access.MASKED, EMAIL, Reason("pii", "b"), usable=usable, aggregates=pay)
    for found in (stricter(CLEAR, totalled), stricter(totalled, CLEAR)):
        assert found.aggregates == pay
        assert not is_open(found)
    few = replace(totalled, column="few", aggregates=Aggregates(min_group=9, functions=("avg",)))
    assert stricter(few, totalled).aggregates == stricter(totalled, few).aggregates == Aggregates(min_group=9, functions=("avg",))
    for other in (REDACTED, DENIED, VARIES):
        assert stricter(totalled, other).aggregates is stricter(other, totalled).aggregates is None


def test_what_is_hidden_at_one_end_is_hidden() -> None:
    assert stricter(CLEAR, HIDDEN).hidden
    assert not stricter(CLEAR, DENIED).hidden


def orders(**members: Any) -> Contract:
    to = members.pop("to", "customer/customers")
    major = members.pop("major", None)
    on = members.pop("on", (("customer_id", "customer_id"),))
    link = Relationship(name="customer", to=to, to_major=major, on=on)
    return contract(fields={"customer_id": TEXT}, relationships=(link,), **members)


def customers(version: str = "1.4.0", **members: Any) -> Contract:
    return contract(
        name="customers",
        domain="customer",
        version=version,
        fields=members.pop("fields", {"customer_id": TEXT}),
        **members,
    )


def test_equal_ends_are_not_reported() -> None:
    assert list(differing_pairs([orders(), customers()], policy())) == []
    assert list(differing_pairs([orders()], policy())) == []
    assert list(differing_pairs([orders(on=(("customer_id", "unheard_of"),)), customers()], policy())) == []


def test_a_difference_is_reported_with_both_ends_and_what_differs() -> None:
    (found,) = differing_pairs([orders(), customers(tags={"customer_id": ("pii",)})], policy())
    assert (found.relationship, found.own, found.other) == (
        "order/orders-daily@2.1.0.customer",
        "order/orders-daily@2.1.0.customer_id",
        "customer/customers@1.4.0.customer_id",
    )
    assert found.differences == ("tags", "mask")


def test_levels_and_visibility_count_too() -> None:
    strict = {"customer_id": FieldClassification(level=Level.INTERNAL, visibility=Visibility.HIDDEN)}
    (found,) = differing_pairs([orders(), customers(classified=strict)], policy())
    assert found.differences == ("level", "visibility")


def test_pseudonyms_of_two_domains_match_only_under_the_meshs_key() -> None:
    def pair(scope: str) -> list[object]:
        hashed = {"customer_id": FieldClassification(mask=Mask(MaskKind.PSEUDONYM, scope=scope))}
        return list(differing_pairs([orders(classified=hashed), customers(classified=hashed)], policy()))

    assert len(pair("domain")) == 1
    assert pair("mesh") == []


def test_the_version_asked_for_is_compared_else_the_newest() -> None:
    old, new = customers("1.9.0", tags={"customer_id": ("pii",)}), customers("1.10.0")
    assert list(differing_pairs([orders(), old, new], policy())) == []
    newest = customers("2.0.0")
    assert next(differing_pairs([orders(major=1), old, newest], policy())).other.startswith("customer/customers@1.9.0")
    assert list(differing_pairs([orders(major=2), old, newest], policy())) == []


def test_ends_of_different_types_differ_in_their_masks() -> None:
    tags = {"customer_id": ("pii",)}
    pairs = differing_pairs([orders(tags=tags), customers(tags=tags, fields={"customer_id": Scalar(Kind.LONG)})], policy())
    assert [pair.differences for pair in pairs] == [("mask",)]
