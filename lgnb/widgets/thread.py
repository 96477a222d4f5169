"""The history of a thread as a tree of branches: compare, edit, fork, run again from a checkpoint."""

from __future__ import annotations

from ..client import threads
from ..client.session import current_session
from .base import View


class Thread(View):
    """The checkpoints of a thread, by default the current one."""

    view_name = "thread"

    def __init__(self, thread: str | None = None, *, checkpoint: str | None = None) -> None:
        """
        Args:
            thread: an id or alias.
            checkpoint: the id of the checkpoint to open with.
        """
        thread_id = current_session().thread(thread)
        text = repr(threads.history(thread_id, limit=20))
        super().__init__({"thread": thread_id, "checkpoint": checkpoint}, text=text)
