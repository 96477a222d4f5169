"""The language between a host and a kernel that executes runs of its own graphs, on one WebSocket.

Every frame is a msgpack map in a binary message. Both sides may ask at any time, and answer in any order:

    {"id": 7, "method": "put", "params": {…}}              a question
    {"id": 7, "result": …}                                 its answer
    {"id": 7, "error": "LeaseLost", "message": "…"}        or the error of lgnb's tree that it ended in

What a kernel asks its host:

    begin          who it is; after a broken connection also its lease and the runs it holds. Always the first question
    serve          take runs and calls of a graph, described by its descriptor; unserve: no longer
    beat           renew the lease; answers how the runs in hand stand
    claim          due runs of its graphs, after a while an empty list
    put, put_writes, put_tasks, get, list, delta_history, traces_of_run      checkpoints, as bytes
    append_events, append_end, append_protocol, is_watched                    what readers of streams see
    store_get, store_find, store_namespaces, store_write                      the store of its graphs
    end, give_back                                                            how an attempt ended
    bye            the end in good order: runs go back to the queue, their attempt uncounted

What a host asks its kernel:

    update         apply updates of a thread's state to the graph
    watch          how runs in hand stand now, as in the answer to beat: somebody signalled them

A host acts in Postgres for its kernel: a row of `workers` is the kernel's lease, and every write quotes run and
attempt. A kernel may read and write only the threads of runs it holds and of updates it was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

import ormsgpack
from pydantic import TypeAdapter, ValidationError, validate_call

from .errors import InvalidRequest, LgnbError, NotReady, error_named

logger = logging.getLogger(__name__)

Method = Callable[..., Awaitable[Any]]

_OPTIONS = ormsgpack.OPT_NON_STR_KEYS


class Disconnected(NotReady):
    """The connection ended before the answer came; the question may or may not have been carried out."""


class Peer:
    """One side of a connection: asks, and answers what the other side asks.

    Args:
        send: takes one frame; raises Disconnected, or whatever the transport raises, when it cannot.
        methods: what the other side may ask. Arguments become the types that the signatures name.
        most_at_once: so many questions are answered at the same time; the others wait in the transport.
    """

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], methods: Mapping[str, Method], *, most_at_once: int = 64
    ) -> None:
        self._send = send
        self._methods = {name: validate_call(method) for name, method in methods.items()}
        self._room = asyncio.Semaphore(most_at_once)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._closed = False

    async def ask(self, method: str, returns: Any = None, /, **params: Any) -> Any:
        """Ask and wait for the answer; `returns` is the type it becomes.

        Raises:
            Disconnected: the connection ended first.
            LgnbError: what the other side answered.
        """
        if self._closed:
            raise Disconnected("The connection has ended.")
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self._send(_packed({"id": number, "method": method, "params": params}))
            result = await answer
        finally:
            self._waiting.pop(number, None)
        return result if returns is None else _adapter(returns).validate_python(result)

    async def receive(self, frame: bytes) -> None:
        """Take one frame of the other side. Returns at once, unless too many questions are open."""
        try:
            message: Any = ormsgpack.unpackb(frame, option=_OPTIONS)
            number = message["id"]
        except (ormsgpack.MsgpackDecodeError, TypeError, KeyError):
            raise InvalidRequest("A frame must be a msgpack map with an id.") from None
        if "method" in message:
            await self._room.acquire()
            task = asyncio.create_task(self._answer(number, str(message["method"]), message.get("params") or {}))
            self._answering.add(task)
            task.add_done_callback(self._answered)
        elif (waiting := self._waiting.get(number)) is not None and not waiting.done():
            if message.get("error") is None:
                waiting.set_result(message.get("result"))
            else:
                waiting.set_exception(error_named(str(message["error"]), str(message.get("message") or "")))

    def close(self) -> None:
        """The connection has ended: open questions raise Disconnected. Safe to call twice."""
        self._closed = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Disconnected("The connection has ended."))
        for task in self._answering:
            task.cancel()

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        self._room.release()

    async def _answer(self, number: Any, name: str, params: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": number}
        try:
            method = self._methods.get(name)
            if method is None:
                raise InvalidRequest(f"There is no method {name!r}.")
            answer["result"] = await method(**params)
            frame = _packed(answer)
        except ValidationError as error:
            frame = _refused(number, InvalidRequest(_first_problem(name, error)))
        except LgnbError as error:
            frame = _refused(number, error)
        except Exception as error:  # one question must not end the connection
            logger.exception("Answering %s failed", name)
            frame = _refused(number, LgnbError(f"Answering {name} failed ({type(error).__name__}); see the log."))
        # The other side asks again when it is back.
        with contextlib.suppress(Disconnected):
            await self._send(frame)


def _packed(message: dict[str, Any]) -> bytes:
    return ormsgpack.packb(message, option=_OPTIONS)


def _refused(number: Any, error: LgnbError) -> bytes:
    return _packed({"id": number, "error": type(error).__name__, "message": str(error)})


def _first_problem(name: str, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}."


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
