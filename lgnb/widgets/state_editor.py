"""A form for the state of a thread, checked against the graph's schema before it is written."""

from __future__ import annotations

from ..client import threads
from ..client.session import current_session
from .base import View


class StateEditor(View):
    """Edits the state of a thread, at its newest or at an older checkpoint; saving makes a fork."""

    view_name = "state_editor"

    def __init__(self, thread: str | None = None, *, checkpoint: str | None = None) -> None:
        """
        Args:
            thread: an id or alias; None means the current one.
            checkpoint: the id of the checkpoint to start from.
        """
        thread_id = current_session().thread(thread)
        super().__init__({"thread": thread_id, "checkpoint": checkpoint}, text=repr(threads.state(thread_id)))
