"""What changes on the server, for those who watch lists: names of what moved, never what it holds.

One look a second into Postgres per host, and only while somebody follows; so it sees what other hosts and workers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import orjson

from ..db.changes import ChangeRepository
from ..db.database import Database
from ..errors import DatabaseUnavailable
from ..models.streams import StreamEvent

LOOK_SECONDS = 1.0


class Follower:
    """What one reader has not been told yet."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._moved = asyncio.Event()

    def tell(self, names: set[str]) -> None:
        self._names |= names
        self._moved.set()

    async def events(self) -> AsyncGenerator[StreamEvent]:
        # At once, so that a reader knows that it is heard.
        yield StreamEvent("changes", b"[]")
        while True:
            await self._moved.wait()
            self._moved.clear()
            names, self._names = sorted(self._names), set()
            yield StreamEvent("changes", orjson.dumps(names))


class Changes:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: set[Follower] = set()
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[AsyncGenerator[StreamEvent]]:
        """Events named changes, each a list of names: assistants, crons, runs, store, threads, workers. No end."""
        follower = Follower()
        self._followers.add(follower)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="lgnb-changes")
        events = follower.events()
        try:
            yield events
        finally:
            self._followers.discard(follower)
            await events.aclose()
            if not self._followers:
                await self.stop()

    async def stop(self) -> None:
        """Safe to call twice."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> None:
        before: dict[str, str] | None = None
        while True:
            with suppress(DatabaseUnavailable):  # told as soon as it answers again
                async with self._database.connection() as connection:
                    now = await ChangeRepository(connection).marks()
                moved = {name for name, mark in now.items() if before is not None and before.get(name) != mark}
                before = now
                for follower in self._followers if moved else ():
                    follower.tell(moved)
            await asyncio.sleep(LOOK_SECONDS)
