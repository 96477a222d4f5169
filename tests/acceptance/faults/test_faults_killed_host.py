"""A host is killed with SIGKILL, together with nothing else: the next start loses nothing."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

_STEPS = 10


@pytest.mark.parametrize("returns", ["at once", "later"])
async def test_the_start_after_a_killed_host_loses_nothing(
    lonely: Any, steps_log: Any, until: Any, returns: str
) -> None:
    """What was stored is there, what was running goes on, what was waiting is executed; the old workers end.

    They keep Postgres for as long as they need to save what they have executed.
    """
    host = await lonely.host(workers=1)
    client = host.client
    done = await client.threads.create()
    await client.runs.wait(done["thread_id"], "echo", input={"text": "kept"})
    thread, waiting_thread = await client.threads.create(), await client.threads.create()
    context = {"steps": _STEPS, "delay": 0.3, "log_file": str(steps_log.path)}
    running = await client.runs.create(thread["thread_id"], "counter", input={"step": 0}, context=context)
    waiting = await client.runs.create(waiting_thread["thread_id"], "echo", input={"text": "later"}, after_seconds=4)
    await until(lambda: len(steps_log.steps) >= 3, what="three steps begun")
    workers = [psutil.Process(pid) for pid in host.worker_pids]

    host.kill()
    if returns == "later":
        await until(lambda: not any(map(lonely.lives, workers)), what="the old workers end")
    host = await lonely.host(workers=1)
    client = host.client

    assert (await client.threads.get(done["thread_id"]))["values"] == {"text": "echo: kept"}
    counted = await client.runs.join(thread["thread_id"], running["run_id"])
    assert counted == {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}
    assert len(steps_log.steps) <= _STEPS + 1
    assert await client.runs.join(waiting_thread["thread_id"], waiting["run_id"]) == {"text": "echo: later"}
    await until(lambda: not any(map(lonely.lives, workers)), what="the old workers end")
