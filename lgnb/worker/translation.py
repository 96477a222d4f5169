"""From what a graph yields to what a client of the run's stream sees: names, order and JSON of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message

from ..json_encoding import encode
from .nested_messages import NestedMessages

# What the server always asks a graph for: its output for waiting callers, its checkpoints for readers.
_ALWAYS_ASKED = ("values", "checkpoints")
_MESSAGE_MODES = frozenset(("messages", "messages-tuple"))

_AUTH_KEYS = ("langgraph_auth_user", "langgraph_auth_user_id", "langgraph_auth_permissions")


class EventTranslator:
    """Turns (namespace, mode, payload) triples of one run into (event, data) pairs; keeps what spans several.

    The graph is asked with subgraphs, whatever the client wants: readers need the checkpoints of all of them.
    """

    def __init__(self, *, stream_modes: Sequence[str], subgraphs: bool) -> None:
        self._modes = frozenset(stream_modes)
        self._subgraphs = subgraphs
        self._whole: dict[str, BaseMessageChunk] = {}
        self._described: set[str] = set()
        self._nested = NestedMessages() if not subgraphs and not self._modes.isdisjoint(_MESSAGE_MODES) else None

    @property
    def library_modes(self) -> list[str]:
        """The modes to ask the graph for."""
        asked = {("messages" if mode == "messages-tuple" else mode) for mode in self._modes if mode != "events"}
        if self._nested is not None:
            asked |= self._nested.needed_modes
        return sorted(asked.union(_ALWAYS_ASKED))

    @property
    def wants_events(self) -> bool:
        """Whether the run must be driven through `astream_events`."""
        return "events" in self._modes

    def translate(self, namespace: tuple[str, ...], mode: str, payload: Any) -> Iterator[tuple[str, bytes]]:
        """The events of one thing that the graph yielded; none when the client did not ask for it."""
        if self._nested is not None:
            for message, metadata in self._nested.observe(namespace, mode, payload):
                yield from self._messages((), (message, metadata))
        if namespace and not self._subgraphs:
            return
        if mode == "messages":
            yield from self._messages(namespace, payload)
        elif mode in self._modes:
            if mode in ("checkpoints", "debug"):
                payload = _without_auth(payload)
            if mode == "debug":
                payload = _with_references(payload)
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
    cleaned: dict[str, Any] = dict(cast(dict[str, Any], payload))
    if isinstance(inner := cleaned.get("payload"), dict):
        cleaned["payload"] = _without_auth(inner)
    for key in ("config", "parent_config"):
        config = cleaned.get(key)
        if isinstance(config, dict) and isinstance(configurable := config.get("configurable"), dict):
            kept = {name: value for name, value in configurable.items() if name not in _AUTH_KEYS}
            cleaned[key] = {**config, "configurable": kept}
    return cleaned


def _with_references(event: Any) -> Any:
    """A debug event; one of a checkpoint also names checkpoints the way a ThreadState does."""
    if not isinstance(event, dict) or event.get("type") != "checkpoint":
        return event
    payload = event["payload"]
    references = {
        "checkpoint": _reference(payload.get("config")),
        "parent_checkpoint": _reference(payload.get("parent_config")),
        "tasks": [_with_subgraph_reference(task) for task in payload.get("tasks") or ()],
    }
    return {**event, "payload": {**payload, **references}}


def _with_subgraph_reference(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task around a subgraph names that graph's checkpoint, where the library gives the config of its state."""
    state = task.get("state")
    if not isinstance(state, dict) or "configurable" not in state:
        return dict(task)
    return {**{key: value for key, value in task.items() if key != "state"}, "checkpoint": _reference(state)}


def _reference(config: Any) -> dict[str, Any] | None:
    configurable = (config or {}).get("configurable") or {}
    names = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    return {name: configurable[name] for name in names if configurable.get(name) is not None} or None
