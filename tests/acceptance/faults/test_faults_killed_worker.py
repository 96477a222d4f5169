"""A worker is killed with SIGKILL: what it had in hand goes on elsewhere, from where it was."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

_STEPS = 20
_UNDISTURBED = {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}
_TAKEN_OVER_SECONDS = 10.0


async def test_a_supervised_worker_dies_and_its_run_goes_on(
    installation: Any, steps_log: Any, until: Any, figure: Any
) -> None:
    """The host notices the death at once, and the next worker repeats at most the step that was under way."""
    host = await installation.host(workers=1)
    client = host.client
    thread = await client.threads.create()
    run = await _begin_counting(client, thread, steps_log)
    (worker,) = host.worker_pids
    # Default durability: a step counts as completed when it is saved, a moment after it ended.
    await until(lambda: installation.saved(thread["thread_id"]) > len(steps_log.steps) >= 6, what="six steps begun")

    os.kill(worker, signal.SIGKILL)
    killed, before = time.monotonic(), len(steps_log.steps)
    await until(lambda: len(steps_log.steps) > before, what="another worker goes on", seconds=_TAKEN_OVER_SECONDS)
    taken_over = time.monotonic() - killed
    values = await client.runs.join(thread["thread_id"], run["run_id"])

    figure("taken_over_seconds", taken_over)
    assert taken_over < 5, taken_over
    assert time.monotonic() - killed < _TAKEN_OVER_SECONDS
    assert values == _UNDISTURBED
    _assert_no_completed_step_ran_twice(steps_log.steps)
    row = installation.run(run["run_id"])
    assert (row["status"], row["attempt"]) == ("success", 2)
    await _assert_undisturbed(client, thread)


async def test_only_the_lease_tells_of_a_worker_on_another_machine(
    installation: Any, steps_log: Any, until: Any, figure: Any
) -> None:
    """Two independent workers: the other one takes over when the lease of the dead one has ended."""
    host = await installation.host(workers=0)
    workers = [await installation.worker(), await installation.worker()]
    client = host.client
    thread = await client.threads.create()
    run = await _begin_counting(client, thread, steps_log, durability="sync")
    await until(lambda: len(steps_log.steps) >= 6, what="six steps begun")

    dead = installation.process(installation.run(run["run_id"])["pid"])
    dead.kill()
    killed, before = time.monotonic(), len(steps_log.steps)
    await until(lambda: len(steps_log.steps) > before, what="another worker goes on", seconds=_TAKEN_OVER_SECONDS)
    figure("taken_over_seconds", time.monotonic() - killed)
    values = await client.runs.join(thread["thread_id"], run["run_id"])

    assert time.monotonic() - killed < _TAKEN_OVER_SECONDS
    assert values == _UNDISTURBED
    _assert_no_completed_step_ran_twice(steps_log.steps)
    assert [worker.is_alive for worker in workers].count(True) == 1
    await _assert_undisturbed(client, thread)


async def _begin_counting(client: Any, thread: Any, steps_log: Any, **options: Any) -> Any:
    context = {"steps": _STEPS, "delay": 0.1, "log_file": str(steps_log.path)}
    return await client.runs.create(thread["thread_id"], "counter", input={"step": 0}, context=context, **options)


def _assert_no_completed_step_ran_twice(steps: list[int]) -> None:
    repeated = [step for step in set(steps) if steps.count(step) > 1]
    assert sorted(set(steps)) == list(range(1, _STEPS + 1))
    assert len(repeated) <= 1, steps
    assert len(steps) <= _STEPS + 1, steps


async def _assert_undisturbed(client: Any, thread: Any) -> None:
    """The thread looks as it would have without the crash: one line of checkpoints, one per step."""
    state = await client.threads.get_state(thread["thread_id"])
    history = await client.threads.get_history(thread["thread_id"], limit=100)
    steps = [entry["metadata"]["step"] for entry in history]
    assert state["values"] == _UNDISTURBED
    assert state["next"] == []
    assert steps == sorted(steps, reverse=True)
    assert len(steps) == len(set(steps)) == _STEPS + 2  # the input and the start come first
