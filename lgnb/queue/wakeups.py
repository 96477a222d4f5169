"""Wake-ups: telling workers that a run became runnable, so that nobody has to poll for speed.

A token says no more than "look into Postgres". Losing one costs a poll interval, having one too many costs one query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..gathering import Gathering
from .connection import Queue, translated

_MOST_TOKENS = 1000
_TOKEN_SECONDS = 60


class WakeUps:
    def __init__(self, queue: Queue) -> None:
        self._push = queue.push_script
        self._patient = queue.patient
        self._keys = queue.keys
        self._rings = Gathering(self._ring_together)

    async def ring(self, graph_id: str) -> None:
        """Wake one worker that serves this graph."""
        await self._rings.add(graph_id)

    async def _ring_together(self, graph_ids: Sequence[str]) -> list[None]:
        with translated():
            for graph_id, count in Counter(graph_ids).items():
                tokens = [b"1"] * count
                await self._push(keys=[self._keys.wake(graph_id)], args=[_MOST_TOKENS, _TOKEN_SECONDS, *tokens])
        return [None for _ in graph_ids]

    async def wait(self, graph_ids: Sequence[str], *, timeout_seconds: float) -> bool:
        """Wait for a token of one of these graphs; False when none came in time."""
        keys = [self._keys.wake(graph_id) for graph_id in graph_ids]
        with translated():
            return await self._patient.blpop(keys, timeout=timeout_seconds) is not None
