"""What a client accepts as output: whether an assistant can give it, and answers made to fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, cast

from lgnb.json_encoding import encode

from ..jsonrpc import INVALID_PARAMS, RpcError
from .parts import Artifact, ArtifactUpdate, Data, File, Message, Part, Status, StatusUpdate, Task, Text, Update
from .reading import CONTENT_TYPE

DEFAULT_MODES = ("application/json", "text/plain")

_TEXT, _DATA, _FILE = "text/plain", "application/json", "application/octet-stream"
# What clients of the first versions say instead of a media type.
_OLD_NAMES = {"text": _TEXT, "data": _DATA}
_MOST = 100
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class OutputModes:
    """Media types that a client accepts, with wildcards, and those that an assistant gives.

    Nothing accepted means that everything is.
    """

    accepted: tuple[str, ...]
    offered: tuple[str, ...]

    @classmethod
    def read(cls, configuration: Mapping[str, Any], *, offered: Sequence[str]) -> OutputModes:
        """From `configuration.acceptedOutputModes`.

        Raises:
            RpcError: that is no list of texts, or the assistant gives nothing of it.
        """
        given = configuration.get("acceptedOutputModes")
        entries = cast("list[Any]", given) if isinstance(given, list) else []
        wrong = given is not None and not isinstance(given, list)
        if wrong or len(entries) > _MOST or not all(isinstance(entry, str) and entry.strip() for entry in entries):
            raise RpcError(INVALID_PARAMS, f"acceptedOutputModes must be a list of at most {_MOST} media types.")
        plain = [str(entry).partition(";")[0].strip().lower() for entry in entries]
        modes = cls(tuple(_OLD_NAMES.get(mode, mode) for mode in plain), tuple(offered))
        if modes.accepted and not any(modes.takes(mode) for mode in offered):
            raise RpcError(
                CONTENT_TYPE,
                f"acceptedOutputModes is {', '.join(modes.accepted)[:_LONGEST]}, "
                f"but this assistant gives {', '.join(offered)}.",
            )
        return modes

    def fitted(self, update: Update) -> Update:
        """The same in parts that the client accepts."""
        match update:
            case Task():
                return self.fitted_task(update)
            case StatusUpdate():
                return replace(update, status=self._status(update.status))
            case ArtifactUpdate():
                return replace(update, artifact=self._artifact(update.artifact))

    def fitted_task(self, task: Task) -> Task:
        return replace(
            task,
            status=self._status(task.status),
            history=tuple(map(self._message, task.history)),
            artifacts=tuple(map(self._artifact, task.artifacts)),
        )

    def takes(self, mode: str) -> bool:
        """Whether a media type is accepted, or may be one that is."""
        return any(fnmatchcase(mode, taken) or fnmatchcase(taken, mode) for taken in self.accepted)

    def _artifact(self, artifact: Artifact) -> Artifact:
        return replace(artifact, parts=tuple(map(self._part, artifact.parts)))

    def _status(self, status: Status) -> Status:
        return status if status.message is None else replace(status, message=self._message(status.message))

    def _message(self, message: Message) -> Message:
        # What the client itself has said stays as it was.
        return message if message.role == "user" else replace(message, parts=tuple(map(self._part, message.parts)))

    def _part(self, part: Part) -> Part:
        """Texts and data become each other where only one of them is accepted; a file that is not is named instead."""
        match part:
            case Text(text):
                return Data(text) if self._takes_data and not self._takes_text else part
            case Data(value):
                return Text(encode(value).decode()) if self._takes_text and not self._takes_data else part
            case File(media_type=media_type):
                kind = media_type or _FILE
                taken = not self.accepted or self.takes(kind)
                return (
                    part if taken else self._part(Text(f"A file of the type {kind} was left out: it is not accepted."))
                )

    @property
    def _takes_text(self) -> bool:
        # An assistant may say more closely what its texts are, such as text/markdown.
        texts = (_TEXT, *(mode for mode in self.offered if mode.startswith("text/")))
        return not self.accepted or any(map(self.takes, texts))

    @property
    def _takes_data(self) -> bool:
        data = (_DATA, *(mode for mode in self.offered if mode.endswith("json")))
        return not self.accepted or any(map(self.takes, data))
