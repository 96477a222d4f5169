"""From what a graph yields to what a client of the run's stream sees: names, order and JSON of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message

from ..json_encoding import encode

# What the server always asks a graph for: its output for waiting callers, its checkpoints for readers.
_ALWAYS_ASKED = ("values", "checkpoints")

_AUTH_KEYS = ("langgraph_auth_user", "langgraph_auth_user_id", "langgraph_auth_permissions")


class EventTranslator:
    """Turns (namespace, mode, payload) triples of one run into (event, data) pairs; keeps what spans several."""

    def __init__(self, *, stream_modes: Sequence[str], subgraphs: bool) -> None:
        self._modes = frozenset(stream_modes)
        self._subgraphs = subgraphs
        self._whole: dict[str, BaseMessageChunk] = {}
        self._described: set[str] = set()

    @property
    def library_modes(self) -> list[str]:
        """The modes to ask the graph for."""
        asked = {("messages" if mode == "messages-tuple" else mode) for mode in self._modes if mode != "events"}
        return sorted(asked.union(_ALWAYS_ASKED))

    @property
    def wants_events(self) -> bool:
        """Whether the run must be driven through `astream_events`."""
        return "events" in self._modes

    def translate(self, namespace: tuple[str, ...], mode: str, payload: Any) -> Iterator[tuple[str, bytes]]:
        """The events of one thing that the graph yielded; none when the client did not ask for it."""
        if namespace and not self._subgraphs:
            return
        if mode == "messages":
            yield from self._messages(namespace, payload)
        elif mode in self._modes:
            if mode in ("checkpoints", "debug"):
                payload = _without_auth(payload)
            yield _name(mode, namespace), encode(payload)

    def _messages(self, namespace: tuple[str, ...], payload: Any) -> Iterator[tuple[str, bytes]]:
        # Asked for both forms, a client gets the tuple form only.
        if "messages-tuple" in self._modes:
            yield _name("messages", namespace), encode(payload)
            return
        message, metadata = payload
        if not isinstance(message, BaseMessage):
            return
        message_id = message.id or ""
        if message_id not in self._described:
            self._described.add(message_id)
            yield "messages/metadata", encode({message_id: {"metadata": metadata}})
        if isinstance(message, BaseMessageChunk):
            before = self._whole.get(message_id)
            whole = message if before is None else before + message
            assert isinstance(whole, BaseMessageChunk)
            self._whole[message_id] = whole
            yield "messages/partial", encode([message_chunk_to_message(whole)])
        else:
            yield "messages/complete", encode([message])


def _name(mode: str, namespace: tuple[str, ...]) -> str:
    return "|".join((mode, *namespace))


def _without_auth(payload: Any) -> Any:
    """A checkpoint payload whose configs show no identity of the caller."""
    if not isinstance(payload, dict):
        return payload
    cleaned = dict(payload)
    if isinstance(inner := cleaned.get("payload"), dict):
        cleaned["payload"] = _without_auth(inner)
    for key in ("config", "parent_config"):
        config = cleaned.get(key)
        if isinstance(config, dict) and isinstance(configurable := config.get("configurable"), dict):
            kept = {name: value for name, value in configurable.items() if name not in _AUTH_KEYS}
            cleaned[key] = {**config, "configurable": kept}
    return cleaned
