"""Views: who shares what, and until when."""

from __future__ import annotations

import datetime as dt
import gc

import pytest

from contracts.model import Grant
from gateway.governance.facts import OWN_DOMAIN, Facts, Reading, claims_of
from gateway.governance.recent import Recent
from gateway.governance.ruling import Standing
from gateway.governance.views import Rulings, Views

from .promises import OWN_COUNTRIES, caller, contract, policy

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
ANALYST = Grant(role="analyst", fields=("*",), row_filter=OWN_COUNTRIES)


def test_callers_who_differ_in_claim_values_share_their_view() -> None:
    views = Views(policy(), [contract(ANALYST)])
    german, french = caller("analyst", countries=["DE"], email="x"), caller("analyst", "unheard-of", countries="FR")
    assert views.of(german, NOW) is views.of(french, NOW)
    assert views.of(german, NOW) is not views.of(caller("analyst"), NOW)
    assert hash(views.of(german, NOW).key) == hash(views.of(french, NOW).key)


def test_callers_ruled_alike_share_one_ruling_across_views() -> None:
    promise = contract(Grant(role="analyst", fields=("*",)), Grant(role="fraud", fields=("*",)))
    views = Views(policy(), [promise])
    one, other = views.of(caller("analyst"), NOW), views.of(caller("fraud", purpose="any"), NOW)
    assert one is not other
    assert one.ruling(promise) is other.ruling(promise)
    assert one.ruling(promise) is one.ruling(promise)


def test_rulings_stay_the_same_object_in_the_next_catalog() -> None:
    promise, newcomer = contract(ANALYST), contract(name="another")
    before = Views(policy(), [promise])
    kept = before.of(caller("analyst", countries="DE"), NOW).ruling(promise)
    after = Views(policy(), [promise, newcomer], rulings=before.rulings)
    assert after.of(caller("analyst", countries="DE"), NOW).ruling(promise) is kept


def test_rulings_that_nobody_holds_are_forgotten() -> None:
    rulings = Rulings()
    promise = contract(ANALYST)
    views = Views(policy(), [promise], rulings=rulings)
    views.of(caller("analyst", countries="DE"), NOW).ruling(promise)
    assert len(rulings) == 1
    del views
    gc.collect()
    assert len(rulings) == 0


def test_a_view_ends_with_the_grant_that_ends_first() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), until=dt.date(2026, 11, 23)))
    other = contract(Grant(role="fraud", fields=("*",), until=dt.date(2026, 12, 31)), name="another")
    views = Views(policy(), [promise, other])
    who = caller("analyst")
    view = views.of(who, NOW)
    assert view.valid_until == dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    assert view.ruling(promise).standing is Standing.SERVED
    assert views.of(who, view.valid_until - dt.timedelta(microseconds=1)) is view
    later = views.of(who, view.valid_until)
    assert later.key != view.key
    assert later.ruling(promise).standing is Standing.LISTED
    assert views.of(who, dt.datetime(2027, 6, 1, tzinfo=dt.UTC)).valid_until.year == 9999


def test_the_key_is_equal_on_days_between_which_nothing_ends() -> None:
    reading = Reading(policy(), [contract(Grant(role="analyst", fields=("*",), until=dt.date(2026, 12, 31)))])
    assert reading.facts(caller("analyst"), dt.date(2026, 1, 1)) == reading.facts(caller("analyst"), dt.date(2026, 12, 31))
    assert reading.next_end_at(dt.date(2027, 1, 1)) is None


def test_the_digest_of_a_key_is_the_same_in_every_process() -> None:
    many = tuple(f"role-{number}" for number in range(20))
    held = {(f"claim-{number}", "present") for number in range(20)}
    one = Facts(frozenset(many), "audit", held=frozenset(held), bindable=frozenset(many))
    other = Facts(frozenset(reversed(many)), "audit", held=frozenset(sorted(held, reverse=True)), bindable=frozenset(reversed(many)))
    assert one.digest() == other.digest()
    assert Facts(frozenset({"analyst"})).digest().hex() == "8318b09edb8f165d5d90390669ca52a1"
    assert Facts(frozenset({"analyst"}), "audit").digest() != Facts(frozenset({"analyst"}), domain="audit").digest()


def test_a_grant_until_the_end_of_time_does_not_end() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), until=dt.date.max))
    ruling = Views(policy(), [promise]).of(caller("analyst"), NOW).ruling(promise)
    assert ruling.valid_until is None


def test_the_domain_counts_only_where_a_grant_reads_it() -> None:
    grant = Grant(role="owner", fields=("*",), claims=(("domain", OWN_DOMAIN),))
    reading = Reading(policy(grants=(grant,)), [])
    assert reading.facts(caller("owner", domain="order"), NOW.date()).domain == "order"
    assert reading.facts(caller("analyst", domain="order"), NOW.date()).domain is None


def test_a_claims_whole_name_comes_before_its_parts() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), claims=(("https://acme.example/team", "x"), ("domain", "order"))))
    reading = Reading(policy(), [promise])
    who = caller("analyst", domain="order", **{"https://acme.example/team": "x"})
    assert reading.facts(who, NOW.date()).held == {("https://acme.example/team", "x"), ("domain", "order")}
    assert reading.facts(caller("analyst", domain="order", a=1), NOW.date()).held == {("domain", "order")}


def test_many_callers_stay_within_the_capacity() -> None:
    promise = contract(ANALYST)
    views = Views(policy(), [promise], capacity=4)
    for number in range(100):
        views.of(caller("analyst", countries="DE", purpose=str(number)), NOW).ruling(promise)
    assert len(views._by_caller) <= 16
    assert len(views._by_facts) <= 4


def test_what_was_used_lately_is_kept() -> None:
    recent: Recent[int, int] = Recent(4)
    for number in range(50):
        recent.put(number, number)
        assert recent.get(number) == number
        recent.put(-1, -1) if number == 0 else None
        assert recent.get(-1) == -1
    assert len(recent) <= 4
    assert recent.get(0) is None
    recent.put(49, 7)
    assert recent.get(49) == 7


def test_claims_are_found_in_every_part_of_a_rule() -> None:
    assert claims_of(OWN_COUNTRIES) == {"countries"}


@pytest.mark.parametrize("roles", [(), ("unheard-of",)])
def test_who_holds_no_known_role_sees_a_listing_only(roles: tuple[str, ...]) -> None:
    promise = contract(ANALYST)
    assert Views(policy(), [promise]).of(caller(*roles), NOW).ruling(promise).standing is Standing.LISTED
