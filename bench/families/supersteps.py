"""Runs of ten supersteps on a thread, each superstep durable."""

from __future__ import annotations

import uuid
from typing import Any

from .. import graphs
from ..client import client_of, repeated
from ..databases import theirs
from ..figures import Metric, percentile
from ..servers import Server
from . import Family, Figures, Scale

_STEPS = 10


async def measure(server: Server, scale: Scale) -> Figures:
    async with client_of(server) as client:

        async def run() -> None:
            thread_id = await client.new_thread()
            taken_from = await client.post(
                f"/threads/{thread_id}/runs/wait", {"assistant_id": "ten_steps", "input": graphs.steps(_STEPS)}
            )
            assert len(taken_from["said"]) == _STEPS, taken_from

        thread_id = await client.new_thread()
        body = {"assistant_id": "ten_steps", "input": graphs.steps(_STEPS)}

        async def on_one_thread() -> None:
            await client.post(f"/threads/{thread_id}/runs/wait", body)

        await repeated(run, seconds=scale.seconds / 4, at_once=4)
        alone: list[float] = []
        for _ in range(scale.count(4, 2)):
            thread_id = await client.new_thread()
            taken, _ = await repeated(on_one_thread, seconds=scale.seconds / 4, most=20)
            alone += taken
        before = server.cpu_seconds()
        many, seconds = await repeated(run, seconds=scale.seconds, at_once=10)
        after = server.cpu_seconds()
    used = sum(after[kind] - before[kind] for kind in after) * 1000 / len(many)
    return {"run_p50": percentile(alone, 50) * 1000, "runs_10": len(many) / seconds, "cpu": used}


async def floor(scale: Scale) -> Figures:
    async with theirs() as make_saver:

        async def run() -> None:
            async with make_saver() as saver:
                await _run_on(saver)

        alone, _ = await repeated(run, seconds=scale.seconds / 2)
        many, seconds = await repeated(run, seconds=scale.seconds / 2, at_once=10)
    return {"run_p50": percentile(alone, 50) * 1000, "runs_10": len(many) / seconds}


async def bare(scale: Scale) -> Figures:
    alone, _ = await repeated(lambda: _run_on(None), seconds=scale.seconds / 4)
    return {"run_p50": percentile(alone, 50) * 1000}


async def _run_on(saver: Any) -> None:
    config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
    await graphs.ten_steps.copy({"checkpointer": saver}).ainvoke(graphs.steps(_STEPS), config)


FAMILY = Family(
    "Runs of ten supersteps on a thread",
    (
        Metric("run_p50", "`runs/wait` on a thread, 1 client, p50", "ms", "<= 18"),
        Metric("runs_10", "the same, 10 clients, a new thread each", "runs/s", ">= 90", 0),
        Metric("cpu", "processor time per run, server and databases", "ms", "", 1),
    ),
    measure,
    (("library", bare), ("AsyncPostgresSaver", floor)),
    with_two_workers=True,
)
