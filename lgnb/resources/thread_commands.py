"""The commands of the thread protocol that start runs: a new input, and answers to interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast, get_args
from uuid import UUID

from ..errors import CommandRefused, RunConflict, ThreadNotFound
from ..models.protocol import RUN_MODES
from ..models.runs import MultitaskStrategy, Run, RunRequest
from ..models.threads import Thread
from .acting import Acting
from .runs import Runs
from .threads import Threads

# How long an answer waits for the run that asked to be over.
_BUSY_SECONDS = 5.0
_LOOK_SECONDS = 0.1

_STRATEGIES = get_args(MultitaskStrategy)


class ThreadCommands(Acting):
    """What arrives here was parsed from JSON by nobody: every parameter is looked at."""

    def __init__(self, *, runs: Runs, threads: Threads) -> None:
        self._runs = runs
        self._threads = threads

    async def start(
        self, thread_id: UUID, params: Mapping[str, Any], *, request_id: str | None, headers: dict[str, str]
    ) -> Run:
        """`run.start`: a run with this input. On a thread that waits for an answer, the input is the answer.

        Raises:
            CommandRefused: a parameter is missing or wrong.
            LgnbError: whatever creating a run raises.
        """
        assistant_id = params.get("assistant_id")
        if not isinstance(assistant_id, str) or not assistant_id:
            raise CommandRefused("invalid_argument", "run.start needs an assistant_id.")
        config = _object(params, "config")
        _check_fork(config)
        given = params.get("input")
        command = None
        if given is not None and not _is_fork(config):
            command = _as_answer(await self._find(thread_id), given)
        request = _request(
            assistant_id,
            config=config,
            metadata=_object(params, "metadata"),
            input=None if command else given,
            command=command,
            strategy=_strategy(params.get("multitaskStrategy")),
            langsmith_tracer=_object(params, "langsmith_tracer") or None,
        )
        return await self._runs.create(thread_id, request, request_id=request_id, headers_configurable=headers)

    async def respond(
        self, thread_id: UUID, params: Mapping[str, Any], *, request_id: str | None, headers: dict[str, str]
    ) -> Run:
        """`input.respond`: one run that answers one or several interrupts of the thread, each by its id.

        Raises:
            CommandRefused: a parameter is wrong, nothing waits on the thread, or not this interrupt.
            LgnbError: whatever creating a run raises.
        """
        answers = _answers(params)
        thread = await self._waiting_thread(thread_id)
        waiting = _waiting(thread)
        for interrupt_id in answers:
            if interrupt_id not in waiting:
                raise CommandRefused("no_such_interrupt", f"Interrupt {interrupt_id} does not wait for an answer.")
        command: dict[str, Any] = {"resume": answers}
        for name in ("update", "goto"):
            if params.get(name) is not None:
                command[name] = params[name]
        request = _request(
            str(thread.metadata["assistant_id"]),
            config=_object(params, "config"),
            metadata=_object(params, "metadata"),
            command=command,
        )
        try:
            return await self._runs.create(thread_id, request, request_id=request_id, headers_configurable=headers)
        except RunConflict as error:
            raise CommandRefused("no_such_interrupt", str(error)) from error

    async def _find(self, thread_id: UUID) -> Thread | None:
        try:
            return await self._threads.get(thread_id)
        except ThreadNotFound:
            return None

    async def _waiting_thread(self, thread_id: UUID) -> Thread:
        """The thread, once the run on it is over and has left an interrupt."""
        deadline = asyncio.get_running_loop().time() + _BUSY_SECONDS
        while True:
            thread = await self._find(thread_id)
            if thread is None or thread.status != "busy" or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        if thread is None and self._access.restricts:
            raise ThreadNotFound(thread_id)
        if thread is None or "assistant_id" not in thread.metadata:
            raise CommandRefused("no_such_run", "No run on this thread waits for an answer.")
        if thread.status == "busy":
            raise CommandRefused("no_such_interrupt", "A run is working on this thread; nothing waits for an answer.")
        return thread


def _request(
    assistant_id: str,
    *,
    config: dict[str, Any],
    metadata: dict[str, Any],
    input: Any = None,
    command: dict[str, Any] | None = None,
    strategy: MultitaskStrategy = "enqueue",
    langsmith_tracer: dict[str, Any] | None = None,
) -> RunRequest:
    return RunRequest(
        assistant_id=assistant_id,
        input=input,
        command=command,
        config=config,
        metadata=metadata,
        stream_mode=list(RUN_MODES),
        stream_subgraphs=True,
        stream_resumable=True,
        if_not_exists="create",
        multitask_strategy=strategy,
        langsmith_tracer=langsmith_tracer,
        event_streaming=True,
    )


def _answers(params: Mapping[str, Any]) -> dict[str, Any]:
    many = params.get("responses")
    entries: list[Any] = cast("list[Any]", many) if isinstance(many, list) and many else [params]
    answers: dict[str, Any] = {}
    for entry in entries:
        interrupt_id = cast("Mapping[str, Any]", entry).get("interrupt_id") if isinstance(entry, Mapping) else None
        if not isinstance(interrupt_id, str) or not interrupt_id:
            raise CommandRefused("invalid_argument", "input.respond needs an interrupt_id.")
        answers[interrupt_id] = entry.get("response")
    return answers


def _waiting(thread: Thread) -> list[str]:
    """Ids of the interrupts that wait on a thread."""
    return [interrupt["id"] for task in thread.interrupts.values() for interrupt in task if interrupt.get("id")]


def _as_answer(thread: Thread | None, given: Any) -> dict[str, Any] | None:
    waiting = _waiting(thread) if thread is not None and thread.status == "interrupted" else []
    if not waiting:
        return None
    # One is answered by its id, so that the answer can reach no other; several need to be told apart by the caller.
    return {"resume": {waiting[0]: given} if len(waiting) == 1 else given}


def _strategy(given: Any) -> MultitaskStrategy:
    return given if given in _STRATEGIES else "enqueue"


def _object(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = params.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CommandRefused("invalid_argument", f"{name} must be an object.")
    return cast("dict[str, Any]", value)


def _configurable(config: Mapping[str, Any]) -> dict[str, Any]:
    return _object(config, "configurable")


def _is_fork(config: Mapping[str, Any]) -> bool:
    return bool(_configurable(config).get("checkpoint_id"))


def _check_fork(config: Mapping[str, Any]) -> None:
    checkpoint_id = _configurable(config).get("checkpoint_id")
    if checkpoint_id is None:
        return
    try:
        UUID(checkpoint_id)
    except (ValueError, AttributeError, TypeError):
        raise CommandRefused(
            "invalid_argument", f"config.configurable.checkpoint_id {checkpoint_id!r} is not a UUID."
        ) from None
