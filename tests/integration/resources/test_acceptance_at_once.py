"""A run is accepted by one statement, and only if what it was made from is still so."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from lgnb.db.database import Database
from lgnb.db.threads import ThreadRepository
from lgnb.errors import AssistantNotFound, RunConflict
from lgnb.models.runs import Run, RunRequest
from lgnb.resources import Resources

from .conftest import GRAPH, HandWorker

Statements = list[str]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """What is executed from now on, through connections and cursors."""
    seen: Statements = []
    of_connection = AsyncConnection.execute

    async def counted(self: Any, statement: Any, *arguments: Any, **more: Any) -> Any:
        seen.append(str(statement))
        return await of_connection(self, statement, *arguments, **more)

    monkeypatch.setattr(AsyncConnection, "execute", counted)
    return seen


def tags(run: Run) -> Any:
    return run.kwargs["config"].get("tags")


async def test_a_run_without_a_thread_is_one_statement_once_its_assistant_is_known(
    resources: Resources, statements: Statements
) -> None:
    await resources.runs.create(None, RunRequest(assistant_id=GRAPH))
    statements.clear()

    await resources.runs.create(None, RunRequest(assistant_id=GRAPH))

    assert len(statements) == 1


async def test_a_changed_assistant_serves_the_very_next_run(resources: Resources, thread_id: UUID) -> None:
    assistant = await resources.assistants.create(graph_id=GRAPH, config={"tags": ["old"]})
    request = RunRequest(assistant_id=str(assistant.assistant_id), multitask_strategy="enqueue")
    first = await resources.runs.create(None, request)
    await resources.assistants.update(assistant.assistant_id, config={"tags": ["new"]})

    runs = [first, await resources.runs.create(None, request), await resources.runs.create(thread_id, request)]

    assert [tags(run) for run in runs] == [["old"], ["new"], ["new"]]


async def test_a_deleted_assistant_serves_no_run(resources: Resources) -> None:
    assistant = await resources.assistants.create(graph_id=GRAPH)
    request = RunRequest(assistant_id=str(assistant.assistant_id))
    await resources.runs.create(None, request)
    await resources.assistants.delete(assistant.assistant_id)

    with pytest.raises(AssistantNotFound):
        await resources.runs.create(None, request)


async def test_a_run_on_a_thread_that_changes_meanwhile_sees_the_change(
    resources: Resources, thread_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ThreadRepository.to_run

    async def look_too_early(self: ThreadRepository, thread_id: UUID) -> Any:
        found = await look(self, thread_id)
        await resources.threads.update(thread_id, metadata={"changed": True})
        return found

    monkeypatch.setattr(ThreadRepository, "to_run", look_too_early)

    run = await resources.runs.create(thread_id, RunRequest(assistant_id=GRAPH))

    assert run.metadata["changed"] is True
    assert (await resources.threads.get(thread_id)).metadata["changed"] is True


async def test_of_many_at_once_one_is_accepted_where_others_are_refused(resources: Resources, thread_id: UUID) -> None:
    request = RunRequest(assistant_id=GRAPH, multitask_strategy="reject")

    answers = await asyncio.gather(
        *(resources.runs.create(thread_id, request) for _ in range(12)), return_exceptions=True
    )

    assert sum(isinstance(answer, Run) for answer in answers) == 1
    assert sum(isinstance(answer, RunConflict) for answer in answers) == 11


async def test_the_end_of_a_run_takes_a_run_into_account_that_was_accepted_meanwhile(
    resources: Resources, thread_id: UUID, worker: HandWorker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement that ends runs at once waits for the acceptance, and then leaves it to the one with the lock."""
    request = RunRequest(assistant_id=GRAPH, multitask_strategy="enqueue")
    await resources.runs.create(thread_id, request)
    claimed = await worker.claim_one()
    locked: list[bool] = []
    hold = ThreadRepository.hold

    async def hold_and_note(self: ThreadRepository, *arguments: Any) -> Any:
        locked.append(True)
        return await hold(self, *arguments)

    monkeypatch.setattr(ThreadRepository, "hold", hold_and_note)
    async with database.transaction() as connection:
        await resources.runs.accept(connection, thread_id, request, configurable={}, caller=None)
        ending = asyncio.create_task(worker.finish(claimed))
        await asyncio.sleep(0.2)
        assert not ending.done()
    await ending

    assert locked == [True]
    assert (await resources.threads.get(thread_id)).status == "busy"
    assert len(await worker.claim()) == 1


async def test_runs_that_end_together_end_each_with_its_own_state(
    resources: Resources, worker: HandWorker, statements: Statements
) -> None:
    threads = [(await resources.threads.create()).thread_id for _ in range(8)]
    for thread_id in threads:
        await resources.runs.create(thread_id, RunRequest(assistant_id=GRAPH))
    claimed = await worker.claim()
    statements.clear()

    await asyncio.gather(
        *(
            worker.finish_with(
                run,
                {"values": {"of": str(run.thread_id), "odd": '\\ä"'}, "tasks": [], "next": []},
                result=f'"{run.run_id}"'.encode(),
            )
            for run in claimed
        )
    )

    assert len(statements) <= 2
    for thread_id, run in zip(threads, sorted(claimed, key=lambda run: threads.index(run.thread_id)), strict=True):
        thread = await resources.threads.get(thread_id)
        assert (thread.status, thread.values) == ("idle", {"of": str(thread_id), "odd": '\\ä"'})
        assert await resources.runs.result(await resources.runs.get(thread_id, run.run_id)) == str(run.run_id)
