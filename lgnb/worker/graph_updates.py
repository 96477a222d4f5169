"""Updates of a thread's state as its graph does them, in the process that has the graph."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import EmptyInputError, InvalidUpdateError
from langgraph.pregel import Pregel
from langgraph.types import StateUpdate

from ..checkpoints.revivable import revivable_types
from ..checkpoints.saver import Saver
from ..checkpoints.tasks import tasks_of_snapshot
from ..errors import InvalidState, LgnbError
from ..graphs.sources import GraphSource
from ..models.identity import stored_caller
from .inputs import command_of

logger = logging.getLogger(__name__)

# What the graph library raises for a request that makes no sense to it.
_REFUSALS = (ValueError, InvalidUpdateError, EmptyInputError)


def supersteps_of(method: str, params: Mapping[str, Any]) -> list[list[StateUpdate]]:
    """The updates that a call asks for, superstep by superstep."""
    if method == "update_state":
        return [[StateUpdate(params["values"], params.get("as_node"))]]
    return [
        # Where the library's type says values, it takes a Command as well.
        [StateUpdate(_written(update), update.get("as_node")) for update in superstep["updates"]]
        for superstep in params["supersteps"]
    ]


async def update_graph(
    source: GraphSource, config: RunnableConfig, supersteps: list[list[StateUpdate]], *, saver: Saver, store: Any
) -> Any:
    """Write to the state as nodes would; the config of the new checkpoint. Runs on the graph's loop."""
    configurable = config.get("configurable") or {}
    user = stored_caller(configurable.get("langgraph_auth_user"))
    config = {**config, "configurable": {**configurable, "langgraph_auth_user": user}}
    async with source.open(
        config, access_context="threads.update", user=user, store=store, checkpointer=saver
    ) as graph:
        saver = saver.with_allowlist(revivable_types(graph))
        graph.checkpointer = saver
        updated = await graph.abulk_update_state(config, supersteps)
        await _save_tasks(graph, updated, saver)
    return updated


def refused(error: Exception) -> LgnbError:
    """What the caller is told when a graph, or its factory, raised."""
    if isinstance(error, LgnbError):
        return error
    if isinstance(error, _REFUSALS):
        return InvalidState(str(error))
    logger.error("A call of a graph failed", exc_info=error)
    return InvalidState(f"The graph failed: {type(error).__name__}: {error}")


async def _save_tasks(graph: Pregel, config: RunnableConfig, saver: Saver) -> None:
    snapshot = await graph.aget_state(config)
    if (found := tasks_of_snapshot(snapshot, channels=graph.stream_channels_asis)) is not None:
        saver.add_tasks(*found)
        await saver.settled()


def _written(update: dict[str, Any]) -> Any:
    return command_of(update["command"]) if update.get("command") else update.get("values")
