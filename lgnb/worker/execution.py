"""One attempt of one run: calls the graph on a loop of its own and reports how it ended.

It knows neither Postgres nor Redis: checkpoints go through the saver it is given, events to a callback. So a kernel
can execute runs with it as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any, Literal, Protocol, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_STREAM_MESSAGES_V2
from langgraph.errors import GraphDrained
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl

from .. import telemetry
from ..checkpoints.revivable import revivable_types
from ..checkpoints.saver import Saver
from ..checkpoints.tasks import tasks_of_event
from ..errors import DatabaseFull, LeaseLost, NotReady, PlaceTaken
from ..graphs.sources import GraphSource
from ..graphs.tracebacks import user_traceback
from ..json_encoding import describe_error, encode
from ..models.checkpoints import CheckpointKey, NextTasks
from ..models.runs import ClaimedRun, Ending
from .inputs import run_config, run_context, without_dropped
from .langsmith_trace import langsmith_trace
from .node_spans import RunTrace
from .transformers import Transformers, Triple
from .translation import EventTranslator

logger = logging.getLogger(__name__)

StopReason = Literal["interrupt", "rollback", "timeout", "lost", "return"]


class Report(Protocol):
    """Somebody who wants to see everything that a graph yields.

    Attributes:
        library_modes: what the graph shall be asked for besides.
        native: models shall answer in content blocks, and tell them event by event.
    """

    library_modes: frozenset[str]
    native: bool

    def observe(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Called on the graph's loop, in order."""
        ...


class RunReturned(Exception):
    """The attempt stopped in good order, or for want of a database; another one shall go on with it."""


