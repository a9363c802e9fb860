"""A level-0 endpoint is asked in its own spelling, and only for what the contract says it can do (SPEC B2)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, Metadata, OutputPort, Times
from contracts.objectives import Objectives
from contracts.predicates import And, Compare, Not, Operator, Or
from domain_adapters.errors import PortCannotError, ReadInvalidError
from domain_adapters.level0 import KEYS_MAX, TARGET_MAX, Dialect, spelling_of
from domain_adapters.port import Aggregate, Call, Capabilities, GroupBy, Keys, Order, Read, calls_of, chunks_of

TEXT = Scalar(Kind.STRING)
LOOKUP = (("order_id", "orderId=in:({keys})"), ("email", "q=mail eq '{keys}'"), ("tenant", "kind=tenant&ids={keys}"))
FILTERS = (
    ("status", (("in", "status={values}"), ("eq", "status={value}"), ("resembles", "x={value}"))),
    ("amount", (("gte", "minAmount={value}"), ("in", "amount={value}"))),
)


def contract(*, updated: str | None = "updated_at", **port: Any) -> Contract:
    return Contract(
        metadata=Metadata(name="payments", domain="payment", owner="o@example.com", version="1.0.0"),
        fields=(Field("order_id", TEXT), Field("paid_at_time", TEXT), Field("note", TEXT, physical_name="REMARK"), Field("x__y", TEXT)),
        objectives=Objectives(),
        times=Times(updated=updated),
        output_ports=(OutputPort(type="rest-api", path="/payments", **port),),
    )


def dialect(**port: Any) -> Dialect:
    found = contract(**port)
    return Dialect.of(found, found.output_ports[0], "/payments")


def asked(target: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True, strict_parsing=True))


def keys(column: str, *values: Any) -> Keys:
    return Keys((column,), tuple((value,) for value in values))


def test_since_is_always_sent() -> None:
    assert dialect().target(Read(limit=5)) == "/payments?since=1970-01-01T00:00:00Z&limit=5"
    assert asked(dialect().target(Read(since="2026-01-01T00:00:00Z")))["since"] == "2026-01-01T00:00:00Z"


def test_limit_stays_within_a_page() -> None:
    assert asked(dialect().target(Read()))["limit"] == "1000"
    assert asked(dialect().target(Read(limit=1_000_000)))["limit"] == "1000"
    with pytest.raises(ReadInvalidError):
        dialect().target(Read(limit=0))


def test_parameters_take_the_endpoints_names() -> None:
    spelt = dialect(params=(("since", "updated after"), ("limit", "size"), ("cursor", "page")))
    assert spelt.target(Read(limit=2, cursor="a/b+c=&d")) == "/payments?updated%20after=1970-01-01T00:00:00Z&size=2&page=a/b%2Bc%3D%26d"


def test_a_path_with_a_query_is_continued() -> None:
    found = contract()
    target = Dialect.of(found, found.output_ports[0], "/payments?tenant=a").target(Read(limit=1))
    assert target.startswith("/payments?tenant=a&since=")


def test_keys_fill_the_declared_template() -> None:
    target = dialect(lookup=LOOKUP).target(Read(keys=keys("order_id", "O1", "O 2", "Ö&3")))
    assert target.endswith("&orderId=in:(O1,O%202,%C3%96%263)")
    assert asked(target)["orderId"] == "in:(O1,O 2,Ö&3)"


def test_a_template_may_hold_several_parameters() -> None:
    assert asked(dialect(lookup=LOOKUP).target(Read(keys=keys("tenant", 1, 2)))) == {
        "since": "1970-01-01T00:00:00Z",
        "limit": "1000",
        "kind": "tenant",
        "ids": "1,2",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (Decimal("1E+3"), "1000"),
        (Decimal("12.50"), "12.50"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(1, 2, 3), "01:02:03"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05Z"),
        ("a=b#c%d", "a=b#c%d"),
    ],
)
def test_values_are_spelt_plainly_and_encoded(value: Any, text: str) -> None:
    assert asked(dialect(filters=FILTERS).target(Read(where=Compare("status", Operator.EQ, value))))["status"] == text


def test_filters_fill_their_templates() -> None:
    where = And((Compare("status", Operator.IN, ("A", "B")), Compare("amount", Operator.GTE, Decimal("1.5"))))
    found = asked(dialect(filters=FILTERS).target(Read(where=where)))
    assert (found["status"], found["minAmount"]) == ("A,B", "1.5")


@pytest.mark.parametrize(
    "read",
    [
        Read(keys=keys("note", "x")),
        Read(keys=Keys(("order_id", "note"), (("a", "b"),))),
        Read(where=Compare("status", Operator.NE, "A")),
        Read(where=Compare("note", Operator.EQ, "A")),
        Read(where=Compare("status", Operator.EQ, None)),
        Read(where=Compare("status", Operator.IN, ())),
        Read(where=Compare("amount", Operator.IN, (1, 2))),
        Read(where=Compare("status", Operator.IN, ("a,b", "c"))),
        Read(where=Or((Compare("status", Operator.EQ, "A"), Compare("status", Operator.EQ, "B")))),
        Read(where=Not(Compare("status", Operator.EQ, "A"))),
        Read(order_by=(Order("order_id"),)),
        Read(limit_per_key=2, keys=keys("order_id", "a")),
        Read(aggregates=(Aggregate("count", None, "n"),)),
        Read(group_by=(GroupBy("status"),)),
        Read(having=Compare("n", Operator.GT, 1)),
        Read(count=True),
    ],
    ids=repr,
)
def test_what_the_contract_does_not_spell_is_refused(read: Read) -> None:
    with pytest.raises(PortCannotError) as caught:
        dialect(lookup=LOOKUP, filters=FILTERS).target(read)
    assert "a,b" not in str(caught.value)


def test_a_value_cannot_leave_the_quotes_of_a_template() -> None:
    spelt = dialect(lookup=LOOKUP)
    assert asked(spelt.target(Read(keys=keys("email", "a@example.com"))))["q"] == "mail eq 'a@example.com'"
    with pytest.raises(PortCannotError) as caught:
        spelt.target(Read(keys=keys("email", "x' or 1 eq 1 or '")))
    assert "1 eq 1" not in str(caught.value)


@pytest.mark.parametrize("wanted", [Keys(("order_id",), ()), keys("order_id", "a", None)])
def test_a_lookup_without_keys_or_with_null_is_no_read(wanted: Keys) -> None:
    with pytest.raises(ReadInvalidError):
        dialect(lookup=LOOKUP).target(Read(keys=wanted))


def test_splitting_leaves_out_nulls_and_repeats_and_sends_ambiguous_keys_alone() -> None:
    reads = dialect(lookup=LOOKUP).split(Read(keys=keys("order_id", "a", None, "b,c", "a", "d", "e)")))
    assert [read.keys for read in reads] == [keys("order_id", "a", "d"), keys("order_id", "b,c"), keys("order_id", "e)")]


@pytest.mark.parametrize("values", [("a",), ("a", "b"), ("a b", "c&d=e", "é"), (1, dt.date(2026, 1, 2), Decimal("1.50"))])
@pytest.mark.parametrize("column", ["order_id", "email", "tenant"])
def test_keys_that_were_written_while_splitting_are_spelt_as_keys_that_were_not(column: str, values: tuple[Any, ...]) -> None:
    spelt = dialect(lookup=LOOKUP)
    (read,) = spelt.split(Read(keys=keys(column, *values), limit=7))
    assert read.keys is not None
    assert read.keys.text is not None
    assert spelt.target(read) == spelt.target(Read(keys=keys(column, *values), limit=7))


def test_keys_that_were_written_while_splitting_cannot_end_a_quoted_place_either() -> None:
    spelt = dialect(lookup=LOOKUP)
    (read,) = spelt.split(Read(keys=keys("email", "a' or 'b")))
    with pytest.raises(PortCannotError, match="quote"):
        spelt.target(read)


def test_splitting_bounds_number_of_keys_and_length_of_url() -> None:
    spelt = dialect(lookup=LOOKUP)
    short = spelt.split(Read(keys=keys("order_id", *range(KEYS_MAX * 2 + 1))))
    assert [len(read.keys.values) for read in short if read.keys] == [KEYS_MAX, KEYS_MAX, 1]
    wide = spelt.split(Read(keys=keys("order_id", *("é" * 100 + str(number) for number in range(100)))))
    assert all(len(spelt.target(read)) < TARGET_MAX + 100 for read in wide)
    assert sum(len(read.keys.values) for read in wide if read.keys) == 100


def test_unsplit_keys_that_make_too_long_a_url_are_refused() -> None:
    with pytest.raises(ReadInvalidError, match="too long"):
        dialect(lookup=LOOKUP).target(Read(keys=keys("order_id", *(f"{number:050}" for number in range(KEYS_MAX)))))


def test_nothing_to_split_stays_whole() -> None:
    spelt = dialect(lookup=LOOKUP)
    assert spelt.split(Read(limit=3)) == (Read(limit=3),)
    following = Read(keys=keys("order_id", "a"), cursor="next")
    assert spelt.split(following) == (following,)
    assert spelt.split(Read(keys=keys("order_id", None))) == ()
    with pytest.raises(PortCannotError):
        spelt.split(Read(keys=keys("note", "a")))


def test_capabilities_are_what_the_contract_declares() -> None:
    can = dialect(lookup=LOOKUP, filters=FILTERS).capabilities
    assert (can.level, can.since, can.keys, can.order_by, can.count, can.limit_per_key) == (0, True, True, False, False, False)
    assert can.key_columns == frozenset((("order_id",), ("email",), ("tenant",)))
    assert can.operators == {Operator.IN}
    assert can.tests("status", Operator.EQ)
    assert not can.tests("amount", Operator.EQ)
    bare = dialect(updated=None).capabilities
    assert (bare.since, bare.keys, bare.operators) == (False, False, frozenset())


def test_a_regular_port_tests_every_operator_on_every_filter_column() -> None:
    can = Capabilities(operators=frozenset((Operator.EQ,)), filter_columns=frozenset("a"))
    assert [can.tests("a", Operator.EQ), can.tests("b", Operator.EQ), can.tests("a", Operator.NE)] == [True, False, False]
    assert Capabilities(operators=frozenset((Operator.EQ,))).tests("b", Operator.EQ)


def test_columns_are_spelt_by_physical_name_else_by_naming() -> None:
    camel, plain = contract(naming="camelCase"), contract()
    assert spelling_of(camel, camel.output_ports[0]) == {
        "order_id": "orderId",
        "paid_at_time": "paidAtTime",
        "note": "REMARK",
        "x__y": "xY",
    }
    assert spelling_of(plain, plain.output_ports[0])["paid_at_time"] == "paid_at_time"


def test_ports_that_do_not_split_are_chunked_by_number_of_keys() -> None:
    class Plain:
        name = "plain"
        capabilities = Capabilities(keys=True, keys_max=2)
        spelling: ClassVar[dict[str, str]] = {}

        async def read(self, read: Read, call: Call) -> bytes:
            return b"{}"

        async def slo(self, call: Call) -> bytes:
            return b"{}"

        async def aclose(self) -> None:
            return

    plain: Any = Plain()
    reads = calls_of(plain, Read(keys=keys("a", 1, 2, 1, 3)))
    assert [read.keys for read in reads] == [keys("a", 1, 2), keys("a", 3)]
    assert chunks_of(Read(limit=1), 2) == (Read(limit=1),)
