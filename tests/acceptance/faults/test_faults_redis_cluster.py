"""A Redis Cluster: everything that goes over one Redis goes over several nodes, and a lost node loses no run."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest
from redis_topologies import Cluster

from lgnb.queue.keys import Keys

_STEPS = 6
_VALUES = {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}
_REQUEST: dict[str, Any] = {"input": {"step": 0}, "context": {"steps": _STEPS, "delay": 0.4}}


@pytest.fixture
def redis_uri(redis_cluster: Cluster) -> str:
    return redis_cluster.uri


async def test_wake_ups_streams_signals_and_calls_work_over_the_nodes(
    installation: Any, until: Any, streamed: Any
) -> None:
    # With so long a poll interval, only a wake-up starts a run within some seconds.
    host = await installation.host(workers=1, poll_seconds=20, lease_seconds=30)
    client = host.client
    thread_id = (await client.threads.create())["thread_id"]
    followed = asyncio.create_task(_followed(client, thread_id))
    await asyncio.sleep(0)

    assert await _seconds(client.runs.wait(thread_id, "echo", input={"text": "woken"})) < 5
    # Their keys are at different nodes.
    found = await asyncio.gather(*(streamed(client, _REQUEST) for _ in range(8)))
    assert found == [(list(range(_STEPS + 1)), 0)] * 8
    run = await client.runs.create(thread_id, "echo", input={"text": "slow"}, context={"delay": 60})
    await until(lambda: installation.run(run["run_id"])["status"] == "running", what="the run works")
    assert await _seconds(client.runs.cancel(thread_id, run["run_id"], wait=True)) < 5
    assert await _seconds(client.threads.update_state(thread_id, {"text": "called"}, as_node="echo")) < 5
    async with asyncio.timeout(10):
        assert "echo: woken" in await followed


async def test_a_lost_node_loses_no_run(
    redis_cluster: Cluster, redis_prefix: str, installation: Any, until: Any, streamed: Any
) -> None:
    """Runs wait, stream and work in the background while the node with the wake-ups is killed and comes back."""
    host = await installation.host(workers=1, poll_seconds=4)
    client = host.client
    threads = [await client.threads.create() for _ in range(6)]
    waits = [asyncio.create_task(client.runs.wait(None, "counter", **_REQUEST)) for _ in range(10)]
    streams = [asyncio.create_task(streamed(client, _REQUEST)) for _ in range(10)]
    await until(lambda: installation.running() >= 20, what="all runs work")

    with redis_cluster.without(redis_cluster.owner(Keys(redis_prefix).wake("counter"))):
        accepted = [await client.runs.create(thread["thread_id"], "counter", **_REQUEST) for thread in threads]
        await asyncio.sleep(1.5)  # long enough for the others to call it failed, and everything down

    async with asyncio.timeout(60):
        assert await asyncio.gather(*waits) == [_VALUES] * 10
        for steps, gaps in await asyncio.gather(*streams):
            assert steps == list(range(_STEPS + 1)) or gaps, steps
        for run in accepted:
            await client.runs.join(run["thread_id"], run["run_id"])
            assert installation.run(run["run_id"])["status"] == "success"
            assert installation.run(run["run_id"])["attempt"] == 1

    async def woken() -> bool:
        return await _seconds(client.runs.wait(None, "echo", input={"text": "woken"})) < 2

    await until(woken, what="wake-ups arrive again")
    assert await streamed(client, _REQUEST) == (list(range(_STEPS + 1)), 0)
    assert "Traceback" not in host.log.read_text()


async def _followed(client: Any, thread_id: str) -> str:
    """What the stream of a thread told until the text of its first run came."""
    told = ""
    async with aclosing(await client.threads.join_stream(thread_id)) as parts:
        async for part in parts:
            told += str(part.data)
            if "echo:" in told:
                break
    return told


async def _seconds(work: Any) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began
