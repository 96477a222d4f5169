"""From a message to what a graph is given: an input, the answer to an interrupt, or a raw command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

from lgnb.models.runs import is_interrupt_map

from ..jsonrpc import INVALID_PARAMS, RpcError
from .parts import Data, File, Part, Text
from .reading import CONTENT_TYPE, Sent

_DEFAULT_FILE_TYPE = "application/octet-stream"


def graph_input(sent: Sent, input_schema: Any) -> dict[str, Any]:
    """The input of a new task: texts and files as one message of a person, the keys of data beside it.

    Raises:
        RpcError: the graph has no place for a part.
    """
    given: dict[str, Any] = {}
    spoken: list[Part] = []
    for part in sent.parts:
        if not isinstance(part, Data):
            spoken.append(part)
        elif isinstance(part.value, dict):
            given |= cast("dict[str, Any]", part.value)
        else:
            raise RpcError(INVALID_PARAMS, "The data of a part must be an object: its keys are the graph's input.")
    if spoken:
        if not has_messages(input_schema):
            fields = ", ".join(fields_of(input_schema)) or "none that are known"
            raise RpcError(
                INVALID_PARAMS,
                f"This graph takes no messages, so no texts and no files; send data with its fields ({fields}).",
            )
        message = {"type": "human", "content": _content(spoken), "id": sent.message_id}
        others = given.get("messages")
        given["messages"] = [*cast("list[Any]", others if isinstance(others, list) else []), message]
    return given


def answer(parts: Sequence[Part], waiting: Sequence[str]) -> dict[str, Any]:
    """The command that resumes a graph; `waiting` are the ids of the interrupts that wait.

    Raises:
        RpcError: several interrupts wait, and the answer does not tell them apart.
    """
    value = _answer_value(parts)
    if is_interrupt_map(value):
        return {"resume": value}
    if len(waiting) > 1:
        raise RpcError(
            INVALID_PARAMS,
            f"{len(waiting)} interrupts wait; answer with data, {{'resume': {{id: value}}}}. "
            f"Their ids are {', '.join(waiting)}.",
        )
    # By its id, the answer can reach no other interrupt.
    return {"resume": {waiting[0]: value} if waiting else value}


def fields_of(schema: Any) -> Mapping[str, Any]:
    """The fields of an object that a JSON schema describes; none where it does not."""
    found = cast("dict[str, Any]", schema).get("properties") if isinstance(schema, dict) else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def has_messages(input_schema: Any) -> bool:
    """Whether a graph takes messages."""
    return "messages" in fields_of(input_schema)


def check_file_types(parts: Sequence[Part], modes: Sequence[str] | None) -> None:
    """Refuse files of types that an assistant does not name, where it names any; raises RpcError."""
    for part in parts:
        if modes is None or not isinstance(part, File):
            continue
        media_type = part.media_type or _DEFAULT_FILE_TYPE
        if not any(fnmatchcase(media_type, mode) for mode in modes):
            raise RpcError(CONTENT_TYPE, f"Files of the type {media_type} are not taken; {', '.join(modes)} are.")


def _answer_value(parts: Sequence[Part]) -> Any:
    data = [part.value for part in parts if isinstance(part, Data)]
    for value in data:
        if isinstance(value, dict) and "resume" in value:
            return cast("dict[str, Any]", value)["resume"]
    if data:
        return data[0] if len(data) == 1 else data
    return _content(parts)


def _content(parts: Sequence[Part]) -> Any:
    """Content of a message: a text where there is nothing else, else blocks."""
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) == len(parts):
        return "\n".join(texts)
    return [_block(part) for part in parts if not isinstance(part, Data)]


def _block(part: Text | File) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    media_type = part.media_type or _DEFAULT_FILE_TYPE
    kind = media_type.partition("/")[0]
    block: dict[str, Any] = {
        "type": kind if kind in ("image", "audio", "video") else "file",
        "mime_type": media_type,
    }
    block |= {"base64": part.content} if part.content is not None else {"url": part.uri}
    if part.name:
        block["extras"] = {"filename": part.name}
    return block
