"""One assistant as an agent: what the methods of the protocol do with threads and runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from lgnb.errors import GraphLoadError, NotFound, ThreadNotFound
from lgnb.models.assistants import Assistant
from lgnb.models.runs import Run, RunRequest
from lgnb.models.threads import Thread
from lgnb.resources import Resources

from ..jsonrpc import RpcError
from .cards import modes, output_modes
from .inputs import answer, check_file_types, fields_of, graph_input
from .listing import Place, Wanted
from .parts import ENDED, ArtifactUpdate, Message, Status, StatusUpdate, Task, TaskId, Update
from .reading import TASK_KEY, TASK_NOT_CANCELABLE, UNSUPPORTED, History, Sent, no_task
from .tasks import Left, messages_of, progress, submitted, task_id_of, task_of

_PAGE = 100
# A page of tasks ends after so many threads, so that a filter which fits none of them ends it too.
_MOST_THREADS = 500
_NO_HISTORY = History(0, "task")


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that works on a task, and the task as it was when the run was accepted."""

    run: Run
    task: Task


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of tasks, and where the next one begins."""

    tasks: list[Task]
    next: Place | None


class Agent:
    """Speaks for one assistant to one caller. Methods raise RpcError, or whatever the resources raise."""

    def __init__(self, resources: Resources, assistant: Assistant, *, request_id: str, headers: dict[str, Any]) -> None:
        self._resources = resources
        self._assistant = assistant
        self._request_id = request_id
        self._headers = headers
        self._known_schemas: dict[str, Any] | None = None

    @property
    def output_modes(self) -> list[str]:
        """The media types of what this agent answers."""
        return output_modes(self._assistant)

    async def send(self, sent: Sent) -> Begun:
        """Begin a task, or go on with the one that the message names."""
        task = await self._continued(sent.task_id) if sent.task_id else None
        check_file_types(sent.parts, modes(self._assistant, "input_modes"))
        request = RunRequest(
            assistant_id=str(self._assistant.assistant_id),
            context=sent.context,
            metadata=sent.metadata | ({TASK_KEY: str(task.task_id)} if task else {}),
            stream_mode=["messages", "values"],
            if_not_exists="create",
            on_completion="keep",
            **await self._given(sent, task),
        )
        run = await self._resources.runs.create(
            sent.thread_id, request, request_id=self._request_id, headers_configurable=self._headers
        )
        message = Message(message_id=sent.message_id, role="user", parts=sent.parts)
        return Begun(run, submitted(task.task_id if task else task_id_of(run), run, message))

    async def outcome(self, begun: Begun, history: History) -> Task:
        """The task once the run is over."""
        await self._resources.runs.result(begun.run)
        return await self.task(begun.task.task_id, history)

    async def follow(self, begun: Begun, *, after: str | None = "0") -> AsyncGenerator[Update]:
        """The task as it is now, what is said meanwhile, and how it ends."""
        yield begun.task
        run, task_id = begun.run, begun.task.task_id
        async with aclosing(self._resources.runs.stream(run, after=after, modes=["messages"])) as events:
            async for event in events:
                said = progress(event)
                if said is not None:
                    status = Status(state="working", timestamp=datetime.now(UTC).isoformat(), message=said)
                    yield StatusUpdate(task_id=task_id, status=status, final=False)
        task = await self.task(task_id, _NO_HISTORY)
        for artifact in task.artifacts:
            yield ArtifactUpdate(task_id=task_id, artifact=artifact)
        yield StatusUpdate(task_id=task_id, status=task.status, final=True)

    async def task(self, task_id: TaskId, history: History) -> Task:
        """The task as its last run left it, or works on it."""
        run, newest = await self._last_run(task_id)
        try:
            return await self._task(task_id, run, history, newest=newest)
        except NotFound:
            raise no_task(task_id) from None

    async def begun(self, task_id: TaskId, history: History) -> Begun:
        """A task that somebody wants to follow from now on."""
        run, _ = await self._last_run(task_id)
        task = await self.task(task_id, history)
        if task.status.state in ENDED:
            raise RpcError(UNSUPPORTED, f"Task {task_id} is {task.status.state}; there is nothing to follow.")
        return Begun(run, task)

    async def cancel(self, task_id: TaskId) -> Begun:
        """Stop the run that works on a task; it has ended when its `outcome` is there."""
        run, _ = await self._last_run(task_id)
        try:
            await self._resources.runs.cancel(task_id.thread_id, run.run_id)
        except NotFound:
            raise RpcError(
                TASK_NOT_CANCELABLE, f"Nothing works on task {task_id}; there is nothing to cancel."
            ) from None
        return Begun(run, await self.task(task_id, _NO_HISTORY))

    async def tasks(self, wanted: Wanted) -> Listed:
        """A page of this assistant's tasks, by the contexts that changed last and the newest task of each first."""
        listed: list[Task] = []
        place, looked_at = wanted.place, 0
        async for thread, position in self._threads(wanted.context_id, first=place.thread):
            looked_at += 1
            skip = place.task if position == place.thread else 0
            for number, (run, newest) in enumerate(await self._last_runs(thread.thread_id)):
                if number < skip or not wanted.fits(run, thread, newest=newest):
                    continue
                if len(listed) == wanted.limit:
                    return Listed(listed, Place(position, number, place.before + len(listed)))
                listed.append(await self._task(task_id_of(run), run, wanted.history, newest=newest))
            if looked_at == _MOST_THREADS:
                return Listed(listed, Place(position + 1, 0, place.before + len(listed)))
        return Listed(listed, None)

    async def _threads(self, context_id: UUID | None, *, first: int) -> AsyncGenerator[tuple[Thread, int]]:
        threads = self._resources.threads
        if context_id is not None:
            with suppress(ThreadNotFound):
                yield await threads.get(context_id), 0
            return
        offset: int | None = first
        while offset is not None:
            page = await threads.search(
                metadata={"assistant_id": str(self._assistant.assistant_id)}, limit=_PAGE, offset=offset
            )
            for number, thread in enumerate(page.items):
                yield thread, page.offset + number
            offset = page.next_offset

    async def _last_runs(self, thread_id: UUID) -> list[tuple[Run, bool]]:
        """The last run of every task of this assistant on a thread, newest first; whether it is the thread's newest."""
        last: dict[TaskId, tuple[Run, bool]] = {}
        async for run, newest in self._runs(thread_id):
            if run.assistant_id == self._assistant.assistant_id and not run.temporary:
                last.setdefault(task_id_of(run), (run, newest))
        return list(last.values())

    async def _last_run(self, task_id: TaskId) -> tuple[Run, bool]:
        """The run that shows how a task stands, and whether it is the newest on its thread."""
        with suppress(ThreadNotFound):
            async for run, newest in self._runs(task_id.thread_id):
                if task_id_of(run) == task_id and run.assistant_id == self._assistant.assistant_id:
                    return run, newest
        raise no_task(task_id)

    async def _runs(self, thread_id: UUID) -> AsyncGenerator[tuple[Run, bool]]:
        offset = 0
        while True:
            page = await self._resources.runs.list(thread_id, limit=_PAGE, offset=offset)
            for number, run in enumerate(page, offset):
                yield run, number == 0
            if len(page) < _PAGE:
                return
            offset += _PAGE

    async def _task(self, task_id: TaskId, run: Run, history: History, *, newest: bool) -> Task:
        # The run before its thread: what it left is committed together with its end.
        thread = await self._resources.threads.get(task_id.thread_id)
        state = await self._state(run, newest=newest)
        values = state.get("values")
        left = Left(run=run, thread=thread, newest=newest, values=values, interrupts=state.get("interrupts") or [])
        earlier: Collection[str] = ()
        if history.length and history.scope == "task":
            earlier = await self._earlier(task_id, run, values)
        return task_of(task_id, left, outputs=await self._outputs(), earlier=earlier, length=history.length)

    async def _state(self, run: Run, *, newest: bool) -> dict[str, Any]:
        """The state that a run has left, also where later runs went on from it."""
        threads = self._resources.threads
        if newest:
            return await threads.get_state(run.thread_id)
        found = await threads.history(run.thread_id, limit=1, metadata={"run_id": str(run.run_id)})
        return found[0] if found else {}

    async def _earlier(self, task_id: TaskId, run: Run, values: Any) -> Collection[str]:
        """Ids of the messages that were there before the task began."""
        if run.status == "pending" and run.run_id == task_id.run_id:
            return {message.message_id for message in messages_of(values)}
        began = await self._resources.threads.history(
            task_id.thread_id, limit=1, metadata={"run_id": str(task_id.run_id), "source": "input"}
        )
        return {message.message_id for message in messages_of(began[0]["values"])} if began else ()

    async def _continued(self, task_id: TaskId) -> Task:
        """The task that a message goes on with."""
        run, newest = await self._last_run(task_id)
        task = await self._task(task_id, run, _NO_HISTORY, newest=newest)
        if task.status.state in ENDED:
            text = f"Task {task_id} is {task.status.state}; send the message without it to begin another."
            raise RpcError(UNSUPPORTED, text)
        if not run.is_final and (run.kwargs.get("command") or {}).get("resume") is not None:
            # Sent again by a client that lost the connection, it would begin the graph anew.
            raise RpcError(UNSUPPORTED, f"Task {task_id} works on an answer already; wait until it ends or asks again.")
        return task

    async def _given(self, sent: Sent, task: Task | None) -> dict[str, Any]:
        """What the run is given: its input or its command."""
        if sent.command is not None:
            return {"command": sent.command}
        if task is not None and task.status.state == "input-required":
            return {"command": answer(sent.parts, task.waiting)}
        return {"input": graph_input(sent, (await self._schemas()).get("input_schema"))}

    async def _outputs(self) -> Collection[str] | None:
        schema = (await self._schemas()).get("output_schema")
        return fields_of(schema) or None

    async def _schemas(self) -> dict[str, Any]:
        if self._known_schemas is None:
            try:
                self._known_schemas = await self._resources.assistants.schemas(self._assistant.assistant_id)
            except (GraphLoadError, NotFound):
                # The graph cannot be loaded any more; what its runs left can still be told.
                self._known_schemas = {}
        return self._known_schemas
