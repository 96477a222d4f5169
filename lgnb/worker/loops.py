"""The event loops that users' graphs run on, apart from the service loop which talks to Postgres and Redis.

All runs share one loop, because the async clients that model libraries cache break when several loops use them. A
node that blocks its loop would stall the others, so a watchdog looks after it: a blocked loop gets no new runs, the
runs of others on it are handed to `on_blocked`, and from then on each run of the culprit's graph gets its own loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from ..settings import Isolation

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A blocked loop is replaced after the first time, and runs that wait for their turn on it begin elsewhere, which costs
# nothing. Those in the middle of a superstep would have to repeat it, so they are moved only after the second.
_REPLACED_AFTER_SECONDS = 1.0
_EVACUATED_AFTER_SECONDS = 3.0
# Twice the period at which loops are looked at.
_LONGEST_LOOK_SECONDS = 0.5

_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose work a task does."""

    graph_id: str
    run_id: UUID | None = None


# Tasks of nodes inherit it from the task of their run.
_owner: ContextVar[Owner | None] = ContextVar("lgnb_owner", default=None)


def current_run() -> UUID | None:
    """The run whose node, or factory, asks; None outside a run."""
    owner = _owner.get()
    return owner.run_id if owner else None


class LoopThread:
    """An event loop on a daemon thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_task_factory(self._create_task)
        self._owners: WeakKeyDictionary[asyncio.Task[Any], Owner | None] = WeakKeyDictionary()
        self._stopping = False
        self._looked_at = 0.0
        self._silent_seconds = 0.0
        self._answer_pending = False
        self._thread = threading.Thread(target=self._run, name=f"lgnb-graphs-{next(_names)}", daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T], *, owner: Owner) -> Future[T]:
        """Start a coroutine here; the future is safe to use from any thread."""

        async def owned() -> T:
            _owner.set(owner)
            if (task := asyncio.current_task()) is not None:
                self._owners[task] = owner
            return await coroutine

        return asyncio.run_coroutine_threadsafe(owned(), self.loop)

    def silent_seconds(self) -> float:
        """For how long this loop has not answered; asks it to answer. Call it from one other thread, again and again.

        When nobody has looked for longer than usual, the whole process stood still, and the loop need not be blocked.
        """
        now = time.monotonic()
        if self._answer_pending:
            self._silent_seconds += min(now - self._looked_at, _LONGEST_LOOK_SECONDS)
            self._looked_at = now
            return self._silent_seconds
        self._looked_at, self._silent_seconds, self._answer_pending = now, 0.0, True
        self.loop.call_soon_threadsafe(self._answer)
        return 0.0

    def executing(self) -> Owner | None:
        """Whose task executes on this loop at this moment, as seen from another thread."""
        with contextlib.suppress(RuntimeError):
            if (task := asyncio.current_task(self.loop)) is not None:
                return self._owners.get(task)
        return None

    def stop(self) -> None:
        """Ask the thread to end; one that is blocked ends with the process."""
        self._stopping = True
        with contextlib.suppress(RuntimeError):  # it has ended already
            self.loop.call_soon_threadsafe(self.loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._stopping:
            # A task that calls sys.exit() ends run_forever; the other runs of this loop go on.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self.loop.run_forever()
        self.loop.close()

    def _answer(self) -> None:
        self._answer_pending = False

    def _create_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        # Task.get_context() would tell, but Python 3.11 does not have it.
        context: Context | None = options.get("context")
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        self._owners[task] = _owner.get() if context is None else context.get(_owner)
        return task


class GraphLoops:
    """Hands out loops; `check()` is called again and again from a thread that no graph can block.

    Args:
        isolation: "auto" as described above, "always" a loop per run, "never" one loop whatever happens.
        on_blocked: gets a blocked loop, the run that blocks it, and whether this lasts, so that runs which have
            begun on it shall move as well; on the thread that calls `check`, once or twice for a loop.
    """

    def __init__(
        self, *, isolation: Isolation, on_blocked: Callable[[LoopThread, UUID | None, bool], None] | None = None
    ) -> None:
        self._isolation = isolation
        self._on_blocked = on_blocked
        self._lock = threading.Lock()
        self._shared = LoopThread()
        self._idle: list[LoopThread] = []
        self._blocked: dict[LoopThread, Owner | None] = {}
        self._retired: list[LoopThread] = []
        self._blocking_graphs: set[str] = set()

    def run(
        self, coroutine: Coroutine[Any, Any, T], *, graph_id: str, run_id: UUID | None = None
    ) -> tuple[LoopThread, Future[T]]:
        """Run a coroutine on the loop that suits its graph."""
        with self._lock:
            alone = self._isolation == "always" or graph_id in self._blocking_graphs
            thread = self._take_idle() if alone and self._isolation != "never" else self._shared
        future = thread.submit(coroutine, owner=Owner(graph_id, run_id))
        if thread is not self._shared:
            future.add_done_callback(lambda _: self._give_back(thread))
        return thread, future

    def check(self) -> None:
        """Replace the shared loop while it is blocked, and remember whose fault it was."""
        if self._isolation == "never":
            return
        if self._shared.silent_seconds() >= _REPLACED_AFTER_SECONDS:
            self._replace_shared()
        for thread, owner in list(self._blocked.items()):
            silent = thread.silent_seconds()
            if silent == 0.0:
                del self._blocked[thread]
            elif silent >= _EVACUATED_AFTER_SECONDS:
                del self._blocked[thread]
                self._tell(thread, owner, lasting=True)

    def stop(self) -> None:
        with self._lock:
            threads = [self._shared, *self._idle, *self._retired]
        for thread in threads:
            thread.stop()

    def _replace_shared(self) -> None:
        blocked = self._shared
        owner = blocked.executing()
        with self._lock:
            self._shared = LoopThread()
            self._retired.append(blocked)
            if owner is not None:
                self._blocking_graphs.add(owner.graph_id)
        self._blocked[blocked] = owner
        logger.warning(
            "Graph %s blocks its event loop; from now on its runs get loops of their own. "
            "A synchronous call in an async node does that: make the node a plain function, or use asyncio.to_thread.",
            owner.graph_id if owner else "(unknown)",
        )
        self._tell(blocked, owner, lasting=False)

    def _tell(self, thread: LoopThread, owner: Owner | None, *, lasting: bool) -> None:
        if self._on_blocked is not None:
            self._on_blocked(thread, owner.run_id if owner else None, lasting)

    def _take_idle(self) -> LoopThread:
        return self._idle.pop() if self._idle else LoopThread()

    def _give_back(self, thread: LoopThread) -> None:
        with self._lock:
            if thread not in self._retired and thread is not self._shared:
                self._idle.append(thread)
