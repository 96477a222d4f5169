"""A checkpoint from its JSON: values revived by what the graph declares, and the nodes that come next.

The API tells values and next nodes, not the inside of a checkpoint; that is made anew for the graph at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.channels import EphemeralValue, NamedBarrierValue
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.pregel import Pregel
from pydantic import TypeAdapter

from ..errors import InvalidRequest
from .past import State, next_of

START = "__start__"

_MESSAGES: dict[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "AIMessageChunk": AIMessageChunk,
    "system": SystemMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
    "chat": ChatMessage,
    "remove": RemoveMessage,
}


def revived(graph: Pregel, values: Any, *, notes: list[str]) -> dict[str, Any]:
    """The values of a state as the objects that the graph's channels declare.

    Messages are recognised everywhere. What cannot be made into its type stays plain JSON, and `notes` says so.
    """
    found: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", values or {}).items():
        channel = graph.channels.get(name)
        if channel is None:
            notes.append(f"{name}: this graph has no such key, so it is left out.")
            continue
        found[name] = _value(name, getattr(channel, "ValueType", Any), value, notes)
    return found


def input_of_start(state: State) -> Any:
    """What the run was called with, told by its first checkpoint.

    Raises:
        InvalidRequest: the server does not tell.
    """
    result: Any = next((task.get("result") for task in state.get("tasks") or [] if task.get("name") == START), None)
    if result is None:
        raise InvalidRequest("The server does not tell the input of this checkpoint; begin at the one after it.")
    return result


def checkpoint_of(graph: Pregel, state: State, before: Sequence[State], *, notes: list[str]) -> Checkpoint:
    """The checkpoint at which exactly the nodes in the state's `next` run.

    Args:
        before: the states that led to it, oldest first.

    Raises:
        InvalidRequest: the graph has no such node, or a node waits for what history does not tell.
    """
    waiting = [name for name in next_of(state) if name != START]
    _require_nodes(graph, state, waiting)
    values = revived(graph, state.get("values"), notes=notes)
    values |= _barriers(graph, [*before, state])
    values |= {_trigger(graph, name): None for name in waiting}
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = values
    return checkpoint


def _require_nodes(graph: Pregel, state: State, waiting: Sequence[str]) -> None:
    known = sorted(name for name in graph.nodes if name != START)
    if unknown := [name for name in waiting if name not in graph.nodes]:
        raise InvalidRequest(
            f"The thread goes on with {', '.join(unknown)} there, but this graph has only {', '.join(known)}; "
            "begin at another checkpoint."
        )
    for task in state.get("tasks") or []:
        path = task.get("path") or ()
        if path and path[0] == "__pregel_push":
            raise InvalidRequest(
                f"Node {task.get('name')} was sent to with arguments that history does not tell; begin one earlier."
            )


def _trigger(graph: Pregel, name: str) -> str:
    for trigger in graph.nodes[name].triggers:
        if isinstance(graph.channels.get(trigger), EphemeralValue):
            return trigger
    raise InvalidRequest(f"Node {name} cannot be started from the middle; begin at the first checkpoint of the run.")


def _barriers(graph: Pregel, states: Sequence[State]) -> dict[str, set[str]]:
    """Which of the nodes that another one waits for have come to their end."""
    found: dict[str, set[str]] = {}
    for channel, barrier in graph.channels.items():
        if not isinstance(barrier, NamedBarrierValue):
            continue
        seen: set[str] = set()
        for state in states[:-1]:
            seen |= barrier.names.intersection(next_of(state))
            if seen == barrier.names:
                # The waiting node is in the next of the following state.
                seen = set()
        found[channel] = seen
    return found


def _value(name: str, declared: Any, value: Any, notes: list[str]) -> Any:
    value = _with_messages(value)
    try:
        return TypeAdapter(declared).validate_python(value)
    except Exception as error:  # noqa: BLE001  of a user's type, which may raise anything
        if not _is_plain(declared):
            notes.append(f"{name}: stays plain JSON ({type(error).__name__}).")
        return value


def _with_messages(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_messages(one) for one in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        fields = cast("dict[str, Any]", value)
        kind = _MESSAGES.get(str(fields.get("type")))
        if kind is not None and "content" in fields:
            try:
                return kind.model_validate(fields)
            except ValueError:
                return fields
        return {key: _with_messages(one) for key, one in fields.items()}
    return value


def _is_plain(declared: Any) -> bool:
    return declared in (Any, str, int, float, bool, list, dict)
