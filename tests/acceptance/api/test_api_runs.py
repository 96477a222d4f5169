"""Runs over HTTP: how they begin, what waiting callers are told, how they end before their time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
)

Running = Callable[..., Awaitable[dict[str, Any]]]
ALL = ["i", "a", "b", "c"]


# Two processes of a test run must name their tests alike.
_NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_run_in_the_background_shows_its_row(client: LangGraphClient, thread: str) -> None:
    """Pending at first; the row keeps what was asked for."""
    run = await client.runs.create(
        thread,
        "steps",
        input={"log": ["i"]},
        metadata={"m": 1},
        config={"tags": ["t"], "configurable": {"k": "v"}},
        stream_mode=["values", "updates"],
        durability="sync",
    )
    result = await client.runs.join(thread, run["run_id"])
    ended = await client.runs.get(thread, run["run_id"])

    assert result == {"log": ALL}
    assert (run["status"], ended["status"]) == ("pending", "success")
    assert run["multitask_strategy"] == "enqueue"
    assert run["metadata"] == {"created_by": "system", "graph_id": "steps", "m": 1, "assistant_id": run["assistant_id"]}
    kwargs: Any = ended["kwargs"]  # pyright: ignore[reportGeneralTypeIssues, reportTypedDictNotRequiredAccess, reportUnknownVariableType]
    assert kwargs["input"] == {"log": ["i"]}
    assert kwargs["stream_mode"] == ["values", "updates"]
    assert (kwargs["durability"], kwargs["temporary"], kwargs["resumable"]) == ("sync", False, False)
    assert kwargs["config"]["configurable"]["k"] == "v"
    assert kwargs["config"]["configurable"]["run_id"] == run["run_id"]
    assert not [key for key in kwargs["config"]["configurable"] if key.startswith("langgraph_auth")]
    assert [row["run_id"] for row in await client.runs.list(thread, status="success")] == [run["run_id"]]
    assert await client.runs.list(thread, select=["status"]) == [{"status": "success"}]
    assert await client.runs.list(thread, status="pending") == []


async def test_waiting_gives_the_last_values_or_the_error(client: LangGraphClient, thread: str) -> None:
    """An error comes with status 200; the SDK raises it on demand."""
    assert await client.runs.wait(thread, "steps", input={"log": ["i"]}) == {"log": ALL}

    failed = await client.runs.wait(thread, "fails", input={"log": ["j"]}, raise_error=False)
    assert failed == {"__error__": {"error": "ValueError", "message": "boom"}}
    run = (await client.runs.list(thread))[0]
    assert run["status"] == "error"
    assert await client.runs.join(thread, run["run_id"]) == failed


async def test_waiting_gives_the_question_of_an_interrupt(client: LangGraphClient, thread: str) -> None:
    """The state and the question; with several questions only these."""
    one: Any = await client.runs.wait(thread, "approver", input={"answers": ["i"]})
    assert one["answers"] == ["i"]
    (question,) = one["__interrupt__"]
    assert (question["value"], len(question["id"])) == ({"question": "one?"}, 32)
    row = await client.threads.get(thread)
    assert row["status"] == "interrupted"
    assert [waiting["id"] for task in row["interrupts"].values() for waiting in task] == [question["id"]]

    other = (await client.threads.create())["thread_id"]
    several: Any = await client.runs.wait(other, "two_approvers", input={"answers": []})
    assert list(several) == ["__interrupt__"]
    assert {question["value"]["question"] for question in several["__interrupt__"]} == {"left?", "right?"}


async def test_an_answer_resumes_the_interrupt_it_is_for(client: LangGraphClient, thread: str) -> None:
    """Bare when one waits, by id when several do; one node may ask twice."""
    assert "__interrupt__" in await client.runs.wait(thread, "asks_twice", input={"log": []})
    second: Any = await client.runs.wait(thread, "asks_twice", command={"resume": "x"})
    assert [question["value"] for question in second["__interrupt__"]] == ["second?"]
    assert await client.runs.wait(thread, "asks_twice", command={"resume": "y"}) == {"log": ["x and y"]}

    both = (await client.threads.create())["thread_id"]
    asked: Any = await client.runs.wait(both, "two_approvers", input={"answers": []})
    answers = {question["id"]: question["value"]["question"][0] for question in asked["__interrupt__"]}
    bare: Any = await client.runs.wait(both, "two_approvers", command={"resume": "?"}, raise_error=False)
    assert bare["__error__"]["error"] == "RuntimeError"
    answered = await client.runs.wait(both, "two_approvers", command={"resume": answers})
    assert answered == {"answers": [{"left": "l"}, {"right": "r"}]}
    assert (await client.threads.get(both))["status"] == "idle"


async def test_an_answer_to_nothing_changes_nothing(client: LangGraphClient, thread: str) -> None:
    """The run succeeds; with strict_resume it fails instead."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]})
    before = await client.threads.get_history(thread, limit=50)
    await client.runs.wait(thread, "steps", command={"resume": "x"})
    assert await client.threads.get_history(thread, limit=50) == before

    waiting = (await client.threads.create())["thread_id"]
    await client.runs.wait(waiting, "approver", input={"answers": []})
    strict: Any = await client.runs.wait(
        waiting, "approver", command={"resume": {"0" * 32: "x"}}, strict_resume=True, raise_error=False
    )
    assert strict["__error__"]["error"] == "UnknownInterruptError"
    assert (await client.threads.get_state(waiting))["next"] == ["ask"]


