"""The kernel as the way to the server, for front ends that are not served by it: VS Code, Colab, another machine's Lab.

Messages of the views arrive on whatever thread the front end's channel has, while a cell may be running; so they are
only handed to the runner's loop, which asks the server and sends the answers.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from langgraph_sdk.sse import SSEDecoder, aiter_lines_raw

from ..client.connection import Connection, explained
from . import assets
from .compaction import Event, compacted

Send = Callable[[dict[str, Any]], None]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BATCH_SECONDS = 0.05
BATCH_BYTES = 200_000
BYTES_PER_SECOND = 700_000  # Jupyter drops what goes beyond 1 MB/s
MOST_WAITING = 5000

_PATH = re.compile(r"/(?!/)[^\\\s#]*")


class Bridge:
    """Answers the messages of one widget. `take` may be called on any thread."""

    def __init__(self, connection: Connection, send: Send) -> None:
        self._connection = connection
        self._send = send
        self._streams: dict[str, concurrent.futures.Future[None]] = {}

    def take(self, message: Any) -> None:
        """Begin what a message of the views asks for; messages of others are left alone."""
        match message:
            case {"lgnb": "files"}:
                self._send({"lgnb": "files", "files": assets.files()})
            case {"lgnb": "request", "id": str(key), "method": str(method), "path": str(path)}:
                self._connection.runner.submit(self._request(key, method, path, message))
            case {"lgnb": "stream", "id": str(key), "method": str(method), "path": str(path)}:
                self._streams[key] = self._connection.runner.submit(self._stream(key, method, path, message))
            case {"lgnb": "cancel", "id": str(key)}:
                self._end(key)
            case _:
                pass

    def close(self) -> None:
        """End every stream."""
        for key in list(self._streams):
            self._end(key)

    def _end(self, key: str) -> None:
        stream = self._streams.pop(key, None)
        if stream is not None:
            stream.cancel()

    async def _request(self, key: str, method: str, path: str, message: dict[str, Any]) -> None:
        status, text = _refusal(method, path)
        if not status:
            try:
                answer = await self._client.request(method, path, **_body(message))
                status, text = answer.status_code, answer.text
            except httpx.HTTPError as error:
                status, text = 502, json.dumps({"detail": str(explained(error, self._connection.server))})
        self._send({"lgnb": "answer", "id": key, "status": status, "text": text})

    async def _stream(self, key: str, method: str, path: str, message: dict[str, Any]) -> None:
        status, text = _refusal(method, path)
        if not status:
            try:
                status, text = await self._relay(key, method, path, message)
            except httpx.HTTPError as error:
                status, text = 502, json.dumps({"detail": str(explained(error, self._connection.server))})
        self._streams.pop(key, None)
        self._send({"lgnb": "end", "id": key, "status": status, "text": text})

    async def _relay(self, key: str, method: str, path: str, message: dict[str, Any]) -> tuple[int, str]:
        headers = {"Accept": "text/event-stream"}
        if message.get("last_event_id") is not None:
            headers["Last-Event-ID"] = str(message["last_event_id"])
        # Heartbeats come every few seconds, so a minute of silence is a broken connection.
        timeout = httpx.Timeout(10, read=60)
        async with self._client.stream(method, path, headers=headers, timeout=timeout, **_body(message)) as answer:
            if not answer.is_success:
                return answer.status_code, (await answer.aread()).decode(errors="replace")
            waiting: asyncio.Queue[Event | None] = asyncio.Queue(MOST_WAITING)
            passing = asyncio.create_task(self._pass_on(key, waiting))
            try:
                async for event in _events(answer):
                    await waiting.put(event)
                await waiting.put(None)
                await passing
            finally:
                passing.cancel()
        return 200, ""

    async def _pass_on(self, key: str, waiting: asyncio.Queue[Event | None]) -> None:
        """Send events in numbered batches, few enough and small enough that none is dropped on the way."""
        number, is_over = 0, False
        while not is_over:
            batch: list[Event] = []
            size = 0
            event = await waiting.get()
            await asyncio.sleep(BATCH_SECONDS)
            while event is not None:
                batch.append(event)
                size += len(str(event["data"]))
                if size > BATCH_BYTES or waiting.empty():
                    break
                event = waiting.get_nowait()
            is_over = event is None
            if batch:
                small = compacted(batch)
                self._send({"lgnb": "events", "id": key, "number": number, "events": small})
                number += 1
                await asyncio.sleep(sum(len(str(one["data"])) for one in small) / BYTES_PER_SECOND)

    @property
    def _client(self) -> httpx.AsyncClient:
        return self._connection.sdk.http.client


def _refusal(method: str, path: str) -> tuple[int, str]:
    """Only the server's own addresses, by the verbs of its API."""
    if method in METHODS and _PATH.fullmatch(path) and "/../" not in f"{path}/":
        return 0, ""
    return 400, json.dumps({"detail": f"{method} {path} is no operation of the server."})


def _body(message: dict[str, Any]) -> dict[str, Any]:
    return {"json": message["body"]} if message.get("body") is not None else {}


async def _events(answer: httpx.Response) -> AsyncIterator[Event]:
    decoder = SSEDecoder()
    async for line in aiter_lines_raw(answer):
        part = decoder.decode(bytes(line).rstrip(b"\n"))
        if part is not None:
            yield {"event": part.event, "data": part.data, "id": part.id}
