"""Accepting runs: what is stored of a request, and what of it is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from lgnb.db.database import Database
from lgnb.errors import (
    AssistantNotFound,
    InvalidRequest,
    InvalidState,
    NotFound,
    QueueUnavailable,
    RunConflict,
    RunNotFound,
    ThreadNotFound,
)
from lgnb.models.runs import Run, RunRequest
from lgnb.resources import Resources

from .conftest import GRAPH, HandWorker

Start = Callable[..., Awaitable[Run]]


def request(**fields: Any) -> RunRequest:
    return RunRequest(assistant_id=GRAPH, **fields)


async def test_the_config_of_assistant_thread_and_run_override_each_other_in_this_order(resources: Resources) -> None:
    assistant = await resources.assistants.create(
        graph_id=GRAPH,
        config={"recursion_limit": 7, "tags": ["a"], "configurable": {"of": "assistant", "a": 1}},
        metadata={"of": "assistant", "a": 1},
    )
    name = str(assistant.assistant_id)
    first = await resources.runs.create(
        None,
        RunRequest(
            assistant_id=name,
            config={"tags": ["r"], "configurable": {"of": "run"}, "metadata": {"of": "config", "c": 1}},
            metadata={"of": "run"},
            on_completion="keep",
        ),
    )
    second = await resources.runs.create(first.thread_id, RunRequest(assistant_id=name))

    config = first.kwargs["config"]
    assert (config["tags"], config["recursion_limit"]) == (["r"], 7)
    assert {key: config["configurable"][key] for key in ("of", "a")} == {"of": "run", "a": 1}
    assert first.metadata == {"of": "run", "a": 1, "c": 1, "assistant_id": name}
    assert config["metadata"] == first.metadata
    assert second.kwargs["config"]["configurable"]["of"] == "assistant"
    # Only what is not configurable is remembered by the thread.
    thread = await resources.threads.get(first.thread_id)
    assert thread.metadata == {"graph_id": GRAPH, "assistant_id": name, "of": "run", "c": 1}
    assert thread.config["tags"] == ["r"]
    assert thread.config["configurable"] == {"of": "assistant", "a": 1}


async def test_the_server_names_run_thread_and_assistant_in_the_configurable(
    resources: Resources, start: Start, thread_id: UUID
) -> None:
    run = await start(config={"configurable": {"run_id": "mine", "thread_id": "mine", "user_id": "ada"}})

    configurable = run.kwargs["config"]["configurable"]
    assert configurable["run_id"] == str(run.run_id)
    assert configurable["thread_id"] == str(thread_id)
    assert (configurable["graph_id"], configurable["user_id"]) == (GRAPH, "ada")


async def test_the_identity_of_the_caller_reaches_the_worker_but_no_client(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    created = await start(config={"configurable": {"langgraph_auth_user": "forged"}})

    shown = [
        created,
        await resources.runs.get(thread_id, created.run_id),
        await resources.runs.find(created.run_id),
        *await resources.runs.list(thread_id),
        *await resources.runs.create_batch([request()]),
    ]
    for run in shown:
        assert not [key for key in run.kwargs["config"]["configurable"] if key.startswith("langgraph_auth")]
    claimed = next(run for run in await worker.claim() if run.run_id == created.run_id)
    assert claimed.kwargs["config"]["configurable"]["langgraph_auth_user"] is None


async def test_context_and_configurable_exclude_each_other(start: Start) -> None:
    run = await start(context={"a": 1})

    assert run.kwargs["context"] == {"a": 1}
    assert run.kwargs["config"]["configurable"]["a"] == 1
    with pytest.raises(InvalidState):
        await start(context={"a": 1}, config={"configurable": {"b": 1}})


async def test_a_run_of_a_missing_thread_or_assistant_is_refused(resources: Resources, start: Start) -> None:
    with pytest.raises(ThreadNotFound):
        await resources.runs.create(uuid4(), request())
    with pytest.raises(AssistantNotFound):
        await resources.runs.create(None, RunRequest(assistant_id=str(uuid4())))
    with pytest.raises(InvalidRequest):
        await resources.runs.create(None, RunRequest(assistant_id="no graph"))
    with pytest.raises(InvalidState):
        await resources.runs.create(None, request(command={"resume": "yes"}))


async def test_a_thread_is_made_with_its_first_run_if_asked(resources: Resources) -> None:
    thread_id = uuid4()

    run = await resources.runs.create(thread_id, request(if_not_exists="create", metadata={"m": 1}))

    thread = await resources.threads.get(thread_id)
    assert (run.thread_id, thread.status, thread.metadata["m"]) == (thread_id, "busy", 1)


async def test_a_refused_run_leaves_no_thread_behind(resources: Resources) -> None:
    thread_id = uuid4()

    with pytest.raises(InvalidState):
        await resources.runs.create(
            thread_id, request(if_not_exists="create", context={"a": 1}, config={"configurable": {"b": 1}})
        )

    with pytest.raises(ThreadNotFound):
        await resources.threads.get(thread_id)


async def test_one_bad_entry_fails_the_whole_batch(resources: Resources) -> None:
    with pytest.raises(InvalidRequest):
        await resources.runs.create_batch([request(), RunRequest(assistant_id="no graph")])

    assert await resources.threads.count() == 0


async def test_a_delayed_run_is_dated_ahead_and_bars_nobody(start: Start, worker: HandWorker) -> None:
    delayed = await start(after_seconds=60)
    prompt = await start()

    assert 55 < (delayed.created_at - datetime.now(UTC)).total_seconds() < 61
    assert [run.run_id for run in await worker.claim()] == [prompt.run_id]
    due = await worker.resources.leases.next_due_seconds([GRAPH])
    assert due is not None
    assert 55 < due < 61


async def test_a_busy_thread_keeps_the_metadata_of_the_run_it_works_on(
    resources: Resources, start: Start, thread_id: UUID
) -> None:
    await start()
    other = await resources.assistants.create(graph_id=GRAPH)
    before = await resources.threads.get(thread_id)
    await resources.runs.create(thread_id, RunRequest(assistant_id=str(other.assistant_id)))

    after = await resources.threads.get(thread_id)
    assert after.metadata == before.metadata


async def test_runs_are_listed_newest_first_by_page_and_status(
    resources: Resources, start: Start, thread_id: UUID
) -> None:
    runs = [await start() for _ in range(3)]
    await resources.runs.cancel(thread_id, runs[0].run_id)

    listed = await resources.runs.list(thread_id, limit=2)
    pending = await resources.runs.list(thread_id, status="pending", limit=10, offset=1)

    assert [run.run_id for run in listed] == [runs[2].run_id, runs[1].run_id]
    assert [run.run_id for run in pending] == [runs[1].run_id]
    with pytest.raises(ThreadNotFound):
        await resources.runs.list(uuid4())
    with pytest.raises(RunNotFound):
        await resources.runs.get(uuid4(), runs[0].run_id)


async def test_cancelling_a_pending_run_frees_its_thread(resources: Resources, start: Start, thread_id: UUID) -> None:
    run = await start()

    await resources.runs.cancel(thread_id, run.run_id, wait=True)

    assert (await resources.runs.get(thread_id, run.run_id)).status == "interrupted"
    assert (await resources.threads.get(thread_id)).status == "idle"
    with pytest.raises(NotFound):
        await resources.runs.cancel(thread_id, run.run_id)


async def test_rolling_back_a_pending_run_deletes_it_and_frees_its_thread(
    resources: Resources, start: Start, thread_id: UUID
) -> None:
    run = await start()

    await resources.runs.cancel(thread_id, run.run_id, action="rollback", wait=True)

    assert await resources.runs.list(thread_id) == []
    assert (await resources.threads.get(thread_id)).status == "idle"


async def test_a_pending_temporary_run_takes_its_thread_along(resources: Resources) -> None:
    run = await resources.runs.create(None, request())

    await resources.runs.cancel(run.thread_id, run.run_id)

    assert await resources.threads.count() == 0


async def test_deleting_a_temporary_run_takes_its_thread_along(resources: Resources) -> None:
    run = await resources.runs.create(None, request())

    await resources.runs.delete(run.thread_id, run.run_id)

    assert await resources.threads.count() == 0


async def test_many_runs_are_cancelled_by_status_or_by_name(resources: Resources, worker: HandWorker) -> None:
    kept = [await resources.runs.create(None, request(on_completion="keep")) for _ in range(3)]
    await worker.claim(limit=1)

    await resources.runs.cancel_many(status="pending")
    statuses = [(await resources.runs.find(run.run_id)).status for run in kept]

    assert statuses == ["running", "interrupted", "interrupted"]
    with pytest.raises(NotFound):
        await resources.runs.cancel_many(thread_id=kept[1].thread_id, run_ids=[kept[1].run_id])
    # The running one is only asked to end.
    await resources.runs.cancel_many(thread_id=kept[0].thread_id, run_ids=[kept[0].run_id])
    (watched,) = await resources.runs.watch([kept[0].run_id])
    assert (watched.status, watched.cancel_action) == ("running", "interrupt")


async def test_deleting_a_running_run_refuses_its_worker_and_frees_the_thread(
    resources: Resources, start: Start, worker: HandWorker, thread_id: UUID
) -> None:
    run = await start()
    await worker.claim_one()

    await resources.runs.delete(thread_id, run.run_id)

    assert (await resources.threads.get(thread_id)).status == "idle"
    with pytest.raises(RunNotFound):
        await resources.runs.delete(thread_id, run.run_id)


ONE, OTHER = "1" * 32, "2" * 32


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [("yes", "yes", True), ({ONE: 1}, {ONE: 2}, True), ({ONE: 1}, "yes", True), ({ONE: 1}, {OTHER: 1}, False)],
)
async def test_an_interrupt_is_answered_once(start: Start, first: Any, second: Any, is_refused: bool) -> None:
    await start(command={"resume": first})

    if is_refused:
        with pytest.raises(RunConflict):
            await start(command={"resume": second})
    else:
        await start(command={"resume": second})
    await start(command={"resume": second}, multitask_strategy="interrupt")


async def test_what_redis_does_not_hear_of_is_accepted_all_the_same(
    resources: Resources, start: Start, worker: HandWorker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any, **__: Any) -> None:
        raise QueueUnavailable("away")

    monkeypatch.setattr(resources.wakeups, "ring", silent)
    monkeypatch.setattr(resources.signals, "send", silent)
    monkeypatch.setattr(resources.events, "append_end", silent)

    await start()
    newest = await start(multitask_strategy="interrupt")

    assert (await worker.claim_one()).run_id == newest.run_id