async def test_an_interrupt_is_answered_once(client: LangGraphClient, thread: str) -> None:
    """A second answer would reach the next question, so it is refused while the first is under way."""
    await client.runs.wait(thread, "asks_twice", input={"log": []})
    await client.runs.create(thread, "asks_twice", command={"resume": "x"}, after_seconds=30)

    with pytest.raises(ConflictError):
        await client.runs.create(thread, "asks_twice", command={"resume": "x"})


async def test_new_input_drops_the_question(client: LangGraphClient, thread: str) -> None:
    """The graph starts over with the merged state."""
    await client.runs.wait(thread, "approver", input={"answers": ["i"]})

    again: Any = await client.runs.wait(thread, "approver", input={"answers": ["j"]})

    assert again["answers"] == ["i", "j"]
    assert len((await client.threads.get_state(thread))["interrupts"]) == 1


async def test_a_command_goes_anywhere_and_updates(client: LangGraphClient, thread: str) -> None:
    """`goto` names a node or sends to one, `update` is written first."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]})

    assert (await client.runs.wait(thread, "steps", command={"goto": "c"}))["log"] == [*ALL, "c"]
    assert (await client.runs.wait(thread, "steps", command={"update": {"log": ["u"]}}))["log"][-1] == "u"
    sent = await client.runs.wait(thread, "steps", command={"goto": {"node": "b", "input": {"log": []}}})
    assert sent["log"][-2:] == ["b", "c"]


async def test_a_run_stops_before_and_after_nodes(client: LangGraphClient, thread: str) -> None:
    """Its status is success, its thread is interrupted without a question; null input goes on."""
    assert await client.runs.wait(thread, "steps", input={"log": ["i"]}, interrupt_before=["b"]) == {"log": ["i", "a"]}
    row = await client.threads.get(thread)
    assert (row["status"], row["interrupts"]) == ("interrupted", {})
    assert (await client.runs.list(thread))[0]["status"] == "success"
    assert await client.runs.wait(thread, "steps", interrupt_after="*") == {"log": ["i", "a", "b"]}
    assert await client.runs.wait(thread, "steps") == {"log": ALL}
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_input_that_means_nothing_fails_the_run(client: LangGraphClient, thread: str) -> None:
    """Not the request."""
    nothing: Any = await client.runs.wait(thread, "steps", input=None, raise_error=False)
    text: Any = await client.runs.wait(thread, "steps", input="text", raise_error=False)  # pyright: ignore[reportCallIssue, reportArgumentType]

    assert nothing["__error__"]["error"] == "EmptyInputError"
    assert text["__error__"]["error"] == "InvalidUpdateError"


async def test_recursion_has_a_limit(client: LangGraphClient, thread: str) -> None:
    """The run's own, or the assistant's."""
    limited: Any = await client.runs.wait(
        thread, "steps", input={"log": []}, config={"recursion_limit": 2}, raise_error=False
    )

    assert limited["__error__"]["error"] == "GraphRecursionError"
    assert (await client.threads.get(thread))["status"] == "error"


async def test_a_run_starts_from_any_checkpoint(client: LangGraphClient, thread: str) -> None:
    """That makes a branch; the thread follows it."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]})
    history = await client.threads.get_history(thread, limit=50)
    after_a = next(state for state in history if state["next"] == ["b"])

    assert await client.runs.wait(thread, "steps", checkpoint=after_a["checkpoint"]) == {"log": ALL}
    assert await client.runs.wait(thread, "steps", checkpoint_id=after_a["checkpoint_id"]) == {"log": ALL}

    branches = await client.threads.get_history(thread, limit=50)
    assert len(branches) > len(history)
    assert branches[-len(history) :] == history
    from_it = [state for state in branches if state["parent_checkpoint_id"] == after_a["checkpoint_id"]]
    assert len(from_it) == 3


