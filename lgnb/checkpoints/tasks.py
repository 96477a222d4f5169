"""What a graph says about a checkpoint while it runs, made into the rows that let others read it without the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from ..json_encoding import jsonable
from ..models.checkpoints import CheckpointKey, NextTasks

VisibleChannels = str | Sequence[str] | None
"""`graph.stream_channels_asis`: the names shown in the state, or the one whose value is the state."""


def tasks_of_event(
    payload: Mapping[str, Any], *, channels: VisibleChannels = None
) -> tuple[CheckpointKey, NextTasks] | None:
    """Key and tasks of a "checkpoints" stream event, or of the payload of a "debug" event of type checkpoint.

    `channels` are those of the graph that sent the event; without them the reader tells visible channels by their
    names, which is right for a `StateGraph` and an `@entrypoint`. None when the event names no checkpoint.
    """
    key = _key(payload.get("config"))
    if key is None:
        return None
    tasks = payload.get("tasks") or ()
    return key, _next_tasks(
        [{"id": task["id"], "name": task["name"], "subgraph": bool(task.get("state"))} for task in tasks],
        channels,
        values=payload.get("values"),
    )


def tasks_of_snapshot(snapshot: Any, *, channels: VisibleChannels = None) -> tuple[CheckpointKey, NextTasks] | None:
    """The same from a `StateSnapshot`, for a checkpoint made by `update_state`. Read it by its checkpoint id."""
    key = _key(snapshot.config)
    if key is None:
        return None
    return key, _next_tasks(
        [
            {"id": task.id, "name": task.name, "path": list(task.path), "subgraph": bool(task.state)}
            for task in snapshot.tasks
        ],
        channels,
        values=snapshot.values,
    )


def _next_tasks(tasks: list[dict[str, Any]], channels: VisibleChannels, *, values: Any) -> NextTasks:
    name = channels if isinstance(channels, str) else ""
    by_channel = values if isinstance(values, dict) and not isinstance(channels, str) else {name: values}
    return NextTasks(
        next=tuple(task["name"] for task in tasks),
        tasks=tuple(tasks),
        channels=(channels,) if isinstance(channels, str) else tuple(channels or ()),
        is_single=isinstance(channels, str) or (channels is None and not isinstance(values, dict)),
        # Reducers start from an empty value, which is shown but not stored. A stored value goes before these.
        defaults={channel: jsonable(value) for channel, value in by_channel.items() if _is_empty(value)},
    )


def _is_empty(value: Any) -> bool:
    return type(value) in (list, dict, set, tuple, str, int, float, bool, bytes) and not value


def _key(config: Mapping[str, Any] | None) -> CheckpointKey | None:
    configurable: dict[str, Any] = (config or {}).get("configurable") or {}
    if not configurable.get("checkpoint_id"):
        return None
    return CheckpointKey(
        thread_id=UUID(str(configurable["thread_id"])),
        checkpoint_ns=configurable.get("checkpoint_ns") or "",
        checkpoint_id=UUID(configurable["checkpoint_id"]),
    )