class Execution:
    """`run` on the graph's loop; `stop` and `drain` from any thread.

    Args:
        saver: None for a temporary run, which is not checkpointed.
        input: what the graph is called with, or None to go on from its last checkpoint.
        goes_on: an earlier attempt has saved a checkpoint, from which this one goes on.
        publish: takes (event name, JSON); safe to call from any thread.
        report: observes everything that the graph yields; None for a run whose thread nobody can watch.
        on_error: is shown the exception that ends the run, on the graph's loop.
    """

    def __init__(
        self,
        claimed: ClaimedRun,
        source: GraphSource,
        *,
        saver: Saver | None,
        input: Any,
        goes_on: bool,
        publish: Callable[[str, bytes], None],
        report: Report | None = None,
        store: Any = None,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._claimed = claimed
        self._source = source
        self._saver = saver
        self._input = input
        self._goes_on = goes_on
        self._publish = publish
        self._report = report
        self._store = store
        self._on_error = on_error
        self._control = RunControl()
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: StopReason | None = None
        self._stop_message = ""
        self._values: Any = None
        self._interrupted: list[dict[str, Any]] = []
        self._last_tasks: tuple[CheckpointKey, NextTasks] | None = None
        self._open_tasks = 0
        self._live_values: bytes | None = None
        self._live_values_saved = False
        self._trace: RunTrace | None = None

    @property
    def stopped(self) -> StopReason | None:
        """Why the attempt was told to stop, if it was."""
        return self._stop

    @property
    def has_begun(self) -> bool:
        """Whether its loop has come to it yet."""
        return self._loop is not None

    def stop(self, reason: StopReason, message: str = "") -> None:
        """Ask the attempt to end now. The first reason counts, except that a lost lease overrules all."""
        if self._stop is None or reason == "lost":
            self._stop, self._stop_message = reason, message
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    def drain(self) -> None:
        """Ask the graph to stop after the superstep it is in."""
        self._control.request_drain()

    async def run(self) -> Ending:
        """Execute the attempt.

        Raises:
            LeaseLost: another attempt is current; whatever this one did counts no more.
            RunReturned: another attempt shall go on.
        """
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._stop is not None:
            return self.stopped_ending()
        if not telemetry.is_traced():
            return await self._attempt()
        self._trace = RunTrace(self._claimed)
        with self._trace:
            return await self._attempt()

    async def _attempt(self) -> Ending:
        try:
            with langsmith_trace(self._claimed.kwargs["config"].get("configurable") or {}) as callbacks:
                await self._execute(callbacks)
        except asyncio.CancelledError:
            if self._stop is None:
                raise RunReturned from None
            return self.stopped_ending()
        except GraphDrained:
            raise RunReturned from None
        # A node may do anything, sys.exit() included; it must end its run, never the worker.
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001
            return self._failed(error) if self._stop is None else self.stopped_ending()
        # A cancellation may get lost in a node or in the library; what it stopped is not the whole of the run.
        return self._succeeded() if self._stop is None else self.stopped_ending()

    def stopped_ending(self) -> Ending:
        """How the attempt ends when it was told to stop, also when its loop does not listen.

        Raises:
            LeaseLost, RunReturned: when that was the reason.
        """
        if self._stop == "timeout":
            values = self._values if self._values is not None else {}
            return Ending(
                status="timeout", result=encode(values), error={"error": "TimeoutError", "message": self._stop_message}
            )
        if self._stop in ("interrupt", "rollback"):
            kind = "UserInterrupt" if self._stop == "interrupt" else "UserRollback"
            values = self._values if self._values is not None else {}
            error = {"error": kind, "message": self._stop_message}
            return Ending(status="interrupted", result=encode(values), error=error)
        if self._stop == "return":
            raise RunReturned
        raise LeaseLost(self._claimed.run_id, self._claimed.attempt)

    def _succeeded(self) -> Ending:
        values = self._values if self._values is not None else {}
        if len(self._interrupted) > 1:
            waiting = [one for chunk in self._interrupted for one in chunk["__interrupt__"]]
            values = {"__interrupt__": waiting}
        elif self._interrupted:
            values = self._interrupted[0]
        return Ending(
            status="success",
            result=encode(values),
            live_values=self._live_values,
            live_values_saved=self._live_values_saved,
        )

    def _failed(self, error: BaseException) -> Ending:
        for cause in _causes(error):
            if isinstance(cause, LeaseLost):
                raise cause
            # A full disk does not mend itself; the run ends and says so, instead of being tried for ever.
            if isinstance(cause, NotReady | PlaceTaken) and not isinstance(cause, DatabaseFull):
                logger.warning("Run %s goes back to the queue: %s", self._claimed.run_id, cause)
                raise RunReturned from error
        if self._trace is not None:
            self._trace.fail(error)
        described = describe_error(error)
        if self._on_error is None:
            logger.info("Run %s failed", self._claimed.run_id, exc_info=error)
        else:
            self._on_error(error)
        self._publish("error", encode({**described, "traceback": user_traceback(error)}))
        return Ending(
            status="error",
            result=encode({"__error__": described}),
            error=described,
            live_values=self._live_values,
            live_values_saved=self._live_values_saved,
        )

    async def _execute(self, callbacks: list[BaseCallbackHandler]) -> None:
        kwargs = self._claimed.kwargs
        config = run_config(self._claimed, goes_on=self._goes_on)
        if watching := [*(self._trace.callbacks if self._trace else ()), *callbacks]:
            config["callbacks"] = watching
        context = kwargs.get("context")
        translator = EventTranslator(stream_modes=kwargs["stream_mode"], subgraphs=kwargs["subgraphs"])
        async with self._source.open(
            config,
            access_context="threads.create_run",
            user=(config.get("configurable") or {}).get("langgraph_auth_user"),
            store=self._store,
            checkpointer=self._saver,
            context=kwargs.get("context"),
        ) as graph:
            if self._saver is not None:
                graph.checkpointer = self._saver.with_allowlist(revivable_types(graph))
            # The schema is made anew each time, at the price of a small run.
            kept = run_context(context, graph.get_context_jsonschema() if context else None)
            config = without_dropped(config, context, kept)
            options: dict[str, Any] = {
                "context": kept,
                "stream_mode": self._library_modes(translator),
                "subgraphs": True,
                "interrupt_before": kwargs.get("interrupt_before"),
                "interrupt_after": kwargs.get("interrupt_after"),
                "durability": None if self._saver is None else durability_of(self._claimed),
                "control": self._control,
            }
            drive = self._events if translator.wants_events else self._chunks
            transformers: Transformers | None = None
            if self._report is not None and self._report.native:
                drive, transformers = self._parts, Transformers(graph)
            try:
                async for namespace, mode, payload in drive(graph, config, options):
                    self._observe(graph, namespace, mode, payload)
                    if self._saver is not None:
                        await self._keep_up(self._saver, mode)
                    if self._report is not None:
                        self._show(
                            await transformers.apply(namespace, mode, payload)
                            if transformers
                            else [(namespace, mode, payload)]
                        )
                    for event, data in translator.translate(namespace, mode, payload):
                        self._publish(event, data)
                if transformers is not None:
                    self._show(await transformers.close())
                if self._last_tasks is not None and self._saver is not None:
                    self._saver.add_tasks(*self._last_tasks)
            except BaseException as error:
                if transformers is not None:
                    self._show(await transformers.close(error))
                raise
            finally:
                if self._saver is not None:
                    await self._saver.settled()
                if self._stop is None:
                    await self._look_at_values(graph)

    async def _keep_up(self, saver: Saver, mode: str) -> None:
        """Before the graph is asked for more, see to it that what it has done is saved, or will be in a moment."""
        if _is_careful(self._claimed):
            await saver.settled()
        elif mode == "checkpoints":  # a superstep ends; within one, tokens need not wait for Postgres
            await saver.keep_up()

    async def _chunks(
        self, graph: Pregel, config: RunnableConfig, options: dict[str, Any]
    ) -> AsyncGenerator[tuple[tuple[str, ...], str, Any]]:
        stream = graph.astream(self._input, config, **options)
        try:
            async for chunk in stream:
                # With several modes and subgraphs asked for, the library yields triples.
                namespace, mode, payload = cast("tuple[tuple[str, ...], str, Any]", chunk)
                yield namespace, mode, payload
        finally:
            await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue]  an async generator in all but type

    async def _parts(
        self, graph: Pregel, config: RunnableConfig, options: dict[str, Any]
    ) -> AsyncGenerator[tuple[tuple[str, ...], str, Any]]:
        """The same from a graph whose models answer in content blocks, event by event."""
        # This is how LangGraph's own event streaming asks for them; it has no public word for it.
        config = {**config, "configurable": {**config.get("configurable", {}), CONFIG_KEY_STREAM_MESSAGES_V2: True}}
        for mapper in ("_output_mapper", "_state_mapper"):
            # Parts would hold objects of the user's state class, where chunks hold plain channels.
            setattr(graph, mapper, None)
        stream = graph.astream(self._input, config, version="v2", **options)
        try:
            async for chunk in stream:
                part: Any = chunk
                data = part["data"]
                if part["type"] == "values" and part.get("interrupts") and isinstance(data, dict):
                    data = {**cast("dict[str, Any]", data), "__interrupt__": part["interrupts"]}
                yield part["ns"], part["type"], data
        finally:
            await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue]  an async generator in all but type

    def _show(self, triples: list[Triple]) -> None:
        assert self._report is not None
        for namespace, mode, payload in triples:
            self._report.observe(namespace, mode, payload)

    def _library_modes(self, translator: EventTranslator) -> list[str]:
        asked = set(translator.library_modes)
        if self._report is not None:
            asked |= self._report.library_modes
        return sorted(asked)

    async def _events(
        self, graph: Pregel, config: RunnableConfig, options: dict[str, Any]
    ) -> AsyncGenerator[tuple[tuple[str, ...], str, Any]]:
        """The same from `astream_events`, whose root chain streams what `astream` yields."""
        root: str | None = None
        async for event in graph.astream_events(self._input, config, version="v2", **options):
            record: Any = event
            root = root or record["run_id"]
            if "langsmith:hidden" in (record.get("tags") or ()):
                continue
            if record["event"] == "on_chain_stream" and record["run_id"] == root:
                # What the root streams is shown by its own mode, if the client asked for that.
                namespace, mode, payload = record["data"]["chunk"]
                yield namespace, mode, payload
            else:
                yield (), "events", record

    async def _look_at_values(self, graph: Pregel) -> None:
        """Ask the graph for the values of its state, where a reader of the rows would see others."""
        in_parts = any(type(channel).__name__ == "DeltaChannel" for channel in graph.channels.values())
        if self._saver is None or not (in_parts or self._open_tasks > 1):
            return
        try:
            snapshot = await graph.aget_state({"configurable": {"thread_id": str(self._claimed.thread_id)}})
        # The run has ended the way it has ended; a reader then sees what the rows tell.
        except Exception:
            logger.warning("The state of run %s could not be read at its end.", self._claimed.run_id, exc_info=True)
        else:
            self._live_values, self._live_values_saved = encode(snapshot.values), in_parts

    def _observe(self, graph: Pregel, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Keep what the ending needs, and save for readers what only the graph can tell."""
        if mode == "values" and not namespace:
            if isinstance(payload, dict) and "__interrupt__" in payload:
                self._interrupted.append(payload)
            self._values = payload
        elif mode == "checkpoints" and self._saver is not None:
            # Subgraphs have channels of their own, which the reader then tells by their names.
            channels = graph.stream_channels_asis if not namespace else None
            found = tasks_of_event(payload, channels=channels)
            if not namespace:
                self._open_tasks = len(payload.get("tasks") or ())
            if found is None:
                return
            if self._claimed.kwargs.get("durability") == "exit":
                # Only the last checkpoint will be there for a reader to find.
                self._last_tasks = self._last_tasks if namespace else found
            else:
                self._saver.add_tasks(*found)


def durability_of(claimed: ClaimedRun) -> str | None:
    """What the library is asked for; None means that it decides, and that is "async"."""
    asked = claimed.kwargs.get("durability")
    return "sync" if _is_careful(claimed) and asked != "exit" else asked


def _is_careful(claimed: ClaimedRun) -> bool:
    """A worker died over this run before: no node starts until the table tells that it is about to."""
    return claimed.failed_attempts > 0


def _causes(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from, and the members of a group."""
    found: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or current in found:
            continue
        found.append(current)
        pending += [current.__cause__, *(current.exceptions if isinstance(current, BaseExceptionGroup) else ())]
    return found
