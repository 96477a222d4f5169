"""One served graph as the worker holds it, and the way to open it for a single use."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from lgnb.errors import GraphLoadError

from .factories import AccessContext, Factory, FactoryCall

_LIBRARY_NAME = "LangGraph"
"""The name that the library gives to graphs which were not named."""

_log = logging.getLogger(__name__)


class GraphSource:
    """Something that gives a compiled graph for each use: a graph, or a factory of graphs.

    Attributes:
        graph_id: the key in langgraph.json.
        description: what langgraph.json says about it.
        module: dotted name of the module it came from.
        stream_transformers: what the module exports under that name, else None.

    Raises:
        GraphLoadError: the object is none of the forms that can be served.
    """

    def __init__(
        self,
        graph_id: str,
        target: Any,
        *,
        description: str | None = None,
        module: str = "",
        stream_transformers: Any = None,
    ) -> None:
        self.graph_id = graph_id
        self.description = description
        self.module = module
        self.stream_transformers = stream_transformers
        self._warned = False
        self._graph: Pregel | None = None
        self._factory: Factory | None = None
        if isinstance(target, (Pregel, StateGraph)):
            self._graph = self._compiled(target)
        elif callable(target):
            try:
                self._factory = Factory(target)
            except TypeError as error:
                raise GraphLoadError(graph_id, str(error)) from error
        else:
            raise GraphLoadError(graph_id, _not_a_graph("it is", target))

    @property
    def is_factory(self) -> bool:
        """Whether a function of the user runs at each use."""
        return self._factory is not None

    @contextlib.asynccontextmanager
    async def open(
        self,
        config: RunnableConfig,
        *,
        access_context: AccessContext,
        user: Any = None,
        store: Any = None,
        checkpointer: BaseCheckpointSaver | None = None,
        context: Any = None,
    ) -> AsyncGenerator[Pregel]:
        """A copy of the graph for one use; what a factory opened is closed at the end of the block.

        `checkpointer` replaces the graph's own; None means that nothing is persisted. `store` replaces the graph's
        own when given. Errors of a factory pass through as they are.

        Raises:
            GraphLoadError: the factory returned something that is not a graph.
        """
        async with contextlib.AsyncExitStack() as stack:
            graph = self._graph
            if self._factory is not None:
                call = FactoryCall(
                    config=config, access_context=access_context, user=user, store=store, context=context
                )
                graph = self._compiled(await self._factory.enter(call, stack))
            assert graph is not None
            self._warn_about_own_persistence(graph, store)
            yield graph.copy(
                {
                    "name": self.graph_id if graph.name == _LIBRARY_NAME else graph.name,
                    "checkpointer": checkpointer,
                    "store": graph.store if store is None else store,
                }
            )

    def _compiled(self, target: Any) -> Pregel:
        if isinstance(target, StateGraph):
            return target.compile()
        if isinstance(target, Pregel):
            return target
        raise GraphLoadError(self.graph_id, _not_a_graph("its factory returned", target))

    def _warn_about_own_persistence(self, graph: Pregel, store: Any) -> None:
        own = [
            name
            for name, is_own in (
                ("checkpointer", isinstance(graph.checkpointer, BaseCheckpointSaver)),
                ("store", graph.store is not None and store is not None and graph.store is not store),
            )
            if is_own
        ]
        if own and not self._warned:
            self._warned = True
            _log.warning(
                "Graph %r was compiled with its own %s; the server's is used instead.",
                self.graph_id,
                " and ".join(own),
            )


def _not_a_graph(verb: str, target: Any) -> str:
    hint = ""
    if inspect.isasyncgen(target) or inspect.isgenerator(target):
        hint = " Decorate the function with contextlib's asynccontextmanager or contextmanager."
    kind = type(target).__name__
    return f"{verb} a {kind}, but must be a StateGraph, a compiled graph or a function that returns one.{hint}"
