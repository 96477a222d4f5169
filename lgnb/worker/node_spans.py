"""LangChain's callbacks as spans: one for each execution of a node."""

from __future__ import annotations

from types import TracebackType
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphBubbleUp

from .. import telemetry
from ..models.runs import ClaimedRun
from ..telemetry import NodeSpans


class RunTrace:
    """The span of an attempt, as a context in which it is the current one; `callbacks` belong into its config."""

    def __init__(self, claimed: ClaimedRun) -> None:
        attributes: dict[str, str | int] = {
            "lgnb.run_id": str(claimed.run_id),
            "lgnb.thread_id": str(claimed.thread_id),
            "lgnb.assistant_id": str(claimed.assistant_id),
            "lgnb.graph_id": claimed.graph_id,
            "lgnb.attempt": claimed.attempt,
        }
        configurable: dict[str, Any] = claimed.kwargs["config"].get("configurable") or {}
        self._span = telemetry.begin_run(f"run {claimed.graph_id}", configurable, attributes)
        self._current = telemetry.Current(self._span)
        self.callbacks: list[BaseCallbackHandler] = [NodeTracer(NodeSpans(self._span))]

    def __enter__(self) -> None:
        self._current.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._current.__exit__()
        if error is not None:
            self.fail(error)
        self._span.end()

    def fail(self, error: BaseException) -> None:
        telemetry.fail(self._span, error)


class NodeTracer(BaseCallbackHandler):
    """Begins and ends the spans of nodes. Only added to runs that somebody traces."""

    # In the thread of the graph, in order: the parent is known when its child begins.
    run_inline = True

    def __init__(self, spans: NodeSpans) -> None:
        self._spans = spans
        self._nodes: set[UUID] = set()

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        node = (metadata or {}).get("langgraph_node")
        if node is None or kwargs.get("name") != node:
            self._spans.adopt(run_id, parent_run_id)
            return
        self._nodes.add(run_id)
        attributes = {"langgraph.node": str(node), "langgraph.step": int((metadata or {}).get("langgraph_step", 0))}
        self._spans.begin(run_id, parent_run_id, f"node {node}", attributes)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, error)

    def _end(self, run_id: UUID, error: BaseException | None = None) -> None:
        own = run_id in self._nodes
        self._nodes.discard(run_id)
        # An interrupt, or a command to a graph above, is not a failure.
        self._spans.end(run_id, own=own, error=None if isinstance(error, GraphBubbleUp) else error)
