"""What the protocol speaks of, without the spelling of one of its versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

State = Literal["submitted", "working", "input-required", "completed", "canceled", "failed"]
Role = Literal["user", "agent"]

ENDED: frozenset[State] = frozenset(("completed", "canceled", "failed"))


@dataclass(frozen=True, slots=True)
class TaskId:
    """`<thread>:<first run>`."""

    thread_id: UUID
    run_id: UUID

    def __str__(self) -> str:
        return f"{self.thread_id}:{self.run_id}"

    @classmethod
    def read(cls, text: Any) -> TaskId | None:
        """The id in a text, or None where it is none."""
        thread, _, run = text.partition(":") if isinstance(text, str) else ("", "", "")
        try:
            return cls(UUID(thread), UUID(run)) if len(thread) == len(run) == 36 else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Data:
    value: Any


@dataclass(frozen=True, slots=True)
class File:
    """`content` is base64; exactly one of it and `uri` is given."""

    content: str | None
    uri: str | None
    media_type: str | None
    name: str | None


Part = Text | Data | File


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    message_id: str
    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    artifact_id: str
    name: str
    description: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    state: State
    timestamp: str
    message: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """`waiting` are the ids of the interrupts that it waits for."""

    task_id: TaskId
    status: Status
    history: tuple[Message, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def context_id(self) -> str:
        return str(self.task_id.thread_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    task_id: TaskId
    status: Status
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactUpdate:
    task_id: TaskId
    artifact: Artifact


Update = Task | StatusUpdate | ArtifactUpdate