@pytest.mark.parametrize(("durability", "count"), [("async", 5), ("sync", 5), ("exit", 1)])
async def test_durability_decides_how_often_a_run_is_saved(
    durability: Any, count: int, client: LangGraphClient, thread: str
) -> None:
    """After each step, or only at the end."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]}, durability=durability)

    history = await client.threads.get_history(thread, limit=50)
    assert len(history) == count
    assert (history[0]["values"], history[0]["next"]) == ({"log": ALL}, [])
    assert history[0] == await client.threads.get_state(thread)


async def test_a_stateless_run_leaves_nothing_unless_it_shall(client: LangGraphClient) -> None:
    """Its thread exists while it runs."""
    before = await client.threads.count()
    assert await client.runs.wait(None, "steps", input={"log": ["i"]}) == {"log": ALL}
    asked: Any = await client.runs.wait(None, "approver", input={"answers": []})
    failed: Any = await client.runs.wait(None, "fails", input={"log": []}, raise_error=False)
    assert asked["__interrupt__"][0]["value"] == {"question": "one?"}
    assert failed["__error__"]["error"] == "ValueError"
    assert await client.threads.count() == before

    kept = await client.runs.create(None, "steps", input={"log": ["i"]}, on_completion="keep")
    assert await client.runs.join(kept["thread_id"], kept["run_id"]) == {"log": ALL}
    assert (await client.threads.get_state(kept["thread_id"]))["values"] == {"log": ALL}


async def test_a_batch_is_accepted_as_a_whole(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    """Or not at all."""
    entry = {"assistant_id": "steps", "input": {"log": ["i"]}, "on_completion": "keep"}
    runs: Any = await client.runs.create_batch([entry, entry, entry])  # pyright: ignore[reportArgumentType]
    results = [await client.runs.join(run["thread_id"], run["run_id"]) for run in runs]
    assert results == [{"log": ALL}] * 3

    before = await client.threads.count()
    refused = await http.post("/runs/batch", json=[entry, {**entry, "assistant_id": "unknown"}])
    assert refused.status_code == 422
    assert (await http.post("/runs/batch", json=[])).status_code == 422
    assert await client.threads.count() == before


async def test_a_thread_is_made_with_its_run_if_asked(client: LangGraphClient) -> None:
    """Otherwise its absence is an error."""
    thread = str(uuid4())
    with pytest.raises(NotFoundError):
        await client.runs.create(thread, "steps", input={"log": ["i"]})

    assert await client.runs.wait(thread, "steps", input={"log": ["i"]}, if_not_exists="create") == {"log": ALL}
    assert (await client.threads.get(thread))["metadata"]["graph_id"] == "steps"


async def test_a_run_can_be_delayed(client: LangGraphClient, thread: str) -> None:
    """The thread is busy at once, the run starts in time."""
    began = time.time()
    run = await client.runs.create(thread, "steps", input={"log": ["i"]}, after_seconds=1)  # pyright: ignore[reportCallIssue]
    assert (await client.threads.get(thread))["status"] == "busy"

    await client.runs.join(thread, run["run_id"])

    assert 1 <= time.time() - began < 3


async def test_double_texting_waits_by_default(client: LangGraphClient, thread: str) -> None:
    """In the order of the requests."""
    runs = [await client.runs.create(thread, "steps", input={"log": [str(number)]}) for number in range(4)]
    await client.runs.join(thread, runs[-1]["run_id"])

    log = (await client.threads.get_state(thread))["values"]["log"]  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert log == [word for number in range(4) for word in (str(number), "a", "b", "c")]


async def test_double_texting_may_be_rejected(client: LangGraphClient, thread: str, running: Running) -> None:
    """Nothing is stored then."""
    run = await running(thread)

    with pytest.raises(ConflictError):
        await client.runs.create(thread, "steps", input={"log": []}, multitask_strategy="reject")
    assert len(await client.runs.list(thread)) == 1
    await client.runs.cancel(thread, run["run_id"], wait=True)


async def test_double_texting_may_interrupt(client: LangGraphClient, thread: str, running: Running) -> None:
    """What was done stays, and the new run goes on from there."""
    old = await running(thread)

    result = await client.runs.wait(thread, "steps", input={"log": ["j"]}, multitask_strategy="interrupt")

    assert result == {"log": ["i", "a", "j", "a", "b", "c"]}
    assert (await client.runs.get(thread, old["run_id"]))["status"] == "interrupted"
    assert await client.runs.join(thread, old["run_id"]) == result


async def test_double_texting_may_roll_back(client: LangGraphClient, thread: str, running: Running) -> None:
    """As if the old run had never been."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]})
    before = await client.threads.get_history(thread, limit=50)
    old = await running(thread)

    result = await client.runs.wait(thread, "steps", input={"log": ["j"]}, multitask_strategy="rollback")

    assert result == {"log": [*ALL, "j", "a", "b", "c"]}
    assert (await client.threads.get_history(thread, limit=50))[-len(before) :] == before
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, old["run_id"])


