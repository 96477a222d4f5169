"""States of a thread as the API shows them (contract 2.2.1), read from rows alone: no graph, no revived type.

Only the graph can apply its reducers, so the values are those stored with the checkpoint: without a delta channel
between its snapshots, and without what a command's update or the finished tasks of an open superstep will add. The
state that a run leaves in the thread's row has all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast
from uuid import UUID

from ..models.access import Condition
from ..models.checkpoints import (
    NO_RUN,
    PARTS,
    Blob,
    CheckpointFilter,
    NextTasks,
    SavedCheckpoint,
    SavedWrite,
    parts_of,
)
from .view import view

ThreadState = dict[str, Any]

# The library's names for what a write or channel is about.
_ERROR, _INTERRUPT, _RESUME, _ERROR_SOURCE = "__error__", "__interrupt__", "__resume__", "__error_source_node__"
_CONTROL = frozenset((_ERROR, _INTERRUPT, _RESUME, _ERROR_SOURCE))
_RETURN, _SENDS, _ROOT, _END = "__return__", "__pregel_tasks", "__root__", "__end__"
_PUSH, _PULL = "__pregel_push", "__pregel_pull"
_NO_TASK = NO_RUN  # writes that belong to no task carry the same zeros
_INTERNAL = ("__", "branch:to:", "join:")

_ELSEWHERE_FROM_BYTES = 256 * 1024
"""From this size on, decoding moves to a thread, so that it does not hold up the loop."""


class CheckpointPages(Protocol):
    """The part of a CheckpointStorage that reading needs."""

    async def get(
        self, *, thread_id: UUID, checkpoint_ns: str, checkpoint_id: UUID | None = None
    ) -> SavedCheckpoint | None: ...

    async def list(self, which: CheckpointFilter) -> Sequence[SavedCheckpoint]: ...


async def thread_states(
    storage: CheckpointPages,
    thread_id: UUID,
    *,
    checkpoint_ns: str = "",
    checkpoint_id: UUID | None = None,
    before: UUID | None = None,
    limit: int | None = 10,
    metadata_filter: dict[str, Any] | None = None,
    subgraphs: bool = False,
    live: bool = False,
    visible: Condition | None = None,
) -> list[ThreadState]:
    """States newest first, from `checkpoint_id` alone or from all checkpoints older than `before`.

    With `live` a state tells what is still to be done: tasks that have finished are no longer next, and answered
    interrupts are gone. Otherwise it records the step as it began. With `subgraphs` each task of a subgraph carries
    that graph's own newest state in place of a reference. There are none where the thread is not `visible`.
    """
    page: Sequence[SavedCheckpoint]
    if limit == 1 and before is None and not metadata_filter and visible is None:
        # The usual case, which one statement answers.
        saved = await storage.get(thread_id=thread_id, checkpoint_ns=checkpoint_ns, checkpoint_id=checkpoint_id)
        page = [saved] if saved else []
    else:
        page = await storage.list(
            CheckpointFilter(
                thread_id=thread_id,
                checkpoint_ns=checkpoint_ns,
                checkpoint_id=checkpoint_id,
                before=before,
                metadata=metadata_filter,
                limit=limit,
                visible=visible,
            )
        )
    size = sum(len(blob.data) for saved in page for blob in saved.values.values())
    if size < _ELSEWHERE_FROM_BYTES:
        states = _states(page, live=live)
    else:
        states = await asyncio.to_thread(_states, page, live=live)
    if subgraphs:
        for state in states:
            for task in state["tasks"]:
                if task["checkpoint"]:
                    task["state"] = await _nested(storage, thread_id, task["checkpoint"], visible)
                    task["checkpoint"] = None
    return states


def empty_state(checkpoint: dict[str, Any] | None = None) -> ThreadState:
    """The state of a thread, or of a subgraph's namespace, in which nothing has been saved."""
    return {
        "values": {},
        "next": [],
        "tasks": [],
        "metadata": None,
        "created_at": None,
        "checkpoint": checkpoint,
        "parent_checkpoint": None,
        "interrupts": [],
        "checkpoint_id": None,
        "parent_checkpoint_id": None,
    }


