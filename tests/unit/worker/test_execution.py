"""One attempt of a run, told to stop while its graph does not want to hear of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from lgnb.errors import LeaseLost
from lgnb.graphs.sources import GraphSource
from lgnb.models.runs import ClaimedRun
from lgnb.worker.execution import Execution, RunReturned


class Count(TypedDict):
    count: int


def _execution(node: Any) -> Execution:
    graph = StateGraph(Count).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile()
    kwargs: dict[str, Any] = {"config": {"configurable": {}}, "stream_mode": ["values"], "subgraphs": False}
    claimed = ClaimedRun(
        run_id=uuid4(),
        thread_id=uuid4(),
        assistant_id=uuid4(),
        graph_id="graph",
        metadata={},
        kwargs={**kwargs, "temporary": True},
        attempt=1,
        failed_attempts=0,
        created_at=datetime.now(UTC),
    )
    source = GraphSource("graph", graph)
    return Execution(claimed, source, saver=None, input={"count": 0}, goes_on=False, publish=lambda event, data: None)


async def _stopped(reason: Any, *, then_raises: bool = False) -> Any:
    """What an attempt gives whose node swallows its cancellation, or answers it with an error."""
    began = asyncio.Event()

    async def node(state: Count) -> dict[str, Any]:
        began.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            if then_raises:
                raise ValueError("not now") from None
        return {"count": 1}

    execution = _execution(node)
    running = asyncio.create_task(execution.run())
    await began.wait()
    execution.stop(reason, "told to")
    return await running


@pytest.mark.parametrize("then_raises", [False, True])
async def test_an_attempt_that_lost_its_lease_never_ends_the_run(then_raises: bool) -> None:
    """The lease is over by the worker's clock; Postgres may not know yet, and would take the half of a run for all."""
    with pytest.raises(LeaseLost):
        await _stopped("lost", then_raises=then_raises)


@pytest.mark.parametrize("then_raises", [False, True])
async def test_an_attempt_that_is_to_go_on_elsewhere_never_ends_the_run(then_raises: bool) -> None:
    with pytest.raises(RunReturned):
        await _stopped("return", then_raises=then_raises)


@pytest.mark.parametrize("then_raises", [False, True])
async def test_a_cancelled_run_is_interrupted_whatever_its_node_does(then_raises: bool) -> None:
    ending = await _stopped("interrupt", then_raises=then_raises)

    assert ending.status == "interrupted"
    assert ending.error == {"error": "UserInterrupt", "message": "told to"}
