"""The demo's contracts and policy, ruled for the demo's roles (DESIGN section 5)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

import contracts
from contracts import load_catalog, load_policy
from contracts.masks import Mask, MaskKind
from gateway.caller import Caller
from gateway.governance.joins import differing_pairs
from gateway.governance.ruling import Access, ProductRuling, Standing
from gateway.governance.views import Views

from .promises import caller

FOLDER = Path(contracts.__file__).parent
POLICY = load_policy(FOLDER / "policies" / "mesh.yaml")
CATALOG = load_catalog(FOLDER / "catalog", POLICY)
VIEWS = Views(POLICY, CATALOG)
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
EMAIL = Mask(MaskKind.EMAIL)

ANALYST = caller("analyst", countries=["DE", "FR"])
FRAUD = caller("fraud-investigator", purpose="fraud-prevention")
BREAK_GLASS = caller("break-glass", purpose="incident-response", ticket="INC-7")


def ruled(key: str, who: Caller) -> ProductRuling:
    return VIEWS.of(who, NOW).ruling(next(one for one in CATALOG if one.key == key))


@pytest.mark.parametrize(
    ("who", "email", "phone"),
    [(ANALYST, EMAIL, Mask(MaskKind.PARTIAL, last=2)), (FRAUD, None, None), (BREAK_GLASS, None, None)],
    ids=["analyst", "fraud-investigator", "break-glass"],
)
def test_e_mail_and_phone_of_orders_and_customers(who: Caller, email: Mask | None, phone: Mask | None) -> None:
    for key in ("order/orders-daily", "customer/customers"):
        ruling = ruled(key, who)
        assert (ruling.field("customer_email").mask, ruling.field("phone").mask) == (email, phone)
        assert not any(field.varies for field in ruling.fields)


def test_analysts_see_the_rows_of_their_countries_and_the_others_all() -> None:
    assert len(ruled("order/orders-daily", ANALYST).row_rules) == 1
    assert ruled("order/orders-daily", FRAUD).row_rules == ()
    assert ruled("order/orders-daily", BREAK_GLASS).row_rules == ()


def test_card_numbers_are_clear_to_nobody() -> None:
    for who in (ANALYST, FRAUD, BREAK_GLASS, caller("steward"), caller("domain-owner", domain="payment")):
        card = ruled("payment/payments", who).field("card_number")
        assert (card.access, card.mask, card.usable) == (Access.MASKED, Mask(MaskKind.PARTIAL, last=4), False)


def test_fraud_investigators_see_names_masked_and_break_glass_clear() -> None:
    assert ruled("customer/customers", FRAUD).field("name").mask == Mask(MaskKind.REDACT)
    assert ruled("customer/customers", BREAK_GLASS).field("name").access is Access.CLEAR
    assert ruled("customer/customers", FRAUD).field("birth_date").mask == Mask(MaskKind.TRUNCATE, to="year")


@pytest.mark.parametrize(
    ("who", "served"),
    [
        (caller("auditor"), set()),
        (caller("fraud-investigator"), set()),
        (caller("break-glass", purpose="incident-response"), set()),
        (caller("break-glass", ticket="INC-7"), set()),
        (caller("domain-owner", domain="order"), {"order/orders-daily"}),
        (caller("analyst"), {"payment/payments"}),
        (caller("steward"), {"order/orders-daily", "payment/payments", "customer/customers"}),
    ],
)
def test_who_is_served_what(who: Caller, served: set[str]) -> None:
    assert {one.key for one in CATALOG if ruled(one.key, who).standing is Standing.SERVED} == served


def test_both_ends_of_every_relationship_are_protected_alike() -> None:
    assert list(differing_pairs(CATALOG, POLICY)) == []
