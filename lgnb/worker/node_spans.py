"""LangChain's callbacks as spans: one for each execution of a node."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from ..telemetry import NodeSpans


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
        self._spans.end(run_id, own=own, error=error)
