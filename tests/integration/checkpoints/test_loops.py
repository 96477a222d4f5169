"""A graph runs on its own loop and threads; the connections belong to another loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.errors import LeaseLost
from lgnb.models.checkpoints import Fence

from . import graphs

T = TypeVar("T")


async def elsewhere(work: Callable[[], Awaitable[T]]) -> T:
    """Run on the loop of a thread of its own, as a worker runs a graph."""
    return await asyncio.to_thread(asyncio.run, work())  # type: ignore[arg-type]


@pytest.fixture
async def remote(storage: PostgresStorage) -> Saver:
    return Saver(storage, Codec(), loop=asyncio.get_running_loop())


async def test_a_graph_on_another_loop_saves_and_loads(remote: Saver):
    graph = graphs.with_child().compile(checkpointer=remote)
    config = {"configurable": {"thread_id": str(uuid4())}}

    async def work() -> list[Any]:
        await graph.ainvoke(graphs.INPUT, config)
        await graph.ainvoke(Command(resume="yes"), config)
        await graph.ainvoke(Command(resume="no"), config)
        return [state async for state in graph.aget_state_history(config)]

    states = await elsewhere(work)

    assert states[0].values["log"][-3:] == ["yes-no", "c", "after"]


async def test_the_same_saver_works_on_the_storages_own_loop(remote: Saver):
    graph = graphs.linear().compile(checkpointer=remote)
    config = {"configurable": {"thread_id": str(uuid4())}}

    await graph.ainvoke(graphs.INPUT, config)

    assert (await graph.aget_state(config)).values["log"][-1] == "c"


async def test_a_synchronous_graph_runs_in_a_thread(remote: Saver):
    graph = graphs.delta().compile(checkpointer=remote)
    config = {"configurable": {"thread_id": str(uuid4())}}

    def work() -> Any:
        graph.invoke({"log": ["in"]}, config)
        graph.update_state(config, {"log": ["edit"]}, as_node="n5")
        return graph.get_state(config), list(graph.get_state_history(config))

    state, history = await asyncio.to_thread(work)

    assert state.values["log"][-2:] == ["n5", "edit"]
    assert history[0] == state


async def test_a_node_may_invoke_a_subgraph_synchronously(remote: Saver):
    child = graphs.asking().compile(checkpointer=True)

    def call(state: graphs.State) -> graphs.State:
        return {"log": child.invoke({"log": ["child"]})["log"]}

    builder = StateGraph(graphs.State)
    builder.add_node("call", call)
    builder.add_edge(START, "call")
    graph = builder.compile(checkpointer=remote)
    config = {"configurable": {"thread_id": str(uuid4())}}

    async def work() -> Any:
        await graph.ainvoke(graphs.INPUT, config)
        await graph.ainvoke(Command(resume="yes"), config)
        return await graph.ainvoke(Command(resume="no"), config)

    result = await elsewhere(work)

    assert "yes-no" in result["log"]


async def test_a_synchronous_call_on_the_storages_loop_is_refused(remote: Saver):
    with pytest.raises(RuntimeError, match="would wait for itself"):
        remote.get_tuple({"configurable": {"thread_id": str(uuid4())}})


async def test_a_synchronous_call_without_a_loop_is_refused(saver: Saver):
    with pytest.raises(RuntimeError, match="no loop to run synchronous calls"):
        await asyncio.to_thread(saver.get_tuple, {"configurable": {"thread_id": str(uuid4())}})


async def test_every_synchronous_method_does_what_its_twin_does(remote: Saver):
    config = {"configurable": {"thread_id": str(uuid4())}}
    copy = str(uuid4())
    graph = graphs.linear().compile(checkpointer=remote)
    await graph.ainvoke(graphs.INPUT, {**config, "metadata": {"run_id": str(uuid4())}})
    run_id = (await anext(remote.alist(config))).metadata["run_id"]

    def work() -> list[int]:
        counts = [len(list(remote.list(config)))]
        remote.copy_thread(config["configurable"]["thread_id"], copy)
        remote.prune([copy])
        counts.append(len(list(remote.list({"configurable": {"thread_id": copy}}))))
        remote.delete_thread(copy)
        counts.append(len(list(remote.list({"configurable": {"thread_id": copy}}))))
        remote.delete_for_runs([run_id, "not a uuid"])
        counts.append(len(list(remote.list(config))))
        return counts

    assert await asyncio.to_thread(work) == [5, 1, 0, 0]


async def test_a_lost_lease_ends_a_graph_on_another_loop(storage: PostgresStorage):
    fence = Fence(run_id=uuid4(), attempt=1)
    saver = Saver(storage, Codec(), fence=fence, loop=asyncio.get_running_loop())
    graph = graphs.linear().compile(checkpointer=saver)

    async def work() -> None:
        await graph.ainvoke(graphs.INPUT, {"configurable": {"thread_id": str(uuid4())}})

    with pytest.raises(LeaseLost) as caught:
        await elsewhere(work)

    assert caught.value.run_id == fence.run_id
