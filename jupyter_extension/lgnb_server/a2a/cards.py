"""Agent cards: what a client learns of an assistant before it speaks to it."""

from __future__ import annotations

from typing import Any, cast

from lgnb.models.assistants import Assistant

from .output_modes import DEFAULT_MODES

HISTORY_HEADER = "LangGraph-A2A-History-Scope"
VERSION_HEADER = "A2A-Version"
VERSIONS = ("1.0", "0.3")

_HISTORY_SCOPE = {
    "uri": "urn:langgraph:a2a:history-scope",
    "description": (
        f"configuration.historyScope, or the header {HISTORY_HEADER}: 'task' shows the messages of a task, "
        "'context' those of earlier tasks in its context too."
    ),
    "required": False,
    "params": {"scopes": ["task", "context"], "default": "task"},
}


def agent_card(assistant: Assistant, url: str) -> dict[str, Any]:
    """The card of an assistant that is spoken to at `url`. Clients of 0.x and of 1.0 both understand it."""
    description = assistant.description or f"The LangGraph assistant {assistant.name}."
    inputs, outputs = modes(assistant, "input_modes") or list(DEFAULT_MODES), output_modes(assistant)
    return {
        "name": assistant.name,
        "description": description,
        "url": url,
        "version": str(assistant.version),
        "protocolVersion": "0.3.0",
        "preferredTransport": "JSONRPC",
        "supportedInterfaces": [
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": version} for version in VERSIONS
        ],
        "capabilities": {"streaming": True, "pushNotifications": False, "extensions": [_HISTORY_SCOPE]},
        "defaultInputModes": inputs,
        "defaultOutputModes": outputs,
        "skills": [
            {
                "id": f"{assistant.assistant_id}-main",
                "name": assistant.name,
                "description": description,
                "tags": ["langgraph", assistant.graph_id],
                "inputModes": inputs,
                "outputModes": outputs,
            }
        ],
    }


def output_modes(assistant: Assistant) -> list[str]:
    """The media types of what an assistant answers."""
    return modes(assistant, "output_modes") or list(DEFAULT_MODES)


def modes(assistant: Assistant, name: str) -> list[str] | None:
    """The media types that the assistant's metadata names under `a2a`, or None."""
    told = assistant.metadata.get("a2a")
    found = cast("dict[str, Any]", told).get(name) if isinstance(told, dict) else None
    given = cast("list[Any]", found) if isinstance(found, list) else []
    return [str(mode) for mode in given] or None
