"""The methods of the protocol, each in the spellings of its versions, and what answers them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

from lgnb.models.runs import Run

from ..jsonrpc import Request, RpcError, object_param, unknown_method
from .agent import Agent, Begun, Listed
from .cards import VERSIONS
from .listing import Wanted, read_wanted
from .output_modes import OutputModes
from .parts import Update
from .reading import PUSH_NOT_SUPPORTED, VERSION, History, Sent, read_history, read_sent, read_task_id
from .spelling import New, Old, Spelling

_OLD, _NEW = Old(), New()

Name = Literal["send", "stream", "follow", "get", "cancel", "list", "card"]

_METHODS: dict[str, tuple[Name, Spelling]] = {
    "message/send": ("send", _OLD),
    "message/stream": ("stream", _OLD),
    "tasks/get": ("get", _OLD),
    "tasks/cancel": ("cancel", _OLD),
    "tasks/resubscribe": ("follow", _OLD),
    "agent/getAuthenticatedExtendedCard": ("card", _OLD),
    "SendMessage": ("send", _NEW),
    "SendStreamingMessage": ("stream", _NEW),
    "GetTask": ("get", _NEW),
    "CancelTask": ("cancel", _NEW),
    "ListTasks": ("list", _NEW),
    "SubscribeToTask": ("follow", _NEW),
    "GetExtendedAgentCard": ("card", _NEW),
}


@dataclass(frozen=True, slots=True)
class Now:
    """A result that is there."""

    result: Any


@dataclass(frozen=True, slots=True)
class Later:
    """A result that comes with the end of a run."""

    run: Run
    result: Awaitable[Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """Results that come one by one while a run works."""

    run: Run
    results: AsyncGenerator[Any]


def check_version(named: str) -> None:
    """Refuse a version of the protocol that is not spoken; raises RpcError.

    Where none is named, the spelling of the method tells which is meant.
    """
    if named and not any(re.fullmatch(rf"{re.escape(version)}(\.\d{{1,9}})?", named) for version in VERSIONS):
        raise RpcError(VERSION, f"Version {named[:32]!r} of the protocol is not supported; {', '.join(VERSIONS)} are.")


def streams(method: str) -> bool:
    """Whether a method is answered with events."""
    return _METHODS.get(method, ("", _OLD))[0] in ("stream", "follow")


class A2aServer:
    """Answers requests to one agent; `scope` is what the header says about histories."""

    def __init__(self, agent: Agent, card: Mapping[str, Any], *, scope: str) -> None:
        self._agent = agent
        self._card = card
        self._scope = scope

    async def answer(self, request: Request) -> Now | Later | Stream:
        """Carry out a method.

        Raises:
            RpcError: the method or its params are wrong.
            LgnbError: whatever the resources raise.
        """
        if "PushNotificationConfig" in request.method or "pushNotificationConfig" in request.method:
            raise RpcError(PUSH_NOT_SUPPORTED, "Push notifications are not supported; follow the task by a stream.")
        if request.method not in _METHODS:
            raise unknown_method(request.method)
        name, spelling = _METHODS[request.method]
        params = request.params
        match name:
            case "send":
                sent, modes = self._read_sent(params)
                begun = await self._agent.send(sent)
                if not sent.waits:
                    return Now(spelling.sent(modes.fitted_task(begun.task)))
                return Later(begun.run, self._sent(begun, sent.history, modes, spelling))
            case "stream":
                sent, modes = self._read_sent(params)
                begun = await self._agent.send(sent)
                return Stream(begun.run, _spelled(self._agent.follow(begun), spelling, modes))
            case "follow":
                begun = await self._agent.begun(read_task_id(params, "id"), self._history(params))
                return Stream(begun.run, _spelled(self._agent.follow(begun, after=None), spelling))
            case "get":
                task = await self._agent.task(read_task_id(params, "id"), self._history(params))
                return Now(spelling.task(task))
            case "cancel":
                history = self._history(params)
                begun = await self._agent.cancel(read_task_id(params, "id"))
                return Later(begun.run, self._cancelled(begun, history, spelling))
            case "list":
                wanted = read_wanted(params, scope=self._scope)
                return Now(_page(await self._agent.tasks(wanted), wanted, spelling))
            case "card":
                return Now(self._card)

    def _read_sent(self, params: Mapping[str, Any]) -> tuple[Sent, OutputModes]:
        """What was sent, and what the client accepts; nothing is begun whose outcome it would not."""
        sent = read_sent(params, scope=self._scope)
        configuration = object_param(params, "configuration")
        return sent, OutputModes.read(configuration, offered=self._agent.output_modes)

    def _history(self, params: Mapping[str, Any]) -> History:
        return read_history(params, scope=self._scope)

    async def _sent(self, begun: Begun, history: History, modes: OutputModes, spelling: Spelling) -> dict[str, Any]:
        return spelling.sent(modes.fitted_task(await self._agent.outcome(begun, history)))

    async def _cancelled(self, begun: Begun, history: History, spelling: Spelling) -> dict[str, Any]:
        return spelling.task(await self._agent.outcome(begun, history))


async def _spelled(
    updates: AsyncGenerator[Update], spelling: Spelling, modes: OutputModes | None = None
) -> AsyncGenerator[Any]:
    async with aclosing(updates):
        async for update in updates:
            yield spelling.update(modes.fitted(update) if modes else update)


def _page(listed: Listed, wanted: Wanted, spelling: Spelling) -> dict[str, Any]:
    tasks = listed.tasks if wanted.artifacts else [replace(task, artifacts=()) for task in listed.tasks]
    seen = wanted.place.before + len(tasks)
    return {
        "tasks": [spelling.task(task) for task in tasks],
        "nextPageToken": str(listed.next) if listed.next else "",
        "pageSize": wanted.limit,
        # As everywhere in this API: not a total, but whether there is more after this page.
        "totalSize": seen + (1 if listed.next else 0),
    }
