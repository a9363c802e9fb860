"""What is kept is not looked at again and again, and what refers to itself does not stay for ever."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway import collector as module
from gateway.collector import THRESHOLDS, Collector


class _Node:
    def __init__(self) -> None:
        self.other: _Node | None = None


def _ring() -> tuple[_Node, weakref.ref[_Node]]:
    one, other = _Node(), _Node()
    one.other, other.other = other, one
    return one, weakref.ref(one)


@pytest.fixture
def settled() -> Iterator[Collector]:
    before, was_on = gc.get_threshold(), gc.isenabled()
    made = Collector()
    made.settle()
    yield made
    made.release()
    gc.set_threshold(*before)
    if not was_on:
        gc.disable()


def _turn_over(kept: list[list[int]], settled: Collector | None = None) -> None:
    """Make objects that live, until the oldest generation was looked through; ``settled``: has its rest after every thousand."""
    before = gc.get_stats()[2]["collections"]
    while gc.get_stats()[2]["collections"] == before:
        kept.append([])
        if settled is not None and len(kept) % THRESHOLDS[0] == 0:
            settled.rest()


def test_an_idle_moment_is_used_before_much_has_survived(settled: Collector) -> None:
    busy: list[list[int]] = []
    idle: list[list[int]] = []
    _turn_over(busy)
    _turn_over(idle, settled)
    assert len(idle) < len(busy) / 2
    before = gc.get_stats()[2]["collections"]
    settled.rest()
    assert gc.get_stats()[2]["collections"] == before, "there is nothing to do"


def test_nothing_is_put_aside_by_who_was_not_settled() -> None:
    aside = gc.get_freeze_count()
    kept: list[list[int]] = [[] for _ in range(200_000)]
    Collector().rest()
    assert gc.get_freeze_count() == aside
    assert len(kept) == 200_000


def test_what_survives_is_put_aside_so_that_the_oldest_generation_stays_small(settled: Collector) -> None:
    kept: list[list[int]] = []
    aside = gc.get_freeze_count()
    for _ in range(5):
        _turn_over(kept)
        assert len(gc.get_objects(generation=2)) < 40 * THRESHOLDS[0]
    assert len(kept) > 4 * THRESHOLDS[0]
    assert gc.get_freeze_count() >= aside + len(kept) - 40 * THRESHOLDS[0]


def test_what_was_put_aside_goes_with_its_last_reference(settled: Collector) -> None:
    kept: list[list[int]] = []
    thing = _Node()
    seen = weakref.ref(thing)
    _turn_over(kept)
    assert not any(it is thing for it in gc.get_objects())
    del thing
    assert seen() is None


def test_garbage_that_was_put_aside_is_found_once_much_is_there(settled: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROWTH_MAX", 60_000)
    kept: list[list[int]] = []
    one, seen = _ring()
    _turn_over(kept)
    del one
    assert not settled.relieve(), "little was put aside"
    gc.collect()
    assert seen() is not None
    while len(kept) < 90_000:
        _turn_over(kept)
    assert settled.relieve()
    assert seen() is None
    assert settled.relieved == 1
    assert not settled.relieve(), "what lives is the new measure"


def test_what_came_and_went_is_no_reason_to_look_at_everything(settled: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROWTH_MAX", 90_000)
    kept: list[list[int]] = []
    for _ in range(3):
        while len(kept) < 60_000:
            _turn_over(kept)
        kept.clear()
    assert not settled.relieve()
    assert settled.relieved == 0


def test_who_has_served_looks_at_everything_again(settled: Collector) -> None:
    kept: list[list[int]] = []
    _turn_over(kept)
    settled.release()
    assert gc.get_freeze_count() == 0
    _turn_over(kept)
    assert gc.get_freeze_count() == 0
    settled.settle()
    before = gc.get_freeze_count()
    _turn_over(kept)
    assert gc.get_freeze_count() > before