async def test_a_running_run_is_cancelled(client: LangGraphClient, thread: str, running: Running) -> None:
    """Its checkpoints stay, and the thread says why it stopped."""
    run = await running(thread)

    assert await client.runs.cancel(thread, run["run_id"], wait=True) == {}  # pyright: ignore[reportGeneralTypeIssues]

    row = await client.threads.get(thread)
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
    assert (row["status"], row["values"]) == ("interrupted", {"log": ["i", "a"]})
    assert row["error"]["error"] == "UserInterrupt"  # pyright: ignore[reportGeneralTypeIssues, reportTypedDictNotRequiredAccess]
    assert await client.runs.join(thread, run["run_id"]) == {"log": ["i", "a"]}
    assert (await client.threads.get_state(thread))["next"] == ["sleep"]
    with pytest.raises(NotFoundError):
        await client.runs.cancel(thread, run["run_id"])


async def test_a_running_run_is_rolled_back(client: LangGraphClient, thread: str, running: Running) -> None:
    """It vanishes with its checkpoints."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]})
    before = await client.threads.get_history(thread, limit=50)
    run = await running(thread)

    assert await client.runs.cancel(thread, run["run_id"], wait=True, action="rollback") == {}  # pyright: ignore[reportGeneralTypeIssues]

    row = await client.threads.get(thread)
    assert await client.threads.get_history(thread, limit=50) == before
    assert (row["status"], row["values"]) == ("idle", {"log": ALL})
    assert row["error"]["error"] == "UserRollback"  # pyright: ignore[reportGeneralTypeIssues, reportTypedDictNotRequiredAccess]
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])


async def test_a_cancel_reaches_a_run_that_was_claimed_a_moment_ago(client: LangGraphClient) -> None:
    """Its worker may hear of the cancel before it holds the run; the heartbeat would notice only seconds later."""
    slowest = 0.0
    for _ in range(20):
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, "slow", input={"log": []})
        while (await client.runs.get(thread_id, run["run_id"]))["status"] == "pending":
            await asyncio.sleep(0)
        began = time.monotonic()
        await client.runs.cancel(thread_id, run["run_id"], wait=True)
        slowest = max(slowest, time.monotonic() - began)

    assert slowest < 1.5


async def test_a_run_without_a_thread_is_joined_by_its_own_address(
    client: LangGraphClient, http: httpx.AsyncClient
) -> None:
    """Clients that know only the run get what those get who know its thread."""
    run = await client.runs.create(None, "steps", input={"log": []}, on_completion="keep", stream_resumable=True)

    joined = await http.get(f"/runs/{run['run_id']}/join")
    streamed = await http.get(f"/runs/{run['run_id']}/stream", headers={"Last-Event-ID": "-1"})

    assert joined.json() == {"log": ["a", "b", "c"]}
    assert joined.headers["location"] == f"/threads/{run['thread_id']}/runs/{run['run_id']}/join"
    assert streamed.text.startswith("event: metadata")


async def test_a_cancel_without_waiting_is_only_taken_down(
    http: httpx.AsyncClient, thread: str, running: Running
) -> None:
    """202 and nothing more; anything but rollback is an interrupt."""
    run = await running(thread)

    answer = await http.post(f"/threads/{thread}/runs/{run['run_id']}/cancel", params={"action": "whatever"})

    assert (answer.status_code, answer.content) == (202, b"")
    joined = await http.get(f"/threads/{thread}/runs/{run['run_id']}/join")
    assert joined.json() == {"log": ["i", "a"]}


async def test_a_pending_run_is_cancelled_without_a_worker(client: LangGraphClient, thread: str) -> None:
    """The thread is what it was before."""
    run = await client.runs.create(thread, "steps", after_seconds=60)  # pyright: ignore[reportCallIssue]
    await client.runs.cancel(thread, run["run_id"])
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
    assert (await client.threads.get(thread))["status"] == "idle"

    gone = await client.runs.create(thread, "steps", after_seconds=60)  # pyright: ignore[reportCallIssue]
    await client.runs.cancel(thread, gone["run_id"], action="rollback")
    assert [row["run_id"] for row in await client.runs.list(thread)] == [run["run_id"]]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_many_runs_are_cancelled_at_once(client: LangGraphClient, http: httpx.AsyncClient, thread: str) -> None:
    """Those named of one thread; naming must be complete."""
    runs = [await client.runs.create(thread, "steps", after_seconds=60) for _ in range(3)]  # pyright: ignore[reportCallIssue]
    ids = [run["run_id"] for run in runs]

    await client.runs.cancel_many(thread_id=thread, run_ids=ids[:2])

    assert sorted(row["run_id"] for row in await client.runs.list(thread, status="interrupted")) == sorted(ids[:2])
    with pytest.raises(NotFoundError):
        await client.runs.cancel_many(thread_id=thread, run_ids=ids[:2])
    for body in ({}, {"thread_id": thread}, {"status": "all", "thread_id": thread, "run_ids": ids}):
        assert (await http.post("/runs/cancel", json=body)).status_code == 422


async def test_a_deleted_run_takes_its_checkpoints_along(
    client: LangGraphClient, thread: str, running: Running
) -> None:
    """One that is running is stopped first."""
    await client.runs.wait(thread, "steps", input={"log": ["i"]})
    before = await client.threads.get_state(thread)
    ended = await client.runs.create(thread, "steps", input={"log": ["j"]})
    await client.runs.join(thread, ended["run_id"])
    await client.runs.delete(thread, ended["run_id"])
    assert await client.threads.get_state(thread) == before
    assert (await client.threads.get(thread))["values"] == before["values"]

    run = await running(thread)
    await client.runs.delete(thread, run["run_id"])
    assert await client.threads.get_state(thread) == before
    assert (await client.threads.get(thread))["status"] == "idle"
    with pytest.raises(NotFoundError):
        await client.runs.delete(thread, run["run_id"])


@pytest.mark.parametrize("way", ["stream", "wait"])
async def test_leaving_ends_the_run_only_if_asked(
    way: str, client: LangGraphClient, http: httpx.AsyncClient, until: Any
) -> None:
    """`on_disconnect` says so; the default goes on."""
    runs: dict[str, tuple[str, str]] = {}
    for on_disconnect in ("cancel", "continue"):
        thread = (await client.threads.create())["thread_id"]
        body = {"assistant_id": "slow", "input": {"log": []}, "on_disconnect": on_disconnect}
        async with http.stream("POST", f"/threads/{thread}/runs/{way}", json=body) as answer:
            run = answer.headers["content-location"].rpartition("/")[2]

            async def sleeps(thread: str = thread) -> bool:
                return (await client.threads.get_state(thread))["next"] == ["sleep"]

            await until(sleeps, "the run sleeps")
        runs[on_disconnect] = thread, run

    async def ended() -> bool:
        return (await client.runs.get(*runs["cancel"]))["status"] == "interrupted"

    await until(ended, "the run of the client that left is cancelled", seconds=5)
    assert (await client.runs.get(*runs["continue"]))["status"] == "running"
    await client.runs.cancel(*runs["continue"], wait=True)


async def test_long_waits_are_kept_alive(http: httpx.AsyncClient, thread: str) -> None:
    """Line breaks come before the JSON."""
    body = {"assistant_id": "slow", "input": {"log": []}, "context": {"seconds": 0.8}}
    answer = await http.post(f"/threads/{thread}/runs/wait", json=body)

    assert answer.content.startswith(b"\n\n")
    assert answer.json() == {"log": ["a", "slept", "c"]}
    assert answer.headers["content-type"].startswith("application/json")


async def test_every_way_to_start_a_run_tells_where_to_find_it(http: httpx.AsyncClient, thread: str) -> None:
    """The paths begin at the root of the API, whatever it is mounted under."""
    body = {"assistant_id": "steps", "input": {"log": []}}
    of_thread = f"/threads/{thread}/runs"

    async def places(path: str) -> tuple[str | None, str | None]:
        headers = (await http.post(path, json=body)).headers
        return headers.get("content-location"), headers.get("location")

    created, none = await places(of_thread)
    assert created is not None
    assert (created.rpartition("/")[0], none) == (of_thread, None)
    streamed, follow = await places(f"{of_thread}/stream")
    assert follow == f"{streamed}/stream"
    waited, join = await places(f"{of_thread}/wait")
    assert join == f"{waited}/join"
    stateless, none = await places("/runs")
    assert stateless is not None
    assert (stateless.rpartition("/")[0], none) == ("/runs", None)
    stateless, follow = await places("/runs/stream")
    assert stateless is not None
    assert follow is not None
    assert stateless.startswith("/runs/")
    assert follow.startswith("/threads/")
    assert follow.endswith(f"{stateless}/stream")


async def test_a_run_cannot_mix_context_and_configurable(client: LangGraphClient, thread: str) -> None:
    """Nor can a stateless one resume."""
    with pytest.raises(BadRequestError):
        await client.runs.create(thread, "steps", context={"a": 1}, config={"configurable": {"b": 1}})
    with pytest.raises(BadRequestError):
        await client.runs.create(None, "steps", command={"resume": 1})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/runs", {"assistant_id": "unknown"}, 422),
        ("/runs", {"assistant_id": _NOBODY}, 404),
        ("/runs", {}, 422),
        ("/runs", {"assistant_id": "steps", "stream_mode": "tools"}, 422),
        ("/runs", {"assistant_id": "steps", "multitask_strategy": "other"}, 422),
        ("/runs", {"assistant_id": "steps", "checkpoint_id": "not-a-uuid"}, 422),
        (f"/threads/{_NOBODY}/runs", {"assistant_id": "steps"}, 404),
        (f"/threads/{_NOBODY}/runs/{_NOBODY}/cancel", {}, 404),
        ("/runs/cancel", {"thread_id": _NOBODY, "run_ids": [_NOBODY]}, 404),
    ],
)
async def test_what_cannot_be_is_refused_with_its_status(
    path: str, body: Any, status: int, http: httpx.AsyncClient
) -> None:
    """And the reason as `detail`."""
    answer = await http.post(path, json=body)

    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize("tail", ["", "/join", "/stream"])
async def test_a_run_that_does_not_exist_is_not_found(tail: str, http: httpx.AsyncClient, thread: str) -> None:
    """Also when it is to be joined."""
    assert (await http.get(f"/threads/{thread}/runs/{uuid4()}{tail}")).status_code == 404


async def test_a_run_may_take_only_so_long(make_server: Any) -> None:
    """Then it ends as a timeout, with the values it had and no error for waiting callers."""
    server = make_server(
        graphs=Path(__file__).with_name("langgraph.json"), environment={"LGNB_RUN_TIMEOUT_SECONDS": "0.5"}
    )
    async with get_client(url=server.url, api_key=server.api_key) as client:
        thread = (await client.threads.create())["thread_id"]
        result = await client.runs.wait(thread, "slow", input={"log": ["i"]})
        run, row = (await client.runs.list(thread))[0], await client.threads.get(thread)
    await asyncio.to_thread(server.stop)

    assert result == {"log": ["i", "a"]}
    assert (run["status"], row["status"]) == ("timeout", "error")
    assert row["error"] == {"error": "TimeoutError", "message": ""}  # pyright: ignore[reportGeneralTypeIssues, reportTypedDictNotRequiredAccess]
