"""A worker stands still for longer than its lease and comes back: whatever it still does counts no more."""

from __future__ import annotations

import signal
from itertools import pairwise
from typing import Any

_STEPS = 12


async def test_a_stalled_worker_can_change_nothing_any_more(installation: Any, steps_log: Any, until: Any) -> None:
    """Its checkpoints, events and results are refused; each run ends once, by the other worker."""
    host = await installation.host(workers=0)
    client = host.client
    workers = {worker.pid: worker for worker in [await installation.worker(lease_seconds=2) for _ in range(2)]}
    counting, echoing = await client.threads.create(), await client.threads.create()
    context = {"steps": _STEPS, "delay": 0.4, "log_file": str(steps_log.path)}
    count = await client.runs.create(
        counting["thread_id"],
        "counter",
        input={"step": 0},
        context=context,
        stream_mode="values",
        stream_resumable=True,
    )
    await until(lambda: len(steps_log.steps) >= 3, what="three steps begun")
    stalled = workers.pop(installation.run(count["run_id"])["pid"])
    (other,) = workers.values()

    stalled.signal(signal.SIGSTOP)
    await until(lambda: installation.run(count["run_id"])["pid"] == other.pid, what="the other worker takes over")
    # This one shall already be finished when the stalled worker comes back.
    echo = await client.runs.wait(echoing["thread_id"], "echo", input={"text": "x"})
    begun = len(steps_log.steps)
    await until(lambda: len(steps_log.steps) >= begun + 2, what="the other worker goes on")
    stalled.signal(signal.SIGCONT)
    await until(lambda: stalled.said("is no longer the current one"), what="the stalled worker notices")
    values = await client.runs.join(counting["thread_id"], count["run_id"])

    assert echo == {"text": "echo: x"}
    assert values == {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}
    row = installation.run(count["run_id"])
    assert (row["status"], row["attempt"]) == ("success", 2)
    await _assert_one_line(client, counting["thread_id"])
    await _assert_events_in_order(client, count)
    # It has a new lease and works on.
    other.terminate()
    assert await client.runs.wait(echoing["thread_id"], "echo", input={"text": "y"}) == {"text": "echo: y"}


async def test_a_result_that_comes_too_late_is_refused(installation: Any, until: Any) -> None:
    """The other worker has finished the run meanwhile; the first one's result changes neither run nor thread."""
    host = await installation.host(workers=0)
    client = host.client
    first = await installation.worker(lease_seconds=2)
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "echo", input={"text": "x"}, context={"delay": 1.5})
    await until(lambda: installation.run(run["run_id"])["status"] == "running", what="the run works")
    first.signal(signal.SIGSTOP)
    await installation.worker(lease_seconds=2)
    await client.runs.join(thread["thread_id"], run["run_id"])
    before = await client.threads.get(thread["thread_id"]), await client.threads.get_history(thread["thread_id"])

    first.signal(signal.SIGCONT)
    await until(lambda: first.said("is no longer the current one"), what="the first worker notices")

    after = await client.threads.get(thread["thread_id"]), await client.threads.get_history(thread["thread_id"])
    row = installation.run(run["run_id"])
    assert (row["status"], row["attempt"]) == ("success", 2)
    assert after == before


async def _assert_one_line(client: Any, thread_id: str) -> None:
    history = await client.threads.get_history(thread_id, limit=100)
    parents = [entry["parent_checkpoint"]["checkpoint_id"] for entry in history[:-1]]
    assert parents == [entry["checkpoint"]["checkpoint_id"] for entry in history[1:]]
    assert [entry["metadata"]["step"] for entry in history] == list(range(_STEPS, -2, -1))


async def _assert_events_in_order(client: Any, run: Any) -> None:
    """From the second attempt's first event on, nothing of the first attempt follows."""
    attempts, steps = list[int](), list[int]()
    async for part in client.runs.join_stream(run["thread_id"], run["run_id"], last_event_id="0"):
        if part.event == "metadata":
            attempts.append(part.data["attempt"])
        elif part.event == "values":
            steps.append(part.data["step"])
        else:
            raise AssertionError(part)
    assert attempts == [1, 2]
    # The second attempt begins by telling the state it goes on from.
    assert steps[-1] == _STEPS
    assert sum(later < earlier for earlier, later in pairwise(steps)) <= 1
