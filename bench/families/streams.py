"""Streams of tokens: how soon the first one comes, and how many get through."""

from __future__ import annotations

import asyncio
import time

from ..client import Client, client_of
from ..figures import Metric, percentile
from ..graphs import TOKENS
from ..servers import Server
from . import Family, Figures, Scale

_BODY = {
    "assistant_id": "tokens",
    "input": {"messages": [{"role": "user", "content": "go"}]},
    "stream_mode": ["messages-tuple"],
}


async def measure(server: Server, scale: Scale) -> Figures:
    found: Figures = {}
    async with client_of(server) as client:
        await stream(client)
        for streams in (1, 20, 100):
            repeats = {1: scale.count(10, 5), 20: 2}.get(streams, 1)
            firsts: list[float] = []
            events = 0
            before, begun = server.cpu_seconds(), time.perf_counter()
            for _ in range(repeats):
                for first, seen in await asyncio.gather(*(stream(client) for _ in range(streams))):
                    firsts.append(first)
                    events += seen
            seconds, after = time.perf_counter() - begun, server.cpu_seconds()
            found[f"first_{streams}"] = percentile(firsts, 50) * 1000
            if streams == 100:
                found["first_p99_100"] = percentile(firsts, 99) * 1000
                found["events"] = events / seconds
                found["cpu"] = sum(after[kind] - before[kind] for kind in after) * 1e6 / events
    return found


async def stream(client: Client) -> tuple[float, int]:
    """Seconds until the first token, and how many came."""
    begun = time.perf_counter()
    first, seen = 0.0, 0
    async for name, _ in client.stream("POST", "/runs/stream", _BODY):
        if name == "messages":
            first = first or time.perf_counter() - begun
            seen += 1
    # The finished message may follow its tokens.
    assert seen >= TOKENS, f"{seen} of {TOKENS} tokens came"
    return first, seen


FAMILY = Family(
    f"Streams of {TOKENS} tokens",
    (
        Metric("first_1", "first token, 1 stream, p50", "ms", "<= 12"),
        Metric("first_20", "first token, 20 streams, p50", "ms", "<= 150", 0),
        Metric("first_100", "first token, 100 streams, p50", "ms", "<= 600", 0),
        Metric("first_p99_100", "first token, 100 streams, p99", "ms", "<= 1200", 0),
        Metric("events", "token events at 100 streams", "events/s", ">= 8000", 0),
        Metric("cpu", "processor time per event, server and databases", "µs", "", 0),
    ),
    measure,
    with_two_workers=True,
)
