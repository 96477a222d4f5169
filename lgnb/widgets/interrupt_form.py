"""The questions of a waiting thread as forms: approve, edit, reject, respond, by a schema, or as JSON or text."""

from __future__ import annotations

from ..client.session import current_session
from ..client.thread_state import interrupts_of
from .base import View


class InterruptForm(View):
    """Answers the interrupts of a thread; the run that continues is shown below."""

    view_name = "interrupt_form"

    def __init__(self, thread: str | None = None, *, assistant: str | None = None, name: str | None = None) -> None:
        """
        Args:
            thread: an id or alias; None means the current one.
            assistant: the id of the assistant that continues; None means the one that asked.
            name: the assistant's name, for the header of the run that continues.
        """
        session = current_session()
        thread_id = session.thread(thread)
        state = session.connection().call(lambda sdk: sdk.threads.get_state(thread_id))
        count = len(interrupts_of(state))
        asked = "Nothing waits" if not count else "1 question waits" if count == 1 else f"{count} questions wait"
        text = f"{asked} for an answer: here while the notebook is open, or with %lg resume."
        super().__init__({"thread": thread_id, "assistant": assistant, "name": name, "focus": True}, text=text)
