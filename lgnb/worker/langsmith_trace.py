"""LangSmith by its usual environment variables: project, parent, tags and example, where the caller named them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers import LangChainTracer
from langsmith.run_helpers import tracing_context
from langsmith.utils import tracing_is_enabled


@contextmanager
def langsmith_trace(configurable: Mapping[str, Any]) -> Generator[list[BaseCallbackHandler]]:
    """Within it, LangChain's own tracer files the run where the caller wants it; yields callbacks for its config.

    Nothing happens unless the environment switches LangSmith on (LANGSMITH_TRACING and its key).
    """
    named = {name: value for name in _NAMES if (value := configurable.get(name))}
    if not named or not tracing_is_enabled():
        yield []
        return
    project = named.get("__langsmith_project__") or named.get("langsmith-project")
    tags, example = named.get("langsmith-tags"), named.get("__langsmith_example_id__")
    parent = {"langsmith-trace": named["langsmith-trace"]} if "langsmith-trace" in named else None
    with tracing_context(
        project_name=project, parent=parent, tags=tags, metadata=named.get("langsmith-metadata"), enabled=True
    ):
        # An example belongs to one run, so the tracer that knows of it cannot be the shared one.
        yield [LangChainTracer(example_id=example, project_name=project, tags=tags)] if example else []


_NAMES = (
    "__langsmith_project__",
    "__langsmith_example_id__",
    "langsmith-project",
    "langsmith-tags",
    "langsmith-metadata",
    "langsmith-trace",
)
