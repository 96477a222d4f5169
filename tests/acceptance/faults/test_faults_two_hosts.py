"""Several hosts and workers share one Postgres and one Redis: it does not matter which host a client asks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

_STEPS = 8


async def test_a_run_is_followed_and_cancelled_from_another_host(installation: Any, until: Any) -> None:
    """The stream joined at the second host is the stream of the first, and ends when the second one cancels."""
    one, two = await asyncio.gather(installation.host(workers=1), installation.host(workers=1))
    thread = await one.client.threads.create()
    began: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    started = one.client.runs.stream(
        thread["thread_id"],
        "counter",
        input={"step": 0},
        context={"steps": 1000, "delay": 0.1},
        stream_mode="values",
        stream_resumable=True,
        on_run_created=began.set_result,
    )

    there = asyncio.create_task(_follow(started))
    run = await began
    here = asyncio.create_task(
        _follow(two.client.runs.join_stream(thread["thread_id"], run["run_id"], last_event_id="0"))
    )
    await until(lambda: installation.saved(thread["thread_id"]) > 6, what="six steps done")
    async with asyncio.timeout(3):
        await two.client.runs.cancel(thread["thread_id"], run["run_id"], wait=True)
        events = await there
        joined = await here

    assert joined == events
    assert [event[1]["step"] for event in joined if event[0] == "values"][:6] == list(range(6))
    assert (await one.client.runs.get(thread["thread_id"], run["run_id"]))["status"] == "interrupted"


async def test_two_hosts_share_the_work_and_execute_each_run_once(installation: Any, steps_log: Any) -> None:
    """40 runs, half of them accepted by either host."""
    one, two = await asyncio.gather(installation.host(workers=1, jobs=10), installation.host(workers=1, jobs=10))
    context = {"steps": 2, "delay": 0.05, "log_file": str(steps_log.path)}

    waits = [
        host.client.runs.wait(None, "counter", input={"step": 0}, context=context)
        for host in (one, two)
        for _ in range(20)
    ]
    results = await asyncio.gather(*waits)

    assert results == [{"step": 2, "seen": [1, 2]}] * 40
    assert sorted(steps_log.steps) == [1] * 40 + [2] * 40


async def _follow(stream: Any) -> list[tuple[str, Any]]:
    return [(part.event, part.data) async for part in stream]


async def test_two_hosts_and_three_workers_lose_nothing_when_one_of_each_is_killed(
    installation: Any, until: Any, figure: Any
) -> None:
    """Under load: whoever asked the dead host finds all of it at the other one."""
    one, two = await asyncio.gather(installation.host(workers=0), installation.host(workers=0))
    workers = await asyncio.gather(*(installation.worker(jobs=10) for _ in range(3)))
    threads = await asyncio.gather(*(host.client.threads.create() for host in (one, two) for _ in range(15)))
    begun = time.monotonic()
    runs = await asyncio.gather(
        *(
            host.client.runs.create(
                thread["thread_id"], "counter", input={"step": 0}, context={"steps": _STEPS, "delay": 0.25}
            )
            for host, thread in zip((one,) * 15 + (two,) * 15, threads, strict=True)
        )
    )

    def held() -> dict[int, set[str]]:
        rows = installation.rows(
            "SELECT w.pid, r.run_id::text FROM runs r JOIN workers w USING (worker_id) WHERE r.status = 'running'"
        )
        return {worker.pid: {row["run_id"] for row in rows if row["pid"] == worker.pid} for worker in workers}

    await until(lambda: all(held().values()), what="every worker has runs")
    victim = max(workers, key=lambda worker: len(held()[worker.pid]))
    victim.kill()
    one.kill()
    killed, orphans = time.monotonic(), held()[victim.pid]
    assert orphans

    await until(lambda: not held()[victim.pid], what="the runs of the dead worker are taken over")
    figure("taken_over_seconds", time.monotonic() - killed)
    values = await asyncio.gather(*(two.client.runs.join(run["thread_id"], run["run_id"]) for run in runs))
    figure("thirty_runs_seconds", time.monotonic() - begun)

    assert values == [{"step": _STEPS, "seen": list(range(1, _STEPS + 1))}] * 30
    rows = {run["run_id"]: installation.run(run["run_id"]) for run in runs}
    assert {row["status"] for row in rows.values()} == {"success"}
    assert orphans <= {run_id for run_id, row in rows.items() if row["attempt"] > 1}
