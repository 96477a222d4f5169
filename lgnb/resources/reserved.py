"""Keys that belong to the server: taken out of requests, and out of everything a client is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..models.runs import CONTEXT_PROVIDED, Run

# Who called, and how: graphs may know, clients are not shown it.
IDENTITY = frozenset(("langgraph_auth_user", "langgraph_auth_user_id", "langgraph_auth_permissions"))

_CONFIGURABLE = frozenset(
    (
        "langgraph_auth_user",
        "langgraph_auth_user_id",
        "langgraph_auth_permissions",
        "langgraph_request_id",
        "__langsmith_project__",
        "__langsmith_example_id__",
        "__request_start_time_ms__",
        "__after_seconds__",
        "__otel_traceparent__",
        "__otel_tracestate__",
        "__dd_trace_headers__",
        "__pregel_node_finished",
        CONTEXT_PROVIDED,
    )
)
_METADATA = frozenset(("thread_id", "assistant_id", "run_id", "cron_id", "counters_since_delta_snapshot"))


def without_reserved_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Config, configurable or context as a caller may set it."""
    if _CONFIGURABLE.isdisjoint(values):
        return values
    return {key: value for key, value in values.items() if key not in _CONFIGURABLE}


def clean_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata as a caller may set it."""
    if _METADATA.isdisjoint(metadata):
        return metadata
    return {key: value for key, value in metadata.items() if key not in _METADATA}


def clean_config(config: dict[str, Any]) -> dict[str, Any]:
    """A config as a caller may set it: its configurable and metadata cleaned, unset parts left out."""
    cleaned = {key: value for key, value in config.items() if value is not None}
    if cleaned.get("configurable"):
        cleaned["configurable"] = without_reserved_keys(cleaned["configurable"])
    if cleaned.get("metadata"):
        cleaned["metadata"] = clean_metadata(cleaned["metadata"])
    return cleaned


def shown(run: Run) -> Run:
    """A run as a client may see it: without the identity of the caller who started it."""
    config: dict[str, Any] = run.kwargs.get("config") or {}
    configurable: dict[str, Any] = config.get("configurable") or {}
    hidden = IDENTITY | {CONTEXT_PROVIDED}
    if hidden.isdisjoint(configurable):
        return run
    kept = {key: value for key, value in configurable.items() if key not in hidden}
    return replace(run, kwargs={**run.kwargs, "config": {**config, "configurable": kept}})
