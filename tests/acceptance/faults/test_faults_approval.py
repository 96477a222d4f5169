"""A worker is killed after an answer to an interrupt was stored: the answer reaches its own interrupt and no other."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

_OWN_GRAPHS = Path(__file__).with_name("langgraph.json")


@pytest.fixture
async def host(installation: Any) -> Any:
    return await installation.host(workers=1, config=_OWN_GRAPHS)


@pytest.fixture
def state(tmp_path: Path) -> dict[str, Any]:
    # Long enough to be killed in the middle, short enough to wait for.
    return {"log_file": str(tmp_path / "answers.log"), "delay": 1.0, "answers": []}


async def test_an_answer_is_not_given_to_the_next_question_of_the_node(host: Any, state: Any, until: Any) -> None:
    """After the crash the node has its first answer, asks for the second, and gets that one."""
    client, thread_id = host.client, await _asked(host.client, "two_in_a_row", state)

    await _resume_and_kill(host, thread_id, "two_in_a_row", {"resume": "A"}, until, lines=["got A"], log=state)
    waiting = await _until_idle(client, thread_id, until)
    final = await client.runs.wait(thread_id, "two_in_a_row", command={"resume": "B"})

    assert [interrupt["value"] for interrupt in waiting] == ["second?"]
    assert final["answers"] == ["A", "B"]


async def test_answers_by_id_reach_the_questions_they_were_given_for(host: Any, state: Any, until: Any) -> None:
    """Both of two open questions were answered with one command."""
    client, thread_id = host.client, await _asked(host.client, "side_by_side", state)
    answers = {one["id"]: one["value"].removesuffix("?").upper() for one in await _waiting(client, thread_id)}

    lines = ["left got LEFT", "right got RIGHT"]
    await _resume_and_kill(host, thread_id, "side_by_side", {"resume": answers}, until, lines=lines, log=state)
    waiting = await _until_idle(client, thread_id, until)

    assert waiting == []
    values = (await client.threads.get_state(thread_id))["values"]
    assert values["answers"] == ["left LEFT", "right RIGHT"]


async def test_a_question_that_was_not_answered_asks_again(host: Any, state: Any, until: Any) -> None:
    """Only one of two open questions was answered."""
    client, thread_id = host.client, await _asked(host.client, "side_by_side", state)
    (right,) = [one["id"] for one in await _waiting(client, thread_id) if one["value"] == "right?"]

    command = {"resume": {right: "R"}}
    await _resume_and_kill(host, thread_id, "side_by_side", command, until, lines=["right got R"], log=state)
    waiting = await _until_idle(client, thread_id, until)
    final = await client.runs.wait(thread_id, "side_by_side", command={"resume": {waiting[0]["id"]: "L"}})

    assert [one["value"] for one in waiting] == ["left?"]
    assert final["answers"] == ["left L", "right R"]


async def _asked(client: Any, graph_id: str, state: Any) -> str:
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], graph_id, input=state)
    return thread["thread_id"]


async def _resume_and_kill(
    host: Any, thread_id: str, graph_id: str, command: Any, until: Any, *, lines: list[str], log: Any
) -> None:
    """Answer, and kill the worker while the node that got the answer is at work."""
    (worker,) = host.worker_pids
    await host.client.runs.create(thread_id, graph_id, command=command)
    path = Path(log["log_file"])
    await until(
        lambda: path.exists() and sorted(path.read_text().splitlines()) == lines, what="the node got its answer"
    )
    os.kill(worker, signal.SIGKILL)


async def _until_idle(client: Any, thread_id: str, until: Any) -> list[Any]:
    """The open questions once the thread rests."""

    async def rests() -> bool:
        return (await client.threads.get(thread_id))["status"] != "busy"

    await until(rests, what="the thread rests")
    return await _waiting(client, thread_id)


async def _waiting(client: Any, thread_id: str) -> list[Any]:
    thread = await client.threads.get(thread_id)
    return [interrupt for task in thread["interrupts"].values() for interrupt in task]
