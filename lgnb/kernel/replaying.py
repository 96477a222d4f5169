"""`lgnb.replay`: run a graph of this notebook from a checkpoint of any thread, and compare.

The run happens in this kernel with a checkpointer and a store in memory: the thread itself is only read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel import Pregel
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, StateSnapshot

from ..client.connection import Connection
from ..client.discovery import Server
from ..client.runner import Runner
from ..client.session import current_session
from ..errors import InvalidRequest
from ..graphs.sources import GraphSource
from ..graphs.tracebacks import user_traceback
from ..json_encoding import jsonable
from .comparison import compared, lines_html, lines_table
from .past import Past, State, checkpoint_id, next_of, past_of, step_of
from .restoring import START, checkpoint_of, input_of_start, revived

_THREAD = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One checkpoint, what came of it on the server, and what comes of it here.

    Attributes:
        original, replayed: states in the API's JSON, in order; both begin with the checkpoint.
        error: the exception that ended the run here.
        notes: what could not be restored as it was.
    """

    name: str
    checkpoint: State
    original: Sequence[State]
    replayed: Sequence[State]
    error: BaseException | None = None
    notes: Sequence[str] = ()

    @property
    def values(self) -> Any:
        """The last values here."""
        return self.replayed[-1].get("values") if self.replayed else None

    @property
    def original_values(self) -> Any:
        """The last values on the server."""
        return self.original[-1].get("values") if self.original else None

    @property
    def is_same(self) -> bool:
        """Whether both went the same way with the same values; ids of messages apart."""
        return self.error is None and all(line.same for line in self._lines)

    @property
    def checkpoint_id(self) -> str:
        return checkpoint_id(self.checkpoint)

    def to_frame(self) -> Any:
        """A pandas DataFrame: one row for what ran, and for each value that changed or differs, by step."""
        return lines_table(self._lines, title="").to_frame()

    @property
    def _lines(self) -> list[Any]:
        return compared(self.original, self.replayed)

    @property
    def _title(self) -> str:
        after = max(len(self.original), len(self.replayed)) - 1
        different = len({line.step for line in self._lines if not line.same})
        verdict = "the same" if not different else f"{different} of {after} states differ"
        return f"{self.name}: {verdict}"

    @property
    def _below(self) -> list[str]:
        failed = [] if self.error is None else [f"The run here failed: {type(self.error).__name__}: {self.error}"]
        return [*failed, *self.notes]

    def __repr__(self) -> str:
        failed = [] if self.error is None else [user_traceback(self.error).rstrip()]
        return "\n".join([repr(lines_table(self._lines, title=self._title)), *failed, *self.notes])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        table = lines_table(self._lines, title=self._title)
        return {
            "text/plain": repr(self),
            "text/markdown": "\n\n".join([table.bundle()["text/markdown"], *self._below]),
            "text/html": lines_html(table, title=self._title, below=self._below),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a graph is called in a replay.

    Attributes:
        resume: the answer to the interrupts that come up, where there are any; None leaves the graph waiting.
    """

    context: Mapping[str, Any] | None = None
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    resume: Any = None


def replay(
    graph: Any,
    thread: str | None = None,
    *,
    start: int | str = 0,
    url: str | None = None,
    api_key: str | None = None,
    context: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    resume: Any = None,
) -> Replay:
    """Run a graph from a checkpoint of a thread, here, and put what comes of it beside what came of it there.

    Nothing is written to the thread or to the server's store.

    Args:
        graph: a compiled graph, a StateGraph, or a function that returns one.
        thread: an id or alias; None means the current one.
        start: the number of the checkpoint as `%lg history` counts them, 0 for the newest; or its id.
        url: the API root of another server that has the thread.
        api_key: the key of that server.
        context, config: what the graph is called with; history does not tell them.
        resume: the answer to interrupts that come up.

    Raises:
        InvalidRequest: there is no such checkpoint, or the graph cannot go on from it.
        ConnectError: the server cannot be reached.
    """
    options = Options(context=context, config=config or {}, resume=resume)
    session = current_session()
    if url is None:
        thread_id = session.thread(thread)
        past = past_of(session.connection(), thread_id)
        name = session.aliases.name("thread", thread_id)
    else:
        if thread is None:
            raise InvalidRequest("Say which thread of that server: give its id.")
        past, name = past_elsewhere(url, thread, api_key=api_key), f"thread {thread}"
    state = past.find(start)
    number = next(position for position, one in enumerate(past.states) if one is state)
    runner = Runner("lgnb-replay")
    try:
        return runner.call(replayed(graph, past, state, name=f"{name} from checkpoint {number}", options=options))
    finally:
        runner.stop()


def past_elsewhere(url: str, thread_id: str, *, api_key: str | None) -> Past:
    """The history of a thread of another server."""
    server = Server(url=url.rstrip("/"), api_key=api_key, found_by="named for a replay")
    connection = Connection(server, current_session().runner)
    try:
        return past_of(connection, thread_id)
    finally:
        connection.close()


async def replayed(graph: Any, past: Past, state: State, *, name: str, options: Options) -> Replay:
    """Run the graph from one state of a past."""
    if not next_of(state):
        raise InvalidRequest(
            "That checkpoint is an end: nothing comes next. Begin at an earlier one (start=1, --from 1)."
        )
    notes: list[str] = []
    source = GraphSource("graph", graph, module="__main__")
    saver, config = InMemorySaver(), _config(options)
    is_begin = START in next_of(state)
    async with source.open(
        config, access_context="threads.create_run", checkpointer=saver, context=options.context
    ) as opened:
        if opened.store is None:
            opened.store = InMemoryStore()
        # At the begin of a run, its input makes the checkpoint; what was there before is put first.
        given = revived(opened, input_of_start(state), notes=notes) if is_begin else None
        if not is_begin or state.get("values"):
            checkpoint = checkpoint_of(opened, state, past.before(state), notes=notes)
            await _put(saver, checkpoint, step=step_of(state) - is_begin)
        error = await _run(opened, given, config, options)
        states = [_state(snapshot) async for snapshot in opened.aget_state_history(config)]
    here = states[::-1]
    if is_begin:
        here = here[next((at for at, one in enumerate(here) if START in next_of(one)), 0) :]
    return Replay(
        name=name, checkpoint=state, original=past.after(state), replayed=here, error=error, notes=tuple(notes)
    )


async def _run(graph: Pregel, given: Any, config: RunnableConfig, options: Options) -> BaseException | None:
    context: Any = dict(options.context) if options.context else None
    try:
        # Saved at once, or a quick graph would go on before its past is written down.
        await graph.ainvoke(given, config, context=context, durability="sync")
        if options.resume is not None and (await graph.aget_state(config)).interrupts:
            await graph.ainvoke(Command(resume=options.resume), config, context=context, durability="sync")
    except Exception as error:  # noqa: BLE001  of the user's node; it is part of the result
        return error
    return None


async def _put(saver: InMemorySaver, checkpoint: Any, *, step: int) -> None:
    versions = {name: saver.get_next_version(None, None) for name in checkpoint["channel_values"]}
    checkpoint["channel_versions"] = versions
    place: RunnableConfig = {"configurable": {"thread_id": _THREAD, "checkpoint_ns": ""}}
    await saver.aput(place, checkpoint, {"source": "fork", "step": step, "parents": {}}, cast(Any, versions))


def _config(options: Options) -> RunnableConfig:
    given = dict(options.config)
    return cast(RunnableConfig, {**given, "configurable": {**given.get("configurable", {}), "thread_id": _THREAD}})


def _state(snapshot: StateSnapshot) -> State:
    """A snapshot in the API's JSON, as far as a comparison needs it."""
    return {
        "values": jsonable(snapshot.values),
        "next": list(snapshot.next),
        "metadata": jsonable(snapshot.metadata),
        "tasks": [
            {"name": task.name, "interrupts": [{"value": jsonable(one.value)} for one in task.interrupts]}
            for task in snapshot.tasks
        ],
    }
