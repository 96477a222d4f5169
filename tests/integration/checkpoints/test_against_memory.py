"""The same graph on our saver and on LangGraph's own in-memory saver ends up with the same history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, StateSnapshot

from lgnb.checkpoints.saver import Saver

from . import graphs

Steps = Callable[[Any, dict[str, Any]], Awaitable[None]]


async def once(graph: Any, config: dict[str, Any]) -> None:
    await graph.ainvoke(graphs.INPUT, config)


async def twice(graph: Any, config: dict[str, Any]) -> None:
    await graph.ainvoke(graphs.INPUT, config)
    await graph.ainvoke({"log": ["again"]}, config)


async def answered(graph: Any, config: dict[str, Any]) -> None:
    await graph.ainvoke(graphs.INPUT, config)
    await graph.ainvoke(Command(resume="yes"), config)
    await graph.ainvoke(Command(resume="no", update={"count": 7}), config)


async def half_answered(graph: Any, config: dict[str, Any]) -> None:
    await graph.ainvoke(graphs.INPUT, config)
    await graph.ainvoke(Command(resume="yes"), config)


async def failed_twice(graph: Any, config: dict[str, Any]) -> None:
    for given in (graphs.INPUT, None):
        with pytest.raises(ValueError, match="boom"):
            await graph.ainvoke(given, config)


async def forked(graph: Any, config: dict[str, Any]) -> None:
    await graph.ainvoke(graphs.INPUT, config)
    history = [state async for state in graph.aget_state_history(config)]
    fork = await graph.aupdate_state(history[2].config, {"log": ["fork"]}, as_node=history[1].next and "a")
    await graph.ainvoke(None, fork)
    await graph.ainvoke(None, history[3].config)


async def delta_forked(graph: Any, config: dict[str, Any]) -> None:
    await graph.ainvoke({"log": ["in"]}, config)
    history = [state async for state in graph.aget_state_history(config)]
    await graph.ainvoke(None, history[3].config)
    await graph.ainvoke({"log": ["more"]}, config)


SCENARIOS = {
    "linear": (graphs.linear, twice),
    "parallel": (graphs.parallel, twice),
    "interrupted": (graphs.asking, once),
    "half answered": (graphs.asking, half_answered),
    "answered": (graphs.asking, answered),
    "interrupted beside a finished branch": (graphs.asking_beside, once),
    "failed": (graphs.failing, failed_twice),
    "subgraph interrupted": (graphs.with_child, once),
    "subgraph answered": (graphs.with_child, answered),
    "subgraph with memory": (lambda: graphs.with_child(persistent=True), answered),
    "sends": (graphs.sending, twice),
    "fork": (graphs.linear, forked),
    "delta channel": (graphs.delta, delta_forked),
}


async def record(steps: Steps, build: Callable[[], Any], saver: BaseCheckpointSaver[Any], durability: str) -> Any:
    graph = build().compile(checkpointer=saver)
    config = {"configurable": {"thread_id": str(uuid4())}, "durability": durability}
    await steps(Bound(graph, durability), config)
    thread = {"configurable": {"thread_id": config["configurable"]["thread_id"]}}
    states = [await graph.aget_state(thread, subgraphs=True)]
    states += [state async for state in graph.aget_state_history(thread)]
    order = {state.config["configurable"]["checkpoint_id"]: n for n, state in enumerate(reversed(states[1:]))}
    return [comparable(state, order) for state in states]


class Bound:
    """A graph whose runs use one durability."""

    def __init__(self, graph: Any, durability: str) -> None:
        self._graph = graph
        self._durability = durability

    async def ainvoke(self, given: Any, config: Any) -> Any:
        return await self._graph.ainvoke(given, config, durability=self._durability)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)


def comparable(state: StateSnapshot, order: dict[str, int]) -> dict[str, Any]:
    """A state without ids and times, which differ between two runs; checkpoints are named by their order."""

    def place(config: Any) -> Any:
        return order.get(config["configurable"].get("checkpoint_id"), "?") if config else None

    metadata = {k: v for k, v in (state.metadata or {}).items() if k not in ("parents", "run_id")}
    if "counters_since_delta_snapshot" in metadata:
        counters = metadata["counters_since_delta_snapshot"]
        metadata["counters_since_delta_snapshot"] = {name: list(pair) for name, pair in counters.items()}
    return {
        "values": state.values,
        "next": state.next,
        "at": place(state.config),
        "parent": place(state.parent_config),
        "metadata": metadata,
        "interrupts": [interrupt.value for interrupt in state.interrupts],
        "tasks": [
            (
                task.name,
                task.path,
                task.error and str(task.error),
                [interrupt.value for interrupt in task.interrupts],
                task.result,
                comparable(task.state, {}) if isinstance(task.state, StateSnapshot) else bool(task.state),
            )
            for task in state.tasks
        ],
    }


# A fork needs the checkpoints in between, which are not saved at "exit".
@pytest.mark.parametrize(
    ("scenario", "durability"),
    [
        (scenario, durability)
        for scenario, (_, steps) in SCENARIOS.items()
        for durability in ("sync", "async", "exit")
        if durability != "exit" or steps not in (forked, delta_forked)
    ],
)
async def test_history_is_that_of_the_memory_saver(saver: Saver, scenario: str, durability: str) -> None:
    build, steps = SCENARIOS[scenario]

    ours = await record(steps, build, saver, durability)
    theirs = await record(steps, build, InMemorySaver(), durability)

    assert ours == theirs
    assert len(ours) >= 2


async def test_an_entrypoint_remembers_its_last_result(saver: Saver) -> None:
    config = {"configurable": {"thread_id": str(uuid4())}}

    first = await graphs.functional(saver).ainvoke(2, config)
    second = await graphs.functional(saver).ainvoke(3, config)

    assert (first, second) == ({"sum": 4}, {"sum": 10})


async def test_threads_of_one_saver_do_not_meet(saver: Saver) -> None:
    graph = graphs.linear().compile(checkpointer=saver)
    configs = [{"configurable": {"thread_id": str(uuid4())}} for _ in range(8)]

    await asyncio.gather(*(graph.ainvoke({"log": [str(n)]}, config) for n, config in enumerate(configs)))

    states = [await graph.aget_state(config) for config in configs]
    assert [state.values["log"][0] for state in states] == [str(n) for n in range(8)]
