"""A graph whose checkpoints these tests need, and how a worker played by hand executes it."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph

from lgnb.checkpoints.history import thread_states
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.tasks import tasks_of_event
from lgnb.models.runs import ClaimedRun


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def _saying(word: str) -> Any:
    async def say(state: State) -> State:
        return {"log": [word]}

    return say


_BUILDER = StateGraph(State).add_sequence([(name, _saying(name)) for name in ("a", "b", "c")]).add_edge(START, "a")


async def execute(claimed: ClaimedRun, saver: Saver, *, log: list[str] | None, stop_before: str | None = None) -> None:
    """Run the graph of three nodes in the name of an attempt; `log` None goes on from the last checkpoint."""
    graph = _BUILDER.compile(checkpointer=saver, interrupt_before=[stop_before] if stop_before else None)
    config: Any = {
        "configurable": {"thread_id": str(claimed.thread_id)},
        "metadata": {"run_id": str(claimed.run_id)},
    }
    given: Any = None if log is None else {"log": log}
    async for event in graph.astream(given, config, stream_mode="checkpoints"):
        found = tasks_of_event(event, channels=graph.stream_channels_asis)
        assert found is not None
        saver.add_tasks(*found)
        await saver.settled()


async def newest_state(saver: Saver, claimed: ClaimedRun) -> dict[str, Any]:
    """What the worker would put into the thread's row at the end."""
    (state,) = await thread_states(saver._storage, claimed.thread_id, limit=1, live=True)  # pyright: ignore[reportPrivateUsage]
    return state
