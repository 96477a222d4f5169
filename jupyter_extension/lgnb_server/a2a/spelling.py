"""The two spellings of the protocol: 0.x tells kinds and speaks lower case, 1.0 is the JSON of protocol buffers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .parts import Artifact, ArtifactUpdate, Data, File, Message, Part, State, Status, StatusUpdate, Task, Text, Update


class Spelling(ABC):
    """How answers are written; what clients send is understood in either spelling."""

    @abstractmethod
    def sent(self, task: Task) -> dict[str, Any]:
        """The result of sending a message."""

    @abstractmethod
    def update(self, update: Update) -> dict[str, Any]:
        """The result in one event of a stream."""

    @abstractmethod
    def part(self, part: Part) -> dict[str, Any]: ...

    @abstractmethod
    def state(self, state: State) -> str: ...

    @abstractmethod
    def message(self, message: Message, task: Task | StatusUpdate) -> dict[str, Any]: ...

    def task(self, task: Task) -> dict[str, Any]:
        written: dict[str, Any] = {
            "id": str(task.task_id),
            "contextId": task.context_id,
            "status": self._status(task.status, task),
            "history": [self.message(message, task) for message in task.history],
            "artifacts": [self._artifact(artifact) for artifact in task.artifacts],
        }
        return written

    def _status(self, status: Status, task: Task | StatusUpdate) -> dict[str, Any]:
        written: dict[str, Any] = {"state": self.state(status.state), "timestamp": status.timestamp}
        if status.message is not None:
            written["message"] = self.message(status.message, task)
        return written

    def _artifact(self, artifact: Artifact) -> dict[str, Any]:
        return {
            "artifactId": artifact.artifact_id,
            "name": artifact.name,
            "description": artifact.description,
            "parts": [self.part(part) for part in artifact.parts],
        }

    def _status_update(self, update: StatusUpdate) -> dict[str, Any]:
        return {**_ids(update), "status": self._status(update.status, update)}

    def _artifact_update(self, update: ArtifactUpdate) -> dict[str, Any]:
        return {**_ids(update), "artifact": self._artifact(update.artifact), "append": False, "lastChunk": True}


class Old(Spelling):
    """Versions before 1.0."""

    def sent(self, task: Task) -> dict[str, Any]:
        return self.task(task)

    def task(self, task: Task) -> dict[str, Any]:
        return {"kind": "task", **super().task(task)}

    def update(self, update: Update) -> dict[str, Any]:
        match update:
            case Task():
                return self.task(update)
            case StatusUpdate():
                return {"kind": "status-update", **self._status_update(update), "final": update.final}
            case ArtifactUpdate():
                return {"kind": "artifact-update", **self._artifact_update(update)}

    def state(self, state: State) -> str:
        return state

    def message(self, message: Message, task: Task | StatusUpdate) -> dict[str, Any]:
        return {"kind": "message", "role": message.role, **_message(self, message, task)}

    def part(self, part: Part) -> dict[str, Any]:
        match part:
            case Text(text):
                return {"kind": "text", "text": text}
            case Data(value):
                # Here data is an object by definition.
                return {"kind": "data", "data": value if isinstance(value, dict) else {"value": value}}
            case File(content, uri, media_type, name):
                file = {"bytes": content, "uri": uri, "mimeType": media_type, "name": name}
                return {"kind": "file", "file": _given(file)}


class New(Spelling):
    """Version 1.0."""

    def sent(self, task: Task) -> dict[str, Any]:
        return {"task": self.task(task)}

    def update(self, update: Update) -> dict[str, Any]:
        match update:
            case Task():
                return {"task": self.task(update)}
            case StatusUpdate():
                return {"statusUpdate": self._status_update(update)}
            case ArtifactUpdate():
                return {"artifactUpdate": self._artifact_update(update)}

    def state(self, state: State) -> str:
        return f"TASK_STATE_{state.replace('-', '_').upper()}"

    def message(self, message: Message, task: Task | StatusUpdate) -> dict[str, Any]:
        return {"role": f"ROLE_{message.role.upper()}", **_message(self, message, task)}

    def part(self, part: Part) -> dict[str, Any]:
        match part:
            case Text(text):
                return {"text": text}
            case Data(value):
                return {"data": value, "mediaType": "application/json"}
            case File(content, uri, media_type, name):
                return _given({"raw": content, "url": uri, "mediaType": media_type, "filename": name})


def _message(spelling: Spelling, message: Message, task: Task | StatusUpdate) -> dict[str, Any]:
    return {
        "messageId": message.message_id,
        "contextId": str(task.task_id.thread_id),
        "taskId": str(task.task_id),
        "parts": [spelling.part(part) for part in message.parts],
    }


def _ids(update: StatusUpdate | ArtifactUpdate) -> dict[str, Any]:
    return {"taskId": str(update.task_id), "contextId": str(update.task_id.thread_id)}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
