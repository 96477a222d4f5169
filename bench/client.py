"""A thin client of the API: requests as fast as one process can send them, with as little of its own as possible."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from .servers import Server

_LONG = aiohttp.ClientTimeout(total=300)


class Client:
    """Connections to one server, kept open."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    async def post(self, path: str, body: Any) -> Any:
        return await self._send("POST", path, body)

    async def put(self, path: str, body: Any) -> Any:
        return await self._send("PUT", path, body)

    async def get(self, path: str) -> Any:
        return await self._send("GET", path, None)

    async def _send(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(method, self._server.url + path, data=data) as answer:
            text = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path} of {self._server.name} answered {answer.status}: {text[:300]!r}")
            return orjson.loads(text) if text.strip() else None

    async def stream(
        self, method: str, path: str, body: Any = None, *, after: str | None = None
    ) -> AsyncIterator[tuple[str, bytes]]:
        """Event names and data of an event stream, each as soon as it is there; `after` an event, "-1" for all."""
        data = None if body is None else orjson.dumps(body)
        headers = {} if after is None else {"Last-Event-ID": after}
        async with self._session.request(method, self._server.url + path, data=data, headers=headers) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path} answered {answer.status}: {(await answer.read())[:300]!r}")
            name = b""
            async for line in answer.content:
                if line.startswith(b"event:"):
                    name = line[6:].strip()
                elif line.startswith(b"data:"):
                    yield name.decode(), line[5:].strip()

    async def new_thread(self) -> str:
        return (await self.post("/threads", {}))["thread_id"]


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[Client]:
    headers = {"x-api-key": server.key, "content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    # Long lines are events with much in them.
    async with aiohttp.ClientSession(
        headers=headers, connector=connector, timeout=_LONG, read_bufsize=1 << 20
    ) as session:
        yield Client(server, session)


async def repeated(
    work: Callable[[], Awaitable[Any]], *, seconds: float, at_once: int = 1, most: int = 1_000_000
) -> tuple[list[float], float]:
    """Do `work` again and again for a while, several at once: how long each took, and all of them, in seconds."""
    taken: list[float] = []
    begun = time.perf_counter()
    left = most

    async def one_client() -> None:
        nonlocal left
        while time.perf_counter() - begun < seconds and left > 0:
            left -= 1
            started = time.perf_counter()
            await work()
            taken.append(time.perf_counter() - started)

    await asyncio.gather(*(one_client() for _ in range(at_once)))
    return taken, time.perf_counter() - begun
