"""Updates of a thread's state by request: the transaction around what a process with the graph does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from ..checkpoints.history import thread_states
from ..checkpoints.storage import CheckpointStorage
from ..db.threads import ThreadRepository
from ..models.access import Condition
from ..models.identity import identity_of, stored_caller
from ..models.runs import RunOutcome
from ..models.vault import begin_sealing
from ..queue.calls import Call
from .threads import Threads

Apply = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Has the graph write its updates at the place that a config names; answers with the config of the new checkpoint."""


class StateUpdates:
    def __init__(self, *, threads: Threads, storage: CheckpointStorage) -> None:
        self._threads = threads
        self._storage = storage

    async def update(self, call: Call, apply: Apply) -> dict[str, Any]:
        """Update the state while no run may begin, and bring the thread's row in step.

        Raises:
            ThreadNotFound, ThreadBusy: as they say.
        """
        if context := call.params.get("encryption"):
            begin_sealing(context)
        thread_id = UUID(call.params["thread_id"])
        visible = call.params.get("visible")
        condition = Condition(visible) if visible else None
        async with self._threads.updating(thread_id, visible=condition) as connection:
            threads = ThreadRepository(connection)
            thread = await threads.get(thread_id)
            assert thread is not None
            updated = await apply(_config(call, thread.config))
            states = await thread_states(self._storage, thread_id, limit=1, live=True)
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


def _config(call: Call, thread_config: dict[str, Any]) -> dict[str, Any]:
    """The config of an update: the thread's own, at the checkpoint asked for."""
    checkpoint: dict[str, Any] = call.params.get("checkpoint") or {}
    configurable = {
        **(thread_config.get("configurable") or {}),
        **(call.params.get("headers") or {}),
        "checkpoint_ns": "",
        **{key: value for key, value in checkpoint.items() if value is not None},
        "thread_id": call.params["thread_id"],
        "graph_id": call.graph_id,
        "assistant_id": call.params.get("assistant_id"),
        **identity_of(stored_caller(user := call.params.get("user"))),
        "langgraph_auth_user": user,
    }
    metadata = {"graph_id": call.graph_id, "assistant_id": call.params.get("assistant_id")}
    return {"configurable": configurable, "metadata": metadata}
