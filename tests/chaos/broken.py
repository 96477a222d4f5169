"""The command `lgnb` with one promise broken on purpose: what a checker is worth shows when it meets such a build.

python broken.py no-fence worker …
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import Any


def no_fence() -> None:
    """Let outdated attempts write: whoever lost a run does not notice."""
    from lgnb.checkpoints.batches import SaveBatches, SaveLine
    from lgnb.db.runs import RunRepository
    from lgnb.resources.leases import Leases
    from lgnb.worker.worker import Worker

    SaveBatches.line = lambda self, fence: SaveLine(self, None)

    async def finish(self: RunRepository, run_id: Any, *, attempt: int, status: Any) -> bool:
        await self._connection.execute(  # pyright: ignore[reportPrivateUsage]
            "UPDATE runs SET status = %s, ended_at = now(), updated_at = now() WHERE run_id = %s", (status, run_id)
        )
        return True

    RunRepository.finish = finish
    quietly = Leases._finish_quietly  # pyright: ignore[reportPrivateUsage]

    async def finish_late(self: Leases, claimed: Any, outcome: Any) -> bool:
        async with self._database.connection() as connection:  # pyright: ignore[reportPrivateUsage]
            cursor = await connection.execute(
                "UPDATE runs SET status = 'running' WHERE run_id = %s RETURNING attempt", (claimed.run_id,)
            )
            row = await cursor.fetchone()
        return await quietly(self, replace(claimed, attempt=row[0]) if row else claimed, outcome)

    Leases._finish_quietly = finish_late  # pyright: ignore[reportPrivateUsage]
    Worker._compare = lambda self, rows, asked=None: None  # pyright: ignore[reportPrivateUsage]

    def lose(self: Worker) -> None:
        if (heartbeat := self._heartbeat) is not None:  # pyright: ignore[reportPrivateUsage]
            heartbeat.abandon()
            self._heartbeat = None
            self._spawn(self._begin_lease_again())  # pyright: ignore[reportPrivateUsage]

    Worker._lose = lose  # pyright: ignore[reportPrivateUsage]


def early_end() -> None:
    """Tell the end of a run before it is committed."""
    from lgnb.worker.attempt import Attempt
    from lgnb.worker.publisher import Publisher

    commit = Attempt._commit  # pyright: ignore[reportPrivateUsage]
    close = Publisher.close

    async def tell_first(self: Attempt, ending: Any, **more: Any) -> Any:
        await close(self._publisher, ending.status)  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0.2)
        return await commit(self, ending, **more)

    async def close_nothing(self: Publisher, status: str) -> None:
        return None

    Publisher.close = close_nothing
    Attempt._commit = tell_first  # pyright: ignore[reportPrivateUsage]


def heartbeat_on_the_loop() -> None:
    """Renew the lease on the loop of the graphs, where a node can hold it up."""
    from lgnb.worker.heartbeat import Heartbeat
    from lgnb.worker.loops import GraphLoops

    beat = Heartbeat._beat  # pyright: ignore[reportPrivateUsage]
    run = GraphLoops.run
    loops: list[asyncio.AbstractEventLoop] = []

    def run_and_remember(self: GraphLoops, *arguments: Any, **more: Any) -> Any:
        thread, future = run(self, *arguments, **more)
        loops[:] = [thread.loop]
        return thread, future

    def beat_there(self: Heartbeat) -> bool:
        if not loops or loops[0].is_closed():
            return beat(self)

        async def there() -> bool:
            return beat(self)

        return asyncio.run_coroutine_threadsafe(there(), loops[0]).result()

    GraphLoops.run = run_and_remember
    Heartbeat._beat = beat_there  # pyright: ignore[reportPrivateUsage]


BROKEN = {"no-fence": no_fence, "early-end": early_end, "heartbeat-on-the-loop": heartbeat_on_the_loop}

if __name__ == "__main__":
    promise = sys.argv.pop(1)
    BROKEN[promise]()
    from lgnb.cli import main

    sys.exit(main())
