"""Traces: W3C trace context in and out, OpenTelemetry spans where an exporter is set up, next to nothing where none is.

Attributes of spans are bound by the same rule as log lines: names, codes, counts; never values.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer
from opentelemetry.trace.propagation import set_span_in_context

__all__ = ["RequestTrace", "begin", "configure", "new_id", "span"]

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_TRACESTATE_MAX = 512
_ids: Callable[[int], int] = random.Random(os.urandom(16)).getrandbits  # noqa: S311 - ids need to differ, not to be secret
_tracer: Tracer | None = None
_NO_SPAN: AbstractContextManager[Span | None] = contextlib.nullcontext()


class RequestTrace:
    """One request in its trace. ``request_id``: also the id of its span, so that it is found in upstreams' logs."""

    __slots__ = ("_entered", "_span", "request_id", "trace_id", "upstream_headers")

    def __init__(self, trace_id: str, request_id: str, upstream_headers: tuple[tuple[str, str], ...], span: Span | None = None) -> None:
        self.trace_id = trace_id
        self.request_id = request_id
        self.upstream_headers = upstream_headers
        self._span = span
        self._entered: AbstractContextManager[Span] | None = None
        if span is not None:
            self._entered = trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False)
            self._entered.__enter__()

    def end(self, code: str, status: int) -> None:
        """End the request's span with its outcome."""
        if self._span is not None and self._entered is not None:
            self._span.set_attribute("meshgate.code", code)
            self._span.set_attribute("http.response.status_code", status)
            self._entered.__exit__(None, None, None)
            self._entered = None


def configure(where: str, *, exporter: SpanExporter | None = None) -> Callable[[], None]:
    """Send spans ``where`` the settings say (``off``, ``console``, ``otlp``), or to ``exporter``. Returns what flushes and stops it.

    Raises: RuntimeError, when ``otlp`` is asked for and its exporter is not installed.
    """
    global _tracer  # noqa: PLW0603 - tracing belongs to the process, as in OpenTelemetry itself
    if exporter is None and where == "off":
        _tracer = None
        return lambda: None
    provider = TracerProvider(resource=Resource.create({"service.name": "meshgate"}))
    provider.add_span_processor(BatchSpanProcessor(exporter or _exporter(where)))
    _tracer = provider.get_tracer("meshgate")

    def stop() -> None:
        global _tracer  # noqa: PLW0603  # as above
        _tracer = None
        provider.shutdown()

    return stop


def begin(traceparent: bytes | None = None, tracestate: bytes | None = None) -> RequestTrace:
    """Begin a request in the caller's trace, or in a new one when it sent none that is valid."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None and len(traceparent) < 128 else None
    parent = (found[1].decode(), found[2].decode(), int(found[3], 16) & 1) if found is not None else None
    if _tracer is not None:
        return _traced(_tracer, parent)
    trace_id = parent[0] if parent is not None else f"{_ids(128) | 1:032x}"
    request_id = new_id()
    header = ("traceparent", f"00-{trace_id}-{request_id}-0{parent[2] if parent is not None else 0}")
    if parent is not None and tracestate is not None and len(tracestate) <= _TRACESTATE_MAX and tracestate.isascii():
        return RequestTrace(trace_id, request_id, (header, ("tracestate", tracestate.decode())))
    return RequestTrace(trace_id, request_id, (header,))


def new_id() -> str:
    """Make an id for a request that is part of no trace."""
    return f"{_ids(64) | 1:016x}"


def span(name: str, **attributes: str | float | bool) -> AbstractContextManager[Span | None]:
    """Open a span below the current one; enter it with ``with``. Without an exporter nothing happens."""
    if _tracer is None:
        return _NO_SPAN
    named = {f"meshgate.{key}": value for key, value in attributes.items()}
    return _tracer.start_as_current_span(name, attributes=named, record_exception=False, set_status_on_exception=False)


def _traced(tracer: Tracer, parent: tuple[str, str, int] | None) -> RequestTrace:
    context: Any = None
    if parent is not None:
        remote = SpanContext(int(parent[0], 16), int(parent[1], 16), is_remote=True, trace_flags=TraceFlags(parent[2]))
        context = set_span_in_context(NonRecordingSpan(remote))
    opened = tracer.start_span("request", context=context, kind=SpanKind.SERVER)
    own = opened.get_span_context()
    trace_id, span_id = f"{own.trace_id:032x}", f"{own.span_id:016x}"
    return RequestTrace(trace_id, span_id, (("traceparent", f"00-{trace_id}-{span_id}-{int(own.trace_flags):02x}"),), opened)


def _exporter(where: str) -> SpanExporter:
    if where == "console":
        return ConsoleSpanExporter()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # type: ignore[import-not-found,unused-ignore]  # an extra, which may be installed
    except ImportError:
        raise RuntimeError("observe.traces is otlp: install opentelemetry-exporter-otlp-proto-http, or set it to off") from None
    exporter: SpanExporter = OTLPSpanExporter()
    return exporter
