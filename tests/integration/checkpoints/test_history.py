"""States read from rows alone are those which the graph itself reports."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, StateSnapshot

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.history import thread_states
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.checkpoints.tasks import tasks_of_event, tasks_of_snapshot
from lgnb.json_encoding import jsonable

from . import graphs


class Session:
    """A graph run the way a worker runs it: the stream's checkpoint events become rows."""

    def __init__(self, graph: Any, storage: PostgresStorage, *, tell_channels: bool = False) -> None:
        self.storage = storage
        self.saver = Saver(storage, Codec())
        self.graph = graph(self.saver) if callable(graph) else graph.compile(checkpointer=self.saver)
        self.thread_id = uuid4()
        self.config = {"configurable": {"thread_id": str(self.thread_id)}}
        self.channels = self.graph.stream_channels_asis if tell_channels else None

    async def run(self, given: Any, config: Any = None) -> None:
        stream = self.graph.astream(given, config or self.config, stream_mode="checkpoints", subgraphs=True)
        async for namespace, payload in stream:
            found = tasks_of_event(payload, channels=None if namespace else self.channels)
            assert found is not None
            self.saver.add_tasks(*found)
        await self.saver.settled()

    async def update(self, config: Any, values: Any, **options: Any) -> Any:
        fork = await self.graph.aupdate_state(config, values, **options)
        found = tasks_of_snapshot(await self.graph.aget_state(fork), channels=self.channels)
        assert found is not None
        self.saver.add_tasks(*found)
        await self.saver.settled()
        return fork

    async def check(self) -> list[dict[str, Any]]:
        """Compare every state, and give back the history."""
        expected = [shown(state) async for state in self.graph.aget_state_history(self.config)]
        found = await thread_states(self.storage, self.thread_id, limit=None)
        assert found == expected
        for state in expected:
            place = {"configurable": {**self.config["configurable"], "checkpoint_id": state["checkpoint_id"]}}
            nested = shown(await self.graph.aget_state(place, subgraphs=True))
            got = await thread_states(
                self.storage, self.thread_id, checkpoint_id=UUID(state["checkpoint_id"]), subgraphs=True
            )
            assert got == [nested]
        latest = shown(await self.graph.aget_state(self.config))
        assert await thread_states(self.storage, self.thread_id, limit=1, live=True) == [latest]
        return found


def shown(state: StateSnapshot) -> dict[str, Any]:
    """A StateSnapshot in the shape of the API, by another way than the code under test."""

    def reference(config: Any) -> Any:
        found = config and dict(config["configurable"])
        return found if found and found.get("checkpoint_id") else None

    def interrupt(raised: Any) -> Any:
        assert raised.response_schema is None
        return {"id": raised.id, "value": raised.value}

    tasks = [
        {
            "id": task.id,
            "name": task.name,
            "path": task.path,
            "error": task.error if task.error is None else str(task.error),
            "interrupts": [interrupt(raised) for raised in task.interrupts],
            "checkpoint": task.state["configurable"] if isinstance(task.state, dict) else None,
            "state": shown(task.state) if isinstance(task.state, StateSnapshot) else None,
            "result": task.result,
        }
        for task in state.tasks
    ]
    checkpoint, parent = reference(state.config), reference(state.parent_config)
    metadata = None
    if state.metadata is not None:
        metadata = {**state.metadata, "thread_id": state.config["configurable"]["thread_id"]}
    if checkpoint is None:
        checkpoint = {k: v for k, v in state.config["configurable"].items() if k in ("thread_id", "checkpoint_ns")}
    return jsonable(
        {
            "values": state.values,
            "next": state.next,
            "tasks": tasks,
            "metadata": metadata,
            "created_at": state.created_at,
            "checkpoint": checkpoint,
            "parent_checkpoint": parent,
            "interrupts": [interrupt(raised) for raised in state.interrupts],
            "checkpoint_id": checkpoint.get("checkpoint_id"),
            "parent_checkpoint_id": parent and parent["checkpoint_id"],
        }
    )


both = pytest.mark.parametrize("tell_channels", [True, False], ids=["channels told", "channels by name"])


@both
async def test_a_linear_graph(storage: PostgresStorage, tell_channels: bool) -> None:
    session = Session(graphs.linear(), storage, tell_channels=tell_channels)
    await session.run(graphs.INPUT)
    await session.run({"log": ["again"]})

    history = await session.check()

    assert [state["next"] for state in history][:5] == [[], ["c"], ["b"], ["a"], ["__start__"]]
    assert history[0]["values"]["log"] == ["in", "a", "b", "c", "again", "a", "b", "c"]
    assert history[0]["values"]["messages"][0]["type"] == "human"


@both
async def test_an_interrupted_graph(storage: PostgresStorage, tell_channels: bool) -> None:
    session = Session(graphs.asking(), storage, tell_channels=tell_channels)
    await session.run(graphs.INPUT)
    first = (await session.check())[0]
    await session.run(Command(resume="yes"))
    second = (await session.check())[0]
    await session.run(Command(resume="no"))

    last = (await session.check())[0]

    assert first["next"] == ["ask"]
    assert first["interrupts"][0]["value"] == {"question": "first", "set": [1]}
    assert [interrupt["value"] for interrupt in second["interrupts"]] == ["second"]
    assert last["interrupts"] == last["tasks"] == []


