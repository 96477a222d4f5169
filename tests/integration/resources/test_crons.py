"""Crons on a real Postgres: rows, and each tick exactly once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lgnb.db.database import Database
from lgnb.errors import AssistantNotFound, CronNotFound, InvalidRequest, InvalidState, ThreadNotFound
from lgnb.models.assistants import system_assistant_id
from lgnb.models.crons import Cron
from lgnb.models.ids import new_id
from lgnb.models.runs import Run
from lgnb.resources import Resources
from lgnb.resources.crons import CronChange
from lgnb.worker.cron_tick import CronTick

GRAPH = "sums"


def _change(**payload: Any) -> CronChange:
    names = ("schedule", "timezone", "end_time", "metadata", "on_run_completed", "enabled")
    return CronChange(payload=payload, **{name: payload[name] for name in names if name in payload})


async def _create(resources: Resources, thread_id: UUID | None = None, **payload: Any) -> Cron:
    request = _change(**{"schedule": "0 3 * * *", **payload})
    return await resources.crons.create(GRAPH, request, thread_id=thread_id)


async def _set_due(database: Database, cron: Cron, *, ago: timedelta = timedelta(seconds=1)) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE crons SET next_run_date = now() - %s WHERE cron_id = %s", (ago, cron.cron_id))


async def _all_runs(resources: Resources, database: Database) -> list[Run]:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT run_id FROM runs ORDER BY created_at, run_id")
        ids = [row[0] for row in await cursor.fetchall()]
    return [await resources.runs.find(run_id) for run_id in ids]


async def test_a_cron_shows_its_request_and_when_it_is_due(resources: Resources) -> None:
    cron = await _create(resources, input={"n": 1}, metadata={"name": "nightly", "cron_id": "x"})

    assert cron.assistant_id == system_assistant_id(GRAPH)
    assert cron.payload == {
        "schedule": "0 3 * * *",
        "input": {"n": 1},
        "metadata": {"name": "nightly"},
        "assistant_id": str(system_assistant_id(GRAPH)),
        "config": {"configurable": {"cron_id": str(cron.cron_id)}},
    }
    assert cron.next_run_date is not None
    assert (cron.next_run_date.hour, cron.next_run_date.minute) == (3, 0)
    assert (cron.metadata, cron.on_run_completed, cron.enabled) == ({"name": "nightly"}, "delete", True)
    assert await resources.crons.get(cron.cron_id) == cron


async def test_what_a_cron_names_must_exist(resources: Resources) -> None:
    with pytest.raises(AssistantNotFound):
        await resources.crons.create("nobody", _change(schedule="* * * * *"))
    with pytest.raises(ThreadNotFound):
        await _create(resources, new_id())
    with pytest.raises(InvalidRequest):
        await _create(resources, schedule="every day")
    with pytest.raises(InvalidState):
        await _create(resources, context={"a": 1}, config={"configurable": {"b": 1}})


async def test_two_ticks_at_once_create_one_run(resources: Resources, database: Database) -> None:
    crons = [await _create(resources) for _ in range(5)]
    for cron in crons:
        await _set_due(database, cron)

    fired = await asyncio.gather(*(resources.crons.fire() for _ in range(6)))

    assert sum(fired) == 5
    assert len(await _all_runs(resources, database)) == 5


async def test_missed_ticks_are_not_made_up(resources: Resources, database: Database) -> None:
    cron = await _create(resources, schedule="* * * * *")
    await _set_due(database, cron, ago=timedelta(hours=3))

    assert [await resources.crons.fire(), await resources.crons.fire()] == [1, 0]

    following = (await resources.crons.get(cron.cron_id)).next_run_date
    assert following is not None
    assert datetime.now(UTC) - timedelta(seconds=2) < following <= datetime.now(UTC) + timedelta(seconds=62)


async def test_a_tick_whose_process_dies_before_the_commit_is_fired_by_another(
    resources: Resources, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cron = await _create(resources)
    await _set_due(database, cron)

    async def die(*arguments: Any, **options: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(resources.crons._runs, "accept", die)
        with pytest.raises(asyncio.CancelledError):
            await resources.crons.fire()

    assert await _all_runs(resources, database) == []
    assert await resources.crons.fire() == 1


@pytest.mark.parametrize("on_run_completed", ["delete", "keep"])
async def test_a_cron_without_a_thread_makes_a_new_one_each_time(
    resources: Resources, database: Database, on_run_completed: Any
) -> None:
    cron = await _create(resources, on_run_completed=on_run_completed, metadata={"name": "nightly"})
    for _ in range(2):
        await _set_due(database, cron)
        await resources.crons.fire()

    runs = await _all_runs(resources, database)
    threads = (await resources.threads.search(metadata={"name": "nightly"})).items
    assert len({run.thread_id for run in runs}) == 2
    assert {thread.thread_id for thread in threads} == {run.thread_id for run in runs}
    assert {run.temporary for run in runs} == {on_run_completed == "delete"}


async def test_a_run_of_a_cron_knows_its_cron_and_nothing_of_it_leaks_into_context(
    resources: Resources, database: Database
) -> None:
    cron = await _create(
        resources,
        input={"n": 1},
        metadata={"a": "row", "b": "row"},
        interrupt_before=["x"],
        stream_mode="updates",
        durability="exit",
    )
    await resources.crons.update(cron.cron_id, _change(metadata={"b": "payload"}))
    await _set_due(database, cron)
    await resources.crons.fire()

    (run,) = await _all_runs(resources, database)
    configurable = run.kwargs["config"]["configurable"]
    assert configurable["cron_id"] == str(cron.cron_id)
    assert configurable["langgraph_request_id"] is None
    assert run.kwargs["context"] == {}
    assert (run.metadata["a"], run.metadata["b"]) == ("row", "payload")
    assert "cron_id" not in run.metadata
    assert run.kwargs["input"] == {"n": 1}
    assert (run.kwargs["interrupt_before"], run.kwargs["stream_mode"], run.kwargs["durability"]) == (
        ["x"],
        ["updates"],
        "exit",
    )


async def test_a_cron_with_context_fires(resources: Resources, database: Database) -> None:
    cron = await _create(resources, context={"tone": "dry"})
    await _set_due(database, cron)

    assert await resources.crons.fire() == 1

    (run,) = await _all_runs(resources, database)
    assert run.kwargs["context"] == {"tone": "dry"}


async def test_a_cron_on_a_thread_runs_there_by_its_strategy(
    resources: Resources, database: Database, thread_id: UUID
) -> None:
    queued = await _create(resources, thread_id)
    refused = await _create(resources, thread_id, multitask_strategy="reject")
    for cron in (queued, refused):
        await _set_due(database, cron)
        await resources.crons.fire()

    runs = await resources.runs.list(thread_id)
    assert [run.multitask_strategy for run in runs] == ["enqueue"]
    assert queued.on_run_completed is None
    following = (await resources.crons.get(refused.cron_id)).next_run_date
    assert following is not None
    assert following > datetime.now(UTC)


async def test_a_cron_that_cannot_fire_does_not_hold_up_the_others(resources: Resources, database: Database) -> None:
    broken, sound = await _create(resources), await _create(resources)
    async with database.connection() as connection:
        await connection.execute(
            """UPDATE crons SET payload = payload || '{"stream_mode": 5, "config": "x"}' WHERE cron_id = %s""",
            (broken.cron_id,),
        )
        await connection.execute("UPDATE crons SET timezone = 'Mars/Olympus' WHERE cron_id = %s", (sound.cron_id,))
    for cron in (broken, sound):
        await _set_due(database, cron)

    assert await resources.crons.fire() == 1
    assert await resources.crons.fire() == 0


async def test_a_cron_that_is_paused_or_over_does_not_fire(resources: Resources, database: Database) -> None:
    paused = await _create(resources, enabled=False)
    over = await _create(resources, end_time=datetime.now(UTC) - timedelta(seconds=5))
    for cron in (paused, over):
        await _set_due(database, cron)

    assert await resources.crons.fire() == 0

    await resources.crons.update(paused.cron_id, _change(enabled=True))
    assert await resources.crons.fire() == 1


async def test_a_time_without_a_zone_is_utc(resources: Resources) -> None:
    cron = await _create(resources, end_time=datetime(2030, 1, 1, 12))  # noqa: DTZ001 - what is tested

    assert cron.end_time == datetime(2030, 1, 1, 12, tzinfo=UTC)


async def test_a_change_is_merged_and_a_new_schedule_moves_the_next_date(resources: Resources) -> None:
    cron = await _create(resources, input={"n": 1}, metadata={"a": 1}, end_time=datetime(2030, 1, 1, tzinfo=UTC))

    changed = await resources.crons.update(
        cron.cron_id, _change(schedule="0 4 * * *", timezone="Asia/Tokyo", metadata={"b": 2}, end_time=None)
    )

    assert changed.next_run_date is not None
    assert changed.next_run_date.hour == 19
    assert changed.metadata == {"a": 1, "b": 2}
    assert changed.payload["metadata"] == {"b": 2}
    assert changed.payload["input"] == {"n": 1}
    assert changed.payload["config"]["configurable"] == {"cron_id": str(cron.cron_id)}
    assert changed.end_time is None


async def test_pausing_leaves_the_next_date(resources: Resources) -> None:
    cron = await _create(resources)

    changed = await resources.crons.update(cron.cron_id, _change(enabled=False))

    assert changed.next_run_date == cron.next_run_date
    assert changed.end_time == cron.end_time


async def test_an_empty_change_and_an_unknown_cron_are_refused(resources: Resources) -> None:
    cron = await _create(resources)

    with pytest.raises(InvalidState):
        await resources.crons.update(cron.cron_id, _change())
    with pytest.raises(CronNotFound):
        await resources.crons.update(new_id(), _change(enabled=False))
    with pytest.raises(CronNotFound):
        await resources.crons.delete(new_id())


async def test_crons_go_with_their_thread_and_can_be_searched_and_counted(
    resources: Resources, thread_id: UUID
) -> None:
    mine = await _create(resources, thread_id, metadata={"team": "a"})
    other = await _create(resources, metadata={"team": "a"}, enabled=False)

    assert [cron.cron_id for cron in (await resources.crons.search()).items] == [other.cron_id, mine.cron_id]
    assert [cron.cron_id for cron in (await resources.crons.search(enabled=True)).items] == [mine.cron_id]
    assert await resources.crons.count(thread_id=thread_id) == 1
    assert await resources.crons.count(metadata={"team": "a"}) == 2
    await resources.threads.delete(thread_id)
    assert await resources.crons.count() == 1


async def test_deleting_a_thread_while_its_crons_fire_ends_well(resources: Resources, database: Database) -> None:
    for _ in range(10):
        thread_id = (await resources.threads.create()).thread_id
        cron = await _create(resources, thread_id)
        await _set_due(database, cron)
        await asyncio.gather(resources.crons.fire(), resources.threads.delete(thread_id), resources.crons.fire())

    assert await resources.crons.count() == 0


async def test_the_tick_wakes_when_a_cron_is_due_and_not_only_now_and_then(
    resources: Resources, database: Database, until: Any
) -> None:
    await _create(resources, schedule="* * * * * *")
    ticking = [asyncio.create_task(CronTick(resources.crons, period_seconds=60).run()) for _ in range(2)]
    try:

        async def three() -> bool:
            return len(await _all_runs(resources, database)) >= 3

        await until(three, "three runs of a cron of every second")
    finally:
        for task in ticking:
            task.cancel()
        await asyncio.gather(*ticking, return_exceptions=True)
    seconds = [run.created_at.replace(microsecond=0) for run in await _all_runs(resources, database)]
    assert len(seconds) == len(set(seconds))
