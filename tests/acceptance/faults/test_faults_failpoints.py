"""Processes end, or the disk is full, exactly where it hurts most: at named points of the code."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

_STEPS = 5
_INPUT = {"step": 0}


async def test_a_run_whose_host_died_before_it_told_anybody_is_started_by_the_next_poll(
    installation: Any, steps_log: Any, until: Any
) -> None:
    """The commit counts, not the word of it: the run is there and is executed once."""
    dying = await installation.host(workers=0, failpoint="after_accept:exit")
    await installation.worker(poll_seconds=0.5)
    thread = await dying.client.threads.create()

    with pytest.raises((httpx.HTTPError, OSError)):
        await _count(dying.client, thread, steps_log)

    await until(lambda: not dying.is_alive, what="the host has ended")
    host = await installation.host(workers=0)
    await until(lambda: len(steps_log.steps) == _STEPS, what="the run is executed")
    (run,) = await until(lambda: _ended(host.client, thread), what="the run has ended")
    assert (run["status"], installation.run(run["run_id"])["attempt"]) == ("success", 1)
    assert steps_log.steps == list(range(1, _STEPS + 1))


async def test_a_worker_that_dies_with_a_claim_in_its_hand_is_followed_by_another(
    installation: Any, steps_log: Any, until: Any
) -> None:
    host = await installation.host(workers=0, lease_seconds=2)
    dying = await installation.worker(lease_seconds=2, failpoint="after_claim:exit")
    thread = await host.client.threads.create()

    run = await _count(host.client, thread, steps_log)
    await until(lambda: not dying.is_alive, what="the worker has ended")
    await installation.worker(lease_seconds=2)
    values = await host.client.runs.join(thread["thread_id"], run["run_id"])

    assert values["seen"] == steps_log.steps == list(range(1, _STEPS + 1))
    assert installation.run(run["run_id"])["attempt"] == 2


async def test_a_claim_whose_answer_is_lost_does_not_hold_the_run_for_ever(installation: Any, steps_log: Any) -> None:
    """The table says that the worker has the run, the worker does not know of it, and its lease goes on and on."""
    host = await installation.host(workers=0, lease_seconds=1.5)
    await installation.worker(lease_seconds=1.5, failpoint="after_claim:cut@1")
    thread = await host.client.threads.create()

    run = await _count(host.client, thread, steps_log)
    async with asyncio.timeout(20):
        values = await host.client.runs.join(thread["thread_id"], run["run_id"])

    assert values["seen"] == steps_log.steps == list(range(1, _STEPS + 1))
    row = installation.run(run["run_id"])
    assert (row["attempt"], row["returned"]) == (2, 1)


async def test_whoever_follows_a_run_hears_of_its_end_from_postgres_when_the_worker_could_not_tell(
    installation: Any, steps_log: Any
) -> None:
    host = await installation.host(workers=0)
    dying = await installation.worker(failpoint="after_finish:exit")
    thread = await host.client.threads.create()

    run = await _count(host.client, thread, steps_log)
    async with asyncio.timeout(15):
        values = await host.client.runs.join(thread["thread_id"], run["run_id"])
        parts = [part async for part in host.client.runs.join_stream(thread["thread_id"], run["run_id"])]

    assert values["seen"] == list(range(1, _STEPS + 1))
    assert installation.run(run["run_id"])["status"] == "success"
    assert all(part.event in ("gap", "values", "metadata") for part in parts)
    assert not dying.is_alive


async def test_a_full_disk_ends_the_run_with_the_reason_and_leaves_everybody_else_alone(
    installation: Any, steps_log: Any
) -> None:
    """The third save finds no room; the next run, with room again, succeeds on the same worker."""
    host = await installation.host(workers=0)
    worker = await installation.worker(failpoint="before_save:full@3")
    thread = await host.client.threads.create()

    run = await _count(host.client, thread, steps_log, durability="sync")
    told = await host.client.runs.join(thread["thread_id"], run["run_id"])
    later = await host.client.runs.wait(None, "echo", input={"text": "hello"})

    assert told["__error__"]["error"] == "DatabaseFull"
    assert "disk" in told["__error__"]["message"]
    assert installation.run(run["run_id"])["attempt"] == 1
    assert later == {"text": "echo: hello"}
    assert worker.is_alive


async def _count(client: Any, thread: Any, steps_log: Any, **options: Any) -> Any:
    context = {"steps": _STEPS, "log_file": str(steps_log.path)}
    return await client.runs.create(thread["thread_id"], "counter", input=_INPUT, context=context, **options)


async def _ended(client: Any, thread: Any) -> list[Any]:
    runs = await client.runs.list(thread["thread_id"])
    return runs if all(run["status"] not in ("pending", "running") for run in runs) else []
