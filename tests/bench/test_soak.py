"""Ten seconds of an hour's mixed load: everything is answered as it must be, and memory grows no more than it may.

`python -m tests.bench.soak` is the real measurement.
"""

from __future__ import annotations

import pytest

from tests.bench.soak import Memory, Sample, Soaked, soak
from tests.bench.soak_load import Tally, distinct


@pytest.mark.bench
def test_a_mixed_load_is_answered_as_it_must_be_in_memory_that_stays() -> None:
    found = soak(6, per_s=60, every_s=1.5, distinct_count=300)
    assert not found.faults(), found.summary()
    assert min(found.tally.done[kind] for kind in ("question", "shape", "cold", "catalogue", "form", "mistake", "aborted")) > 0
    # The longest run over all that is kept took half a second; what is new is looked through in a few milliseconds.
    assert sorted(max(one.collector_ms) for one in found.samples)[len(found.samples) // 2] < 25, found.samples


def _soaked(*own_mib: float, wrong: int = 0) -> Soaked:
    at_first = Memory(100.0, 90.0, own_mib[0])
    samples = [Sample(float(at), Memory(120.0, 100.0, own), 0.1, 10, 5.0, (1.0, 2.0, 3.0), 0) for at, own in enumerate(own_mib)]
    tally = Tally()
    for number in range(wrong):
        tally.note_wrong(f"wrong {number}")
    return Soaked(at_first, at_first, Memory(110.0, 95.0, own_mib[0] + 10.0), samples, tally)


def test_memory_that_still_grows_is_a_fault() -> None:
    assert _soaked(100.0, 120.0, 121.0, 122.0, 120.0, 121.0, 122.0, 122.0).faults() == []
    (fault,) = _soaked(100.0, 120.0, 121.0, 123.0, 125.0, 127.0, 131.0, 133.0).faults()
    assert fault.startswith("memory is not flat: 10.0 MiB more")


def test_what_is_answered_wrongly_is_a_fault_with_its_first_examples() -> None:
    found = _soaked(100.0, 100.0, wrong=50)
    assert found.faults()[:2] == ["wrong 0", "wrong 1"]
    assert "50 answered wrongly" in found.summary()
    assert len(found.tally.examples) < 10


def test_distinct_operations_are_distinct_and_the_same_every_time() -> None:
    texts = [distinct(number) for number in range(2_000)]
    assert len(set(texts)) == len(texts)
    assert texts[7] == distinct(7)
