"""Stateless runs of a graph with one node: what the server itself adds to a run."""

from __future__ import annotations

import uuid

from langgraph.checkpoint.memory import InMemorySaver

from .. import graphs
from ..client import client_of, repeated
from ..figures import Metric, percentile
from ..servers import Server
from . import Family, Figures, Scale

_BODY = {"assistant_id": "one_node", "input": {"text": "hello"}}
_CLIENTS = (10, 50, 200)


async def measure(server: Server, scale: Scale) -> Figures:
    async with client_of(server) as client:

        async def run() -> None:
            answer = await client.post("/runs/wait", _BODY)
            assert answer["text"] == "HELLO", answer

        await repeated(run, seconds=scale.seconds / 4, at_once=4)
        alone, _ = await repeated(run, seconds=scale.seconds)
        found = {"wait_p50": percentile(alone, 50) * 1000}
        for clients in _CLIENTS:
            before = server.cpu_seconds()
            taken, seconds = await repeated(run, seconds=scale.seconds, at_once=clients)
            found[f"runs_{clients}"] = len(taken) / seconds
            if clients == 50:
                found["wait_p99_50"] = percentile(taken, 99) * 1000
            if clients == 10:
                after = server.cpu_seconds()
                used = {kind: (after[kind] - before[kind]) * 1000 / len(taken) for kind in after}
                found |= {f"cpu_{kind}": milliseconds for kind, milliseconds in used.items()}
                found["cpu"] = sum(used.values())
    return found


async def floor(scale: Scale) -> Figures:
    graph = graphs.one_node.copy({"checkpointer": InMemorySaver()})

    async def run() -> None:
        config = {"configurable": {"thread_id": str(uuid.uuid4())}}
        await graph.ainvoke({"text": "hello"}, config, durability="exit")

    alone, _ = await repeated(run, seconds=scale.seconds / 2)
    many, seconds = await repeated(run, seconds=scale.seconds / 2, at_once=10)
    return {"wait_p50": percentile(alone, 50) * 1000, "runs_10": len(many) / seconds}


FAMILY = Family(
    "Stateless runs of one node",
    (
        Metric("wait_p50", "`runs/wait`, 1 client, p50", "ms", "<= 6"),
        Metric("runs_10", "`runs/wait`, 10 clients", "runs/s", ">= 400", 0),
        Metric("runs_50", "`runs/wait`, 50 clients", "runs/s", ">= 400", 0),
        Metric("runs_200", "`runs/wait`, 200 clients", "runs/s", ">= 400", 0),
        Metric("wait_p99_50", "`runs/wait`, 50 clients, p99", "ms", "<= 300", 0),
        Metric("cpu", "processor time per run, server and databases", "ms", "<= 4", 2),
        Metric("cpu_host", "… of it the host", "ms", "", 2),
        Metric("cpu_workers", "… the worker", "ms", "", 2),
        Metric("cpu_postgres", "… Postgres", "ms", "", 2),
        Metric("cpu_valkey", "… Valkey", "ms", "", 2),
    ),
    measure,
    (("library", floor),),
    with_two_workers=True,
)
