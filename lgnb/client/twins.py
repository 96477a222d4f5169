"""The async form of the functions of `lgnb`, made from the sync one: `awaitable(search)` is `asearch`.

The sync function runs in a thread, so the caller's event loop goes on; the requests themselves live on the runner's
loop anyway. Nothing patches a running loop.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

HEARTBEAT_SECONDS = 0.1  # how often the caller's loop wakes, so that an interrupt of the kernel is seen


def awaitable(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The function for code that awaits. An interrupt of the kernel ends the waiting, not what the server was asked."""

    @functools.wraps(function)
    async def twin(*args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(functools.partial(function, *args, **kwargs))

    twin.__name__ = twin.__qualname__ = f"a{function.__name__}"
    first, _, rest = (function.__doc__ or "").partition("\n")
    twin.__doc__ = f"`{function.__name__}` for code that awaits: {first[:1].lower()}{first[1:]}\n{rest}".rstrip()
    return twin


async def in_thread(work: Callable[[], T], *, on_cancel: Callable[[], None] | None = None) -> T:
    """Run `work` in a thread while the caller's loop goes on; `on_cancel` is told when nobody waits any more."""
    future = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        while not future.done():
            # A plain await would see an interrupt of the kernel only when the loop wakes up next.
            await asyncio.wait([future], timeout=HEARTBEAT_SECONDS)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise
    return future.result()
