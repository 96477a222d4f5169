"""Lists that grow, values that stay the same, and what is left of them when a thread is forked, pruned or copied."""

from __future__ import annotations

import operator
from typing import Annotated, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from typing_extensions import TypedDict

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.database import Database

REPEATED = "the same long text " * 500
LARGE = "".join(f"{number * number} " for number in range(2000))
LARGE_BYTES = 3000  # are more than all else in a row, and less than the text compressed


class State(TypedDict):
    said: Annotated[list[Any], operator.add]
    kept: str
    replaced: list[Any]


async def answer(state: State) -> dict[str, Any]:
    return {"said": [{"n": len(state["said"])}], "kept": state["kept"]}


def graph_on(saver: Any) -> Any:
    return StateGraph(State).add_node(answer).add_edge(START, "answer").add_edge("answer", END).compile(saver)


async def rows_of(database: Database, thread_id: str, channel: str) -> list[tuple[int, int]]:
    """Part number and stored bytes of each value of a channel, oldest first; 0 bytes are a mark."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT part, coalesce(octet_length(value), 0) FROM checkpoint_values "
            "WHERE thread_id = %s AND channel = %s ORDER BY version",
            (thread_id, channel),
        )
        return await cursor.fetchall()


def config_of(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


async def run(storage: PostgresStorage, thread_id: str, given: Any, config: Any = None) -> Any:
    # A saver of its own, as each run has.
    return await graph_on(Saver(storage)).ainvoke(given, config or config_of(thread_id))


async def test_a_list_that_grows_is_stored_by_its_ends(database: Database, storage: PostgresStorage) -> None:
    thread_id = str(uuid4())

    for turn in range(6):
        await run(storage, thread_id, {"said": [{"text": f"turn {turn}, {REPEATED}"}], "kept": ""})

    rows = await rows_of(database, thread_id, "said")
    assert [part for part, _ in rows] == list(range(len(rows)))
    assert max(size for _, size in rows) < 100
    state = await graph_on(Saver(storage)).aget_state(config_of(thread_id))
    assert [entry["text"][:6] for entry in state.values["said"][::2]] == [f"turn {turn}" for turn in range(6)]


async def test_an_unchanged_value_is_stored_once(database: Database, storage: PostgresStorage) -> None:
    thread_id = str(uuid4())

    for _ in range(3):
        await run(storage, thread_id, {"said": [], "kept": LARGE})

    sizes = [size for _, size in await rows_of(database, thread_id, "kept")]
    assert [bool(size) for size in sizes] == [True] + [False] * (len(sizes) - 1)
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT octet_length(value) FROM checkpoint_writes WHERE thread_id = %s", (thread_id,)
        )
        written = [size for (size,) in await cursor.fetchall()]
    # Whole only once: an input repeats what the checkpoint before it holds, the node what its own one holds already.
    assert len([size for size in written if size > LARGE_BYTES]) == 1
    history = [state async for state in graph_on(Saver(storage)).aget_state_history(config_of(thread_id))]
    results = [task.result for state in history for task in state.tasks if task.name == "answer"]
    assert [result["kept"] for result in results] == [LARGE] * 3


async def test_an_element_changed_in_place_is_noticed(storage: PostgresStorage) -> None:
    def correct(state: MessagesState) -> dict[str, Any]:
        last = state["messages"][-1]
        last.content = "corrected"
        return {"messages": [last, AIMessage("done")]}

    thread_id = str(uuid4())
    builder = StateGraph(MessagesState).add_node(correct).add_edge(START, "correct").add_edge("correct", END)
    loop_graph = builder.compile(checkpointer=Saver(storage))

    await loop_graph.ainvoke({"messages": [HumanMessage("mistaken")]}, config_of(thread_id))

    state = await builder.compile(checkpointer=Saver(storage)).aget_state(config_of(thread_id))
    assert [message.content for message in state.values["messages"]] == ["corrected", "done"]


async def test_a_branch_does_not_disturb_the_list_of_another(database: Database, storage: PostgresStorage) -> None:
    thread_id = str(uuid4())
    await run(storage, thread_id, {"said": ["a"], "kept": ""})
    first = await graph_on(Saver(storage)).aget_state(config_of(thread_id))
    await run(storage, thread_id, {"said": ["b"], "kept": ""})

    await run(storage, thread_id, {"said": ["c"], "kept": ""}, first.config)

    graph = graph_on(Saver(storage))
    heads = [state.values["said"] async for state in graph.aget_state_history(config_of(thread_id)) if not state.next]
    assert heads == [["a", {"n": 1}, "c", {"n": 3}], ["a", {"n": 1}, "b", {"n": 3}], ["a", {"n": 1}]]


async def test_a_place_taken_meanwhile_is_noticed_by_the_database(storage: PostgresStorage) -> None:
    thread_id = str(uuid4())
    await run(storage, thread_id, {"said": ["a"], "kept": ""})
    # Both have loaded the same checkpoint before one of them writes.
    one, other = Saver(storage), Saver(storage)
    config = (await graph_on(one).aget_state(config_of(thread_id))).config
    await other.aget_tuple(config)

    first = await graph_on(one).aupdate_state(config, {"said": ["one"]})
    loaded = await one.aget_tuple(config)
    assert loaded is not None
    checkpoint = {**loaded.checkpoint, "id": str(uuid6())}
    version = other.get_next_version(loaded.checkpoint["channel_versions"]["said"], None)
    checkpoint["channel_values"] = {**checkpoint["channel_values"], "said": ["a", {"n": 1}, "other"]}
    checkpoint["channel_versions"] = {**checkpoint["channel_versions"], "said": version}
    second = await other.aput(config, checkpoint, {}, {"said": version})

    values = [(await graph_on(Saver(storage)).aget_state(place)).values["said"] for place in (first, second)]
    assert values == [["a", {"n": 1}, "one"], ["a", {"n": 1}, "other"]]


async def test_a_run_that_does_not_wait_for_its_saves_still_notices_a_place_that_was_taken(
    storage: PostgresStorage,
) -> None:
    """Two runs go on from one checkpoint, and both extend its list before either knows of the other."""
    thread_id = str(uuid4())
    await run(storage, thread_id, {"said": ["a"], "kept": ""})
    start = (await graph_on(Saver(storage)).aget_state(config_of(thread_id))).config
    savers = [Saver(storage, behind=True) for _ in range(2)]
    for saver in savers:
        await saver.aget_tuple(start)

    for saver, word in zip(savers, ("one", "other"), strict=True):
        await graph_on(saver).ainvoke({"said": [word], "kept": ""}, start)
        await saver.settled()

    lists = {
        tuple(str(said) for said in state.values["said"])
        async for state in graph_on(Saver(storage)).aget_state_history(config_of(thread_id))
        if not state.next and len(state.values["said"]) == 4
    }
    assert lists == {("a", "{'n': 1}", word, "{'n': 3}") for word in ("one", "other")}


async def test_a_run_that_does_not_wait_reads_what_it_saved(storage: PostgresStorage) -> None:
    saver = Saver(storage, behind=True)
    graph, config = graph_on(saver), config_of(str(uuid4()))

    await graph.ainvoke({"said": ["a"], "kept": REPEATED}, config)

    assert (await graph.aget_state(config)).values == {"said": ["a", {"n": 1}], "kept": REPEATED}
    await graph.ainvoke({"said": ["b"]}, config)
    assert len([state async for state in graph.aget_state_history(config)]) == 6


async def test_a_pruned_and_a_copied_thread_keep_their_lists(database: Database, storage: PostgresStorage) -> None:
    thread_id, copy_id = str(uuid4()), str(uuid4())
    for turn in range(4):
        await run(storage, thread_id, {"said": [turn], "kept": LARGE})
    saver = Saver(storage)
    before = (await graph_on(saver).aget_state(config_of(thread_id))).values

    await saver.acopy_thread(thread_id, copy_id)
    await saver.aprune([thread_id])
    await run(storage, thread_id, {"said": ["after"], "kept": LARGE})

    assert (await graph_on(saver).aget_state(config_of(copy_id))).values == before
    after = (await graph_on(saver).aget_state(config_of(thread_id))).values
    assert (after["said"][:-2], after["kept"]) == (before["said"], LARGE)


async def test_rolling_back_a_run_frees_the_place_of_its_parts(database: Database, storage: PostgresStorage) -> None:
    thread_id, run_id = str(uuid4()), str(uuid4())
    await run(storage, thread_id, {"said": ["a"], "kept": ""})
    rows = await rows_of(database, thread_id, "said")
    config = {**config_of(thread_id), "metadata": {"run_id": run_id}}
    await run(storage, thread_id, {"said": ["gone"], "kept": ""}, config)

    await Saver(storage).adelete_for_runs([run_id])

    assert await rows_of(database, thread_id, "said") == rows
    assert (await run(storage, thread_id, {"said": ["b"], "kept": ""}))["said"] == ["a", {"n": 1}, "b", {"n": 3}]


@pytest.mark.parametrize("length", [0, 1, 300])
async def test_a_list_is_stored_whole_again_before_it_has_too_many_parts(
    database: Database, storage: PostgresStorage, length: int
) -> None:
    thread_id, saver = str(uuid4()), Saver(storage)
    config: Any = config_of(thread_id)

    graph = graph_on(saver)
    first = [str(number**5) for number in range(length)]
    await graph.aupdate_state(config, {"said": first, "kept": "", "replaced": []}, as_node="answer")
    for number in range(140):
        await graph.aupdate_state(config, {"said": [number]}, as_node="answer")

    parts = [part for part, _ in await rows_of(database, thread_id, "said")]
    assert (parts.count(0) > 1) == (length < 300)
    said = (await graph_on(Saver(storage)).aget_state(config)).values["said"]
    assert said == first + list(range(140))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.just(LARGE) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("said"), st.lists(_VALUES, max_size=3)),
        st.tuples(st.just("kept"), _VALUES),
        st.tuples(st.just("replaced"), st.lists(_VALUES, max_size=3)),
        st.tuples(st.just("fork"), st.integers(0, 30)),
        st.tuples(st.just("new saver"), st.none()),
        st.tuples(st.just("prune"), st.none()),
        st.tuples(st.just("run"), st.none()),
    ),
    min_size=3,
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=_STEPS)
async def test_whatever_is_written_forked_and_pruned_is_as_in_memory(
    storage: PostgresStorage, steps: list[tuple[str, Any]]
) -> None:
    thread_id = str(uuid4())
    saver, theirs = Saver(storage, Codec()), InMemorySaver()
    configs: list[tuple[Any, Any]] = [(config_of(thread_id), config_of(thread_id))]
    for what, value in steps:
        ours_at, theirs_at = configs[-1]
        if what == "fork":
            configs.append(configs[value % len(configs)])
        elif what == "new saver":
            saver = Saver(storage, Codec())
        elif what == "prune":
            # The memory saver cannot prune: it keeps what must be seen unchanged at the newest checkpoint.
            await saver.aprune([thread_id])
            configs = [(config_of(thread_id), config_of(thread_id))]
        elif what == "run":
            given_input = {"said": [], "kept": "run"}
            await graph_on(saver).ainvoke(given_input, ours_at)
            await graph_on(theirs).ainvoke(given_input, theirs_at)
            configs.append((config_of(thread_id), config_of(thread_id)))
        else:
            ours_at = await graph_on(saver).aupdate_state(ours_at, {what: value}, as_node="answer")
            theirs_at = await graph_on(theirs).aupdate_state(theirs_at, {what: value}, as_node="answer")
            configs.append((ours_at, theirs_at))

    for ours_at, theirs_at in configs:
        ours = await graph_on(Saver(storage)).aget_state(ours_at)
        assert ours.values == (await graph_on(theirs).aget_state(theirs_at)).values
