"""From a run and the state it left to the task that a client sees. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import NAMESPACE_OID, uuid5

import orjson

from lgnb.json_encoding import encode
from lgnb.models.runs import Run, RunStatus
from lgnb.models.streams import StreamEvent
from lgnb.models.threads import Thread

from .parts import Artifact, Data, File, Message, Part, Role, State, Status, Task, TaskId, Text
from .reading import TASK_KEY

_STATES: dict[RunStatus, State] = {
    "pending": "submitted",
    "running": "working",
    "success": "completed",
    "interrupted": "canceled",
    "error": "failed",
    "timeout": "failed",
}
_ROLES: dict[str, Role] = {"human": "user", "ai": "agent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a run left behind.

    `newest` tells whether no later run has touched the thread since; only then its interrupts still wait.
    """

    run: Run
    thread: Thread
    newest: bool
    values: Any
    interrupts: Sequence[Mapping[str, Any]]


def task_id_of(run: Run) -> TaskId:
    """The task that a run belongs to."""
    named = TaskId.read(run.metadata.get(TASK_KEY))
    return named if named and named.thread_id == run.thread_id else TaskId(run.thread_id, run.run_id)


def state_of(run: Run, thread: Thread, *, newest: bool) -> State:
    """The state of a task by its last run; one that waits for an answer is over once a later run went past it."""
    if run.status == "success" and newest and thread.status == "interrupted":
        return "input-required"
    return _STATES[run.status]


def submitted(task_id: TaskId, run: Run, message: Message) -> Task:
    """A task whose run was accepted just now."""
    status = Status(state="submitted", timestamp=run.created_at.isoformat())
    return Task(task_id=task_id, status=status, history=(message,))


def task_of(
    task_id: TaskId, left: Left, *, outputs: Collection[str] | None, earlier: Collection[str], length: int
) -> Task:
    """The task as its last run left it.

    Args:
        outputs: keys of the state that are the graph's output; None means all.
        earlier: ids of the messages that are older than the task, and so no part of its history.
        length: how many messages to show.
    """
    state = state_of(left.run, left.thread, newest=left.newest)
    messages = [message for message in messages_of(left.values) if message.message_id not in earlier]
    return Task(
        task_id=task_id,
        status=Status(
            state=state, timestamp=left.run.updated_at.isoformat(), message=_status_message(task_id, left, state)
        ),
        history=tuple(messages[-length:] if length else ()),
        artifacts=_artifacts(left, state, outputs),
        waiting=_waiting(left, state),
    )


def messages_of(values: Any) -> list[Message]:
    """What was said on a thread: by people, and by the graph where it has words."""
    found = cast("dict[str, Any]", values).get("messages") if isinstance(values, dict) else None
    messages: list[Message] = []
    for entry in cast("list[Any]", found) if isinstance(found, list) else []:
        given = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        role = _ROLES.get(str(given.get("type")))
        parts = _parts(given.get("content"))
        if role and parts:
            messages.append(Message(message_id=str(given.get("id") or ""), role=role, parts=parts))
    return messages


def progress(event: StreamEvent) -> Message | None:
    """What the graph has said of a message so far, when an event of its stream tells."""
    if event.event.partition("|")[0] not in ("messages/partial", "messages/complete"):
        return None
    said = [message for message in messages_of({"messages": orjson.loads(event.data)}) if message.role == "agent"]
    return said[-1] if said else None


def _waiting(left: Left, state: State) -> tuple[str, ...]:
    if state != "input-required":
        return ()
    return tuple(str(one["id"]) for one in left.interrupts if one.get("id"))


def _artifacts(left: Left, state: State, outputs: Collection[str] | None) -> tuple[Artifact, ...]:
    if state == "input-required" and left.interrupts:
        parts = tuple(Data({"id": one.get("id"), "value": one.get("value")}) for one in left.interrupts)
        return (
            _artifact(left.run, "interrupts", "What the assistant asks, each under the id to answer it by.", parts),
        )
    if state in ("completed", "input-required") and (parts := _output(left.values, outputs)):
        return (_artifact(left.run, "output", "What the assistant answered.", parts),)
    return ()


def _artifact(run: Run, name: str, description: str, parts: tuple[Part, ...]) -> Artifact:
    artifact_id = str(uuid5(NAMESPACE_OID, f"{run.run_id}:{name}"))
    return Artifact(artifact_id=artifact_id, name=name, description=description, parts=parts)


def _output(values: Any, outputs: Collection[str] | None) -> tuple[Part, ...]:
    """The last words of the graph as they are, and everything else of its output as data."""
    if not isinstance(values, dict):
        return () if values is None else (Data(values),)
    state = cast("dict[str, Any]", values)
    shown = {key: value for key, value in state.items() if outputs is None or key in outputs}
    parts: list[Part] = []
    if isinstance(shown.get("messages"), list):
        said = cast("list[Any]", shown.pop("messages"))
        last = cast("dict[str, Any]", said[-1]) if said and isinstance(said[-1], dict) else {}
        if last.get("type") != "human":
            parts += _parts(last.get("content"))
    told = {key: value for key, value in shown.items() if value is not None}
    return (*parts, Data(told)) if told else tuple(parts)


def _status_message(task_id: TaskId, left: Left, state: State) -> Message | None:
    if state == "failed":
        return _words(left.run, _failure(left))
    if state == "input-required" and left.interrupts:
        return _words(left.run, *(_question(one.get("value")) for one in left.interrupts))
    return None


def _words(run: Run, *texts: str) -> Message:
    message_id = str(uuid5(NAMESPACE_OID, f"{run.run_id}:status"))
    return Message(message_id=message_id, role="agent", parts=tuple(Text(text) for text in texts))


def _failure(left: Left) -> str:
    if left.run.status == "timeout":
        return "The run took too long and was stopped."
    error = left.thread.error if left.newest else None
    return ": ".join(str(error[key]) for key in ("error", "message") if error.get(key)) if error else "The run failed."


def _question(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _parts(content: Any) -> tuple[Part, ...]:
    """The parts of a message's content that can be shown; tool calls and reasoning are none."""
    if isinstance(content, str):
        return (Text(content),) if content else ()
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    return tuple(part for block in blocks if (part := _part(block)) is not None)


def _part(block: Any) -> Part | None:
    if isinstance(block, str):
        return Text(block) if block else None
    given = cast("dict[str, Any]", block) if isinstance(block, dict) else {}
    if given.get("type") == "text":
        return Text(str(given["text"])) if given.get("text") else None
    content, uri = given.get("base64"), given.get("url")
    if isinstance(content, str) or isinstance(uri, str):
        extras = given.get("extras")
        name = cast("dict[str, Any]", extras).get("filename") if isinstance(extras, dict) else None
        return File(content=content, uri=None if content else uri, media_type=given.get("mime_type"), name=name)
    return None
