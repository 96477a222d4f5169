"""Messages of subgraphs for clients that did not ask for subgraphs: whole, once the node around them has ended.

LangGraph does this by itself when it is not asked for subgraphs; but it always is, for the sake of readers. So the
messages are found here in the result of the node that holds the subgraph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from langchain_core.messages import BaseMessage, BaseMessageChunk

# The library's word for a node that was triggered by a channel.
_PULL = "__pregel_pull"


class NestedMessages:
    """Observes everything that a graph yields. One per run."""

    needed_modes = frozenset(("messages", "tasks"))

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self._about: dict[str, dict[str, Any]] = {}
        self._with_subgraph: set[str] = set()
        self._of_run: dict[str, Any] = {}
        self._step = 0

    def observe(self, namespace: tuple[str, ...], mode: str, payload: Any) -> Iterator[tuple[BaseMessage, Any]]:
        """(message, metadata) pairs to show before what is observed now."""
        if namespace:
            # Only nodes around a subgraph have messages left to show; the others' were streamed by LangGraph.
            self._with_subgraph.add(namespace[0])
            if mode == "messages" and "thread_id" in payload[1]:
                self._of_run = {"thread_id": payload[1]["thread_id"]}
        elif mode == "messages":
            self._shown.update(_ids([payload[0]]))
        elif mode == "checkpoints":
            self._step = int(payload["metadata"]["step"])
        elif mode == "tasks" and "result" not in payload:
            self._shown.update(_ids(_messages_in(payload.get("input"))))
            self._about[payload["id"]] = {
                **(payload.get("metadata") or {}),
                "ls_integration": "langgraph",
                "langgraph_step": self._step + 1,
                "langgraph_node": payload["name"],
                "langgraph_triggers": payload["triggers"],
                "langgraph_path": (_PULL, payload["name"]),
                "langgraph_checkpoint_ns": _segment(payload),
            }
        elif mode == "tasks" and _segment(payload) in self._with_subgraph:
            for message in _messages_in(payload["result"]):
                if message.id not in self._shown:
                    self._shown.update(_ids([message]))
                    yield message, self._about.get(payload["id"], {}) | self._of_run


def _segment(task: Mapping[str, Any]) -> str:
    return f"{task['name']}:{task['id']}"


def _ids(messages: Iterable[Any]) -> set[str]:
    return {message.id for message in messages if isinstance(message, BaseMessage) and message.id}


def _messages_in(state: Any) -> Iterator[BaseMessage]:
    """Whole messages that a state holds, by themselves or in lists."""
    if not isinstance(state, dict):
        state = getattr(state, "__dict__", {})
    for value in cast(dict[str, Any], state).values():
        for one in cast(list[Any], value) if isinstance(value, list | tuple) else (value,):
            if isinstance(one, BaseMessage) and not isinstance(one, BaseMessageChunk):
                yield one