async def _nested(
    storage: CheckpointPages, thread_id: UUID, checkpoint: dict[str, Any], visible: Condition | None
) -> ThreadState:
    namespace: str = checkpoint["checkpoint_ns"]
    # A subgraph with a memory of its own keeps one namespace for all its calls, without the ids of the tasks.
    shared = "|".join(part.partition(":")[0] for part in namespace.split("|"))
    for place in (namespace, shared):
        found = await thread_states(
            storage, thread_id, checkpoint_ns=place, limit=1, subgraphs=True, live=True, visible=visible
        )
        if found:
            return found[0]
    return empty_state(checkpoint)


def _states(page: Sequence[SavedCheckpoint], *, live: bool) -> list[ThreadState]:
    reader = _Reader()
    return [reader.state(saved, live=live) for saved in page]


class _Reader:
    """Decodes the values of one page; what several checkpoints share is decoded once."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Blob, Any]] = {}
        self._parts: dict[bytes, Any] = {}

    def state(self, saved: SavedCheckpoint, *, live: bool) -> ThreadState:
        key, told = saved.key, saved.tasks
        single = _single_channel(saved)
        tasks = self._tasks(saved, told, single, live=live) if told else []
        finished = _finished(saved.writes) if live else frozenset[str]()
        return {
            "values": self._values(saved, single),
            "next": [task["name"] for task in tasks if task["id"] not in finished],
            "tasks": tasks,
            "metadata": {**saved.metadata, "thread_id": str(key.thread_id)},
            "created_at": saved.created_at.isoformat(),
            "checkpoint": _reference(saved, key.checkpoint_id),
            "parent_checkpoint": _reference(saved, saved.parent_checkpoint_id),
            "interrupts": [interrupt for task in tasks for interrupt in task["interrupts"]],
            "checkpoint_id": str(key.checkpoint_id),
            "parent_checkpoint_id": str(saved.parent_checkpoint_id) if saved.parent_checkpoint_id else None,
        }

    def _view(self, blob: Blob) -> Any:
        known = self._seen.get(id(blob))
        if known is None:
            # The blob is kept as well, so that its id cannot come to mean another one.
            shown = self._list(blob) if blob.type == PARTS else view(blob)
            known = self._seen[id(blob)] = (blob, shown)
        return known[1]

    def _list(self, blob: Blob) -> list[Any]:
        """A list stored in parts, most of which another checkpoint shows as well."""
        shown: list[Any] = []
        for part in parts_of(blob):
            if part.data not in self._parts:
                self._parts[part.data] = view(part)
            shown += self._parts[part.data] or ()
        return shown

    def _values(self, saved: SavedCheckpoint, single: str | None) -> Any:
        defaults = saved.tasks.defaults if saved.tasks else {}
        if single is not None:
            if single in saved.values:
                return self._view(saved.values[single])
            return defaults.get(single, defaults.get(""))
        stored = {
            channel: self._view(saved.values[channel])
            for channel in _visible(saved.tasks, saved.values)
            if channel in saved.values
        }
        unwritten = defaults.keys() - stored.keys() - saved.checkpoint["channel_versions"].keys()
        return stored | {channel: defaults[channel] for channel in sorted(unwritten) if channel}

    def _tasks(
        self, saved: SavedCheckpoint, told: NextTasks, single: str | None, *, live: bool
    ) -> list[dict[str, Any]]:
        writes: dict[str, list[SavedWrite]] = {}
        for write in saved.writes:
            writes.setdefault(str(write.task_id), []).append(write)
        paths = self._paths(saved, told)
        return [
            self._task(saved, task, path, writes.get(task["id"], []), single, live=live)
            for task, path in zip(told.tasks, paths, strict=True)
        ]

    def _task(
        self,
        saved: SavedCheckpoint,
        task: dict[str, Any],
        path: list[Any],
        writes: list[SavedWrite],
        single: str | None,
        *,
        live: bool,
    ) -> dict[str, Any]:
        outputs = [write for write in writes if write.channel not in _CONTROL]
        errors = [write for write in writes if write.channel == _ERROR]
        interrupts = [] if live and outputs else [write for write in writes if write.channel == _INTERRUPT]
        namespace = f"{task['name']}:{task['id']}"
        if saved.key.checkpoint_ns:
            namespace = f"{saved.key.checkpoint_ns}|{namespace}"
        return {
            "id": task["id"],
            "name": task["name"],
            "path": path,
            "error": self._view(errors[0].blob) if errors else None,
            "interrupts": [shown for write in interrupts for shown in _interrupts(self._view(write.blob))],
            "checkpoint": {"thread_id": str(saved.key.thread_id), "checkpoint_ns": namespace}
            if task["subgraph"]
            else None,
            "state": None,
            "result": self._result(saved, outputs, single) if outputs else None,
        }

    def _result(self, saved: SavedCheckpoint, outputs: list[SavedWrite], single: str | None) -> Any:
        returned = [write for write in outputs if write.channel == _RETURN]
        if returned:
            return self._view(returned[0].blob)
        shown = {single} if single is not None else set(_visible(saved.tasks, [w.channel for w in outputs]))
        folded: dict[str, list[Any]] = {}
        for write in outputs:
            if write.channel in shown:
                folded.setdefault(write.channel, []).append(self._view(write.blob))
        result = {channel: parts[0] if len(parts) == 1 else {"$writes": parts} for channel, parts in folded.items()}
        return result if single is None else result.get(single)

    def _paths(self, saved: SavedCheckpoint, told: NextTasks) -> list[list[Any]]:
        """The paths told, or worked out: sends come first, in the order of the channel that holds them."""
        sends: list[Any] = (self._view(saved.values[_SENDS]) if _SENDS in saved.values else None) or []
        waiting = [(index, cast(Any, send)["node"]) for index, send in enumerate(sends) if isinstance(send, dict)]
        paths: list[list[Any]] = []
        for task in told.tasks:
            # A send to a node that does not exist makes no task.
            while waiting and waiting[0][1] != task["name"] and any(node == task["name"] for _, node in waiting):
                waiting.pop(0)
            if waiting and waiting[0][1] == task["name"]:
                worked_out: list[Any] = [_PUSH, waiting.pop(0)[0], False]
            else:
                worked_out = [_PULL, task["name"]]
            paths.append(task.get("path") or worked_out)
        return paths


def _visible(told: NextTasks | None, channels: Iterable[str]) -> Sequence[str]:
    if told and told.channels:
        return told.channels
    return sorted(channel for channel in channels if not channel.startswith(_INTERNAL))


def _single_channel(saved: SavedCheckpoint) -> str | None:
    """The one channel whose value is the whole state, if this is such a graph."""
    told, versions = saved.tasks, saved.checkpoint["channel_versions"]
    if told and told.is_single and told.channels:
        return told.channels[0]
    if told and told.channels:
        return None
    if _ROOT in versions or any(write.channel == _ROOT for write in saved.writes):
        return _ROOT
    # The state of an entrypoint is what it returned.
    return _END if _END in versions or (told is not None and told.is_single) else None


def _finished(writes: Iterable[SavedWrite]) -> frozenset[str]:
    return frozenset(
        str(write.task_id) for write in writes if write.channel not in _CONTROL and write.task_id != _NO_TASK
    )


def _interrupts(value: Any) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    raised = cast(list[Any], value if isinstance(value, list) else [value])
    for interrupt in (cast(dict[str, Any], one) for one in raised if isinstance(one, dict)):
        if "value" in interrupt:
            one: dict[str, Any] = {"id": interrupt.get("id"), "value": interrupt["value"]}
            if interrupt.get("response_schema") is not None:
                one["response_schema"] = interrupt["response_schema"]
            shown.append(one)
    return shown


def _reference(saved: SavedCheckpoint, checkpoint_id: UUID | None) -> dict[str, Any] | None:
    if checkpoint_id is None:
        return None
    reference: dict[str, Any] = {
        "checkpoint_id": str(checkpoint_id),
        "thread_id": str(saved.key.thread_id),
        "checkpoint_ns": saved.key.checkpoint_ns,
    }
    if parents := saved.metadata.get("parents"):
        reference["checkpoint_map"] = {**parents, saved.key.checkpoint_ns: str(checkpoint_id)}
    return reference
