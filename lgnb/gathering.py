"""Work of one kind that comes while some is under way, done together next: in one round trip and one commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from .errors import NotReady

T = TypeVar("T")
R = TypeVar("R")

_MOST_AT_ONCE = 32


class Gathering(Generic[T, R]):
    """Awaits one answer per item; all calls come from one event loop.

    Up to `most_under_way` groups are worked on at the same time, and items gather only beyond that.

    When a group fails each of its items is tried alone, so that one bad item spoils no other; but not when a server
    does not answer, since that is nobody's fault and would take each of them as long.
    """

    def __init__(self, do: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most_under_way: int = 1) -> None:
        self._do = do
        self._most_under_way = most_under_way
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, item: T) -> R:
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._under_way < self._most_under_way:
            self._under_way += 1
            task = asyncio.create_task(self._work(), name="lgnb-gathering")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
                await self._answer(group)
        finally:
            # Not when the task is known to be done: whoever adds something before that would wait for ever.
            self._under_way -= 1

    async def _answer(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._do([item for item, _ in group])
        except BaseException as error:
            if len(group) > 1 and isinstance(error, Exception) and not isinstance(error, NotReady):
                for one in group:
                    await self._answer([one])
                return
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
        else:
            for (_, answer), told in zip(group, answers, strict=True):
                if not answer.done():
                    answer.set_result(told)
