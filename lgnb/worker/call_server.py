"""Answers calls: what only a process with the graph can do, on the graph's loop, for a host that waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from ..checkpoints.codec import Codec
from ..checkpoints.saver import Saver
from ..errors import QueueUnavailable
from ..graphs.loading import GraphRegistry
from ..queue.calls import Call, Reply
from ..resources import Resources
from ..resources.replies import failure
from .graph_store import GraphStore
from .graph_updates import refused, supersteps_of, update_graph
from .loops import GraphLoops

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5


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
        async def apply(config: dict[str, Any]) -> dict[str, Any]:
            return await self._on_graph(call, cast(RunnableConfig, config))

        try:
            reply = Reply(result=await self._resources.state_updates.update(call, apply))
        except Exception as error:  # noqa: BLE001  a user's graph or factory may raise anything
            reply = failure(refused(error))
        try:
            await self._resources.calls.answer(call, reply)
        except QueueUnavailable:
            logger.warning("Redis does not answer: the caller of %s will give up.", call.method)

    async def _on_graph(self, call: Call, config: RunnableConfig) -> dict[str, Any]:
        saver = Saver(self._resources.storage, self._codec, loop=self._loop)
        updating = update_graph(
            self._registry.get(call.graph_id),
            config,
            supersteps_of(call.method, call.params),
            saver=saver,
            store=self._store,
        )
        _, future = self._graph_loops.run(updating, graph_id=call.graph_id)
        return await asyncio.wrap_future(future)
