"""Taking back runs, pruning, copying and deleting: what goes goes wholly, what stays keeps working."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.types import Command
from psycopg import sql

from lgnb.checkpoints.codec import Codec
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.checkpoints import CheckpointRepository
from lgnb.db.database import Database
from lgnb.models.checkpoints import Fence

from . import graphs

TABLES = ("checkpoints", "checkpoint_values", "checkpoint_writes", "checkpoint_tasks")


async def contents(database: Database, thread_id: str) -> dict[str, list[Any]]:
    """Every row of a thread but the moment of writing."""
    found: dict[str, list[Any]] = {}
    async with database.connection() as connection:
        for table in TABLES:
            cursor = await connection.execute(
                sql.SQL("SELECT to_jsonb(t) - 'written_at' FROM {} AS t WHERE thread_id = %s ORDER BY t").format(
                    sql.Identifier(table)
                ),
                (thread_id,),
            )
            found[table] = [row[0] for row in await cursor.fetchall()]
    return found


async def dangling(database: Database, thread_id: str) -> int:
    """Values and writes that belong to no checkpoint, not even as parts of one's lists, and parents that are gone."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            """
            WITH used AS (
                SELECT v.* FROM checkpoint_values v WHERE thread_id = %(id)s AND EXISTS (
                    SELECT FROM checkpoints c WHERE c.thread_id = v.thread_id AND c.checkpoint_ns = v.checkpoint_ns
                        AND c.checkpoint -> 'channel_versions' ->> v.channel = v.version)
            )
            SELECT
                (SELECT count(*) FROM checkpoint_values v WHERE thread_id = %(id)s
                    AND NOT EXISTS (
                        SELECT FROM used u WHERE u.checkpoint_ns = v.checkpoint_ns AND u.channel = v.channel
                            AND (u.version = v.version OR u.lineage = v.version
                                OR (u.lineage = v.lineage AND v.part <= u.part AND v.value IS NOT NULL))))
                + (SELECT count(*) FROM checkpoint_writes w LEFT JOIN checkpoints c
                    USING (thread_id, checkpoint_ns, checkpoint_id)
                    WHERE w.thread_id = %(id)s AND c.thread_id IS NULL)
                + (SELECT count(*) FROM checkpoints c LEFT JOIN checkpoints p
                    ON p.thread_id = c.thread_id AND p.checkpoint_ns = c.checkpoint_ns
                    AND p.checkpoint_id = c.parent_checkpoint_id
                    WHERE c.thread_id = %(id)s AND c.parent_checkpoint_id IS NOT NULL AND p.thread_id IS NULL)
            """,
            {"id": thread_id},
        )
        row = await cursor.fetchone()
        assert row is not None
        return row[0]


def config_of(thread_id: str, run_id: str | None = None) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id}, "metadata": {"run_id": run_id} if run_id else {}}


class Runs:
    """Runs of one graph on one thread, each under an id of its own, as fenced savers store them."""

    def __init__(self, builder: Any, storage: PostgresStorage, database: Database) -> None:
        self.builder, self.storage, self.database = builder, storage, database
        self.thread_id = str(uuid4())
        self.graph = builder.compile(checkpointer=Saver(storage, Codec()))

    async def run(self, given: Any) -> str:
        fence = Fence(run_id=uuid4(), attempt=1)
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO threads (thread_id) VALUES (%s) ON CONFLICT DO NOTHING", (self.thread_id,)
            )
            await connection.execute(
                "INSERT INTO runs (run_id, thread_id, assistant_id, graph_id, kwargs, multitask_strategy, "
                "created_at, status, attempt) VALUES (%s, %s, %s, 'g', '{}', 'reject', now(), 'running', 1)",
                (fence.run_id, self.thread_id, uuid4()),
            )
        graph = self.builder.compile(checkpointer=Saver(self.storage, Codec(), fence=fence))
        await graph.ainvoke(given, config_of(self.thread_id), durability="sync")
        async with self.database.connection() as connection:
            await connection.execute("UPDATE runs SET status = 'success' WHERE run_id = %s", (fence.run_id,))
        return str(fence.run_id)

    async def state(self) -> Any:
        return await self.graph.aget_state(config_of(self.thread_id))


@pytest.mark.parametrize("shape", ["linear", "parallel", "sending", "with_child"])
async def test_taking_back_the_last_run_leaves_no_trace(storage: PostgresStorage, database: Database, shape: str):
    runs = Runs(getattr(graphs, shape)(), storage, database)
    await runs.run(graphs.INPUT)
    before = await contents(database, runs.thread_id)
    second = await runs.run({"log": ["second"]})
    assert await contents(database, runs.thread_id) != before

    await runs.graph.checkpointer.adelete_for_runs([second])

    assert await contents(database, runs.thread_id) == before


async def test_taking_back_an_answer_brings_the_question_back(storage: PostgresStorage, database: Database):
    """The answer replaced the interrupt that was stored; without the run it is the open question again."""
    runs = Runs(graphs.asking(), storage, database)
    await runs.run(graphs.INPUT)
    before = await contents(database, runs.thread_id)
    first = await runs.state()
    answer = await runs.run(Command(resume="yes"))
    assert [interrupt.value for interrupt in (await runs.state()).interrupts] == ["second"]

    await runs.graph.checkpointer.adelete_for_runs([answer])

    assert (await runs.state()).interrupts == first.interrupts
    assert await contents(database, runs.thread_id) == before
    await runs.run(Command(resume="again"))
    await runs.run(Command(resume="end"))
    assert (await runs.state()).values["log"][-2] == "again-end"


async def test_taking_back_an_early_run_keeps_the_later_ones(storage: PostgresStorage, database: Database):
    runs = Runs(graphs.linear(), storage, database)
    first = await runs.run(graphs.INPUT)
    await runs.run({"log": ["second"]})
    values = (await runs.state()).values

    await runs.graph.checkpointer.adelete_for_runs([first])

    assert (await runs.state()).values == values
    assert await dangling(database, runs.thread_id) == 0
    states = [state async for state in runs.graph.aget_state_history(config_of(runs.thread_id))]
    assert len(states) == 5


async def test_taking_back_an_early_run_spares_what_a_delta_channel_is_built_from(
    storage: PostgresStorage, database: Database
):
    runs = Runs(graphs.delta(nodes=2), storage, database)
    first = await runs.run({"log": ["in"]})
    await runs.run({"log": ["more"]})
    later = [state.values async for state in runs.graph.aget_state_history(config_of(runs.thread_id))][:4]
    assert [len(values["log"]) for values in later] == [6, 5, 4, 3]

    await runs.graph.checkpointer.adelete_for_runs([first])

    left = [state.values async for state in runs.graph.aget_state_history(config_of(runs.thread_id))]
    assert left[:4] == later


async def test_taking_back_a_copied_run_does_not_touch_the_copy(storage: PostgresStorage, database: Database):
    runs = Runs(graphs.linear(), storage, database)
    run = await runs.run(graphs.INPUT)
    copy = str(uuid4())
    await runs.graph.checkpointer.acopy_thread(runs.thread_id, copy)
    before = await contents(database, copy)

    await runs.graph.checkpointer.adelete_for_runs([run])

    assert await contents(database, copy) == before
    assert not any((await contents(database, runs.thread_id)).values())


@pytest.mark.parametrize("shape", ["linear", "parallel", "asking", "sending", "with_child", "delta"])
async def test_a_copy_has_the_same_states_and_lives_on_alone(storage: PostgresStorage, database: Database, shape: str):
    runs = Runs(getattr(graphs, shape)(), storage, database)
    await runs.run({"log": ["in"]})
    copy = str(uuid4())

    await runs.graph.checkpointer.acopy_thread(runs.thread_id, copy)
    original = await contents(database, runs.thread_id)
    await runs.graph.ainvoke({"log": ["copy"]}, config_of(copy))

    assert await contents(database, runs.thread_id) == original
    states = [state.values async for state in runs.graph.aget_state_history(config_of(copy))]
    expected = [state.values async for state in runs.graph.aget_state_history(config_of(runs.thread_id))]
    assert states[-len(expected) :] == expected


@pytest.mark.parametrize("shape", ["linear", "parallel", "asking", "sending", "with_child", "delta"])
async def test_pruning_keeps_the_latest_state_working(storage: PostgresStorage, database: Database, shape: str):
    runs = Runs(getattr(graphs, shape)(), storage, database)
    await runs.run({"log": ["in"]})
    await runs.run({"log": ["again"]})
    before = await runs.graph.aget_state(config_of(runs.thread_id), subgraphs=True)
    rows = len((await contents(database, runs.thread_id))["checkpoints"])

    await runs.graph.checkpointer.aprune([runs.thread_id])

    after = await runs.graph.aget_state(config_of(runs.thread_id), subgraphs=True)
    assert (after.values, after.next, after.config) == (before.values, before.next, before.config)
    assert [task.interrupts for task in after.tasks] == [task.interrupts for task in before.tasks]
    assert len((await contents(database, runs.thread_id))["checkpoints"]) < rows
    assert await dangling(database, runs.thread_id) == 0
    await runs.graph.ainvoke({"log": ["on"]}, config_of(runs.thread_id))
    log = (await runs.state()).values["log"]
    assert log[: len(before.values["log"]) + 1] == [*before.values["log"], "on"]


async def test_pruning_keeps_one_checkpoint_per_namespace_and_drops_ended_calls(
    storage: PostgresStorage, database: Database
):
    runs = Runs(graphs.with_child(), storage, database)
    await runs.run(graphs.INPUT)
    await runs.graph.checkpointer.aprune([runs.thread_id])
    paused = (await contents(database, runs.thread_id))["checkpoints"]
    await runs.run(Command(resume="yes"))
    await runs.run(Command(resume="no"))

    await runs.graph.checkpointer.aprune([runs.thread_id])

    assert [row["checkpoint_ns"].partition(":")[0] for row in paused] == ["", "child"]
    assert [row["checkpoint_ns"] for row in (await contents(database, runs.thread_id))["checkpoints"]] == [""]


async def test_pruning_a_long_delta_thread_stops_at_the_last_snapshot(storage: PostgresStorage, database: Database):
    runs = Runs(graphs.delta(nodes=6), storage, database)
    for _ in range(3):
        await runs.run({"log": ["in"]})

    await runs.graph.checkpointer.aprune([runs.thread_id])

    assert 1 <= len((await contents(database, runs.thread_id))["checkpoints"]) <= 5
    assert len((await runs.state()).values["log"]) == 21


async def test_an_unknown_prune_strategy_is_refused(saver: Saver):
    with pytest.raises(ValueError, match="keep_latest or delete"):
        await saver.aprune([str(uuid4())], strategy="newest")


async def test_deleting_threads_is_part_of_the_callers_transaction(storage: PostgresStorage, database: Database):
    runs = Runs(graphs.with_child(), storage, database)
    await runs.run(graphs.INPUT)
    before = await contents(database, runs.thread_id)

    async with database.connection() as connection, connection.transaction(force_rollback=True):
        await CheckpointRepository(connection).delete_for_threads([UUID(runs.thread_id)])
    kept = await contents(database, runs.thread_id)
    await storage.delete_threads([UUID(runs.thread_id)])

    assert kept == before
    assert not any((await contents(database, runs.thread_id)).values())


async def test_usage_counts_what_is_stored(storage: PostgresStorage, database: Database):
    runs = Runs(graphs.linear(), storage, database)
    await runs.run(graphs.INPUT)

    async with database.connection() as connection:
        usage = await CheckpointRepository(connection).usage(UUID(runs.thread_id))

    found = await contents(database, runs.thread_id)
    assert next(row for row in usage if row.kind == "checkpoints").rows == len(found["checkpoints"])
    assert sum(row.rows for row in usage if row.kind == "values") == len(found["checkpoint_values"])
    assert next(row for row in usage if row.kind == "writes").rows == len(found["checkpoint_writes"])
    assert all(row.bytes > 0 for row in usage)
