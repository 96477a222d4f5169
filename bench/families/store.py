"""The store: putting, getting and searching items."""

from __future__ import annotations

import itertools
from urllib.parse import quote

from ..client import client_of, repeated
from ..figures import Metric
from ..servers import Server
from . import Family, Figures, Scale

_AT_ONCE = 20
_KEYS = 500


async def measure(server: Server, scale: Scale) -> Figures:
    numbers = itertools.count()
    async with client_of(server) as client:

        async def put() -> None:
            key = f"k{next(numbers) % _KEYS}"
            await client.put("/store/items", {"namespace": ["bench"], "key": key, "value": {"text": "x" * 200}})

        async def get() -> None:
            key = quote(f"k{next(numbers) % _KEYS}")
            assert (await client.get(f"/store/items?namespace=bench&key={key}"))["value"]

        async def search() -> None:
            answer = await client.post("/store/items/search", {"namespace_prefix": ["bench"], "limit": 10})
            assert answer["items"]

        await repeated(put, seconds=60, at_once=_AT_ONCE, most=_KEYS + _AT_ONCE)
        found: Figures = {}
        for name, work in (("put", put), ("get", get), ("search", search)):
            taken, seconds = await repeated(work, seconds=scale.seconds / 2, at_once=_AT_ONCE)
            found[name] = len(taken) / seconds
    return found


FAMILY = Family(
    f"The store, {_AT_ONCE} clients",
    (
        Metric("put", "put", "requests/s", ">= 2000", 0),
        Metric("get", "get", "requests/s", ">= 2500", 0),
        Metric("search", "search", "requests/s", ">= 2000", 0),
    ),
    measure,
    rounds=2,
)
