"""Answers calls: what only a process with the graph can do, on the graph's loop, for a host that waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.errors import EmptyInputError, InvalidUpdateError
from langgraph.pregel import Pregel
from langgraph.types import StateUpdate

from ..checkpoints.codec import Codec
from ..checkpoints.history import thread_states
from ..checkpoints.revivable import revivable_types
from ..checkpoints.saver import Saver
from ..checkpoints.tasks import tasks_of_snapshot
from ..db.threads import ThreadRepository
from ..errors import InvalidState, LgnbError, QueueUnavailable
from ..graphs.loading import GraphRegistry
from ..models.runs import RunOutcome
from ..queue.calls import Call, Reply
from ..resources import Resources
from ..resources.replies import failure
from .graph_store import GraphStore
from .inputs import command_of
from .loops import GraphLoops

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5

# What the graph library raises for a request that makes no sense to it.
_REFUSALS = (ValueError, InvalidUpdateError, EmptyInputError)


class CallServer:
    """Takes calls for its graphs until cancelled. A call answered twice does no harm: its caller reads one reply.

    Args:
        most_at_once: each call holds one database connection while its graph uses a second one, so this must be
            smaller than the pool.
    """

    def __init__(
        self,
        resources: Resources,
        registry: GraphRegistry,
        *,
        graph_loops: GraphLoops,
        graph_ids: Sequence[str],
        store: GraphStore,
        codec: Codec,
        most_at_once: int,
    ) -> None:
        self._resources = resources
        self._registry = registry
        self._graph_loops = graph_loops
        self._graph_ids = graph_ids
        self._store = store
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(most_at_once)
        self._methods: dict[str, Callable[[Call], Awaitable[Any]]] = {
            "update_state": self._update_state,
            "bulk_update_state": self._bulk_update_state,
        }

    async def run(self) -> None:
        if not self._graph_ids:
            return
        async with asyncio.TaskGroup() as answering:
            while True:
                await self._room.acquire()
                call = await self._next()
                if call is None:
                    self._room.release()
                else:
                    answering.create_task(self._answer(call)).add_done_callback(lambda _: self._room.release())

    async def _next(self) -> Call | None:
        try:
            return await self._resources.calls.next(self._graph_ids, timeout_seconds=5.0)
        except QueueUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)
            return None

    async def _answer(self, call: Call) -> None:
        try:
            reply = Reply(result=await self._methods[call.method](call))
        except LgnbError as error:
            reply = failure(error)
        except _REFUSALS as error:
            reply = failure(InvalidState(str(error)))
        except Exception as error:  # a user's graph or factory may raise anything
            logger.exception("Call %s of graph %s failed", call.method, call.graph_id)
            reply = failure(InvalidState(f"The graph failed: {type(error).__name__}: {error}"))
        try:
            await self._resources.calls.answer(call, reply)
        except QueueUnavailable:
            logger.warning("Redis does not answer: the caller of %s will give up.", call.method)

    async def _update_state(self, call: Call) -> dict[str, Any]:
        update = StateUpdate(call.params["values"], call.params.get("as_node"))
        return await self._update(call, [[update]], call.params.get("checkpoint") or {})

    async def _bulk_update_state(self, call: Call) -> dict[str, Any]:
        supersteps = [
            [
                # Where the library's type says values, it takes a Command as well.
                StateUpdate(_written(update), update.get("as_node"))
                for update in superstep["updates"]
            ]
            for superstep in call.params["supersteps"]
        ]
        return await self._update(call, supersteps, {})

    async def _update(
        self, call: Call, supersteps: list[list[StateUpdate]], checkpoint: dict[str, Any]
    ) -> dict[str, Any]:
        """Update the state while no run may begin, and bring the thread's row in step."""
        thread_id = UUID(call.params["thread_id"])
        storage = self._resources.storage
        async with self._resources.threads.updating(thread_id) as connection:
            threads = ThreadRepository(connection)
            thread = await threads.get(thread_id)
            assert thread is not None
            config = _config(call, thread.config, checkpoint)
            saver = Saver(storage, self._codec, loop=self._loop)
            _, future = self._graph_loops.run(
                self._on_graph(call.graph_id, config, saver, supersteps), graph_id=call.graph_id
            )
            updated = await asyncio.wrap_future(future)
            states = await thread_states(storage, thread_id, limit=1, live=True)
            if states:
                outcome = RunOutcome(status="success", thread_status="idle", result=b"").with_state(states[0])
                await threads.set_state(
                    thread_id,
                    status="interrupted" if states[0]["next"] else "idle",
                    values=outcome.values,
                    interrupts=outcome.interrupts,
                    state=outcome.state or {},
                    metadata={"graph_id": call.graph_id},
                )
        reference = {key: updated["configurable"][key] for key in ("thread_id", "checkpoint_ns", "checkpoint_id")}
        return {"checkpoint": reference, "configurable": reference, "checkpoint_id": reference["checkpoint_id"]}

    async def _on_graph(
        self, graph_id: str, config: RunnableConfig, saver: Saver, supersteps: list[list[StateUpdate]]
    ) -> Any:
        source = self._registry.get(graph_id)
        async with source.open(config, access_context="threads.update", store=self._store, checkpointer=saver) as graph:
            saver = saver.with_allowlist(revivable_types(graph))
            graph.checkpointer = saver
            updated = await graph.abulk_update_state(config, supersteps)
            await self._save_tasks(graph, updated, saver)
        return updated

    async def _save_tasks(self, graph: Pregel, config: RunnableConfig, saver: Saver) -> None:
        snapshot = await graph.aget_state(config)
        if (found := tasks_of_snapshot(snapshot, channels=graph.stream_channels_asis)) is not None:
            await saver.put_tasks(*found)


def _config(call: Call, thread_config: dict[str, Any], checkpoint: dict[str, Any]) -> RunnableConfig:
    """The config of an update: the thread's own, at the checkpoint asked for."""
    configurable = {
        **(thread_config.get("configurable") or {}),
        **(call.params.get("headers") or {}),
        "checkpoint_ns": "",
        **{key: value for key, value in checkpoint.items() if value is not None},
        "thread_id": call.params["thread_id"],
        "graph_id": call.graph_id,
        "assistant_id": call.params.get("assistant_id"),
    }
    metadata = {"graph_id": call.graph_id, "assistant_id": call.params.get("assistant_id")}
    return {"configurable": configurable, "metadata": metadata}


def _written(update: dict[str, Any]) -> Any:
    return command_of(update["command"]) if update.get("command") else update.get("values")
