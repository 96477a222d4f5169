"""The past of a thread as the API tells it: its checkpoints, and the way from one to where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..client.connection import Connection
from ..errors import InvalidRequest

State = dict[str, Any]
"""A state of a thread in the API's JSON."""

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Past:
    """The checkpoints of a thread, newest first, numbered from 0 as `%lg history` shows them."""

    thread_id: str
    states: Sequence[State]

    def find(self, which: int | str) -> State:
        """A checkpoint by its number or its id.

        Raises:
            InvalidRequest: there is none.
        """
        if not self.states:
            raise InvalidRequest(f"Thread {self.thread_id} has no checkpoint yet; run something on it first.")
        if isinstance(which, str) and not which.isdigit():
            found = next((state for state in self.states if checkpoint_id(state) == which), None)
        else:
            number = int(which)
            found = self.states[number] if 0 <= number < len(self.states) else None
        if found is None:
            raise InvalidRequest(
                f"There is no checkpoint {which}; this thread has numbers 0 (the newest) to {len(self.states) - 1}."
            )
        return found

    def before(self, state: State) -> list[State]:
        """What led to a checkpoint, oldest first, without itself."""
        by_id = {checkpoint_id(one): one for one in self.states}
        found: list[State] = []
        parent = by_id.get(parent_id(state))
        while parent is not None:
            found.append(parent)
            parent = by_id.get(parent_id(parent))
        return found[::-1]

    def after(self, state: State) -> list[State]:
        """The checkpoint and what came of it: on its newest branch, in order, until the next input."""
        wanted = checkpoint_id(state)
        for leaf in self.states:
            way = [*self.before(leaf), leaf]
            ids = [checkpoint_id(one) for one in way]
            if wanted in ids:
                return _until_input(way[ids.index(wanted) :])
        return [state]


def _until_input(way: list[State]) -> list[State]:
    for position, state in enumerate(way[1:], 1):
        if (state.get("metadata") or {}).get("source") == "input":
            return way[:position]
    return way


def past_of(connection: Connection, thread_id: str) -> Past:
    """Ask a server for the history of a thread."""
    found: Any = connection.call(lambda sdk: sdk.threads.get_history(thread_id, limit=_MOST))
    return Past(thread_id, [dict(state) for state in found])


def checkpoint_id(state: State) -> str:
    return str((state.get("checkpoint") or {}).get("checkpoint_id") or state.get("checkpoint_id") or "")


def parent_id(state: State) -> str:
    return str((state.get("parent_checkpoint") or {}).get("checkpoint_id") or "")


def step_of(state: State) -> int:
    step = (state.get("metadata") or {}).get("step")
    return step if isinstance(step, int) else 0


def next_of(state: State) -> tuple[str, ...]:
    return tuple(state.get("next") or ())


def waits_for(state: State) -> list[Any]:
    """The values of the interrupts that a state waits with."""
    tasks = cast("list[dict[str, Any]]", state.get("tasks") or [])
    return [one.get("value") for task in tasks for one in task.get("interrupts") or []]
