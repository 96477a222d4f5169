"""Memory of a server at rest, before anything was asked of it."""

from __future__ import annotations

import asyncio

from ..figures import Metric
from ..servers import Server
from . import Family, Figures, Scale

_REST_SECONDS = 2.0


async def measure(server: Server, scale: Scale) -> Figures:
    await asyncio.sleep(_REST_SECONDS)
    found = {kind: size / 2**20 for kind, size in server.memory_bytes().items()}
    return {**found, "all": sum(found.values())}


FAMILY = Family(
    "Memory at rest (proportional set size)",
    (
        Metric("all", "host, worker and both databases", "MiB", "<= 350", 0),
        Metric("host", "the host alone", "MiB", "<= 120", 0),
        Metric("workers", "the worker", "MiB", "", 0),
        Metric("postgres", "Postgres", "MiB", "", 0),
        Metric("valkey", "Valkey", "MiB", "", 0),
    ),
    measure,
    rounds=2,
)
