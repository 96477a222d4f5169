"""How figures grow with what there is of something: checkpoints, threads, runs at once, streams, worker processes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from . import graphs, servers
from .client import client_of, repeated
from .families import streams
from .figures import percentile
from .many_threads import fill
from .servers import Server


@dataclass
class Panel:
    """One set of axes: lines by their label, a value for each place on the axis below."""

    title: str
    unit: str
    lines: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, line: str, value: float) -> None:
        self.lines.setdefault(line, []).append(value)


@dataclass
class Plot:
    """One picture; its panels stand side by side over the same places."""

    name: str
    title: str
    axis: str
    places: list[int]
    panels: list[Panel]


def measure(say: Callable[[str], None], *, is_quick: bool) -> list[Plot]:
    """Every plot, about four minutes in all; `is_quick` leaves the large places out."""

    def kept(*places: int) -> list[int]:
        return list(places[:3]) if is_quick else list(places)

    checkpoints = Plot(
        "checkpoints",
        "A thread that grows",
        "checkpoints of the thread",
        kept(10, 50, 100, 250, 500, 1000),
        [Panel("one superstep", "ms"), Panel("reading, p50", "ms")],
    )
    threads = Plot(
        "threads",
        "Finding threads",
        "threads",
        kept(1000, 10_000, 100_000, 1_000_000),
        [Panel("search, p50", "ms"), Panel("count, p50", "ms")],
    )
    runs = Plot(
        "runs",
        "Runs at once, `runs/wait` of one node",
        "clients",
        kept(1, 5, 20, 50, 100, 200),
        [Panel("throughput", "runs/s"), Panel("processor time per run", "ms")],
    )
    tokens = Plot(
        "streams",
        f"Streams of {graphs.TOKENS} tokens at once",
        "streams",
        kept(1, 5, 20, 50, 100, 200),
        [Panel("first token", "ms"), Panel("throughput", "events/s")],
    )
    for workers in (1, 2):
        label = f"{workers} worker{'s'[: workers - 1]}"
        with servers.ours(workers=workers, name=label) as server:
            say(f"growth: runs at once, {label}")
            asyncio.run(_runs(server, runs, label))
            say(f"growth: streams, {label}")
            asyncio.run(_streams(server, tokens, label))
            if workers == 1:
                say("growth: checkpoints of a thread")
                asyncio.run(_checkpoints(server, checkpoints))
                say("growth: threads")
                asyncio.run(_threads(server, threads))
    return [checkpoints, threads, runs, tokens]


async def _checkpoints(server: Server, plot: Plot) -> None:
    superstep, reading = plot.panels
    steps, body = 10, {"assistant_id": "log", "config": {"recursion_limit": 3000}, "stream_mode": ["updates"]}
    async with client_of(server) as client:
        thread_id = await client.new_thread()

        async def run(count: int) -> float:
            # So many supersteps, and the one of the input.
            begun = time.perf_counter()
            await client.post(f"/threads/{thread_id}/runs/wait", {**body, "input": graphs.steps(count - 1)})
            return (time.perf_counter() - begun) / count * 1000

        present = 0
        for place in plot.places:
            if (missing := place - present) > 1:
                await run(missing)
            superstep.add("in a run of ten", statistics.median([await run(steps) for _ in range(3)]))
            present = max(place, present) + 3 * steps
            for label, path in (("state", "state"), ("history of 10", "history?limit=10")):
                taken, _ = await repeated(
                    lambda path=path: client.get(f"/threads/{thread_id}/{path}"), seconds=1.0, most=100
                )
                reading.add(label, percentile(taken, 50) * 1000)


async def _threads(server: Server, plot: Plot) -> None:
    search, count = plot.panels
    asked = {
        "metadata that one has": {"metadata": {"customer": 470}},
        "metadata that a seventh has": {"metadata": {"kind": 3}},
        "newest page": {},
    }
    async with client_of(server) as client:
        for place in plot.places:
            await fill(server, place)
            for label, body in asked.items():
                taken, _ = await repeated(
                    lambda body=body: client.post("/threads/search", {**body, "limit": 10}), seconds=1.0, most=200
                )
                search.add(label, percentile(taken, 50) * 1000)
                if body:
                    taken, _ = await repeated(
                        lambda body=body: client.post("/threads/count", body), seconds=1.0, most=100
                    )
                    count.add(label, percentile(taken, 50) * 1000)


async def _runs(server: Server, plot: Plot, label: str) -> None:
    throughput, processor = plot.panels
    body = {"assistant_id": "one_node", "input": {"text": "hello"}}
    async with client_of(server) as client:

        async def run() -> None:
            assert (await client.post("/runs/wait", body))["text"] == "HELLO"

        await repeated(run, seconds=1.0, at_once=4)
        for clients in plot.places:
            before = server.cpu_seconds()
            taken, seconds = await repeated(run, seconds=2.5, at_once=clients)
            after = server.cpu_seconds()
            throughput.add(label, len(taken) / seconds)
            processor.add(label, sum(after[kind] - before[kind] for kind in after) * 1000 / len(taken))


async def _streams(server: Server, plot: Plot, label: str) -> None:
    first, throughput = plot.panels
    async with client_of(server) as client:
        await streams.stream(client)
        for count in plot.places:
            begun = time.perf_counter()
            repeats = 5 if count == 1 else 1
            seen = [
                one
                for _ in range(repeats)
                for one in await asyncio.gather(*(streams.stream(client) for _ in range(count)))
            ]
            seconds = time.perf_counter() - begun
            firsts = [soon for soon, _ in seen]
            first.add(f"{label}, p50", percentile(firsts, 50) * 1000)
            first.add(f"{label}, p99", percentile(firsts, 99) * 1000)
            throughput.add(label, sum(events for _, events in seen) / seconds)
