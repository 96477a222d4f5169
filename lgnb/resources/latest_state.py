"""Brings the row of a thread in step with its checkpoints, where something else than the end of a run changed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..checkpoints.history import thread_states
from ..checkpoints.sealed import opened
from ..db.checkpoints import CheckpointRepository
from ..db.database import Connection
from ..db.threads import ThreadRepository
from ..models.checkpoints import CheckpointFilter, CheckpointPlace, SavedCheckpoint
from ..models.runs import RunOutcome
from ..models.vault import current_sealing, sealing_for


class _Pages:
    """Reads checkpoints as the transaction of a connection sees them."""

    def __init__(self, connection: Connection) -> None:
        self._checkpoints = CheckpointRepository(connection)
        self._vault = connection.vault

    async def get(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None = None
    ) -> SavedCheckpoint | None:
        place = CheckpointPlace(thread_id=thread_id, checkpoint_ns=checkpoint_ns, checkpoint_id=checkpoint_id)
        (saved,) = await self._checkpoints.get([place])
        return (await opened([saved], self._vault))[0] if saved else None

    async def list(self, which: CheckpointFilter) -> Sequence[SavedCheckpoint]:
        return await opened(await self._checkpoints.page(which), self._vault)


async def latest_values(connection: Connection, thread_id: UUID) -> Any:
    """The values of the thread's newest checkpoint, or None."""
    states = await thread_states(_Pages(connection), thread_id, limit=1, live=True)
    return states[0]["values"] if states else None


async def refresh_latest_state(connection: Connection, thread_id: UUID) -> None:
    """Store values, interrupts and state of the newest checkpoint in the thread's row, and the status they mean.

    The caller has locked the thread. With a run in flight the thread stays busy, after an error it stays so.
    """
    threads = ThreadRepository(connection)
    states = await thread_states(_Pages(connection), thread_id, limit=1, live=True)
    outcome = RunOutcome(status="success", thread_status="idle", result=b"").with_state(states[0] if states else None)
    # Whoever brings this about, the values stay those of the thread.
    context = await threads.encryption_context(thread_id) if connection.vault.fields.seals else {}
    with sealing_for(context or current_sealing().context):
        await threads.refresh_state(
            thread_id, values=outcome.values, interrupts=outcome.interrupts, state=outcome.state
        )
    await threads.recompute_status(thread_id)
