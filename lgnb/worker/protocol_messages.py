"""Messages as the thread protocol shows them: whole ones in states, and as content blocks while they are written.

A run started through the protocol gets content-block events from its models by itself; those of other runs are made
here from the chunks that LangGraph streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

_ROLES = {"user": "human", "assistant": "ai"}
_TOOL_CHUNKS = ("tool_call_chunk", "server_tool_call_chunk")


def without_messages(value: Any) -> Any:
    """The same state with its messages as plain objects, and without the library's own keys."""
    if isinstance(value, BaseMessage):
        return plain_message(value)
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key: without_messages(item) for key, item in items if key != "__interrupt__"}
    if type(value) in (list, tuple):
        return [without_messages(item) for item in cast("list[Any]", value)]
    return value


def plain_message(message: BaseMessage) -> dict[str, Any]:
    """A whole message: what a chat page needs, and nothing that is empty."""
    kind = getattr(message, "role", None) if message.type == "chat" else message.type
    plain: dict[str, Any] = {"type": _ROLES.get(str(kind), kind), "content": _content(message.content)}
    plain["id"] = message.id
    if message.name:
        plain["name"] = message.name
    if isinstance(message, AIMessage):
        if message.tool_calls:
            plain["tool_calls"] = [{**call, "type": "tool_call"} for call in message.tool_calls]
        for name in ("invalid_tool_calls", "usage_metadata"):
            if given := getattr(message, name):
                plain[name] = given
    if isinstance(message, ToolMessage):
        plain |= {
            "tool_call_id": message.tool_call_id,
            "status": message.status,
            "artifact": message.artifact,
        }
    for name in ("additional_kwargs", "response_metadata"):
        if given := getattr(message, name):
            plain[name] = given
    return plain


def _content(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [_block(block) if isinstance(block, dict) else block for block in cast("list[Any]", content)]


def _block(block: dict[str, Any]) -> dict[str, Any]:
    """A block in LangChain's own words where a provider's were used."""
    if block.get("type") == "image_url":
        given = block.get("image_url")
        url = cast("dict[str, Any]", given).get("url") if isinstance(given, dict) else given
        return {"type": "image", "url": url}
    if block.get("type") == "input_audio" and isinstance(given := block.get("input_audio"), dict):
        audio = cast("dict[str, Any]", given)
        return {"type": "audio", "base64": audio.get("data"), "mime_type": f"audio/{audio.get('format', 'wav')}"}
    return block


def whole_message_events(message: BaseMessage, *, message_id: str, role: str, **start: Any) -> Iterator[dict[str, Any]]:
    """A message that came at once, as if it had been written block by block."""
    yield {"event": "message-start", "role": role, "id": message_id, **start}
    blocks = cast("list[dict[str, Any]]", message.content_blocks)
    for index, block in enumerate(blocks):
        yield from _block_begin(index, block)
        yield {"event": "content-block-finish", "index": index, "content": block}
    yield _finish(message)


class ChunkAssembly:
    """Makes content-block events from the chunks of one message."""

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._whole: AIMessageChunk | None = None
        # By the place of a block in the model's own counting, and the kinds of block that share it.
        self._places: dict[tuple[Any, str], int] = {}

    def add(self, chunk: AIMessageChunk) -> Iterator[dict[str, Any]]:
        """The events of the next chunk; the last one closes the message."""
        if self._whole is None:
            yield {"event": "message-start", "role": "ai", "id": self._message_id}
            self._whole = chunk
        else:
            self._whole = self._whole + chunk
        for block in cast("list[dict[str, Any]]", chunk.content_blocks):
            key = (block.get("index", 0), _kind(block))
            if (place := self._places.get(key)) is None:
                place = self._places[key] = len(self._places)
                yield from _block_begin(place, block)
            elif (delta := _delta(block)) is not None:
                yield {"event": "content-block-delta", "index": place, "delta": delta}
        if chunk.chunk_position == "last":
            yield from self.finish()

    def finish(self) -> Iterator[dict[str, Any]]:
        """Close every block with its whole content."""
        if self._whole is None:
            return
        whole = self._whole
        self._whole = None
        # As a message it has parsed tool calls, which as a chunk are still texts.
        message = AIMessage(
            content=whole.content,
            tool_calls=whole.tool_calls,
            response_metadata=whole.response_metadata,
            additional_kwargs=whole.additional_kwargs,
        )
        by_kind: dict[str, list[dict[str, Any]]] = {}
        for block in cast("list[dict[str, Any]]", message.content_blocks):
            by_kind.setdefault(_kind(block), []).append(block)
        for (_, kind), place in self._places.items():
            if blocks := by_kind.get(kind):
                yield {"event": "content-block-finish", "index": place, "content": blocks.pop(0)}
        yield _finish(whole)


def _kind(block: Mapping[str, Any]) -> str:
    """A call is the same block in pieces and whole."""
    kind = str(block.get("type", ""))
    return kind.removesuffix("_chunk") if kind in _TOOL_CHUNKS else kind


def _block_begin(index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A block starts empty and gets its first piece, except that a call starts with its name."""
    kind = block.get("type")
    empty = {"text": {"text": ""}, "reasoning": {"reasoning": ""}}.get(str(kind))
    if kind == "tool_call":
        empty = {"type": "tool_call_chunk", "args": ""}
    elif kind in _TOOL_CHUNKS:
        empty = {"args": ""}
    if empty is None:
        yield {"event": "content-block-start", "index": index, "content": block}
        return
    yield {"event": "content-block-start", "index": index, "content": {**block, **empty}}
    if (delta := _delta(block)) is not None:
        yield {"event": "content-block-delta", "index": index, "delta": delta}


def _delta(block: dict[str, Any]) -> dict[str, Any] | None:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text-delta", "text": block["text"]} if block.get("text") else None
    if kind == "reasoning":
        return {"type": "reasoning-delta", "reasoning": block["reasoning"]} if block.get("reasoning") else None
    if kind in _TOOL_CHUNKS:
        return {"type": "tool-call-delta", "args": block["args"]} if block.get("args") else None
    if kind == "tool_call":
        return None
    return {"type": "block-delta", "fields": block}


def _finish(message: BaseMessage) -> dict[str, Any]:
    usage = getattr(message, "usage_metadata", None)
    return {"event": "message-finish", **({"usage": usage} if usage else {})}
