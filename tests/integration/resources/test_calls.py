"""Calls: a host asks whoever has the graph, and does not wait for ever."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest

from lgnb.errors import InvalidState, ThreadBusy, ThreadNotFound, WorkerUnavailable
from lgnb.queue.calls import Calls, Reply
from lgnb.resources import Resources
from lgnb.resources.replies import RemoteError, failure, unwrap


@pytest.fixture
def calls(resources: Resources) -> Calls:
    return resources.calls


async def test_a_call_is_answered_by_a_worker_of_its_graph(calls: Calls) -> None:
    asking = asyncio.create_task(calls.request("g", "add", {"a": 1}))
    call = await calls.next(["other", "g"], timeout_seconds=5)
    assert call is not None

    await calls.answer(call, Reply(result={"sum": 2}))

    assert (call.graph_id, call.method, call.params) == ("g", "add", {"a": 1})
    assert unwrap(await asking) == {"sum": 2}


async def test_a_call_that_nobody_answers_is_given_up_in_time(calls: Calls) -> None:
    began = time.monotonic()
    with pytest.raises(WorkerUnavailable, match="'g'"):
        await calls.request("g", "add", {}, timeout_seconds=0.3)
    assert time.monotonic() - began < 2

    assert await calls.next(["g"], timeout_seconds=0.3) is None


async def test_each_call_reaches_one_worker(calls: Calls) -> None:
    async def answer() -> int:
        answered = 0
        while (call := await calls.next(["g"], timeout_seconds=0.5)) is not None:
            answered += 1
            await calls.answer(call, Reply(result=call.params["n"]))
        return answered

    workers = [asyncio.create_task(answer()) for _ in range(3)]
    replies = await asyncio.gather(*(calls.request("g", "echo", {"n": n}) for n in range(20)))

    assert [reply.result for reply in replies] == list(range(20))
    assert sum(await asyncio.gather(*workers)) == 20


@pytest.mark.parametrize("error", [InvalidState("no such node"), ThreadBusy("busy"), ThreadNotFound(uuid4())])
def test_an_error_of_ours_arrives_as_itself(error: Any) -> None:
    with pytest.raises(type(error), match=str(error)):
        unwrap(failure(error))


def test_an_error_of_somebody_else_arrives_with_its_text() -> None:
    with pytest.raises(RemoteError, match="what"):
        unwrap(Reply(error="Strange", message="what"))
