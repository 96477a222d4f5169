"""What a person wants to see of one run, reduced from the parts of its stream.

Pure: no clock of its own, no I/O. `feed()` takes parts in order; the renderers read the fields.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

State = Literal[
    "starting",
    "pending",
    "running",
    "success",
    "interrupted",
    "paused",
    "cancelled",
    "error",
    "timeout",
    "gone",
    "refused",
    "lost",
]
FINAL_STATES = frozenset(get_args(State)) - {"starting", "pending", "running"}

# The modes a run is asked for, so that this view can be built.
STREAM_MODES = ("messages-tuple", "updates", "tasks", "values", "custom")


@dataclass(slots=True)
class Said:
    """Text of one model message, growing while it streams."""

    message_id: str
    node: str
    text: str = ""
    is_whole: bool = False


@dataclass(slots=True)
class ToolCall:
    """One call of a tool by the model, and its result once it is known."""

    call_id: str
    name: str
    arguments: str = ""
    result: str | None = None
    has_failed: bool = False


@dataclass(slots=True)
class NodeDone:
    """A node that ended with a change other than messages."""

    node: str
    changes: dict[str, Any]


@dataclass(slots=True)
class Note:
    """Something a node wrote to the custom stream, or a remark about the run itself."""

    node: str
    value: Any


@dataclass(slots=True)
class Interrupt:
    """A question the graph waits with."""

    interrupt_id: str
    value: Any
    node: str = ""


@dataclass(slots=True)
class Failure:
    """The exception that ended the run; `traceback` holds the frames of the user's code where the worker sent them."""

    error: str
    message: str
    traceback: str = ""
    node: str = ""


Item = Said | ToolCall | NodeDone | Note


