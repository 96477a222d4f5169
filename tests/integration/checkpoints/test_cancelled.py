"""A graph is cancelled between a node and its edge: what goes on from its checkpoints goes through every step."""

from __future__ import annotations

import asyncio
import operator
import threading
import time
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import uuid4

import pytest
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage

_STEPS = 3
_BLOCKED_SECONDS = 0.4


class SlowSaver(Saver):
    """One that is still at it when the cancellation comes."""

    async def aput(self, *arguments: Any) -> Any:
        await asyncio.sleep(0.2)
        return await super().aput(*arguments)

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await asyncio.sleep(0.1)
        await super().aput_writes(config, writes, task_id, task_path)


class Count(TypedDict):
    step: int
    marks: Annotated[list[int], operator.add]


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_node_that_was_cancelled_before_its_edge_is_executed_again(
    storage: PostgresStorage, durability: Any
) -> None:
    """The library saves what a cancelled task had written so far, and would take that for the whole of it."""
    blocking = threading.Event()

    async def step(state: Count) -> dict[str, Any]:
        # It hears of its cancellation only when it has written, and before its edge is followed.
        blocking.set()
        time.sleep(_BLOCKED_SECONDS)  # noqa: ASYNC251
        return {"step": state["step"] + 1, "marks": [state["step"] + 1]}

    builder = StateGraph(Count).add_node("step", step).add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["step"] < _STEPS else END, ["step", END])
    graph = builder.compile(checkpointer=SlowSaver(storage))
    config: Any = {"configurable": {"thread_id": str(uuid4())}}

    async def run() -> None:
        modes: Any = ["values", "checkpoints", "tasks"]
        async for _ in graph.astream(
            {"step": 0, "marks": []}, config, stream_mode=modes, durability=durability, subgraphs=True
        ):
            pass

    running = asyncio.create_task(run())
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        blocking.wait()
        time.sleep(_BLOCKED_SECONDS / 2)
        loop.call_soon_threadsafe(running.cancel)

    threading.Thread(target=cancel).start()
    with pytest.raises(asyncio.CancelledError):
        await running

    values = await graph.ainvoke(None, config)

    assert values == {"step": _STEPS, "marks": [1, 2, 3]}
