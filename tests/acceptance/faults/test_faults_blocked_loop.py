"""A node that blocks its event loop harms nobody else, and can be cancelled."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

pytestmark = pytest.mark.alone

# Longer than two leases.
_LEASE_SECONDS = 3.5
_BLOCKED_SECONDS = 8.0
_CANCELLED_SECONDS = 6.0
_COUNTED = {"step": 4, "seen": [1, 2, 3, 4]}


async def test_a_blocking_node_keeps_its_lease_and_hinders_nobody(
    installation: Any, until: Any, http: Any, figure: Any
) -> None:
    """Runs beside it on its loop move and finish, new runs of any graph proceed, the API stays quick."""
    host = await installation.host(workers=1, lease_seconds=_LEASE_SECONDS)
    client = host.client
    neighbours = [await _on_thread(client, "counter", {"step": 0}, steps=4, delay=0.5) for _ in range(5)]
    await until(lambda: min(installation.saved(run["thread_id"]) for run in neighbours) >= 3, what="neighbours work")
    began = time.monotonic()
    blocked = await _on_thread(client, "blocker", {"text": ""}, seconds=_BLOCKED_SECONDS)
    await until(lambda: installation.run(blocked["run_id"])["status"] == "running", what="the loop is blocked")

    latencies = asyncio.create_task(_latencies(http, f"{host.url}/threads/{blocked['thread_id']}", seconds=5.0))
    others = await asyncio.gather(
        *(client.runs.wait(None, "echo", input={"text": "x"}) for _ in range(5)),
        *(client.runs.wait(None, "blocker", input={"text": ""}, context={"seconds": 0.01}) for _ in range(5)),
    )
    others_after = time.monotonic() - began
    values = await asyncio.gather(*(client.runs.join(run["thread_id"], run["run_id"]) for run in neighbours))
    neighbours_after = time.monotonic() - began
    measured = await latencies
    still_blocked = installation.run(blocked["run_id"])["status"]
    result = await client.runs.join(blocked["thread_id"], blocked["run_id"])

    figure("others_after_seconds", others_after)
    figure("neighbours_after_seconds", neighbours_after)
    figure("api_p50_p99_seconds", measured)
    assert others == [{"text": "echo: x"}] * 5 + [{"text": "unblocked"}] * 5
    assert values == [_COUNTED] * 5
    assert neighbours_after < _BLOCKED_SECONDS
    assert still_blocked == "running"
    assert measured[1] < 0.25
    assert result == {"text": "unblocked"}
    row = installation.run(blocked["run_id"])
    assert (row["status"], row["attempt"]) == ("success", 1)
    for run in neighbours:
        moved = installation.run(run["run_id"])
        # Being moved is no failed attempt.
        assert (moved["status"], moved["attempt"] - moved["returned"]) == ("success", 1)


async def test_a_run_that_blocks_its_loop_is_cancelled_within_seconds(
    installation: Any, until: Any, figure: Any
) -> None:
    """The end is committed although the node does not listen; what it writes afterwards is refused."""
    host = await installation.host(workers=1)
    client = host.client
    blocked = await _on_thread(client, "blocker", {"text": "before"}, seconds=_CANCELLED_SECONDS)
    await until(lambda: installation.run(blocked["run_id"])["status"] == "running", what="the loop is blocked")

    began = time.monotonic()
    await client.runs.cancel(blocked["thread_id"], blocked["run_id"], wait=True)
    cancelled_after = time.monotonic() - began
    before = await client.threads.get_history(blocked["thread_id"])
    # It is still blocking when the next run of the thread begins, and not any more when that ends.
    longer = _CANCELLED_SECONDS + 0.5 - cancelled_after
    again = await client.runs.wait(
        blocked["thread_id"], "blocker", input={"text": "again"}, context={"seconds": longer}
    )
    history = await client.threads.get_history(blocked["thread_id"])

    figure("cancelled_after_seconds", cancelled_after)
    assert cancelled_after < 4.5
    assert installation.run(blocked["run_id"])["status"] == "interrupted"
    assert again == {"text": "unblocked"}
    by_others = [entry for entry in history if entry["metadata"]["run_id"] != blocked["run_id"]]
    assert history == by_others + before
    assert history[0]["values"] == {"text": "unblocked"}


async def _on_thread(client: Any, graph_id: str, values: Any, **context: Any) -> Any:
    thread = await client.threads.create()
    return await client.runs.create(thread["thread_id"], graph_id, input=values, context=context)


async def _latencies(http: Any, url: str, *, seconds: float) -> tuple[float, float]:
    """Median and 99th percentile of a request that is made again and again."""
    deadline, measured = time.monotonic() + seconds, list[float]()
    while (began := time.monotonic()) < deadline:
        (await http.get(url)).raise_for_status()
        measured.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    measured.sort()
    return measured[len(measured) // 2], measured[int(len(measured) * 0.99)]
