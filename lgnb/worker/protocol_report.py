"""Reports one attempt of a run to the protocol log of its thread.

A run that was started through the protocol, or whose events can be resumed, is always reported. Any other run is
reported while somebody watches its thread: nobody could ask for its events later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Sequence
from typing import Any, Protocol
from uuid import UUID

from ..errors import QueueUnavailable
from ..models.protocol import MARKER, RUN_MODES, ProtocolEvent, RootStatus, root_lifecycle
from ..models.runs import ClaimedRun
from .protocol_events import ProtocolTranslator
from .sending import BatchSender

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 0.25
# What the library understands of the modes of a protocol run.
_NATIVE_MODES = frozenset(RUN_MODES) - {"lifecycle"}
# Asked of every run, for little: who begins to watch wants to see states and the life of subgraphs at once.
_QUIET_MODES = frozenset(("values", "updates", "tasks", "checkpoints"))


class ProtocolLog(Protocol):
    """The log of a thread that the reports go to; see `queue.thread_log.ThreadLog`."""

    async def append(
        self,
        thread_id: UUID,
        *,
        run_id: UUID,
        attempt: int,
        events: Sequence[ProtocolEvent],
        first: int = 0,
        ended: bool = False,
    ) -> bool: ...

    async def is_watched(self, thread_id: UUID) -> bool: ...


class ProtocolReport:
    """`observe` on the graph's loop; everything else on the service loop, after the graph has come to its end."""

    def __init__(self, log: ProtocolLog, claimed: ClaimedRun, *, loop: asyncio.AbstractEventLoop) -> None:
        self._log = log
        self._claimed = claimed
        self._sender = BatchSender(self._append, loop=loop)
        self._translator = ProtocolTranslator(claimed.run_id)
        self._begun = False
        self._place = 0
        self._closed = False
        self._looking: asyncio.Task[None] | None = None
        # Whether models answer in content blocks, as the protocol's clients expect it of the runs they start.
        self.native = bool(claimed.kwargs["config"]["configurable"].get(MARKER))
        self._wanted = self.native or bool(claimed.kwargs.get("resumable"))
        self.library_modes: frozenset[str] = _NATIVE_MODES if self.native else _QUIET_MODES

    async def begin(self) -> None:
        """Find out whether the run is watched. Call it before the graph starts."""
        if not self._wanted:
            self._wanted = await self._is_watched()
            if not self._wanted:
                self._looking = asyncio.create_task(self._look(), name="lgnb-watched")
        if self._wanted:
            self.library_modes = _NATIVE_MODES
            self._begin()

    def observe(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Report what the graph yielded."""
        if not self._wanted or self._closed:
            return
        if not self._begun:
            self._begin()
        for event in self._translator.translate(namespace, mode, payload):
            self._put(event)

    async def close(self, status: RootStatus, *, waiting: Collection[str] | None = None, error: str = "") -> None:
        """Report the end, which is committed by now: who reads it may ask for the state, or answer an interrupt.

        Args:
            waiting: ids of the interrupts that wait for an answer; None means all that were seen.
        """
        self.stop()
        if not self._wanted:
            return
        for event in (*self._translator.rest(status), *self._requests(status, waiting)):
            self._put(event)
        await self._sender.close()
        end = self._root(status, error=error)

        async def append_end() -> None:
            claimed = self._claimed
            await self._log.append(
                claimed.thread_id, run_id=claimed.run_id, attempt=claimed.attempt, events=[end], ended=True
            )

        if not await self._sender.last(append_end):
            logger.warning("Redis does not answer: watchers of thread %s will wait.", self._claimed.thread_id)

    async def flush(self) -> None:
        """Send what is left: the run goes on elsewhere."""
        self.stop()
        await self._sender.close()

    def _requests(self, status: RootStatus, waiting: Collection[str] | None) -> list[ProtocolEvent]:
        return list(self._translator.requests(waiting)) if status == "interrupted" else []

    def _begin(self) -> None:
        self._begun = True
        self._put(self._root("running"))

    def _root(self, status: str, *, error: str = "") -> ProtocolEvent:
        now_ms = time.time_ns() // 1_000_000
        return root_lifecycle(
            self._claimed.run_id, status, graph_id=self._claimed.graph_id, timestamp_ms=now_ms, error=error
        )

    def _put(self, event: ProtocolEvent) -> None:
        self._place += 1
        self._sender.put((self._place, event))

    async def _append(self, batch: list[tuple[int, ProtocolEvent]]) -> bool:
        claimed = self._claimed
        return await self._log.append(
            claimed.thread_id,
            run_id=claimed.run_id,
            attempt=claimed.attempt,
            first=batch[0][0],
            events=[event for _, event in batch],
        )

    async def _look(self) -> None:
        while not self._wanted:
            await asyncio.sleep(_LOOK_SECONDS)
            self._wanted = await self._is_watched()

    async def _is_watched(self) -> bool:
        # A run does not wait for a Redis that stands still.
        with contextlib.suppress(QueueUnavailable, TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._log.is_watched(self._claimed.thread_id)
        return False

    def stop(self) -> None:
        """Report nothing more. Safe to call twice, and after `close`."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
