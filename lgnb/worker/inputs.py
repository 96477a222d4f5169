"""What a graph is called with: config, context and input of one attempt, from what was stored when it was accepted."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Send

from .._version import __version__
from ..models.identity import stored_caller
from ..models.runs import CONTEXT_PROVIDED, ClaimedRun, is_interrupt_map

_LANGGRAPH_VERSION = importlib.metadata.version("langgraph")


def run_config(claimed: ClaimedRun, *, goes_on: bool) -> RunnableConfig:
    """The config of an attempt, with the server's stamps; one that `goes_on` starts from the newest checkpoint."""
    stored: dict[str, Any] = claimed.kwargs["config"]
    if goes_on:
        # The checkpoint to start from was for the first attempt; addressing it again would begin another branch.
        addressed = ("checkpoint_id", "checkpoint_map")
        kept = {key: value for key, value in stored["configurable"].items() if key not in addressed}
        stored = {**stored, "configurable": kept}
    if caller := stored_caller(stored["configurable"].get("langgraph_auth_user")):
        stored = {**stored, "configurable": {**stored["configurable"], "langgraph_auth_user": caller}}
    config: dict[str, Any] = {
        **stored,
        "metadata": {
            **stored.get("metadata", {}),
            "run_id": str(claimed.run_id),
            "thread_id": str(claimed.thread_id),
            "graph_id": claimed.graph_id,
            "assistant_id": str(claimed.assistant_id),
            "run_attempt": claimed.attempt,
            "langgraph_version": _LANGGRAPH_VERSION,
            "langgraph_api_version": __version__,
            "langgraph_plan": "self-hosted",
            "langgraph_host": "self-hosted",
        },
    }
    if claimed.attempt == 1:
        # The tracer knows an execution by this id; a second attempt is an execution of its own.
        config["run_id"] = claimed.run_id
    return config  # pyright: ignore[reportReturnType]  the library's TypedDict, built from stored JSON


def run_context(stored: Mapping[str, Any] | None, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The context of a run, cut down to what the graph's context schema names; None when nothing is left."""
    context = dict(stored or {})
    properties = (schema or {}).get("properties")
    if properties:
        context = {key: value for key, value in context.items() if key in properties}
    return context or None


def without_dropped(
    config: RunnableConfig, stored: Mapping[str, Any] | None, kept: Mapping[str, Any] | None
) -> RunnableConfig:
    """The config without what its schema dropped from a context; a configurable that the caller gave stays whole."""
    configurable = dict(config.get("configurable") or {})
    if configurable.pop(CONTEXT_PROVIDED, False):
        for name in (stored or {}).keys() - (kept or {}).keys():
            configurable.pop(name, None)
    return {**config, "configurable": configurable}


def command_of(stored: Mapping[str, Any]) -> Command[Any]:
    """A `Command` from its JSON: `goto` is a name, {"node", "input"} or a list of both."""
    goto = stored.get("goto")
    if goto is None:
        destinations: Any = ()
    elif isinstance(goto, list):
        destinations = [_destination(one) for one in goto]
    else:
        destinations = _destination(goto)
    update = stored.get("update")
    if isinstance(update, list):
        update = [tuple(pair) if isinstance(pair, list) else pair for pair in update]
    return Command(update=update, resume=stored.get("resume"), goto=destinations)


def _destination(goto: Any) -> Any:
    return Send(goto["node"], goto.get("input")) if isinstance(goto, dict) else goto


def input_of(claimed: ClaimedRun, *, stored_input: bool, resumed_tasks: Mapping[UUID, list[str]] | None = None) -> Any:
    """What the graph gets as input in this attempt.

    A retry continues, it does not replay: once an earlier attempt's input or answer is stored, the graph goes on
    from there with None. An answer that was stored is never given again, or it would reach the next interrupt.

    Args:
        stored_input: an earlier attempt of this run saved a checkpoint.
        resumed_tasks: tasks that have an answer stored by this run, with the ids of their interrupts.
    """
    command = claimed.kwargs.get("command")
    if stored_input:
        return None
    if not command:
        return claimed.kwargs.get("input")
    resume = command.get("resume")
    if resumed_tasks and resume is not None:
        if not is_interrupt_map(resume):
            return None
        answered = {interrupt_id for ids in resumed_tasks.values() for interrupt_id in ids}
        open_answers = {key: value for key, value in resume.items() if key not in answered}
        if not open_answers:
            return None
        command = {**command, "resume": open_answers}
    return command_of(command)
