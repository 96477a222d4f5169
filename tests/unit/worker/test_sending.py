from __future__ import annotations

import asyncio
import time

from lgnb.worker.sending import BatchSender, Pace


class Wire:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.got = asyncio.Event()

    async def send(self, batch: list[int]) -> bool:
        self.batches.append(batch)
        self.got.set()
        return True


def crowded(runs: int) -> Pace:
    pace = Pace()
    for _ in range(runs):
        pace.begin()
    return pace


async def test_the_first_item_is_sent_at_once_however_many_runs_send() -> None:
    wire = Wire()
    sender = BatchSender(wire.send, loop=asyncio.get_running_loop(), pace=crowded(1000))
    begun = time.monotonic()

    sender.put(1)
    await wire.got.wait()

    assert wire.batches == [[1]]
    assert time.monotonic() - begun < 1.0
    await sender.close()


async def test_what_comes_while_many_runs_send_goes_together() -> None:
    wire = Wire()
    sender = BatchSender(wire.send, loop=asyncio.get_running_loop(), pace=crowded(1000))
    sender.put(0)
    await wire.got.wait()

    for number in range(1, 6):
        sender.put(number, urgent=False)
        await asyncio.sleep(0)
    await sender.close()

    assert wire.batches == [[0], [1, 2, 3, 4, 5]]


async def test_what_is_urgent_takes_along_what_waits() -> None:
    wire = Wire()
    sender = BatchSender(wire.send, loop=asyncio.get_running_loop(), pace=crowded(10_000))
    sender.put(0)
    await wire.got.wait()
    wire.got.clear()

    sender.put(1, urgent=False)
    sender.put(2)
    await asyncio.wait_for(wire.got.wait(), 5)

    assert wire.batches == [[0], [1, 2]]
    await sender.close()


async def test_one_run_alone_never_waits_for_more() -> None:
    wire = Wire()
    sender = BatchSender(wire.send, loop=asyncio.get_running_loop(), pace=Pace())

    for number in range(3):
        wire.got.clear()
        sender.put(number)
        await wire.got.wait()

    assert wire.batches == [[0], [1], [2]]
    await sender.close()
