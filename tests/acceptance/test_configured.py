"""A server with an application of its own, a path prefix, encrypted checkpoints and exported traces, all at once."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk import get_client

_PROJECT = Path(__file__).with_name("projects") / "web" / "langgraph.json"


@pytest.fixture(scope="module")
def server(make_server: Any) -> Any:
    environment = {
        "LANGGRAPH_AES_KEY": "sixteen bytes ok",
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    return make_server(graphs=_PROJECT, environment=environment)


async def test_a_route_of_ones_own_streams_a_run_of_the_same_server(server: Any) -> None:
    """The route calls the API without a URL; the run waits for a person, and goes on through the SDK."""
    thread_id = str(uuid4())
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as anybody:
        async with anybody.stream("POST", f"/ask/{thread_id}") as answer:
            events = [json.loads(line) async for line in answer.aiter_lines()]
    async with get_client(url=server.url, api_key=server.api_key) as client:
        ended: Any = await client.runs.wait(thread_id, "approver", command={"resume": "yes"})
        history: Any = await client.threads.get_history(thread_id)

    assert server.url.endswith("/lgnb/v1")
    assert events[0][0] == "metadata"
    assert "__interrupt__" in events[-1][1]
    assert ended["answers"] == ["yes"]
    # Encrypted checkpoints are read like any other.
    assert history[0]["values"] == ended
    assert len(history) >= 3


async def test_the_trace_of_a_request_reaches_the_nodes_of_its_run(server: Any) -> None:
    """Host and worker export on their own; the trace is one."""
    async with get_client(url=server.url, api_key=server.api_key) as client:
        await client.runs.wait(None, "approver", input={"answers": []})

    async with asyncio.timeout(20):
        while not (found := _traces(server.log)):
            await asyncio.sleep(0.1)
    assert any(name.startswith("node ") for name in found)


def _traces(log: str) -> set[str]:
    """The names of the spans that share the trace of a request for a run; empty until the run's own is there."""
    text = "\n".join(re.sub(r"^\[.*?\] (worker \d+: )?", "", line) for line in log.splitlines())
    spans = re.findall(r'"name": "([^"]+)",\s+"context": \{\s+"trace_id": "(\w+)"', text)
    for name, trace_id in spans:
        of_trace = {other for other, its_trace in spans if its_trace == trace_id}
        if name == "POST /runs/wait" and "run approver" in of_trace:
            return of_trace
    return set()
