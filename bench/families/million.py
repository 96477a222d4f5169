"""Finding threads among a million, which are put there by SQL; other servers would have to make them one by one."""

from __future__ import annotations

from typing import Any

from ..client import client_of, repeated
from ..figures import Metric, percentile
from ..many_threads import fill
from ..servers import Server
from . import Family, Figures, Scale

_THREADS = 1_000_000

_SEARCHES: dict[str, dict[str, Any]] = {
    "rare": {"metadata": {"customer": 47_011}},
    "common": {"metadata": {"kind": 3}},
    "values": {"values": {"topic": 47_011}},
    "status": {"status": "interrupted", "metadata": {"kind": 3}},
    "order": {"sort_by": "state_updated_at", "sort_order": "asc"},
}


async def measure(server: Server, scale: Scale) -> Figures:
    if not await fill(server, scale.count(_THREADS, _THREADS // 10)):
        return {}
    seconds = scale.seconds / 4
    found: Figures = {}
    async with client_of(server) as client:
        for name, asked in _SEARCHES.items():
            body = {**asked, "limit": 10}

            async def search(body: dict[str, Any] = body) -> None:
                assert await client.post("/threads/search", body), body

            taken, _ = await repeated(search, seconds=seconds, most=300)
            found[name] = percentile(taken, 50) * 1000
            if name == "rare":
                found["rare_p99"] = percentile(taken, 99) * 1000

        async def count() -> None:
            assert await client.post("/threads/count", {"status": "interrupted"})

        taken, _ = await repeated(count, seconds=seconds, most=300)
        found["count"] = percentile(taken, 50) * 1000
    return found


FAMILY = Family(
    "A million threads (quick: a tenth of it)",
    (
        Metric("rare", "search by metadata that one thread has, p50", "ms", "<= 4"),
        Metric("rare_p99", "… p99", "ms"),
        Metric("common", "search by metadata that a seventh of them has, p50", "ms", "<= 4"),
        Metric("values", "search by values, p50", "ms", "<= 4"),
        Metric("status", "search by status and metadata, p50", "ms", "<= 4"),
        Metric("order", "first page by `state_updated_at`, p50", "ms", "<= 4"),
        Metric("count", "count of a thousandth by status, p50", "ms"),
    ),
    measure,
    rounds=2,
)
