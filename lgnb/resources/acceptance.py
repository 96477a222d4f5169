"""How a request becomes a run: which assistant, what of it is remembered, what the worker will be given.

The precedence rules are those of the API: assistant, then thread, then the run's own config and metadata.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from ..db.assistants import AssistantRepository, RunnableAssistant
from ..db.database import Connection
from ..errors import AssistantNotFound, GraphLoadError, InvalidRequest, InvalidState, RunConflict
from ..json_encoding import jsonable
from ..models.access import Access, Condition
from ..models.assistants import Assistant, system_assistant_id
from ..models.identity import Caller, identity_of
from ..models.ids import new_id
from ..models.protocol import MARKER
from ..models.runs import CONTEXT_PROVIDED, NewRun, Run, RunRequest, is_interrupt_map
from ..models.threads import ThreadToRun
from .acting import metadata_of
from .reserved import clean_config, clean_metadata, without_reserved_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A run that was accepted, and the runs that had to make way for it."""

    run: Run
    graph_id: str
    stopped: list[UUID]
    is_new_thread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a caller may start: the request, perhaps changed, and what the thread and the assistant must fulfil."""

    run_id: UUID
    request: RunRequest
    caller: Caller | None = None
    thread_visible: Condition | None = None
    assistant_visible: Condition | None = None


async def assistant_of(
    connection: Connection, assistant_id: str, *, visible: Condition | None = None
) -> Assistant | None:
    """The assistant with this UUID, or the system assistant of this graph id, which everybody may run.

    Raises:
        InvalidRequest: the name is neither.
    """
    assistants = AssistantRepository(connection)
    try:
        return await assistants.get(UUID(assistant_id), visible=visible)
    except ValueError:
        found = await assistants.get(system_assistant_id(assistant_id))
    if found is None:
        raise InvalidRequest(f"There is no assistant and no graph called {assistant_id!r}.")
    return found


# What a question about a run tells under `kwargs`, and the name of it in a request.
_ASKED = {
    "input": "input",
    "command": "command",
    "config": "config",
    "context": "context",
    "stream_mode": "stream_mode",
    "interrupt_before": "interrupt_before",
    "interrupt_after": "interrupt_after",
    "webhook": "webhook",
    "feedback_keys": "feedback_keys",
    "subgraphs": "stream_subgraphs",
    "resumable": "stream_resumable",
    "checkpoint_during": "checkpoint_during",
    "durability": "durability",
}


async def ask_for_run(
    access: Access, connection: Connection, thread_id: UUID | None, request: RunRequest, *, run_id: UUID
) -> Permit:
    """Ask whether a caller may start a run on a thread, or without one, with the assistant that he names.

    Raises:
        AssistantNotFound, AccessDenied: as they say.
    """
    assistant = await assistant_of(connection, request.assistant_id)
    if assistant is None:
        raise AssistantNotFound(request.assistant_id)
    value: dict[str, Any] = {
        "thread_id": thread_id,
        "assistant_id": assistant.assistant_id,
        "run_id": run_id,
        "status": "pending",
        "metadata": clean_metadata(request.metadata),
        "prevent_insert_if_inflight": request.multitask_strategy == "reject",
        "multitask_strategy": request.multitask_strategy,
        "if_not_exists": request.if_not_exists,
        "after_seconds": request.after_seconds,
        "kwargs": {name: getattr(request, field) for name, field in _ASKED.items()},
    }
    thread_visible = await access.ask("threads", "create_run", value)
    return Permit(
        run_id=run_id,
        request=replace(
            request,
            metadata=metadata_of(value),
            multitask_strategy=value["multitask_strategy"],
            if_not_exists=value["if_not_exists"],
            after_seconds=value["after_seconds"],
            **{field: value["kwargs"].get(name) for name, field in _ASKED.items()},
        ),
        caller=access.caller,
        thread_visible=thread_visible,
        assistant_visible=await ask_for_assistant(access, assistant),
    )


async def ask_for_assistant(access: Access, assistant: Assistant) -> Condition | None:
    """Ask whether a caller may use an assistant; those of the system are everybody's."""
    if assistant.assistant_id == system_assistant_id(assistant.graph_id):
        return None
    return await access.ask("assistants", "read", {"assistant_id": assistant.assistant_id})


async def assistant_to_run(
    connection: Connection, assistant_id: str, *, visible: Condition | None = None
) -> RunnableAssistant:
    """The same for a run, in one statement.

    Raises:
        InvalidRequest: the name is neither.
        AssistantNotFound: there is no assistant with this UUID.
        GraphLoadError: no worker could load its graph.
    """
    try:
        known_id = UUID(assistant_id)
    except ValueError:
        known_id = None
    assistants = AssistantRepository(connection)
    if known_id is None:
        found = await assistants.to_run(system_assistant_id(assistant_id))
    else:
        found = await assistants.to_run(known_id, visible=visible)
    if found is None and known_id is None:
        raise InvalidRequest(f"There is no assistant and no graph called {assistant_id!r}.")
    if found is None:
        raise AssistantNotFound(assistant_id)
    if found.failure:
        raise GraphLoadError(found.graph_id, found.failure)
    return found


