"""Clients that ask for runs in every way, at once and for as long as they are told, and write down what they saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from .cluster import KEY, Cluster
from .history import Call, History

_TIMEOUT = httpx.Timeout(20.0, connect=3.0)
_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 0.3


class Client:
    """One client. It has threads of its own, so that it knows in which order it asked; some threads are everybody's."""

    def __init__(self, cluster: Cluster, history: History, *, seed: int, shared: list[str]) -> None:
        self._cluster = cluster
        self._history = history
        self._random = random.Random(seed)
        self._shared = shared
        self._threads: list[str] = []
        self._http = httpx.AsyncClient(headers={"x-api-key": KEY}, timeout=_TIMEOUT, trust_env=False)

    async def work(self, until: asyncio.Event) -> None:
        """Ask for one run after the other."""
        operations = [self._background, self._stream, self._wait, self._stateless, self._ask, self._double, self._stop]
        weights = [4, 4, 2, 3, 2, 3, 1]
        async with self._http:
            while not until.is_set():
                (operation,) = self._random.choices(operations, weights)
                # Whatever happens to a client is written into its call, not raised here.
                with contextlib.suppress(httpx.HTTPError, TimeoutError):
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        await operation()
                await asyncio.sleep(self._random.uniform(0, 0.15))

    # ways to ask for a run

    async def _background(self) -> None:
        await self._create(self._call("background", thread_id=await self._thread()))

    async def _stream(self) -> None:
        call = self._call("stream", thread_id=await self._thread())
        if await self._create(call, stream_resumable=True):
            await self._follow(call)

    async def _wait(self) -> None:
        call = self._call("wait", thread_id=await self._thread())
        if await self._create(call):
            await self._join(call)

    async def _stateless(self) -> None:
        """A temporary run whose only trace is what its caller is told."""
        call = self._call("stateless", thread_id=None)
        answer = await self._post(call, "/runs/wait", self._body(call))
        if isinstance(answer, dict):
            call.told = _steps_told(answer, call.request)

    async def _ask(self) -> None:
        """A run that waits for a person, and the run that brings the answer."""
        thread_id = await self._new_thread()
        asked = self._call("ask", thread_id=thread_id, graph="question", steps=0)
        if not await self._create(asked) or await self._settled(asked) != "success":
            return
        answer = self._call("answer", thread_id=thread_id, graph="question", steps=0)
        answer.answers = f"for {asked.request}"
        await self._create(answer, command={"resume": answer.answers}, input=None)

    async def _double(self) -> None:
        """Two runs on one thread, the second while the first is at work."""
        thread_id = self._random.choice(self._shared)
        await self._create(self._call("background", thread_id=thread_id))
        await asyncio.sleep(self._random.uniform(0, 0.3))
        strategy = self._random.choice(("enqueue", "reject", "interrupt", "rollback"))
        second = self._call("double", thread_id=thread_id)
        second.strategy = strategy
        await self._create(second)

    async def _stop(self) -> None:
        call = self._call("cancelled", thread_id=await self._thread())
        call.steps = 12
        if not await self._create(call):
            return
        await asyncio.sleep(self._random.uniform(0, 0.5))
        action = self._random.choice(("interrupt", "rollback"))
        self._history.cancels += 1
        await self._http.post(
            f"{self._url()}/threads/{call.thread_id}/runs/{call.run_id}/cancel", params={"action": action}
        )

    # what they are made of

    def _call(self, operation: str, *, thread_id: str | None, graph: str = "ledger", steps: int | None = None) -> Call:
        call = Call(
            request=uuid.uuid4().hex,
            graph=graph,
            operation=operation,
            begun=time.time(),
            thread_id=thread_id,
            steps=self._random.randint(1, 6) if steps is None else steps,
            durability=self._random.choice(("sync", "async")),
            blocking=self._random.random() < 0.03,
        )
        self._history.calls.append(call)
        return call

    def _body(self, call: Call, **more: Any) -> dict[str, Any]:
        # A blocking step outlasts the lease.
        delay = 3.0 if call.blocking else round(self._random.uniform(0, 0.2), 3)
        task = {
            "request": call.request,
            "steps": min(call.steps, 2) if call.blocking else call.steps,
            "delay": delay,
            "blocking": call.blocking,
            "book": str(self._cluster.book),
        }
        call.steps = task["steps"]
        return {
            "assistant_id": call.graph,
            "input": {"step": 0, "marks": []},
            "context": task,
            "metadata": {"request": call.request},
            "durability": call.durability,
            "stream_mode": ["custom"],
            "multitask_strategy": call.strategy,
            **more,
        }

    async def _create(self, call: Call, **more: Any) -> bool:
        answer = await self._post(call, f"/threads/{call.thread_id}/runs", self._body(call, **more))
        return isinstance(answer, dict)

    async def _post(self, call: Call, path: str, body: dict[str, Any]) -> Any:
        """Send a request for a run once, and note how it went."""
        call.begun = time.time()
        try:
            response = await self._http.post(f"{self._url()}{path}", json=body, timeout=_PATIENCE_SECONDS)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            call.outcome = "fail"
            return None
        except httpx.HTTPError:
            return None
        if response.is_success:
            try:
                answer = response.json()
            except ValueError:  # cut off: the heartbeat of a waiting answer came, its end did not
                return None
            call.outcome = "ok"
            call.run_id = answer.get("run_id") or response.headers.get("content-location", "").rpartition("/")[2]
            return answer
        # While Postgres is away nobody knows whether it committed before.
        call.outcome = "unknown" if response.is_server_error else "fail"
        return None

    async def _follow(self, call: Call) -> None:
        """Read the stream of a run to its end, going on behind the last event whenever it breaks."""
        last_id, deadline = "-1", time.monotonic() + _PATIENCE_SECONDS
        path = f"/threads/{call.thread_id}/runs/{call.run_id}"
        while time.monotonic() < deadline:
            try:
                async with self._http.stream(
                    "GET", f"{self._url()}{path}/stream", headers={"Last-Event-ID": last_id}
                ) as response:
                    if response.status_code == httpx.codes.NOT_FOUND:
                        return  # rolled back meanwhile
                    if response.is_success:
                        async for event, data, event_id in _events(response):
                            last_id = event_id or last_id
                            call.gap = call.gap or event == "gap"
                            if event == "custom":
                                call.streamed.append(data["step"])
                        call.closed = True
                        row = await self._http.get(f"{self._url()}{path}")
                        call.status_after = row.json()["status"] if row.is_success else None
                        return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(_RETRY_SECONDS)

    async def _join(self, call: Call) -> None:
        """Wait for a run as the SDK does: again from its place when the connection breaks."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                response = await self._http.get(f"{self._url()}/threads/{call.thread_id}/runs/{call.run_id}/join")
                if response.status_code == httpx.codes.NOT_FOUND:
                    return
                if response.is_success:
                    told = response.json()
                    if isinstance(told, dict) and "marks" in told:
                        call.told = _steps_told(told, call.request)
                    return
            except (httpx.HTTPError, ValueError):
                pass
            await asyncio.sleep(_RETRY_SECONDS)

    async def _settled(self, call: Call) -> str | None:
        """Wait for the end of a run by asking for its row; its status."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                response = await self._http.get(f"{self._url()}/threads/{call.thread_id}/runs/{call.run_id}")
                if response.is_success and (status := response.json()["status"]) not in ("pending", "running"):
                    return status
            except httpx.HTTPError:
                pass
            await asyncio.sleep(_RETRY_SECONDS)
        return None

    async def _thread(self) -> str:
        """One of the client's threads, a new one now and then."""
        if not self._threads or self._random.random() < 0.3:
            self._threads.append(await self._new_thread())
        return self._random.choice(self._threads[-5:])

    async def _new_thread(self) -> str:
        response = await self._http.post(f"{self._url()}/threads", json={})
        response.raise_for_status()
        return response.json()["thread_id"]

    def _url(self) -> str:
        return str(self._random.choice(self._cluster.hosts).url)


async def shared_threads(cluster: Cluster, count: int) -> list[str]:
    """Threads on which every client may run something."""
    async with httpx.AsyncClient(headers={"x-api-key": KEY}, timeout=_TIMEOUT, trust_env=False) as http:
        created = [await http.post(f"{cluster.hosts[0].url}/threads", json={}) for _ in range(count)]
    return [response.raise_for_status().json()["thread_id"] for response in created]


async def _events(response: httpx.Response) -> AsyncGenerator[tuple[str, Any, str | None]]:
    event, data, event_id = "", "", None
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            data = value
        elif name == "id":
            event_id = value
        elif not line and event:
            yield event, json.loads(data or "null"), event_id
            event, data, event_id = "", "", None


def _steps_told(told: dict[str, Any], request: str) -> list[int]:
    marks = (mark.split() for mark in told.get("marks", ()))
    return [int(step) for name, step in marks if name == request]
