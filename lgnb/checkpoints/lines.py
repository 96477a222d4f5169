"""Saves that a run does not wait for: what takes them, and how any storage can be made to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from ..models.checkpoints import Fence, Save


class Line(Protocol):
    """Saves that belong together."""

    def add(self, save: Save) -> None:
        """Save this as soon as may be. Raises what kept an earlier one from being saved."""
        ...

    async def flush(self) -> None:
        """Return when everything is saved; raises what kept it from being saved."""
        ...

    @property
    def lag_seconds(self) -> float:
        """How long the oldest save has been waiting that is not done."""
        ...


@runtime_checkable
class TakesLines(Protocol):
    """A storage that saves in the order in which it is given."""

    def line(self, fence: Fence | None) -> Line | None: ...


class TaskLine:
    """For any other storage: each save is a task of its own, and they may overtake each other."""

    def __init__(self, save: Callable[[Save], Awaitable[None]]) -> None:
        self._save = save
        self._tasks: dict[asyncio.Future[None], float] = {}
        self._error: BaseException | None = None

    def add(self, save: Save) -> None:
        if self._error is not None:
            raise self._error
        task = asyncio.ensure_future(self._save(save))
        self._tasks[task] = time.monotonic()
        task.add_done_callback(self._saved)

    async def flush(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._error is not None:
            raise self._error

    @property
    def lag_seconds(self) -> float:
        return time.monotonic() - next(iter(self._tasks.values())) if self._tasks else 0.0

    def _saved(self, task: asyncio.Future[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and self._error is None:
            self._error = task.exception()