async def test_a_question_beside_a_finished_branch(storage: PostgresStorage) -> None:
    """Live, only the open task is next. What the finished one wrote is not yet in the stored values."""
    session = Session(graphs.asking_beside(), storage)
    await session.run(graphs.INPUT)

    recorded = (await thread_states(storage, session.thread_id))[0]
    live = (await thread_states(storage, session.thread_id, live=True))[0]

    graph_says = shown(await session.graph.aget_state(session.config))
    assert [recorded] == [shown(state) async for state in session.graph.aget_state_history(session.config, limit=1)]
    assert recorded["next"] == ["a", "ask"]
    assert live["next"] == ["ask"]
    assert live | {"values": None} == graph_says | {"values": None}


async def test_a_failed_node(storage: PostgresStorage) -> None:
    session = Session(graphs.failing(), storage)
    with pytest.raises(ValueError, match="boom"):
        await session.run(graphs.INPUT)

    state = (await session.check())[0]

    assert state["tasks"][0]["error"] == "ValueError('boom')"
    assert state["next"] == ["fail"]


@pytest.mark.parametrize("persistent", [False, True])
async def test_a_subgraph(storage: PostgresStorage, persistent: bool) -> None:
    session = Session(graphs.with_child(persistent=persistent), storage)
    await session.run(graphs.INPUT)
    paused = await session.check()
    await session.run(Command(resume="yes"))
    await session.run(Command(resume="no"))

    await session.check()

    task = paused[0]["tasks"][0]
    assert task["interrupts"] == paused[0]["interrupts"] != []
    assert task["checkpoint"] == {
        "thread_id": str(session.thread_id),
        "checkpoint_ns": f"child:{task['id']}",
    }


async def test_a_fan_out_by_sends(storage: PostgresStorage) -> None:
    session = Session(graphs.sending(), storage)
    await session.run(graphs.INPUT)

    history = await session.check()

    fan = next(state for state in history if "work" in state["next"])
    assert [task["path"] for task in fan["tasks"]] == [
        *(["__pregel_push", n, False] for n in range(3)),
        ["__pregel_pull", "reduce"],
    ]


async def test_branches_that_join(storage: PostgresStorage) -> None:
    session = Session(graphs.parallel(), storage)
    await session.run(graphs.INPUT)

    history = await session.check()

    assert {len(state["tasks"]) for state in history} == {0, 1, 3}


async def test_a_fork_by_an_update(storage: PostgresStorage) -> None:
    session = Session(graphs.linear(), storage)
    await session.run(graphs.INPUT)
    middle = (await session.check())[2]
    place = {"configurable": {**session.config["configurable"], "checkpoint_id": middle["checkpoint_id"]}}
    fork = await session.update(place, {"log": ["fork"]}, as_node="a")
    await session.check()
    await session.run(None, fork)

    history = await session.check()

    assert history[0]["values"]["log"] == ["in", "a", "fork", "b", "c"]


async def test_a_graph_whose_state_is_one_value(storage: PostgresStorage) -> None:
    session = Session(graphs.single_value(), storage)
    await session.run(["in"])

    history = await session.check()

    assert history[0]["values"] == ["in", "a", "b"]


async def test_an_entrypoint(storage: PostgresStorage) -> None:
    session = Session(graphs.functional, storage)
    await session.run(2)
    await session.run(3)

    history = await session.check()

    assert history[0]["values"] == {"sum": 10}


async def test_a_page_begins_before_a_checkpoint_and_filters_by_metadata(storage: PostgresStorage) -> None:
    session = Session(graphs.linear(), storage)
    await session.run(graphs.INPUT)
    history = await session.check()

    page = await thread_states(storage, session.thread_id, before=UUID(history[1]["checkpoint_id"]), limit=2)
    inputs = await thread_states(storage, session.thread_id, metadata_filter={"source": "input"})

    assert page == history[2:4]
    assert inputs == history[-1:]


async def test_a_delta_channel_is_shown_where_a_snapshot_is_stored(storage: PostgresStorage) -> None:
    session = Session(graphs.delta(), storage)
    await session.run({"log": ["in"]})

    states = await thread_states(storage, session.thread_id, limit=None)

    shown_logs = [state["values"]["log"] for state in states if "log" in state["values"]]
    assert ["in", "n0", "n1", "n2"] in shown_logs


async def test_an_attempt_that_continues_tells_what_its_predecessor_could_not(storage: PostgresStorage) -> None:
    session = Session(graphs.asking(), storage)
    await session.graph.ainvoke(graphs.INPUT, session.config)
    assert (await thread_states(storage, session.thread_id))[0]["next"] == []

    await session.run(None)

    assert (await thread_states(storage, session.thread_id))[0]["next"] == ["ask"]


async def test_a_thread_without_checkpoints_has_no_states(storage: PostgresStorage) -> None:
    assert await thread_states(storage, uuid4()) == []


async def test_a_send_to_a_missing_node_keeps_the_paths_of_the_others(storage: PostgresStorage) -> None:
    def plan(state: graphs.State) -> Command[Any]:
        return Command(goto=[Send("nowhere", {}), Send("work", {"item": 1})])

    graph = StateGraph(graphs.State)
    graph.add_node("plan", plan)
    graph.add_node("work", lambda item: {"log": ["worked"]}, input_schema=graphs.Item)
    graph.add_edge(START, "plan")
    session = Session(graph, storage)
    await session.run(graphs.INPUT)

    history = await session.check()

    assert history[1]["tasks"][0]["path"] == ["__pregel_push", 1, False]
