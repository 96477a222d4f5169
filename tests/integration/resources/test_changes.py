"""What changes on the server, told by name."""

from __future__ import annotations

import asyncio
import json

from lgnb.resources import Resources


async def test_new_threads_are_told_and_nothing_else(resources: Resources) -> None:
    async def create() -> None:
        # More than one: the first look only notes how things are.
        while True:
            await resources.threads.create()
            await asyncio.sleep(0.1)

    told: set[str] = set()
    async with resources.changes.following() as events:
        assert json.loads((await anext(events)).data) == []
        creating = asyncio.create_task(create())
        async with asyncio.timeout(30):
            while "threads" not in told:
                told |= set(json.loads((await anext(events)).data))
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)

    assert told == {"threads"}


async def test_who_leaves_ends_the_looking(resources: Resources) -> None:
    async with resources.changes.following() as first, resources.changes.following() as second:
        await anext(first)
        await anext(second)
        looking = [task for task in asyncio.all_tasks() if task.get_name() == "lgnb-changes"]
        assert len(looking) == 1

    assert [task for task in asyncio.all_tasks() if task.get_name() == "lgnb-changes"] == []
