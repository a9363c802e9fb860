"""Logs: JSON lines that hold codes and names, and nothing that an exception or argument quotes."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway.observe import logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logs.LOGGER.level
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logs.LOGGER.setLevel(before[2])


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_fields(written: io.StringIO) -> None:
    logs.event("request", code="OK", products=("a/b",))
    (line,) = lines(written)
    assert line["event"] == "request"
    assert line["code"] == "OK"
    assert line["products"] == ["a/b"]
    assert line["level"] == "info"
    assert str(line["time"]).endswith("Z")


def test_events_below_the_level_are_not_written(written: io.StringIO) -> None:
    logs.event("detail", level=logging.DEBUG)
    assert lines(written) == []


def test_a_fault_names_types_and_frames_and_never_the_message(written: io.StringIO) -> None:
    try:
        try:
            raise KeyError("customer@example.com")
        except KeyError as error:
            raise ValueError("token eyJhbGci") from error
    except ValueError as error:
        logs.fault("request_failed", error, request_id="1")
    assert "customer@" not in written.getvalue()
    assert "eyJ" not in written.getvalue()
    (line,) = lines(written)
    described = line["exception"]
    assert isinstance(described, dict)
    assert described["type"] == "builtins.ValueError"
    assert described["cause"] == "builtins.KeyError"
    assert any("test_logs.py" in frame for frame in described["frames"])


def test_a_suppressed_context_is_no_cause(written: io.StringIO) -> None:
    try:
        try:
            raise KeyError
        except KeyError:
            raise ValueError from None
    except ValueError as error:
        logs.fault("request_failed", error)
    described = lines(written)[0]["exception"]
    assert isinstance(described, dict)
    assert "cause" not in described


def test_other_libraries_are_heard_from_warnings_up_without_their_arguments(written: io.StringIO) -> None:
    other = logging.getLogger("some.library")
    other.info("hello")
    other.warning("cannot parse %s", "customer@example.com")
    (line,) = lines(written)
    assert line["event"] == "cannot parse %s"
    assert line["logger"] == "some.library"


def test_a_pseudonym_is_stable_under_its_key_and_tells_nothing() -> None:
    name = logs.Pseudonym(b"k" * 32)
    assert name("alice") == name("alice") != name("bob")
    assert name("alice") != logs.Pseudonym(b"l" * 32)("alice")
    assert len(name("alice")) == 16
