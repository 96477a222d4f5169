"""A burst of background runs: how fast they are accepted, and when all are done."""

from __future__ import annotations

import asyncio
import time
import uuid

from ..client import client_of
from ..figures import Metric, percentile
from ..servers import Server
from . import Family, Figures, Scale

_AT_ONCE = 50
_MOST_SECONDS = 60.0


async def measure(server: Server, scale: Scale) -> Figures:
    count = scale.count(1000, 300)
    async with client_of(server) as client:
        # A round is known by its threads; a thread is busy from the acceptance of its run until its end.
        burst = uuid.uuid4().hex
        thread_ids = [
            (await client.post("/threads", {"metadata": {"burst": burst}}))["thread_id"] for _ in range(count)
        ]
        waiting = iter(thread_ids)
        accepted: list[float] = []
        run_ids: dict[str, str] = {}
        begun = time.perf_counter()

        async def sender() -> None:
            for thread_id in waiting:
                started = time.perf_counter()
                body = {"assistant_id": "one_node", "input": {"text": "hello"}}
                run_ids[thread_id] = (await client.post(f"/threads/{thread_id}/runs", body))["run_id"]
                accepted.append(time.perf_counter() - started)

        await asyncio.gather(*(sender() for _ in range(_AT_ONCE)))
        while time.perf_counter() - begun < _MOST_SECONDS:
            if not await client.post("/threads/count", {"status": "busy", "metadata": {"burst": burst}}):
                break
            await asyncio.sleep(0.05)
        seconds = time.perf_counter() - begun
        states = [await client.get(f"/threads/{t}/runs/{r}") for t, r in run_ids.items()]
    lost = sum(state["status"] != "success" for state in states)
    return {"accept_p99": percentile(accepted, 99) * 1000, "done": seconds * 1000 / count, "lost": lost}


FAMILY = Family(
    "1000 background runs, 50 senders",
    (
        Metric("accept_p99", "accepted, p99", "ms", "<= 150", 0),
        Metric("done", "until all are done, per 1000 runs", "s", "<= 2.5", 2),
        Metric("lost", "lost", "", "<= 0", 0),
    ),
    measure,
    rounds=2,
)
