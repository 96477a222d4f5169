"""What an operator sees: figures, events and traces of runs, while a test plays the worker."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.graph import END, START, StateGraph
from lgnb_server.monitoring import RUN_EVENTS, THREAD_EVENTS
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from typing_extensions import TypedDict

from lgnb import telemetry
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.graphs.sources import GraphSource
from lgnb.models.runs import ClaimedRun, RunOutcome
from lgnb.worker.execution import Ending, Execution
from lgnb.worker.inputs import input_of

_GRAPH = "sums"


@pytest.fixture
async def served(jupyter: Any) -> Any:
    """The server with a graph, and a worker that has a lease."""
    resources = jupyter.extension.host.resources
    await resources.assistants.register(GraphDescriptor(graph_id=_GRAPH, name=_GRAPH))
    jupyter.extension.worker_id = uuid4()
    await resources.leases.register(jupyter.extension.worker_id, host_name="here", pid=1, graph_ids=[_GRAPH], jobs=10)
    return jupyter


async def _claim(served: Any) -> ClaimedRun:
    leases = served.extension.host.resources.leases
    (claimed,) = await leases.claim(served.extension.worker_id, graph_ids=[_GRAPH], limit=10)
    return claimed


async def _end(served: Any, claimed: ClaimedRun, status: Any = "success") -> None:
    outcome = RunOutcome(status=status, thread_status="idle", result=b"{}")
    await served.extension.host.resources.leases.finish(claimed, outcome)


async def _figures(served: Any, until: Any) -> dict[str, Any]:
    """The JSON form, once it says what the test waits for: news come a little later."""
    async with asyncio.timeout(10):
        while True:
            figures = (await served.anonymous.get("/metrics?format=json")).json()
            if until(figures):
                return figures
            await asyncio.sleep(0.02)


async def test_figures_tell_of_the_queue_the_workers_and_how_runs_ended(served: Any) -> None:
    thread = (await served.api.post("/threads", json={})).json()["thread_id"]
    for _ in range(2):
        await served.api.post(f"/threads/{thread}/runs", json={"assistant_id": _GRAPH})
    first = await _claim(served)
    await served.extension.host.resources.leases.give_back(first)
    first = await _claim(served)

    working = await _figures(served, lambda found: found["runs"]["started"] == 2)
    await _end(served, first)
    await _end(served, await _claim(served), "error")
    ended = await _figures(served, lambda found: found["runs"]["ended"]["error"] == 1)
    text = (await served.anonymous.get("/metrics")).text

    assert (working["queue"]["n_pending"], working["queue"]["n_running"]) == (1, 1)
    assert working["queue"]["pending_runs_wait_time_max_secs"] > 0
    assert working["queue"]["pending_unblocked_runs_wait_time_max_secs"] == 0
    assert working["workers"] == {"alive": 1, "max": 10, "active": 1, "available": 9}
    assert working["runs"]["requeued"] == {"returned": 1, "lost": 0}
    assert ended["runs"]["created"] == 2
    assert ended["runs"]["ended"] == {"success": 1, "error": 1, "timeout": 0, "interrupted": 0}
    assert ended["runs"]["wait_seconds"]["count"] == 2
    assert ended["runs"]["wait_seconds"]["buckets"]["+Inf"] == 2
    assert ended["webhooks"] == {"n_pending": 0, "oldest_pending_secs": 0}
    assert {"pool_size", "pool_max"} <= ended["postgres"].keys()
    assert ended["redis"]["pool_size"] > 0
    for line in (
        r"lgnb_queue_n_pending 0",
        r'lgnb_runs_ended_total\{status="success"\} 1\.0',
        r'lgnb_run_wait_seconds_bucket\{le="\+Inf"\} 2\.0',
        r"lgnb_leases_lost_total 0\.0",
        r"lgnb_webhooks_oldest_pending_secs 0\.0",
        r"lgnb_api_streams_open 0",
    ):
        assert re.search(f"^{line}$", text, re.MULTILINE), line


async def test_events_tell_ids_and_statuses_and_nothing_else(served: Any) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    async def listener(logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        heard.append((schema_id, data))

    event_logger = served.app.event_logger
    for schema in (RUN_EVENTS, THREAD_EVENTS):
        event_logger.add_listener(schema_id=schema, listener=listener)
    body = {"assistant_id": _GRAPH, "input": {"secret": 1}, "metadata": {"name": "Ada"}, "on_completion": "keep"}
    run = (await served.api.post("/runs", json=body)).json()
    await _end(served, await _claim(served))
    await served.api.delete(f"/threads/{run['thread_id']}")
    async with asyncio.timeout(10):
        while not any(data["action"] == "deleted" for _, data in heard):
            await asyncio.sleep(0.02)

    ids = {"run_id": run["run_id"], "thread_id": run["thread_id"], "graph_id": _GRAPH}
    assert [data for schema, data in heard if schema == RUN_EVENTS] == [
        {"action": "created", **ids},
        {"action": "started", **ids, "attempt": 1},
        {"action": "ended", **ids, "attempt": 1, "status": "success"},
    ]
    assert [data for schema, data in heard if schema == THREAD_EVENTS] == [
        {"action": "created", "thread_id": run["thread_id"]},
        {"action": "status", "thread_id": run["thread_id"], "status": "idle"},
        {"action": "deleted", "thread_id": run["thread_id"]},
    ]


async def test_runs_of_a_lost_worker_are_counted(served: Any) -> None:
    resources = served.extension.host.resources
    await served.api.post("/runs", json={"assistant_id": _GRAPH})
    claimed = await _claim(served)

    await resources.leases.release_process(host_name="here", pid=1)
    resources.leases.tell_lost(served.extension.worker_id)

    figures = await _figures(served, lambda found: found["runs"]["leases_lost"] == 1)
    assert figures["runs"]["requeued"]["lost"] == 1
    assert isinstance(claimed.run_id, UUID)


# -- Traces -----------------------------------------------------------------------------------------------------------

_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class State(TypedDict):
    text: str


def _graph() -> Any:
    """A node, a subgraph with a node that makes a span of its own, and a node that may fail."""

    def inner(state: State) -> dict[str, str]:
        with telemetry._tracer().start_as_current_span("of the user"):
            return {"text": "inner"}

    def last(state: State) -> dict[str, str]:
        if state["text"] != "inner":
            raise ValueError("a secret")
        return {}

    subgraph = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile()
    builder = StateGraph(State).add_node("sub", subgraph).add_node("last", last)
    return builder.add_edge(START, "sub").add_edge("sub", "last").add_edge("last", END).compile()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is exported; the provider of the process stays as it is."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", lambda: provider.get_tracer("lgnb"))
    monkeypatch.setattr(telemetry, "is_traced", lambda: True)
    return exporter


async def _execute(claimed: ClaimedRun, graph: Any) -> Ending:
    execution = Execution(
        claimed,
        GraphSource(_GRAPH, graph),
        saver=None,
        input=input_of(claimed, stored_input=False),
        goes_on=False,
        publish=lambda event, data: None,
    )
    return await execution.run()


async def test_a_trace_goes_from_the_caller_over_the_request_and_the_run_to_its_nodes(
    served: Any, spans: InMemorySpanExporter
) -> None:
    body = {"assistant_id": _GRAPH, "input": {"text": ""}, "config": {"configurable": {"__otel_traceparent__": "x"}}}
    await served.api.post("/runs", json=body, headers={"traceparent": _CALLER})

    ending = await _execute(await _claim(served), _graph())

    assert ending.status == "success"
    found = {span.name: span for span in spans.get_finished_spans()}
    assert {span.context.trace_id for span in found.values()} == {0x0AF7651916CD43DD8448EB211C80319C}
    assert _above(found) == {
        "POST /runs": "the caller",
        f"run {_GRAPH}": "POST /runs",
        "node sub": f"run {_GRAPH}",
        "node inner": "node sub",
        "of the user": f"run {_GRAPH}",
        "node last": f"run {_GRAPH}",
    }
    assert found["POST /runs"].attributes["http.response.status_code"] == 200
    assert found[f"run {_GRAPH}"].attributes["lgnb.attempt"] == 1


async def test_a_failure_is_told_by_its_kind_and_not_by_its_words(served: Any, spans: InMemorySpanExporter) -> None:
    def fail(state: State) -> None:
        raise ValueError("a secret")

    await served.api.post("/runs", json={"assistant_id": _GRAPH, "input": {"text": ""}})
    graph = StateGraph(State).add_node("fail", fail).add_edge(START, "fail").compile()

    ending = await _execute(await _claim(served), graph)

    assert ending.status == "error"
    failed = [span for span in spans.get_finished_spans() if span.status.status_code is StatusCode.ERROR]
    assert [span.name for span in failed] == ["node fail", f"run {_GRAPH}"]
    assert {span.attributes["error.type"] for span in failed} == {"ValueError"}
    assert "secret" not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_without_an_exporter_the_trace_of_the_caller_is_passed_on(served: Any) -> None:
    await served.api.post("/runs", json={"assistant_id": _GRAPH}, headers={"traceparent": _CALLER})

    claimed = await _claim(served)

    assert claimed.kwargs["config"]["configurable"]["__otel_traceparent__"] == _CALLER


def _above(spans: dict[str, ReadableSpan]) -> dict[str, str]:
    names = {span.context.span_id: name for name, span in spans.items()}
    return {name: names.get(span.parent.span_id, "the caller") for name, span in spans.items() if span.parent}
