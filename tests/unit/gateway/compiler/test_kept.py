from __future__ import annotations

from random import Random

from gateway.compiler.kept import Entry, Kept


class Shelf:
    """Keeps names, and remembers which it had to let go."""

    def __init__(self, max_bytes: int) -> None:
        self.kept = Kept(max_bytes)
        self.gone: list[str] = []

    def put(self, name: str, owner: str, size: int = 1, *, used: bool = False) -> Entry:
        entry = self.kept.add(owner, size, lambda: self.gone.append(name))
        entry.used = used
        return entry


def test_the_oldest_that_nobody_used_goes_first() -> None:
    shelf = Shelf(3)
    first = shelf.put("first", "ann")
    for name in ("second", "third"):
        shelf.put(name, "ann")
    first.used = True
    shelf.put("fourth", "ann")
    assert shelf.gone == ["second"]
    shelf.put("fifth", "ann")
    assert shelf.gone == ["second", "third"]
    assert shelf.kept.size_bytes == 3


def test_everything_used_still_gives_way_to_the_new() -> None:
    shelf = Shelf(2)
    for number in range(50):
        shelf.put(str(number), "ann", used=True)
    assert shelf.kept.size_bytes == 2
    assert len(shelf.gone) == 48


def test_a_flood_by_one_caller_leaves_the_others_what_they_use() -> None:
    shelf = Shelf(100)
    quiet = {f"{owner}{number}" for owner in ("ann", "bob", "cy") for number in range(20)}
    for name in sorted(quiet):
        shelf.put(name, name[:3])
    for number in range(10_000):
        shelf.put(f"flood {number}", "mallory")
    assert quiet.isdisjoint(shelf.gone)
    assert shelf.kept.size_bytes == 100


def test_a_caller_alone_may_use_everything_and_gives_way_when_others_come() -> None:
    shelf = Shelf(100)
    for number in range(100):
        shelf.put(f"ann {number}", "ann")
    assert shelf.gone == []
    for number in range(50):
        shelf.put(f"bob {number}", "bob")
    assert shelf.gone == [f"ann {number}" for number in range(50)]
    shelf.put("bob 50", "bob")
    assert shelf.gone[50:] == ["bob 0"]


def test_what_grows_is_weighed_again_and_what_is_gone_is_not() -> None:
    shelf = Shelf(10)
    first, second = shelf.put("first", "ann", 4), shelf.put("second", "bob", 4)
    shelf.kept.resize(second, 9)
    assert shelf.gone == ["second"]
    shelf.kept.resize(second, 100)
    assert (shelf.kept.size_bytes, first.is_kept, second.is_kept) == (4, True, False)
    shelf.kept.resize(first, 2)
    assert shelf.kept.size_bytes == 2


def test_what_is_larger_than_all_there_is_is_not_kept() -> None:
    shelf = Shelf(10)
    entry = shelf.put("huge", "ann", 11, used=True)
    assert not entry.is_kept
    assert shelf.kept.size_bytes == 0


def test_the_sum_is_that_of_what_is_kept_whatever_happens() -> None:
    random = Random(7)
    shelf = Shelf(500)
    entries: list[Entry] = []
    for number in range(5_000):
        entries.append(shelf.put(str(number), random.choice("abcdef"), random.randint(1, 60), used=random.random() < 0.5))
        if random.random() < 0.3:
            shelf.kept.resize(random.choice(entries), random.randint(1, 90))
        assert shelf.kept.size_bytes == sum(it.size_bytes for it in entries if it.is_kept) <= 500
    assert len(shelf.gone) == len(set(shelf.gone)) == sum(not it.is_kept for it in entries)
