"""What each form makes of each type, of nulls, and of text that spreadsheets would run."""

from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from gateway.exchange import Form

from .depot import depot, row

UTC = dt.UTC
FULL = row(
    1,
    partner_id=1,
    name='Zoë "日本", 😀\nline',
    mail="ann@example.com",
    price=Decimal("12345678901234567890.000000001"),
    at=dt.datetime(2026, 11, 1, 8, 0, 0, 5, tzinfo=UTC),
    exact_at="2026-11-01T08:00:00.000000001Z",
    local=dt.datetime(2026, 11, 1, 8),
    day=dt.date(2026, 11, 1),
    hour=dt.time(23, 59, 59, 1),
    count=2**62,
    ratio=0.1,
    open=True,
    raw="AAE=",
    doc={"a": [1, None]},
    free=Decimal("1.50"),
    grade="A",
    tags=["x", "y,z"],
    prices=[Decimal("1.50"), None],
    labels={"k": 1},
    place={"street": "a", "fee": Decimal("0.10")},
)
COLUMNS = (
    "id name mail price at exactAt local day hour count ratio open raw doc free grade tags prices labels place { street fee } "
    "partner { name partner { id } }"
)
TEXT = f"{{ depot {{ items {{ nodes {{ {COLUMNS} }} }} }} }}"


async def test_csv_of_every_type() -> None:
    mesh = await depot([FULL, row(2)])
    head, first, second, end = (await mesh.body(TEXT, Form.CSV)).decode().split("\r\n")
    assert head == (
        "id,name,mail,price,at,exactAt,local,day,hour,count,ratio,open,raw,doc,free,grade,tags,prices,labels,place,partner.name,partner.partner.id"
    )
    name = '"Zoë ""日本"", 😀\nline"'
    assert first == ",".join(
        (
            "1",
            name,
            '"a***@example.com"',
            "12345678901234567890.000000001",
            "2026-11-01T08:00:00.000005Z",
            '"2026-11-01T08:00:00.000000001Z"',
            "2026-11-01T08:00:00",
            "2026-11-01",
            "23:59:59.000001",
            str(2**62),
            "0.1",
            "true",
            '"AAE="',
            '"{""a"":[1,null]}"',
            "1.500000000",
            '"A"',
            '"[""x"",""y,z""]"',
            '"[""1.50"",null]"',
            '"{""k"":1}"',
            '"{""street"":""a"",""fee"":""0.10""}"',
            name,
            "1",
        )
    )
    assert second == "2" + "," * 21
    assert end == ""


async def test_csv_without_rows_has_its_header_line() -> None:
    mesh = await depot([])
    assert await mesh.body("{ depot { items { nodes { id n: name } } } }", Form.CSV) == b"id,n\r\n"


async def test_csv_keeps_null_and_empty_text_apart() -> None:
    mesh = await depot([row(1, name=""), row(2)])
    assert await mesh.body("{ depot { items { nodes { name id } } } }", Form.CSV) == b'name,id\r\n"",1\r\n,2\r\n'


async def test_csv_of_one_column_has_no_empty_lines_which_readers_pass_over() -> None:
    mesh = await depot([row(1, name=""), row(2), row(3, name="c")])
    assert await mesh.body("{ depot { items { nodes { name } } } }", Form.CSV) == b'name\r\n""\r\n""\r\n"c"\r\n'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
async def test_text_that_starts_a_formula_gets_an_apostrophe_unless_the_exact_form_is_asked_for(start: str) -> None:
    mesh = await depot([row(1, name=f"{start}1+1", price=Decimal(-1), mail=f"{start}cmd@example.com")])
    text = "{ depot { items { nodes { name price mail } } } }"
    defused, exact = (await mesh.body(text, Form.CSV)).decode(), (await mesh.body(text, Form.CSV_EXACT)).decode()
    assert defused.startswith(f'name,price,mail\r\n"\'{start}1+1",-1.000000000,"')
    assert exact.startswith(f'name,price,mail\r\n"{start}1+1",-1.000000000,"')


async def test_arrow_of_every_type() -> None:
    mesh = await depot([FULL, row(2)])
    table = pa.ipc.open_stream(io.BytesIO(await mesh.body(TEXT, Form.ARROW))).read_all()
    assert {field.name: str(field.type) for field in table.schema} == {
        "id": "int32",
        "name": "string",
        "mail": "string",
        "price": "decimal128(38, 9)",
        "at": "timestamp[us, tz=UTC]",
        "exactAt": "string",
        "local": "timestamp[us]",
        "day": "date32[day]",
        "hour": "time64[us]",
        "count": "int64",
        "ratio": "double",
        "open": "bool",
        "raw": "binary",
        "doc": "string",
        "free": "string",
        "grade": "string",
        "tags": "list<item: string>",
        "prices": "list<item: decimal128(10, 2)>",
        "labels": "string",
        "place": "struct<street: string, fee: decimal128(10, 2)>",
        "partner.name": "string",
        "partner.partner.id": "int32",
    }
    first, second = table.to_pylist()
    assert first["price"] == FULL["price"]
    assert first["at"] == FULL["at"]
    assert first["local"] == FULL["local"]
    assert first["hour"] == FULL["hour"]
    assert first["raw"] == b"\x00\x01"
    assert first["prices"] == FULL["prices"]
    assert first["place"] == FULL["place"]
    assert first["mail"] == "a***@example.com"
    assert json.loads(first["doc"]) == FULL["doc"]
    assert json.loads(first["labels"]) == FULL["labels"]
    assert first["free"] == "1.500000000"
    assert first["partner.name"] == FULL["name"]
    assert {name: value for name, value in second.items() if value is not None} == {"id": 2}


async def test_arrow_holds_its_receipts_and_ends_with_the_number_of_rows() -> None:
    mesh = await depot([row(number, mail="ann@example.com") for number in range(25)])
    last: Any = None
    with pa.ipc.open_stream(await mesh.body("{ depot { items(first: 100) { nodes { mail } } } }", Form.ARROW)) as reader:
        about = reader.schema.metadata
        for batch, found in reader.iter_batches_with_custom_metadata():
            last = (batch.num_rows, found)
    assert last[0] == 0
    assert json.loads(last[1][b"mesh.end"]) == {"rows": 25, "hasNextPage": False}
    assert json.loads(about[b"mesh.masked"])[0]["path"] == "depot.items.nodes.mail"
    assert json.loads(about[b"mesh.slo"])["status"] == "UNKNOWN"


async def test_where_pyarrow_is_not_installed_arrow_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = await depot([row(1)])

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("gateway.engine.forms.arrow_stream.import_module", missing)
    code, message = await mesh.code(TEXT, Form.ARROW)
    assert (code, message) == ("NOT_ACCEPTABLE", "This gateway writes no Arrow.")


@pytest.mark.parametrize("key", ["end", "error"])
async def test_json_lines_that_would_read_as_the_last_line_are_refused(key: str) -> None:
    mesh = await depot([row(1)])
    code, message = await mesh.code(f"{{ depot {{ items {{ nodes {{ {key}: name }} }} }} }}")
    assert (code, key in message) == ("NOT_ACCEPTABLE", True)
    assert (await mesh.lines(f"{{ depot {{ items {{ nodes {{ {key}: name id }} }} }} }}"))[0] == {key: None, "id": 1}


async def test_json_lines_are_the_nodes_of_the_json_answer() -> None:
    mesh = await depot([FULL])
    line, _ = await mesh.lines("{ depot { items { nodes { count partner { place { fee } } __typename } } } }")
    assert line == {"count": 2**62, "partner": {"place": {"fee": "0.10"}}, "__typename": "DepotItems"}
