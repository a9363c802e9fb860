"""Who used what, counted within bounds."""

import datetime as dt

from gateway.observe.usage import OTHER, UNNAMED, Usage, Used, merged, users_of

DAY = dt.date(2026, 11, 23)


def _noted(usage: Usage, client: str | None, shape: str, *fields: str, day: dt.date = DAY) -> None:
    if not usage.note(day, client, shape):
        usage.describe(shape, fields, operation=f"Op{shape}")


def test_requests_are_counted_by_client_shape_and_day() -> None:
    usage = Usage()
    for client, shape, day in [("a", "1", DAY), ("a", "1", DAY), ("b", "1", DAY), (None, "2", DAY), ("a", "1", DAY + dt.timedelta(1))]:
        _noted(usage, client, shape, f"order/orders.c{shape}", day=day)
    assert usage.read() == [
        Used(DAY, "a", "1", 2, ("order/orders.c1",), "Op1"),
        Used(DAY, "b", "1", 1, ("order/orders.c1",), "Op1"),
        Used(DAY, UNNAMED, "2", 1, ("order/orders.c2",), "Op2"),
        Used(DAY + dt.timedelta(1), "a", "1", 1, ("order/orders.c1",), "Op1"),
    ]


def test_fields_that_values_name_are_added_to_the_shape() -> None:
    usage = Usage()
    _noted(usage, "a", "1", "p.x")
    usage.describe("1", {"p.y"})
    (one,) = usage.read()
    assert (one.fields, one.operation) == (("p.x", "p.y"), "Op1")
    assert users_of(usage.read(), "p.y") == [one]
    assert users_of(usage.read(), "p.z") == []


def test_clients_beyond_the_bound_are_counted_together() -> None:
    usage = Usage(clients_max=4)
    for number in range(10):
        _noted(usage, f"client-{number}", "1", "p.x")
    found = {one.client: one.requests for one in usage.read()}
    assert found == {"client-0": 1, "client-1": 1, OTHER: 8}


def test_shapes_beyond_the_bound_are_counted_together_with_all_their_fields() -> None:
    usage = Usage(shapes_max=2)
    for number in range(6):
        _noted(usage, "a", str(number), f"p.c{number}")
    found = {one.shape: (one.requests, one.fields) for one in usage.read()}
    assert found == {"0": (1, ("p.c0",)), "1": (1, ("p.c1",)), OTHER: (4, ("p.c2", "p.c3", "p.c4", "p.c5"))}


def test_what_nobody_noted_is_not_described() -> None:
    usage = Usage()
    usage.describe("1", ("p.x",))
    assert usage.read() == []


def test_a_full_count_names_no_further_clients() -> None:
    usage = Usage(entries_max=2)
    for number in range(6):
        _noted(usage, f"client-{number}", "1")
    assert sum(one.requests for one in usage.read()) == 6
    assert {one.client for one in usage.read()} == {"client-0", "client-1", "client-2", "client-3", OTHER}


def test_old_days_lose_their_clients_first_and_then_go() -> None:
    usage = Usage(entries_max=6, days_max=3)
    for day in range(3):
        for client in "abc":
            _noted(usage, client, "1", "p.x", day=DAY + dt.timedelta(day))
    usage.tidy()
    assert [(one.day.day, one.client, one.requests) for one in usage.read()] == [
        (23, OTHER, 3),
        (24, OTHER, 3),
        (25, "a", 1),
        (25, "b", 1),
        (25, "c", 1),
    ]
    for day in range(3, 5):
        _noted(usage, "a", "2", "p.y", day=DAY + dt.timedelta(day))
    usage.tidy()
    assert sorted({one.day.day for one in usage.read()}) == [25, 26, 27]


def test_days_go_where_there_is_nothing_left_to_put_together() -> None:
    usage = Usage(entries_max=1, days_max=90)
    for day in range(3):
        _noted(usage, "a", str(day), f"p.c{day}", day=DAY + dt.timedelta(day))
    usage.tidy()
    assert [one.day for one in usage.read()] == [DAY + dt.timedelta(2)]
    # A shape that nobody uses any more is forgotten, and a client makes room for another.
    assert not usage.note(DAY + dt.timedelta(2), "a", "0")


def test_counts_of_several_processes_are_put_together() -> None:
    one, other = Usage(), Usage()
    _noted(one, "a", "1", "p.x")
    _noted(other, "a", "1", "p.y")
    _noted(other, "b", "1", "p.y")
    assert merged(one.read(), other.read()) == [Used(DAY, "a", "1", 2, ("p.x", "p.y"), "Op1"), Used(DAY, "b", "1", 1, ("p.y",), "Op1")]
