"""Redis delivers what it was told more than once: a wake-up is only a reason to look."""

from __future__ import annotations

import asyncio
from typing import Any

from lgnb.queue import Queue
from lgnb.queue.wakeups import WakeUps

_RUNS = 10


async def test_a_wake_up_that_comes_many_times_starts_a_run_once(
    installation: Any, steps_log: Any, redis_uri: str, redis_prefix: str
) -> None:
    host = await installation.host(workers=0)
    workers = [await installation.worker(), await installation.worker()]
    context = {"steps": 2, "delay": 0.05, "log_file": str(steps_log.path)}
    enough = asyncio.Event()
    ringing = asyncio.create_task(_ring_again_and_again(redis_uri, redis_prefix, enough))

    waits = [host.client.runs.wait(None, "counter", input={"step": 0}, context=context) for _ in range(_RUNS)]
    results = await asyncio.gather(*waits)
    enough.set()
    rung = await ringing

    assert rung > _RUNS
    assert results == [{"step": 2, "seen": [1, 2]}] * _RUNS
    assert sorted(steps_log.steps) == [1] * _RUNS + [2] * _RUNS
    assert all(worker.is_alive for worker in workers)


async def _ring_again_and_again(uri: str, prefix: str, enough: asyncio.Event) -> int:
    """Repeat every wake-up there is; how many were sent."""
    queue, rung = Queue(uri, prefix=prefix), 0
    while not enough.is_set():
        await WakeUps(queue).ring("counter")
        rung += 1
        await asyncio.sleep(0.01)
    await queue.close()
    return rung
