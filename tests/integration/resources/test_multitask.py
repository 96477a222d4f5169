"""A new run meets a busy thread: four strategies, alone and in a storm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from lgnb.errors import LeaseLost, RunConflict
from lgnb.models.runs import Run
from lgnb.resources import Resources

from .conftest import HandWorker
from .graphs import execute

Start = Callable[..., Awaitable[Run]]


async def statuses(resources: Resources, thread_id: UUID) -> dict[UUID, str]:
    return {run.run_id: run.status for run in await resources.runs.list(thread_id, limit=1000)}


async def test_reject_stores_nothing(resources: Resources, start: Start, thread_id: UUID) -> None:
    first = await start()

    with pytest.raises(RunConflict):
        await start(multitask_strategy="reject")

    assert await statuses(resources, thread_id) == {first.run_id: "pending"}


async def test_reject_is_no_obstacle_on_a_free_thread(start: Start, worker: HandWorker) -> None:
    await start()
    await worker.finish(await worker.claim_one())

    assert (await start(multitask_strategy="reject")).status == "pending"


async def test_enqueued_runs_start_one_after_the_other_in_order(start: Start, worker: HandWorker) -> None:
    runs = [await start() for _ in range(4)]
    started: list[UUID] = []

    for _ in runs:
        claimed = await worker.claim_one()
        assert await worker.claim() == []
        started.append(claimed.run_id)
        await worker.finish(claimed)

    assert started == [run.run_id for run in runs]


async def test_interrupt_ends_all_runs_in_flight_and_keeps_their_checkpoints(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    await start()
    old = await worker.claim_one()
    await execute(old, worker.saver(old), log=["i"], stop_before="b")
    waiting = await start()

    new = await start(multitask_strategy="interrupt")

    assert await statuses(resources, thread_id) == {
        old.run_id: "interrupted",
        waiting.run_id: "interrupted",
        new.run_id: "pending",
    }
    with pytest.raises(LeaseLost):
        await execute(old, worker.saver(old), log=None)
    assert (await resources.threads.get_state(thread_id))["values"] == {"log": ["i", "a"]}
    assert (await worker.claim_one()).run_id == new.run_id


async def test_rollback_deletes_all_runs_in_flight_with_their_checkpoints(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    await start()
    kept = await worker.claim_one()
    await execute(kept, worker.saver(kept), log=["kept"])
    await worker.finish(kept)
    before = await resources.threads.history(thread_id, limit=100)
    await start()
    old = await worker.claim_one()
    await execute(old, worker.saver(old), log=["gone"], stop_before="b")
    await start()

    new = await start(multitask_strategy="rollback")

    assert await statuses(resources, thread_id) == {kept.run_id: "success", new.run_id: "pending"}
    assert await resources.threads.history(thread_id, limit=100) == before
    with pytest.raises(LeaseLost):
        await execute(old, worker.saver(old), log=None)


async def test_a_pending_run_cancelled_after_it_superseded_another_leaves_the_newest_state(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    await start()
    old = await worker.claim_one()
    await execute(old, worker.saver(old), log=["i"], stop_before="b")
    new = await start(multitask_strategy="interrupt")

    await resources.runs.cancel(thread_id, new.run_id)

    thread, state = await resources.threads.get(thread_id), await resources.threads.get_state(thread_id)
    assert (thread.values, thread.status) == ({"log": ["i", "a"]}, "interrupted")
    assert (state["values"], state["next"]) == (thread.values, ["b"])


@pytest.mark.parametrize("strategy", ["enqueue", "reject", "interrupt", "rollback"])
async def test_a_storm_of_runs_on_one_thread_keeps_the_rules(
    strategy: Any, resources: Resources, start: Start, worker: HandWorker, second_worker: HandWorker, thread_id: UUID
) -> None:
    created: list[Run] = []
    done = asyncio.Event()
    started: list[UUID] = []

    async def create() -> None:
        try:
            created.append(await start(multitask_strategy=strategy))
        except RunConflict:
            assert strategy == "reject"

    async def work(one: HandWorker) -> None:
        while not (done.is_set() and "pending" not in (await statuses(resources, thread_id)).values()):
            for claimed in await one.claim():
                running = [status for status in (await statuses(resources, thread_id)).values() if status == "running"]
                assert len(running) <= 1
                started.append(claimed.run_id)
                await asyncio.sleep(0.002)
                try:
                    await one.finish(claimed)
                except LeaseLost:
                    assert strategy in ("interrupt", "rollback")
            await asyncio.sleep(0.001)

    workers = [asyncio.create_task(work(one)) for one in (worker, second_worker)]
    await asyncio.gather(*(create() for _ in range(20)))
    done.set()
    await asyncio.gather(*workers)

    rows = await resources.runs.list(thread_id, limit=100)
    accepted = {run.run_id for run in created}
    order = [run.run_id for run in sorted(created, key=lambda run: run.created_at)]
    assert [run_id for run_id in order if run_id in started] == started
    assert (await resources.threads.get(thread_id)).status == "idle"
    if strategy == "rollback":
        assert {run.run_id for run in rows} <= accepted
        assert {run.status for run in rows} == {"success"}
    else:
        assert {run.run_id for run in rows} == accepted
        ends = {"success"} if strategy != "interrupt" else {"success", "interrupted"}
        assert {run.status for run in rows} <= ends
    # The last one accepted has nobody to make way for.
    assert rows[0].run_id == order[-1]
    assert rows[0].status == "success"
    if strategy == "enqueue":
        assert len(started) == 20
