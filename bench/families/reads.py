"""Reading a thread with a long history, and finding threads among many."""

from __future__ import annotations

import asyncio

from .. import graphs
from ..client import client_of, repeated
from ..figures import Metric, percentile
from ..servers import Server
from . import Family, Figures, Scale

_CHECKPOINTS = 500


async def measure(server: Server, scale: Scale) -> Figures:
    threads = scale.count(5000, 1000)
    async with client_of(server) as client:
        thread_id = await client.new_thread()
        body = {
            "assistant_id": "log",
            "input": graphs.steps(_CHECKPOINTS - 2),
            "config": {"recursion_limit": 2 * _CHECKPOINTS},
            "stream_mode": ["updates"],
        }
        await client.post(f"/threads/{thread_id}/runs/wait", body)
        found: Figures = {}
        for name, path, least in (
            ("state", "state", None),
            ("history_10", "history?limit=10", 10),
            ("history_500", f"history?limit={_CHECKPOINTS}", _CHECKPOINTS),
        ):

            async def read(path: str = path, least: int | None = least) -> None:
                answer = await client.get(f"/threads/{thread_id}/{path}")
                assert least is None or len(answer) == least, f"{path} has {len(answer)} states"

            await read()
            taken, _ = await repeated(read, seconds=scale.seconds / 2, most=200)
            found[name] = percentile(taken, 50) * 1000

        # A second round finds the threads of the first one.
        known = await client.post("/threads/search", {"metadata": {"customer": threads - 1}, "limit": 1})
        left = iter(() if known else range(threads))

        async def create() -> None:
            for number in left:
                await client.post("/threads", {"metadata": {"customer": number, "kind": number % 7}})

        await asyncio.gather(*(create() for _ in range(20)))

        async def search() -> None:
            rows = await client.post("/threads/search", {"metadata": {"customer": threads // 2}, "limit": 10})
            assert rows

        taken, _ = await repeated(search, seconds=scale.seconds / 2, most=300)
        found["search"] = percentile(taken, 50) * 1000
    return found


FAMILY = Family(
    "Reading",
    (
        Metric("state", "state of a thread of 500 checkpoints, p50", "ms", "<= 2"),
        Metric("history_10", "its history of 10, p50", "ms", "<= 6"),
        Metric("history_500", "its history of 500, p50", "ms", "<= 400", 0),
        Metric("search", "search among 5,000 threads by metadata, p50", "ms", "<= 2"),
    ),
    measure,
    rounds=2,
)