@dataclass(slots=True)
class RunView:
    """The visible story of one run."""

    state: State = "starting"
    run_id: str | None = None
    attempt: int = 1
    supersteps: int = 0
    items: list[Item] = field(default_factory=list[Item])
    active: dict[str, str] = field(default_factory=dict[str, str])
    interrupts: dict[str, Interrupt] = field(default_factory=dict[str, Interrupt])
    values: dict[str, Any] | None = None
    failure: Failure | None = None
    has_paused: bool = False
    tool_chunks: dict[tuple[str, int], ToolCall] = field(default_factory=dict[tuple[str, int], ToolCall])
    last_failed_node: str = ""
    earlier_messages: frozenset[str] | None = None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def text(self) -> str:
        """The last text the model said."""
        said = [item.text for item in self.items if isinstance(item, Said) and item.text]
        return said[-1] if said else ""

    @property
    def questions(self) -> list[Interrupt]:
        """The interrupts in the order in which they are numbered for the person."""
        return sorted(self.interrupts.values(), key=lambda one: one.node.split("/")[0])

    def accepted(self, run_id: str) -> None:
        """Note that the server took the run; a worker has not begun it yet."""
        self.run_id = self.run_id or run_id
        if self.state == "starting":
            self.state = "pending"

    def feed(self, event: str, data: Any) -> None:
        """Take one part of the stream; parts this view does not know change nothing."""
        mode, *namespace = event.split("|")
        path = [segment.partition(":")[0] for segment in namespace]
        match mode, data:
            case "metadata", {"run_id": str(run_id), **rest}:
                self._begin_attempt(run_id, int(rest.get("attempt") or 1))
            case "messages", [dict(message), dict(metadata)]:
                self._take_message(message, node=_label(path, metadata.get("langgraph_node")))
            case "tasks", {"id": str(task_id), "name": str(name), **rest}:
                self._take_task(task_id, _label(path, name), rest, is_root=not path)
            case "updates", dict():
                self._take_updates(data, path)
            case "values", dict():
                self._take_values(data, is_root=not path)
            case "custom", _:
                self.items.append(Note("/".join(path), data))
            case "error", dict():
                self._take_error(data)
            case _:
                pass

    def finish(self, status: str) -> None:
        """Settle the state from the run's own status once its stream has ended."""
        self.active.clear()
        if self.state in ("cancelled", "error"):
            return
        match status:
            case "success" if self.interrupts:
                self.state = "interrupted"
            case "success" if self.has_paused:
                self.state = "paused"
            case "success" | "error" | "timeout":
                self.state = status
            case "interrupted":
                self.state = "cancelled"
            case _:
                self.state = "gone"

    def _begin_attempt(self, run_id: str, attempt: int) -> None:
        self.run_id, self.state = run_id, "running"
        if attempt > self.attempt:
            self.attempt = attempt
            self.active.clear()
            # What the lost attempt had half said will be said again.
            self.items = [item for item in self.items if not (isinstance(item, Said) and not item.is_whole)]
            self.items.append(Note("", f"attempt {attempt}: continues from the last checkpoint"))

    def _take_message(self, message: dict[str, Any], *, node: str) -> None:
        kind, message_id = message.get("type"), str(message.get("id") or "")
        if kind == "AIMessageChunk":
            said = self._said(message_id, node)
            said.text += text_of(message.get("content"))
            said.is_whole = said.is_whole or message.get("chunk_position") == "last"
            for chunk in message.get("tool_call_chunks") or []:
                self._take_tool_chunk(message_id, chunk)
        elif kind in ("ai", "tool"):
            self._take_whole(message, node=node)

    def _take_tool_chunk(self, message_id: str, chunk: dict[str, Any]) -> None:
        key = (message_id, int(chunk.get("index") or 0))
        call = self.tool_chunks.get(key)
        if call is None:
            call = ToolCall(str(chunk.get("id") or ""), str(chunk.get("name") or ""))
            self.tool_chunks[key] = call
            self.items.append(call)
        call.arguments += str(chunk.get("args") or "")

    def _take_whole(self, message: dict[str, Any], *, node: str) -> None:
        # A subgraph hands its parent the whole conversation; what the thread already held is not news.
        if str(message.get("id")) in (self.earlier_messages or ()):
            return
        if message.get("type") == "tool":
            self._take_tool_result(message)
        if message.get("type") != "ai":
            return
        text = text_of(message.get("content"))
        said = self._said(str(message.get("id") or ""), node, create=bool(text))
        if said is not None:
            said.text, said.is_whole = text or said.text, True
        known = {item.call_id: item for item in self.items if isinstance(item, ToolCall)}
        for call in message.get("tool_calls") or []:
            item = known.get(str(call.get("id")))
            if item is None:
                item = ToolCall(str(call.get("id")), "")
                self.items.append(item)
            item.name = str(call.get("name") or item.name)
            item.arguments = _compact(call.get("args"))

    def _take_tool_result(self, message: dict[str, Any]) -> None:
        call_id = str(message.get("tool_call_id") or "")
        for item in self.items:
            if isinstance(item, ToolCall) and item.call_id == call_id:
                break
        else:
            item = ToolCall(call_id, str(message.get("name") or "tool"))
            self.items.append(item)
        item.result = text_of(message.get("content"))
        item.has_failed = message.get("status") == "error"

    def _take_task(self, task_id: str, node: str, rest: dict[str, Any], *, is_root: bool) -> None:
        self.state = "running" if self.state in ("starting", "pending") else self.state
        if "result" not in rest and "error" not in rest:
            if is_root and not self.active:
                self.supersteps += 1
            self.active[task_id] = node
            return
        self.active.pop(task_id, None)
        if rest.get("error"):
            self.last_failed_node = node
        for raw in rest.get("interrupts") or []:
            self._take_interrupt(raw, node)

    def _take_updates(self, data: dict[str, Any], path: list[str]) -> None:
        if (data.get("__metadata__") or {}).get("cached"):
            return  # an earlier run's work, repeated because the superstep is run again
        for node, update in data.items():
            if node == "__interrupt__":
                self.has_paused = self.has_paused or not update
                for raw in update or []:
                    self._take_interrupt(raw, "")
                continue
            changes: dict[str, Any] = {}
            for part in update if isinstance(update, list) else [update]:
                if isinstance(part, dict):
                    changes.update(part)
            label = _label(path, node)
            for message in _messages_of(changes):
                self._take_whole(message, node=label)
            rest = {key: value for key, value in changes.items() if not _is_messages(value)}
            if rest or not changes:
                self.items.append(NodeDone(label, rest))

    def _take_values(self, data: dict[str, Any], *, is_root: bool) -> None:
        if is_root:
            if self.earlier_messages is None:
                self.earlier_messages = frozenset(str(message.get("id")) for message in _messages_of(data))
            self.values = {key: value for key, value in data.items() if key != "__interrupt__"}
        for raw in data.get("__interrupt__") or []:
            self._take_interrupt(raw, "")

    def _take_interrupt(self, raw: dict[str, Any], node: str) -> None:
        interrupt_id = str(raw.get("id") or len(self.interrupts))
        known = self.interrupts.get(interrupt_id)
        if known is None:
            self.interrupts[interrupt_id] = Interrupt(interrupt_id, raw.get("value"), node)
        elif node and (not known.node or len(node) > len(known.node)):
            known.node = node

    def _take_error(self, data: dict[str, Any]) -> None:
        self.state = "error"
        self.failure = Failure(
            error=str(data.get("error") or "Error"),
            message=str(data.get("message") or ""),
            traceback=str(data.get("traceback") or ""),
            node=self.last_failed_node,
        )
        self.active.clear()

    def _said(self, message_id: str, node: str, *, create: bool = True) -> Any:
        for item in reversed(self.items):
            if isinstance(item, Said) and item.message_id == message_id:
                return item
        if not create:
            return None
        said = Said(message_id, node)
        self.items.append(said)
        return said


def text_of(content: Any) -> str:
    """The readable text of a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return "" if content is None else _compact(content)
    parts = (block if isinstance(block, str) else block.get("text") for block in content)
    return "".join(part for part in parts if isinstance(part, str))


def _label(path: list[str], node: Any) -> str:
    return "/".join([*path, str(node)]) if node else "/".join(path)


def _is_messages(value: Any) -> bool:
    found = value if isinstance(value, list) else [value]
    return bool(found) and all(isinstance(one, dict) and "type" in one and "content" in one for one in found)


def _messages_of(changes: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for value in changes.values():
        if _is_messages(value):
            messages.extend(value if isinstance(value, list) else [value])
    return messages


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
