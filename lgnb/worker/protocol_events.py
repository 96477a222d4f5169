"""From what a graph yields to the events of the thread protocol: channels, order, and the life of subgraphs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any, cast
from uuid import UUID

from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage

from ..json_encoding import describe_error, encode, jsonable
from ..models.protocol import ProtocolEvent, input_requested
from .protocol_messages import ChunkAssembly, whole_message_events, without_messages

Namespace = tuple[str, ...]


class ProtocolTranslator:
    """Turns (namespace, mode, payload) triples of one attempt into events. Feed it everything, in order."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        # Held until it is known whether the checkpoint comes next: clients expect that before its values.
        self._held: dict[Namespace, Any] = {}
        self._seen: set[Namespace] = set()
        self._open: dict[Namespace, str] = {}
        self._tool_calls: dict[str, str] = {}
        self._interrupts: dict[str, tuple[Namespace, Any]] = {}
        self._chunks: dict[str, tuple[Namespace, Any, ChunkAssembly]] = {}
        self._message_ids: dict[str, str] = {}
        self._known_messages: set[str] = set()

    def translate(self, namespace: Namespace, mode: str, payload: Any) -> Iterator[ProtocolEvent]:
        """The events of one thing that the graph yielded."""
        if mode == "checkpoints":
            yield self._event("checkpoints", namespace, _checkpoint(payload))
            yield from self._release(namespace)
            return
        yield from self._release(namespace)
        if mode == "values":
            self._note_interrupts(namespace, payload)
            self._held[namespace] = payload
        elif mode == "updates":
            yield self._event("updates", namespace, without_messages(payload))
        elif mode == "messages":
            yield from self._messages(namespace, payload)
        elif mode == "tools":
            yield from self._tools(namespace, payload)
        elif mode == "tasks":
            yield from self._tasks(namespace, payload)
        elif mode == "custom":
            name = cast("dict[str, Any]", payload).get("name") if isinstance(payload, dict) else None
            yield self._event("custom", namespace, payload, name=name if isinstance(name, str) else "")

    def rest(self, status: str) -> Iterator[ProtocolEvent]:
        """What is still held back when the graph has come to its end, in this status."""
        for namespace in list(self._held):
            yield from self._release(namespace)
        for message_id in list(self._chunks):
            yield from self._chunk_events(message_id, self._chunks[message_id][2].finish())
            self._chunks.pop(message_id, None)
        for namespace in sorted(self._open, key=len, reverse=True):
            yield self._child_lifecycle(namespace, status)
        self._open.clear()

    def requests(self, waiting: Collection[str] | None) -> Iterator[ProtocolEvent]:
        """The questions to a person; `waiting` names the interrupts that are unanswered, None means all."""
        for interrupt_id, (namespace, value) in self._interrupts.items():
            if waiting is None or interrupt_id in waiting:
                now_ms = time.time_ns() // 1_000_000
                yield input_requested(self._run_id, namespace, interrupt_id, jsonable(value), timestamp_ms=now_ms)

    def _release(self, namespace: Namespace) -> Iterator[ProtocolEvent]:
        if namespace in self._held:
            yield self._event("values", namespace, without_messages(self._held.pop(namespace)))

    def _note_interrupts(self, namespace: Namespace, payload: Any) -> None:
        found = cast("dict[str, Any]", payload).get("__interrupt__") if isinstance(payload, dict) else None
        for interrupt in found or ():
            # The graph that asked reports first; the graphs around it only pass it on.
            self._interrupts.setdefault(interrupt.id, (namespace, interrupt.value))

    # messages

    def _messages(self, namespace: Namespace, payload: Any) -> Iterator[ProtocolEvent]:
        message, metadata = payload
        node = metadata.get("langgraph_node")
        if isinstance(message, dict):
            event = cast("dict[str, Any]", message)
            key = str(metadata.get("run_id", ""))
            if event.get("event") == "message-start":
                self._message_ids[key] = str(event.get("id") or "")
            yield self._message_event(namespace, node, event, self._message_ids.get(key, ""))
        elif isinstance(message, AIMessageChunk):
            message_id = message.id or ""
            if message_id not in self._chunks:
                self._chunks[message_id] = (namespace, node, ChunkAssembly(message_id))
            yield from self._chunk_events(message_id, self._chunks[message_id][2].add(message))
            if message.chunk_position == "last":
                del self._chunks[message_id]
        elif isinstance(message, ToolMessage):
            # Told where the tool ends, in a namespace of its own.
            return
        elif isinstance(message, BaseMessage):
            if message.id and message.id not in self._known_messages:
                self._known_messages.add(message.id)
                role = "human" if message.type == "human" else "system" if message.type == "system" else "ai"
                for event in whole_message_events(message, message_id=message.id, role=role):
                    yield self._message_event(namespace, node, event, message.id)

    def _chunk_events(self, message_id: str, events: Iterator[dict[str, Any]]) -> Iterator[ProtocolEvent]:
        namespace, node, _ = self._chunks[message_id]
        for event in events:
            yield self._message_event(namespace, node, event, message_id)

    def _message_event(self, namespace: Namespace, node: Any, event: dict[str, Any], message_id: str) -> ProtocolEvent:
        if event.get("event") == "message-start":
            self._known_messages.add(message_id)
        elif message_id:
            # Two messages may be written at the same time; by this a client keeps them apart.
            event = {**event, "message_id": message_id}
        return self._event("messages", namespace, event, node=node)

    # tools

    def _tools(self, namespace: Namespace, payload: dict[str, Any]) -> Iterator[ProtocolEvent]:
        output = payload.get("output")
        yield self._event("tools", namespace, {**payload, "output": without_messages(output)} if output else payload)
        if payload.get("event") == "tool-finished" and isinstance(output, ToolMessage):
            call_id = str(payload["tool_call_id"])
            inner = (*namespace, f"tools:{call_id}")
            message_id = f"tool-{call_id}"
            for event in whole_message_events(output, message_id=message_id, role="tool", tool_call_id=call_id):
                yield self._message_event(inner, None, event, message_id)

    # tasks, and by them the life of subgraphs

    def _tasks(self, namespace: Namespace, payload: dict[str, Any]) -> Iterator[ProtocolEvent]:
        if "result" in payload:
            yield self._event("tasks", namespace, _task(payload))
            status = "interrupted" if payload.get("interrupts") else "failed" if payload.get("error") else "completed"
            for child in [ns for ns, task in self._open.items() if ns[:-1] == namespace and task == payload["id"]]:
                del self._open[child]
                yield self._child_lifecycle(child, status, error=payload.get("error"))
            return
        self._note_tool_call(payload)
        if namespace and namespace not in self._seen:
            self._seen.add(namespace)
            yield self._started(namespace, payload.get("metadata") or {})
        yield self._event("tasks", namespace, _task(payload))

    def _note_tool_call(self, task: dict[str, Any]) -> None:
        """Which call of a tool a task executes: a subgraph that it starts was caused by that call."""
        given = task.get("input")
        call: Any = None
        if isinstance(given, dict):
            call = cast("dict[str, Any]", given).get("tool_call")
        elif isinstance(given, list) and given:
            call = cast("list[Any]", given)[0]
        if isinstance(call, dict) and isinstance(call_id := cast("dict[str, Any]", call).get("id"), str):
            self._tool_calls[task["id"]] = call_id

    def _started(self, namespace: Namespace, metadata: dict[str, Any]) -> ProtocolEvent:
        node, _, task_id = namespace[-1].partition(":")
        agent_name = metadata.get("lc_agent_name")
        data: dict[str, Any] = {
            "event": "started",
            "namespace": namespace,
            "graph_name": agent_name or node,
            "trigger_call_id": task_id,
        }
        if agent_name and task_id in self._tool_calls:
            data["cause"] = {"type": "toolCall", "tool_call_id": self._tool_calls[task_id]}
        self._open[namespace] = task_id
        return self._event("lifecycle", namespace, data, event_id=self._lifecycle_id(namespace, "started"))

    def _child_lifecycle(self, namespace: Namespace, status: str, *, error: Any = None) -> ProtocolEvent:
        data: dict[str, Any] = {"event": status, "graph_name": namespace[-1].partition(":")[0]}
        if error:
            data["error"] = _error_text(error)
        return self._event("lifecycle", namespace, data, event_id=self._lifecycle_id(namespace, status))

    def _lifecycle_id(self, namespace: Namespace, status: str) -> str:
        return f"synth:{self._run_id}:lc|{'|'.join(namespace)}|{status}"

    def _event(
        self, method: str, namespace: Namespace, data: Any, *, name: str = "", node: Any = None, event_id: str = ""
    ) -> ProtocolEvent:
        params: dict[str, Any] = {"namespace": namespace, "timestamp": time.time_ns() // 1_000_000, "data": data}
        if node:
            params["node"] = node
        return ProtocolEvent(method=method, namespace=namespace, params=encode(params), name=name, event_id=event_id)


def _checkpoint(payload: dict[str, Any]) -> dict[str, Any]:
    """What a client needs to go back to a checkpoint."""
    parent = (payload.get("parent_config") or {}).get("configurable") or {}
    metadata = payload.get("metadata") or {}
    found = {
        "id": payload["config"]["configurable"]["checkpoint_id"],
        "parent_id": parent.get("checkpoint_id"),
        "step": metadata.get("step"),
        "source": metadata.get("source"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _task(payload: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in payload.items() if key != "metadata"}
    for key in ("input", "result"):
        if key in shown:
            shown[key] = without_messages(shown[key])
    return shown


def _error_text(error: Any) -> str:
    if isinstance(error, BaseException):
        described = describe_error(error)
        return described["message"] or described["error"]
    return str(error)