def new_run(
    permit: Permit,
    assistant: RunnableAssistant,
    thread: ThreadToRun | None,
    *,
    thread_id: UUID | None,
    request_id: str | None,
    headers: Mapping[str, str] | None,
) -> NewRun:
    """Merge assistant, thread and request into what is stored. Without a `thread_id` the run is stateless.

    Raises:
        InvalidState: `context` and `config.configurable` are both given, or a stateless run resumes.
    """
    request, caller, run_id = permit.request, permit.caller, permit.run_id
    stateless = thread_id is None
    thread_id = thread_id or new_id()
    config = clean_config(request.config)
    context = without_reserved_keys(request.context)
    configurable: dict[str, Any] = dict(config.get("configurable") or {})
    if configurable and context:
        raise InvalidState("Give either context or config.configurable, not both.")
    if stateless and (request.command or {}).get("resume") is not None:
        raise InvalidState("A stateless run has no interrupt to resume; run on the thread that waits.")
    graph_metadata = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.assistant_id)}
    own_metadata = clean_metadata(config.get("metadata") or {}) | clean_metadata(request.metadata)
    old_config: dict[str, Any] = dict(thread.config) if thread else {}
    thread_metadata = (thread.metadata | graph_metadata) if thread else (graph_metadata | own_metadata)
    thread_configurable = _configurable(assistant.config) | _configurable(old_config)
    # The run's own configurable is for this run only; its other config (tags, …) is remembered.
    remembered = {**assistant.config, **old_config, **config}
    thread_config = {**remembered, "configurable": thread_configurable}
    metadata = {
        **assistant.metadata,
        **(thread_metadata if thread else {}),
        **own_metadata,
        "assistant_id": str(assistant.assistant_id),
    }
    # Context and configurable mirror each other; whichever was given decides both.
    run_context = {**assistant.context, **(context or configurable)}
    run_configurable = {**thread_configurable, **(context or configurable)}
    run_configurable |= _addressed_checkpoint(request)
    run_configurable |= headers or {}
    run_configurable |= {
        "run_id": str(run_id),
        "thread_id": str(thread_id),
        "graph_id": assistant.graph_id,
        "assistant_id": str(assistant.assistant_id),
        "user_id": str(run_configurable.get("user_id") or (caller.identity if caller else "")),
        **identity_of(caller),
        "langgraph_auth_user": jsonable(caller.as_dict()) if caller else None,
        "langgraph_request_id": request_id,
        "__request_start_time_ms__": int(time.time() * 1000),
        "__after_seconds__": request.after_seconds if request.after_seconds % 1 else int(request.after_seconds),
    }
    if context:
        run_configurable[CONTEXT_PROVIDED] = True
    if request.strict_resume:
        run_configurable["__pregel_strict_resume"] = True
    if request.event_streaming:
        run_configurable[MARKER] = True
    if tracer := request.langsmith_tracer:
        run_configurable["__langsmith_project__"] = tracer.get("project_name")
        run_configurable["__langsmith_example_id__"] = tracer.get("example_id")
    run_config = {**assistant.config, **config, "configurable": run_configurable, "metadata": metadata}
    kwargs = {
        "input": request.input,
        "command": request.command,
        "config": run_config,
        "context": run_context,
        "stream_mode": request.stream_mode,
        "interrupt_before": request.interrupt_before,
        "interrupt_after": request.interrupt_after,
        "webhook": request.webhook,
        "feedback_keys": request.feedback_keys,
        "temporary": stateless and request.on_completion == "delete",
        "subgraphs": request.stream_subgraphs,
        "resumable": request.stream_resumable,
        "checkpoint_during": request.checkpoint_during is not False,
        "durability": _durability(request),
    }
    return NewRun(
        run_id=run_id,
        thread_id=thread_id,
        assistant_id=assistant.assistant_id,
        assistant_mark=assistant.mark,
        graph_id=assistant.graph_id,
        metadata=metadata,
        kwargs=kwargs,
        multitask_strategy=request.multitask_strategy,
        after_seconds=request.after_seconds,
        thread_metadata=thread_metadata,
        thread_config=thread_config,
    )


def refuse_second_answer(request: RunRequest, in_flight: Sequence[Run]) -> None:
    """Refuse to answer an interrupt that a run in flight answers already: the answer would reach the next one.

    Raises:
        RunConflict: a bare answer is, or may be, for the same interrupt; maps are compared by interrupt id.
    """
    answer = (request.command or {}).get("resume")
    if answer is None or request.multitask_strategy != "enqueue":
        return
    for run in in_flight:
        earlier = (run.kwargs.get("command") or {}).get("resume")
        if earlier is None:
            continue
        if is_interrupt_map(answer) and is_interrupt_map(earlier) and answer.keys().isdisjoint(earlier):
            continue
        raise RunConflict(f"Run {run.run_id} answers the interrupt of this thread already.")


def _configurable(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config.get("configurable") or {})


def _addressed_checkpoint(request: RunRequest) -> dict[str, Any]:
    """The checkpoint to start from, in the words of the graph library."""
    address = {key: value for key, value in (request.checkpoint or {}).items() if key != "thread_id" and value}
    if request.checkpoint_id is not None:
        address["checkpoint_id"] = str(request.checkpoint_id)
    return address


def _durability(request: RunRequest) -> str:
    if request.durability is not None:
        return request.durability
    return "exit" if request.checkpoint_during is False else "async"
