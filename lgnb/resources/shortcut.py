"""The short way for a new run: one statement, where nobody has to make way for it and nobody's rights are asked.

What the run is made from was read before, without a lock, or is known from an earlier run. So the statement says by
their marks which rows these were, and stores nothing if one of them has changed since; then the long way is taken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from uuid import UUID

from ..db.assistants import RunnableAssistant
from ..db.database import Connection, Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..models.threads import ThreadToRun, ThreadTtl
from .acceptance import Acceptance, Permit, assistant_to_run, new_run

_MOST_KNOWN = 256


class Shortcut:
    """Accepts runs of one process, and remembers the assistants that were run last."""

    def __init__(self, database: Database, *, default_ttl: ThreadTtl | None) -> None:
        self._database = database
        self._default_ttl = default_ttl
        self._known: OrderedDict[str, RunnableAssistant] = OrderedDict()

    async def accept(
        self, thread_id: UUID | None, permit: Permit, *, request_id: str | None, headers: Mapping[str, str] | None
    ) -> Acceptance | None:
        """The accepted run, or None where the long way must be taken; raises what that would."""
        if permit.thread_visible is not None or permit.assistant_visible is not None:
            return None
        async with self._database.connection() as connection:
            thread: ThreadToRun | None = None
            if thread_id is not None:
                thread = await ThreadRepository(connection).to_run(thread_id)
                if thread is None or thread.status == "busy":
                    return None
            assistant = await self._assistant(connection, permit.request.assistant_id)
            new = new_run(permit, assistant, thread, thread_id=thread_id, request_id=request_id, headers=headers)
            runs = RunRepository(connection)
            if thread is None:
                run = await runs.insert_on_new_thread(new, ttl=self._default_ttl)
            else:
                run = await runs.insert_on_thread(new, thread_mark=thread.mark)
        if run is None:
            self._known.pop(permit.request.assistant_id, None)
            return None
        return Acceptance(run=run, graph_id=assistant.graph_id, stopped=[], is_new_thread=thread is None)

    async def _assistant(self, connection: Connection, assistant_id: str) -> RunnableAssistant:
        known = self._known.pop(assistant_id, None) or await assistant_to_run(connection, assistant_id)
        self._known[assistant_id] = known
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return known
