"""What an operator sees: figures, events and traces of runs, while a test plays the worker."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from lgnb_server.monitoring import RUN_EVENTS, THREAD_EVENTS

from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.runs import ClaimedRun, RunOutcome

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
