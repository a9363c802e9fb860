"""Drift that queries meet: counted once, capped per caller, bounded."""

from __future__ import annotations

from gateway.slo.drift import Drift


class Heard:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.told: list[str] = []

    def __call__(self, product: str, finding: str) -> None:
        self.told.append(finding)

    @property
    def last(self) -> int:
        return int(self.told[-1].split("(")[1].split()[0])


def drift() -> tuple[Drift, Heard]:
    heard = Heard()
    return Drift(heard, lambda: heard.now_s), heard


def test_each_row_and_version_counts_once_whoever_meets_it() -> None:
    found, heard = drift()
    for caller in ("ann", "bob"):
        for _ in range(3):
            found.note("d/a", caller, [1])
    assert heard.told == ["callers' queries met rows that do not keep the contract (1 counted)"]
    heard.now_s = 61
    found.note("d/a", "ann", [1])
    assert len(heard.told) == 2, "a minute later it counts anew"


def test_one_caller_counts_for_a_tenth_at_most() -> None:
    found, heard = drift()
    found.note("d/a", "loud", range(1_000))
    assert heard.last == 100
    for number in range(20):
        found.note("d/a", f"quiet-{number}", [10_000 + number])
    assert heard.last == 102 + 20
    found.note("d/a", "loud", [50_000])
    assert heard.last <= 123


def test_what_is_remembered_is_bounded() -> None:
    found, _ = drift()
    for number in range(30):
        found.note("d/a", str(number), range(number * 1_000, number * 1_000 + 1_000))
    for number in range(3_000):
        found.note("d/b", str(number), [number])
    assert len(found._met["d/a"].rows) == 10_000
    assert len(found._met["d/b"].by_caller) == 1_000
