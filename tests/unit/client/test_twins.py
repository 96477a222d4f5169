"""The async twins of sync functions."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lgnb.client.twins import awaitable, in_thread


def _double(number: int, *, plus: int = 0) -> int:
    """Twice a number."""
    if number < 0:
        raise ValueError("no")
    return 2 * number + plus


async def test_a_twin_takes_the_same_arguments_and_gives_the_same_result_or_error() -> None:
    twin = awaitable(_double)

    assert await twin(3, plus=1) == 7
    with pytest.raises(ValueError, match="no"):
        await twin(-1)
    assert twin.__name__ == "a_double"
    assert twin.__doc__ == "`_double` for code that awaits: twice a number."


async def test_the_callers_loop_goes_on_meanwhile() -> None:
    release = threading.Event()
    waiting = asyncio.create_task(awaitable(release.wait)(10))

    await asyncio.sleep(0)
    release.set()

    assert await waiting


async def test_who_is_cancelled_stops_waiting_at_once_and_tells_so() -> None:
    release, told = threading.Event(), threading.Event()
    task = asyncio.create_task(in_thread(release.wait, on_cancel=told.set))
    await asyncio.sleep(0.05)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert told.is_set()
    release.set()
