"""Fifty clients on one stream: does each get all of it, and how long after it was written?"""

from __future__ import annotations

import asyncio
import time

import orjson

from .. import graphs
from ..client import Client, client_of
from ..figures import Metric, percentile
from ..servers import Server
from . import Family, Figures, Scale

_CLIENTS = 50


async def measure(server: Server, scale: Scale) -> Figures:
    ticks = scale.count(150, 60)
    async with client_of(server) as client:
        thread_id = await client.new_thread()
        run = await client.post(
            f"/threads/{thread_id}/runs",
            {
                "assistant_id": "ticker",
                "input": graphs.steps(ticks),
                "stream_mode": ["custom"],
                "stream_resumable": True,
            },
        )
        path = f"/threads/{thread_id}/runs/{run['run_id']}/stream"
        seen = await asyncio.gather(*(_follow(client, path) for _ in range(_CLIENTS)))
    # The first ticks wait for their readers to arrive.
    lags = [lag for _, found in seen for lag in found[ticks // 3 :]]
    complete = sum(count == ticks for count, _ in seen)
    return {"complete": complete, "lag_p99": percentile(lags, 99) * 1000, "lag_p50": percentile(lags, 50) * 1000}


async def _follow(client: Client, path: str) -> tuple[int, list[float]]:
    lags: list[float] = []
    async for name, data in client.stream("GET", path + "?stream_mode=custom", after="-1"):
        if name == "custom":
            # One machine has one monotonic clock.
            lags.append(time.monotonic() - orjson.loads(data)["at"])
    return len(lags), lags


FAMILY = Family(
    "Fifty clients on one stream",
    (
        Metric("complete", "clients that saw all of it", "", ">= 50", 0),
        Metric("lag_p50", "lag behind the graph, p50", "ms"),
        Metric("lag_p99", "lag behind the graph, p99", "ms", "<= 6"),
    ),
    measure,
    rounds=2,
)
