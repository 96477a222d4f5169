"""Threads of a server, replayed with a graph of this process and compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langgraph.graph import START, MessagesState, StateGraph

import lgnb
from lgnb.client.session import Session, replace_session
from lgnb.errors import InvalidRequest, NotFound
from lgnb.graphs.examples.steps import graph as steps
from lgnb.kernel.replaying import Replay

from .conftest import Notebook


@pytest.fixture
def session(lgnb_server: Any) -> Iterator[Session]:
    """A session of this process that is connected to the server of the tests."""
    session = Session()
    previous = replace_session(session)
    lgnb.connect(lgnb_server.url, api_key=lgnb_server.api_key)
    yield session
    session.close()
    replace_session(previous)


def test_a_thread_of_the_server_is_replayed_from_each_of_its_checkpoints(session: Session) -> None:
    """The same graph makes the same of it, and the thread stays as it was."""
    run = lgnb.run("steps", {"topic": "tea"}, thread="new")
    before = [row["checkpoint"] for row in run.history()]

    numbers = [at for at, row in enumerate(lgnb.threads.history()) if row["next"] and "research" not in row["next"]]
    replays = [lgnb.replay(steps, start=number) for number in numbers]

    assert [one.is_same for one in replays] == [True] * 3, replays
    with pytest.raises(InvalidRequest, match="research was sent to with arguments"):
        lgnb.replay(steps, start=2)
    assert [row["checkpoint"] for row in run.history()] == before


def test_another_server_is_asked_by_its_address(session: Session, lgnb_server: Any) -> None:
    run = lgnb.run("steps", {"topic": "tea"}, thread="new")
    session.close()

    replay = lgnb.replay(steps, run.thread_id, start=1, url=lgnb_server.url, api_key=lgnb_server.api_key)

    assert replay.is_same
    with pytest.raises(NotFound):
        lgnb.replay(steps, "00000000-0000-0000-0000-000000000000", url=lgnb_server.url, api_key=lgnb_server.api_key)
    with pytest.raises(InvalidRequest, match="give its id"):
        lgnb.replay(steps, url=lgnb_server.url)


def test_a_conversation_is_revived_and_answered_anew(session: Session) -> None:
    """What a scripted agent said there, another node says differently here."""
    lgnb.run("agent", "Why is the sky blue?", thread="new")
    history = lgnb.threads.history()
    number = next(at for at, row in enumerate(history) if row["next"] == ["__start__"])

    async def say(state: MessagesState) -> Any:
        return {"messages": [("ai", f"You asked: {state['messages'][-1].text}")]}

    graph = StateGraph(MessagesState).add_node("say", say).add_edge(START, "say")
    replay = lgnb.replay(graph, start=number)

    assert replay.values["messages"][-1]["content"] == "You asked: Why is the sky blue?"
    assert not replay.is_same


def test_many_checkpoints_are_scored_and_errors_keep_to_their_rows(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGNB_LIVE", "0")
    runs = [lgnb.run("steps", {"topic": topic}, thread="new") for topic in ("tea", "ink")]
    places = [*((run.thread_id, 1) for run in runs), (runs[0].thread_id, 0), "thread#9"]

    async def scorer(replay: Replay) -> Any:
        await asyncio.sleep(0)
        return {"same": replay.is_same, "values": len(replay.values)}

    evaluation = lgnb.evaluate(steps, places, scorer)

    assert [row.score["same"] if row.score else None for row in evaluation] == [True, True, None, None]
    assert [type(row.error).__name__ for row in evaluation.errors] == ["InvalidRequest", "ThreadNotFound"]
    frame = evaluation.to_frame()
    assert frame.same.tolist()[:2] == [True, True]
    assert repr(evaluation).splitlines()[0] == "4 checkpoints, 2 errors"
    numbers = lgnb.evaluate(steps, lgnb.threads.history(runs[1].thread_id)[1:3], lambda one: int(one.is_same))
    assert numbers.mean == 1.0


def test_no_more_run_at_once_than_was_asked_for(session: Session) -> None:
    run = lgnb.run("steps", {"topic": "tea"}, thread="new")
    working, most = 0, 0
    pair = asyncio.Barrier(2)

    async def scorer(_: Replay) -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.wait_for(pair.wait(), 30)
        await asyncio.sleep(0.02)  # time for a third, if there were one
        working -= 1
        return 1

    lgnb.evaluate(steps, [(run.thread_id, 1)] * 6, scorer, concurrency=2)

    assert most == 2


def test_the_magic_replays_in_a_notebook(lgnb_server: Any, open_notebook: Callable[..., Notebook]) -> None:
    """Side by side in a cell; what the nodes print appears there, and mistakes are one line."""
    notebook = open_notebook(LGNB_URL=lgnb_server.url, LGNB_API_KEY=lgnb_server.api_key, LGNB_LIVE="0")
    notebook.run("%load_ext lgnb\nfrom lgnb.graphs.examples.steps import graph")
    notebook.run('%lg run steps {"topic": "tea"} --new')

    same = notebook.run("%lg replay --from 1")

    assert same.error is None
    assert same.text.startswith("thread#1 from checkpoint 1: the same")
    assert "an end" in notebook.run("%lg replay").error["evalue"]  # pyright: ignore[reportOptionalSubscript]
    assert "nothing is no graph" in notebook.run("%lg replay --from 1 --graph nothing").printed
    assert "is not set" in notebook.run("%lg replay --from 1 --url http://x --key-env NO_SUCH_KEY").printed
