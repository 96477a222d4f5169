"""What clients send, in either spelling, as one thing. Whatever is wrong with it is said here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

from ..jsonrpc import INVALID_PARAMS, RpcError, number_param, object_param, text_param
from .parts import Data, File, Part, TaskId, Text

TASK_NOT_FOUND = -32001
TASK_NOT_CANCELABLE = -32002
PUSH_NOT_SUPPORTED = -32003
UNSUPPORTED = -32004
CONTENT_TYPE = -32005
VERSION = -32009

MOST_HISTORY = 10
_MOST_PARTS = 1000
_LONGEST_ID = 512

# The run that began a task has its id; every later run of the task carries it in its metadata.
TASK_KEY = "a2a_task_id"

HistoryScope = Literal["context", "task"]


@dataclass(frozen=True, slots=True)
class History:
    """How many messages a caller wants to see with a task, and whether those of earlier tasks count."""

    length: int
    scope: HistoryScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The params of sending a message."""

    message_id: str
    parts: tuple[Part, ...]
    context_id: UUID | None
    task_id: TaskId | None
    command: dict[str, Any] | None
    context: dict[str, Any]
    metadata: dict[str, Any]
    history: History
    waits: bool

    @property
    def thread_id(self) -> UUID | None:
        return self.task_id.thread_id if self.task_id else self.context_id


def read_sent(params: Mapping[str, Any], *, scope: str) -> Sent:
    """The message in the params; `scope` is what the header says about the history.

    Raises:
        RpcError: something is missing or wrong, or is not supported.
    """
    message = object_param(params, "message")
    if message.get("role") not in ("user", "ROLE_USER"):
        raise RpcError(INVALID_PARAMS, "message.role is missing or wrong: clients speak as user (ROLE_USER).")
    message_id = text_param(message, "messageId")
    if len(message_id) > _LONGEST_ID:
        raise RpcError(INVALID_PARAMS, f"message.messageId is longer than {_LONGEST_ID} characters.")
    configuration = object_param(params, "configuration")
    if any(configuration.get(name) for name in ("pushNotificationConfig", "taskPushNotificationConfig")):
        raise RpcError(PUSH_NOT_SUPPORTED, "Push notifications are not supported; follow the task by a stream.")
    task_id = read_task_id(message, "taskId") if message.get("taskId") else None
    context_id = read_context_id(message)
    if task_id and context_id and task_id.thread_id != context_id:
        raise RpcError(INVALID_PARAMS, "message.taskId belongs to another context than message.contextId.")
    return Sent(
        message_id=message_id,
        parts=_parts(message.get("parts")),
        context_id=context_id,
        task_id=task_id,
        command=object_param(message, "command") or None,
        context=object_param(params, "context"),
        metadata={key: value for key, value in object_param(params, "metadata").items() if key != TASK_KEY},
        history=read_history(configuration, scope=scope),
        waits=configuration.get("blocking") is not False and configuration.get("returnImmediately") is not True,
    )


def read_history(params: Mapping[str, Any], *, scope: str, default: int = MOST_HISTORY) -> History:
    """How much of the history is wanted; raises RpcError."""
    length = number_param(params, "historyLength", default=default, least=0, most=MOST_HISTORY)
    named = params.get("historyScope") or scope or "task"
    if named not in ("context", "task"):
        raise RpcError(INVALID_PARAMS, "historyScope must be context or task.")
    return History(length, "context" if named == "context" else "task")


def read_task_id(params: Mapping[str, Any], name: str) -> TaskId:
    """The id of a task; raises RpcError where no task can have it."""
    text = text_param(params, name)
    task_id = TaskId.read(text)
    if task_id is None:
        raise no_task(text[:_LONGEST_ID])
    return task_id


def read_context_id(params: Mapping[str, Any]) -> UUID | None:
    """The id of a context, or None where none is named; raises RpcError."""
    if params.get("contextId") in (None, ""):
        return None
    text = text_param(params, "contextId")
    try:
        if len(text) == 36:
            return UUID(text)
    except ValueError:
        pass
    raise RpcError(INVALID_PARAMS, "contextId is the id of a thread, a UUID.")


def no_task(task_id: object) -> RpcError:
    return RpcError(TASK_NOT_FOUND, f"Task {task_id} does not exist.")


def _parts(given: Any) -> tuple[Part, ...]:
    entries = cast("list[Any]", given) if isinstance(given, list) else []
    if not entries:
        raise RpcError(INVALID_PARAMS, "message.parts must be a list with at least one part.")
    if len(entries) > _MOST_PARTS:
        raise RpcError(INVALID_PARAMS, f"message.parts holds more than {_MOST_PARTS} parts.")
    return tuple(_part(entry) for entry in entries)


def _part(given: Any) -> Part:
    part = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    if isinstance(part.get("text"), str):
        return Text(part["text"])
    if "data" in part:
        return Data(part["data"])
    if isinstance(part.get("file"), dict):
        file = cast("dict[str, Any]", part["file"])
        return _file(file.get("bytes"), file.get("uri"), file.get("mimeType"), file.get("name"))
    if "raw" in part or "url" in part:
        return _file(part.get("raw"), part.get("url"), part.get("mediaType"), part.get("filename"))
    kind = part.get("kind")
    if isinstance(kind, str) and kind not in ("text", "data", "file"):
        raise RpcError(CONTENT_TYPE, f"Parts of the kind {kind[:64]!r} are not supported; text, data and file are.")
    raise RpcError(INVALID_PARAMS, "Each part of a message holds a text, data or a file.")


def _file(content: Any, uri: Any, media_type: Any, name: Any) -> File:
    if isinstance(content, str) == isinstance(uri, str):
        raise RpcError(INVALID_PARAMS, "A file part holds either the file's bytes in base64, or its address.")
    return File(
        content=content if isinstance(content, str) else None,
        uri=uri if isinstance(uri, str) else None,
        media_type=media_type if isinstance(media_type, str) and media_type else None,
        name=name if isinstance(name, str) and name else None,
    )
