"""Traces: context in, context out, spans only where an exporter is."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.observe import traces

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def header(trace: traces.RequestTrace) -> str:
    return dict(trace.upstream_headers)["traceparent"]


def test_a_callers_trace_goes_on_with_a_span_of_ours() -> None:
    trace = traces.begin(f"00-{TRACE}-{PARENT}-01".encode(), b"vendor=1")
    assert trace.trace_id == TRACE
    assert trace.request_id != PARENT
    assert header(trace) == f"00-{TRACE}-{trace.request_id}-01"
    assert ("tracestate", "vendor=1") in trace.upstream_headers
    trace.end("OK", 200)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense",
        b"",
        f"ff-{TRACE}-{PARENT}-01".encode(),
        f"00-{'0' * 32}-{PARENT}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE.upper()}-{PARENT}-01".encode(),
        f"00-{TRACE}-{PARENT}-01\r\nx: y".encode(),
        f"00-{TRACE}-{PARENT}-01-{'a' * 200}".encode(),
    ],
)
def test_an_invalid_context_begins_a_new_trace(sent: bytes) -> None:
    trace = traces.begin(sent, b"vendor=1")
    assert trace.trace_id != TRACE
    assert len(trace.trace_id) == 32
    assert trace.upstream_headers == (("traceparent", f"00-{trace.trace_id}-{trace.request_id}-00"),)


def test_a_tracestate_that_is_too_long_or_odd_is_dropped() -> None:
    for state in (b"x" * 513, b"\xff"):
        assert len(traces.begin(f"00-{TRACE}-{PARENT}-00".encode(), state).upstream_headers) == 1


def test_ids_differ_between_requests() -> None:
    assert len({traces.begin().request_id for _ in range(100)}) == 100
    assert traces.new_id() != traces.new_id()


def test_without_an_exporter_a_span_is_nothing() -> None:
    with traces.span("compile", product="a/b") as span:
        assert span is None
    assert traces.span("one") is traces.span("two")


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = traces.configure("off", exporter=exporter)
    yield exporter
    stop()


def test_with_an_exporter_the_spans_form_a_tree(exported: InMemorySpanExporter) -> None:
    stop = traces.configure("off", exporter=exported)
    trace = traces.begin(f"00-{TRACE}-{PARENT}-01".encode())
    with traces.span("upstream read", product="a/b"):
        pass
    trace.end("OK", 200)
    trace.end("OK", 200)
    stop()
    child, request = exported.get_finished_spans()
    assert (request.name, child.name) == ("request", "upstream read")
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert f"{request.context.trace_id:032x}" == TRACE == trace.trace_id
    assert child.parent is not None
    assert child.parent.span_id == request.context.span_id
    assert header(trace) == f"00-{TRACE}-{request.context.span_id:016x}-01"
    assert dict(request.attributes or {}) == {"meshgate.code": "OK", "http.response.status_code": 200}
    assert dict(child.attributes or {}) == {"meshgate.product": "a/b"}


def test_with_an_exporter_a_new_trace_begins_where_none_was_sent(exported: InMemorySpanExporter) -> None:
    trace = traces.begin()
    assert header(trace).startswith(f"00-{trace.trace_id}-")
    trace.end("OK", 200)


def test_off_stops_what_was_on() -> None:
    traces.configure("off", exporter=InMemorySpanExporter())
    traces.configure("off")()
    assert traces.span("x") is traces.span("y")


def test_console_is_an_exporter() -> None:
    traces.configure("console")()


def test_otlp_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(RuntimeError, match="opentelemetry-exporter-otlp-proto-http"):
        traces.configure("otlp")
