"""A graph does not wait for its checkpoints, but it does not run away from them either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.database import Database
from lgnb.graphs.sources import GraphSource
from lgnb.models.checkpoints import Fence
from lgnb.models.runs import ClaimedRun
from lgnb.worker.execution import Execution

_PAUSE_SECONDS = 0.02


class Count(TypedDict):
    count: int


class Counting:
    """A graph of many quick supersteps, the first of which says a word every now and then."""

    def __init__(self, *, steps: int, words: int = 0) -> None:
        self.begun = 0
        self._steps = steps
        self._words = words

    async def node(self, state: Count) -> Count:
        self.begun += 1
        for _ in range(self._words if self.begun == 1 else 0):
            get_stream_writer()("word")
            await asyncio.sleep(_PAUSE_SECONDS)
        await asyncio.sleep(_PAUSE_SECONDS)
        return {"count": state["count"] + 1}

    def execution(self, storage: PostgresStorage, fence: Fence, publish: Callable[[str, bytes], None]) -> Execution:
        def after(state: Count) -> str:
            return END if state["count"] == self._steps else "node"

        graph = (
            StateGraph(Count)
            .add_node("node", self.node)
            .add_edge(START, "node")
            .add_conditional_edges("node", after, [END, "node"])
            .compile()
        )
        thread_id = uuid4()
        config = {"configurable": {"thread_id": str(thread_id)}, "recursion_limit": 2 * self._steps}
        claimed = ClaimedRun(
            run_id=fence.run_id,
            thread_id=thread_id,
            assistant_id=uuid4(),
            graph_id="graph",
            metadata={},
            kwargs={"config": config, "stream_mode": ["values", "custom"], "subgraphs": False},
            attempt=fence.attempt,
            failed_attempts=0,
            created_at=datetime.now(UTC),
        )
        saver = Saver(storage, fence=fence, loop=asyncio.get_running_loop(), behind=True)
        source = GraphSource("graph", graph)
        return Execution(claimed, source, saver=saver, input={"count": 0}, goes_on=False, publish=publish)


@asynccontextmanager
async def nothing_is_saved(database: Database, fence: Fence) -> AsyncIterator[None]:
    """Somebody holds the row of the run, so every save under its fence waits."""
    async with database.transaction() as holder:
        await holder.execute("SELECT 1 FROM runs WHERE run_id = %s FOR UPDATE", (fence.run_id,))
        yield


async def test_a_graph_waits_when_its_saves_take_long(
    database: Database, storage: PostgresStorage, running: Fence
) -> None:
    counting = Counting(steps=150)
    attempt = asyncio.create_task(counting.execution(storage, running, lambda event, data: None).run())
    async with asyncio.timeout(10):
        while counting.begun < 3:
            await asyncio.sleep(_PAUSE_SECONDS)

    async with nothing_is_saved(database, running):
        reached = -1
        while counting.begun != reached:
            reached = counting.begun
            await asyncio.sleep(10 * _PAUSE_SECONDS)
        assert reached < 150

    assert (await attempt).status == "success"
    assert counting.begun == 150


async def test_what_a_node_streams_does_not_wait_for_saves(
    database: Database, storage: PostgresStorage, running: Fence
) -> None:
    words: list[Any] = []
    execution = Counting(steps=3, words=50).execution(
        storage, running, lambda event, data: words.append(data) if event == "custom" else None
    )
    async with nothing_is_saved(database, running):
        attempt = asyncio.create_task(execution.run())
        async with asyncio.timeout(10):
            while len(words) < 50:
                await asyncio.sleep(_PAUSE_SECONDS)
    assert (await attempt).status == "success"
