"""What workers do to runs, by hand: claims are exclusive, and whoever lost a lease changes nothing any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from lgnb.db.database import Database
from lgnb.errors import LeaseLost
from lgnb.models.runs import Run, RunOutcome, RunRequest
from lgnb.resources import Resources

from .conftest import GRAPH, HandWorker
from .graphs import execute, newest_state

Start = Callable[..., Awaitable[Run]]


async def test_two_workers_never_claim_the_same_run(
    resources: Resources, worker: HandWorker, second_worker: HandWorker
) -> None:
    created = await resources.runs.create_batch([RunRequest(assistant_id=GRAPH) for _ in range(40)])

    async def claim_all(one: HandWorker) -> list[UUID]:
        found: list[UUID] = []
        for _ in range(30):
            found += [run.run_id for run in await one.claim(limit=3)]
        return found

    claims = await asyncio.gather(*(claim_all(one) for one in (worker, second_worker, worker, second_worker)))

    claimed = [run_id for found in claims for run_id in found]
    assert len(claimed) == len(set(claimed)) == 40
    assert set(claimed) == {run.run_id for run in created}


async def test_a_worker_without_a_lease_claims_nothing(start: Start, worker: HandWorker, database: Database) -> None:
    await start()
    await worker.lose(database)

    assert await worker.claim() == []


async def test_the_end_of_a_run_is_one_change_of_run_thread_and_result(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    run = await start()
    claimed = await worker.claim_one()
    await execute(claimed, worker.saver(claimed), log=["i"])
    state = await newest_state(worker.saver(claimed), claimed)

    await worker.finish_with(claimed, state, result=b'{"log":["i","a","b","c"]}')

    thread = await resources.threads.get(thread_id)
    assert (await resources.runs.get(thread_id, run.run_id)).status == "success"
    assert (thread.status, thread.values, thread.error) == ("idle", {"log": ["i", "a", "b", "c"]}, None)
    assert await resources.runs.result(run) == {"log": ["i", "a", "b", "c"]}
    assert await resources.threads.get_state(thread_id) == state


async def test_a_lost_worker_is_followed_by_another_attempt_and_cannot_finish_late(
    resources: Resources, start: Start, worker: HandWorker, second_worker: HandWorker, database: Database
) -> None:
    run = await start()
    first = await worker.claim_one()
    await worker.lose(database)

    swept = await resources.leases.sweep()
    second = await second_worker.claim_one()

    assert swept.requeued == [run.run_id]
    assert (second.run_id, second.attempt, second.failed_attempts) == (run.run_id, 2, 1)
    with pytest.raises(LeaseLost):
        await worker.finish(first)
    with pytest.raises(LeaseLost):
        await execute(first, worker.saver(first), log=["late"])
    assert await worker.resources.leases.give_back(first) is False
    await second_worker.finish(second)


async def test_a_lease_in_time_is_left_alone(resources: Resources, start: Start, worker: HandWorker) -> None:
    await start()
    claimed = await worker.claim_one()

    swept = await resources.leases.sweep()

    assert (swept.requeued, swept.ended) == ([], [])
    await worker.finish(claimed)


async def test_sweepers_at_work_together_do_each_thing_once(
    resources: Resources, worker: HandWorker, database: Database
) -> None:
    await resources.runs.create_batch([RunRequest(assistant_id=GRAPH) for _ in range(30)])
    await worker.claim()
    await worker.lose(database)

    swept = await asyncio.gather(*(resources.leases.sweep() for _ in range(4)))

    requeued = [run_id for one in swept for run_id in one.requeued]
    assert len(requeued) == len(set(requeued)) == 30


async def test_a_run_that_keeps_killing_workers_ends_in_an_error_that_names_the_node(
    resources: Resources, start: Start, thread_id: UUID, database: Database
) -> None:
    run = await start()
    for attempt in range(1, 4):
        worker = await HandWorker(resources).register()
        claimed = await worker.claim_one()
        assert claimed.attempt == attempt
        if attempt == 1:
            await execute(claimed, worker.saver(claimed), log=["i"], stop_before="b")
        await worker.lose(database)
        swept = await resources.leases.sweep()

    assert swept.ended == [run.run_id]
    thread = await resources.threads.get(thread_id)
    assert (await resources.runs.get(thread_id, run.run_id)).status == thread.status == "error"
    assert thread.error == {"error": "WorkerLost", "message": "The worker died 3 times while executing node b."}
    assert thread.values == {"log": ["i", "a"]}
    assert await resources.runs.result(run) == {"__error__": thread.error}


async def test_attempts_given_back_in_good_order_do_not_count(
    resources: Resources, start: Start, worker: HandWorker, database: Database
) -> None:
    await start()
    for _ in range(5):
        assert await resources.leases.give_back(await worker.claim_one())
    claimed = await worker.claim_one()
    await worker.lose(database)

    swept = await resources.leases.sweep()

    assert (claimed.attempt, claimed.failed_attempts) == (6, 0)
    assert swept.requeued == [claimed.run_id]


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancelled_run_whose_worker_is_lost_is_not_started_again(
    action: str, resources: Resources, start: Start, worker: HandWorker, thread_id: UUID, database: Database
) -> None:
    run = await start()
    claimed = await worker.claim_one()
    await execute(claimed, worker.saver(claimed), log=["i"], stop_before="b")
    await resources.runs.cancel(thread_id, run.run_id, action=action)  # pyright: ignore[reportArgumentType]
    await worker.lose(database)

    swept = await resources.leases.sweep()

    thread = await resources.threads.get(thread_id)
    assert swept.ended == [run.run_id]
    assert thread.error is not None
    if action == "interrupt":
        assert (await resources.runs.get(thread_id, run.run_id)).status == "interrupted"
        assert (thread.status, thread.values) == ("interrupted", {"log": ["i", "a"]})
        assert thread.error["error"] == "UserInterrupt"
    else:
        assert await resources.runs.list(thread_id) == []
        assert await resources.threads.history(thread_id, limit=10) == []
        assert (thread.status, thread.values) == ("idle", None)
        assert thread.error["error"] == "UserRollback"


async def test_a_rolled_back_run_leaves_the_thread_as_it_was_before(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    await start()
    kept = await worker.claim_one()
    await execute(kept, worker.saver(kept), log=["kept"], stop_before="b")
    await worker.finish_with(kept, await newest_state(worker.saver(kept), kept), thread_status="interrupted")
    before = await resources.threads.get_state(thread_id)
    await start()
    gone = await worker.claim_one()
    await execute(gone, worker.saver(gone), log=["gone"])

    await resources.leases.roll_back(gone, RunOutcome(status="interrupted", thread_status="idle", result=b"{}"))

    thread = await resources.threads.get(thread_id)
    assert (thread.status, thread.values) == ("interrupted", {"log": ["kept", "a"]})
    assert await resources.threads.get_state(thread_id) == before
    assert [run.run_id for run in await resources.runs.list(thread_id)] == [kept.run_id]
    with pytest.raises(LeaseLost):
        await resources.leases.roll_back(gone, RunOutcome(status="interrupted", thread_status="idle", result=b"{}"))


async def test_the_leases_of_a_process_known_to_be_dead_end_at_once(
    resources: Resources, start: Start, worker: HandWorker
) -> None:
    run = await start()
    await worker.claim_one()

    swept = await resources.leases.release_process(host_name="here", pid=1)

    assert swept.requeued == [run.run_id]


async def test_a_temporary_run_goes_with_its_thread_and_its_result_stays(
    resources: Resources, worker: HandWorker
) -> None:
    run = await resources.runs.create(None, RunRequest(assistant_id=GRAPH))
    await worker.finish(await worker.claim_one(), result=b'{"x":1}')

    assert await resources.threads.count() == 0
    assert await resources.runs.result(run) == {"x": 1}
    assert await resources.leases.purge_results(age_seconds=0) == 1


async def test_a_thread_stays_busy_while_another_run_waits(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    await start()
    await start()

    await worker.finish(await worker.claim_one())

    assert (await resources.threads.get(thread_id)).status == "busy"
