"""OpenTelemetry traces: request, run, node. Without an exporter every span is a no-op of the API package.

The trace of a request travels in the run's configurable, from the host that accepted it to the worker that executes it.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ._version import __version__

logger = logging.getLogger(__name__)

_PROPAGATOR = TraceContextTextMapPropagator()
# How a W3C header is called in a run's configurable. Nobody can send these: they are taken out of requests.
_KEYS = {"traceparent": "__otel_traceparent__", "tracestate": "__otel_tracestate__"}
_EXPORTERS = "OTEL_TRACES_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def configure(service: str) -> None:
    """Export spans where the usual OTEL_… variables say so; leave a provider alone that is there already."""
    named = os.environ.get(_EXPORTERS, "")
    if not (named or any(os.environ.get(name) for name in _ENDPOINTS)) or named == "none":
        return
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporters = [_exporter(name.strip()) for name in (named or "otlp").split(",")]
    except (ImportError, LookupError) as error:
        logger.warning("Traces are not exported: %s. Install them: pip install 'jupyter-lgnb[otel]'", error)
        return
    os.environ.setdefault("OTEL_SERVICE_NAME", service)
    provider = TracerProvider(resource=Resource.create())
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def shut_down() -> None:
    """Send what has not been sent yet."""
    stop = getattr(trace.get_tracer_provider(), "force_flush", None)
    if stop is not None:
        stop(2000)


def is_traced() -> bool:
    """Whether anybody sees the spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


def begin_request(name: str, headers: Mapping[str, str], attributes: Mapping[str, str]) -> Span:
    """The span of a request to the API, below that of its caller."""
    return _tracer().start_span(name, _PROPAGATOR.extract(headers), kind=SpanKind.SERVER, attributes=attributes)


def end_request(span: Span, status: int) -> None:
    """End it with the status of the answer."""
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def passed_on(span: Span | None, headers: Mapping[str, str]) -> dict[str, str]:
    """What a run's configurable carries of a trace: that of the span, or of the caller where there is none."""
    carrier: dict[str, str] = {}
    if span is not None and span.get_span_context().is_valid:
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
    else:
        _PROPAGATOR.inject(carrier, _PROPAGATOR.extract(headers))
    return {_KEYS[name]: value for name, value in carrier.items() if name in _KEYS}


def begin_run(name: str, configurable: Mapping[str, Any], attributes: Mapping[str, str | int]) -> Span:
    """The span of one attempt of a run, below that of the request that created it."""
    carrier = {name: str(configurable[key]) for name, key in _KEYS.items() if configurable.get(key)}
    return _tracer().start_span(name, _PROPAGATOR.extract(carrier), kind=SpanKind.CONSUMER, attributes=attributes)


def fail(span: Span, error: BaseException) -> None:
    """Say in a span what went wrong. Only the kind of the error: its text may hold what the user said."""
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
    span.set_attribute("error.type", type(error).__name__)


class Current:
    """Makes a span the current one within a `with`, so that spans of the user's code come below it."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        self._token = context.attach(trace.set_span_in_context(self._span))

    def __exit__(self, *exception: object) -> None:
        context.detach(self._token)


class NodeSpans:
    """The spans of a run's nodes, by the ids that LangChain's callbacks give them."""

    def __init__(self, run: Span) -> None:
        self._run = run
        self._open: dict[UUID, Span] = {}

    def begin(self, call_id: UUID, parent_id: UUID | None, name: str, attributes: Mapping[str, str | int]) -> None:
        above = self._open.get(parent_id) if parent_id is not None else None
        # Between two nodes are calls without a span, such as that of a subgraph.
        parent = trace.set_span_in_context(above or self._run)
        self._open[call_id] = _tracer().start_span(name, parent, attributes=attributes)

    def adopt(self, call_id: UUID, parent_id: UUID | None) -> None:
        """A call that has no span of its own stands for that of its parent."""
        if parent_id is not None and parent_id in self._open:
            self._open[call_id] = self._open[parent_id]

    def end(self, call_id: UUID, *, own: bool, error: BaseException | None = None) -> None:
        span = self._open.pop(call_id, None)
        if span is None or not own:
            return
        if error is not None:
            fail(span, error)
        span.end()


def _tracer() -> trace.Tracer:
    return trace.get_tracer("lgnb", __version__)


def _exporter(name: str) -> Any:
    """An exporter by the name that OTEL_TRACES_EXPORTER gives it; raises LookupError when it is not installed."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    wanted = ("otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http") if name == "otlp" else name
    for entry in importlib.metadata.entry_points(group="opentelemetry_traces_exporter", name=wanted):
        return entry.load()()
    raise LookupError(f"there is no exporter {name!r}")
