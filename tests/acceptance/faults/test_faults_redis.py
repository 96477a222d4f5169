"""Redis is flushed, killed or absent: runs take longer, but none is lost and none stays silent."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

_STEPS = 8
_VALUES = {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}
_REQUEST: dict[str, Any] = {"input": {"step": 0}, "context": {"steps": _STEPS, "delay": 0.4}}


async def test_no_run_is_lost_with_redis(valkey: Any, installation: Any, until: Any, streamed: Any) -> None:
    """50 runs, waited for, streamed and in the background, while Redis is flushed, killed and started again."""
    host = await installation.host(workers=1, redis_uri=valkey.uri)
    client = host.client
    threads = [await client.threads.create() for _ in range(10)]
    waits = [asyncio.create_task(client.runs.wait(None, "counter", **_REQUEST)) for _ in range(25)]
    streams = [asyncio.create_task(streamed(client, _REQUEST)) for _ in range(15)]
    background = [await client.runs.create(thread["thread_id"], "counter", **_REQUEST) for thread in threads]
    await until(lambda: installation.running() >= 50, what="all runs work")

    valkey.flush()
    await asyncio.sleep(0.5)  # some events go into the empty Redis
    valkey.kill()
    accepted = [
        await client.runs.create(thread["thread_id"], "counter", multitask_strategy="enqueue", **_REQUEST)
        for thread in threads
    ]
    await asyncio.sleep(1.0)
    valkey.start()

    async with asyncio.timeout(60):
        assert await asyncio.gather(*waits) == [_VALUES] * 25
        for steps, gaps in await asyncio.gather(*streams):
            assert steps == list(range(_STEPS + 1)) or gaps, steps
        for run in (*background, *accepted):
            await client.runs.join(run["thread_id"], run["run_id"])
            assert installation.run(run["run_id"])["status"] == "success"
            assert installation.run(run["run_id"])["attempt"] == 1


async def test_wake_ups_signals_and_calls_work_again_after_redis_was_away(
    valkey: Any, installation: Any, until: Any
) -> None:
    """Every connection to Redis comes back by itself, in the host and in the worker."""
    # With so long a poll interval, only a wake-up starts a run within a second.
    host = await installation.host(workers=1, redis_uri=valkey.uri, poll_seconds=20, lease_seconds=30)
    client = host.client
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], "echo", input={"text": "before"})

    valkey.kill()
    await asyncio.sleep(1.5)
    valkey.start()
    await until(lambda: _listeners(valkey) >= 3, what="bells and signals are connected")

    assert await _seconds(client.runs.wait(None, "echo", input={"text": "woken"})) < 1.5
    run = await client.runs.create(thread["thread_id"], "echo", input={"text": "slow"}, context={"delay": 60})
    await until(lambda: installation.run(run["run_id"])["status"] == "running", what="the run works")
    assert await _seconds(client.runs.cancel(thread["thread_id"], run["run_id"], wait=True)) < 1.5
    assert await _seconds(client.threads.update_state(thread["thread_id"], {"text": "called"}, as_node="echo")) < 1.5


async def test_runs_execute_although_redis_never_answers(valkey: Any, installation: Any, streamed: Any) -> None:
    """Workers find runs by looking into Postgres, waits and streams see the end there, and a cancel is seen too."""
    host = await installation.host(workers=1, redis_uri=valkey.uri, poll_seconds=0.2)
    client = host.client
    valkey.kill()

    thread = await client.threads.create()
    assert await client.runs.wait(thread["thread_id"], "echo", input={"text": "x"}) == {"text": "echo: x"}
    _, gaps = await streamed(client, {**_REQUEST, "context": {"steps": 2, "delay": 0.4}})
    assert gaps
    run = await client.runs.create(thread["thread_id"], "echo", input={"text": "slow"}, context={"delay": 60})
    await client.runs.cancel(thread["thread_id"], run["run_id"], wait=True)
    assert installation.run(run["run_id"])["status"] == "interrupted"


async def test_a_redis_that_stands_still_only_costs_time(valkey: Any, installation: Any, until: Any) -> None:
    """No request, run or stop waits for it for long; when it goes on, everything does."""
    host = await installation.host(workers=1, redis_uri=valkey.uri, poll_seconds=0.5)
    client = host.client
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], "echo", input={"text": "before"})

    valkey.signal(signal.SIGSTOP)
    run = await client.runs.create(thread["thread_id"], "echo", input={"text": "x"})
    await until(lambda: installation.run(run["run_id"])["status"] == "success", what="the run ends", seconds=12)
    valkey.signal(signal.SIGCONT)

    assert await _seconds(client.runs.wait(None, "echo", input={"text": "after"})) < 5
    assert await client.runs.wait(None, "echo", input={"text": "again"}) == {"text": "echo: again"}


def _listeners(valkey: Any) -> int:
    """Connections that subscribed to something: the bells of host and worker, and the worker's signals."""
    return len(valkey.clients("pubsub"))


async def _seconds(work: Any) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began
