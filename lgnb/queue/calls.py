"""Calls: short requests to a worker that has the graph (update state, draw, schemas), answered over Redis.

A call is worth nothing after its caller has given up, so it carries a deadline and is not kept anywhere else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import orjson

from ..errors import WorkerUnavailable
from .connection import Queue, translated

_KEPT_SECONDS = 60
_MOST_WAITING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `deadline` is seconds since the epoch; a worker ignores a call past it."""

    call_id: UUID
    graph_id: str
    method: str
    params: dict[str, Any]
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Either a result, or the name and text of an error of lgnb's tree."""

    result: Any = None
    error: str | None = None
    message: str | None = None


class Calls:
    def __init__(self, queue: Queue) -> None:
        self._push = queue.push_script
        self._patient = queue.patient
        self._keys = queue.keys

    async def request(
        self, graph_id: str, method: str, params: dict[str, Any], *, timeout_seconds: float = 30.0
    ) -> Reply:
        """Ask a worker that serves this graph and wait for its reply.

        Raises:
            WorkerUnavailable: nobody answered in time.
            QueueUnavailable: Redis does not answer.
        """
        call_id = uuid4()
        body = orjson.dumps(
            {"call_id": call_id, "method": method, "params": params, "deadline": time.time() + timeout_seconds}
        )
        with translated():
            await self._push(keys=[self._keys.calls(graph_id)], args=[_MOST_WAITING, _KEPT_SECONDS, body])
            answer = await self._patient.blpop([self._keys.reply(call_id)], timeout=timeout_seconds)
        if answer is None:
            raise WorkerUnavailable(
                f"No worker that serves graph {graph_id!r} answered within {timeout_seconds:g} s; is one running?"
            )
        return Reply(**orjson.loads(answer[1]))

    async def next(self, graph_ids: Sequence[str], *, timeout_seconds: float) -> Call | None:
        """The next call for one of these graphs that is still worth answering."""
        keys = {self._keys.calls(graph_id): graph_id for graph_id in graph_ids}
        with translated():
            found = await self._patient.brpop(list(keys), timeout=timeout_seconds)
        if found is None:
            return None
        key, body = found
        fields = orjson.loads(body)
        if fields["deadline"] < time.time():
            return None
        return Call(
            call_id=UUID(fields["call_id"]),
            graph_id=keys[key.decode()],
            method=fields["method"],
            params=fields["params"],
            deadline=fields["deadline"],
        )

    async def answer(self, call: Call, reply: Reply) -> None:
        with translated():
            await self._push(keys=[self._keys.reply(call.call_id)], args=[1, _KEPT_SECONDS, orjson.dumps(reply)])
