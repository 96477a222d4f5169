"""Assistants as tools: their names, what they take, and what they answer. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from lgnb.json_encoding import encode
from lgnb.models.assistants import Assistant

_SPACE = re.compile(r"\s")
_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 128

_REFERENCE = "#/$defs/"
_MESSAGES = frozenset(
    f"{kind}Message{chunk}"
    for kind in ("AI", "Human", "Chat", "System", "Function", "Tool", "Base", "Remove")
    for chunk in ("", "Chunk")
)

_ANNOTATIONS = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True}


def tool_name(assistant: Assistant) -> str:
    """The assistant's name in the characters of MCP; its id where none of them is left."""
    name = _FOREIGN.sub("", _SPACE.sub("_", assistant.name))[:_LONGEST_NAME]
    return name or str(assistant.assistant_id)


def tool(assistant: Assistant, input_schema: Mapping[str, Any]) -> dict[str, Any]:
    """The assistant as `tools/list` shows it."""
    return {
        "name": tool_name(assistant),
        "title": assistant.name,
        "description": assistant.description or f"Runs the LangGraph assistant {assistant.name!r}.",
        "inputSchema": dict(input_schema),
        "annotations": _ANNOTATIONS,
    }


def tool_schema(input_schema: Any) -> dict[str, Any] | None:
    """What a tool takes, from the input schema of its graph; None where that is no object.

    A list of messages becomes a text, which the graph takes as what a person says: no model should have to write
    the envelopes of messages.
    """
    if not isinstance(input_schema, dict):
        return None
    schema = cast("dict[str, Any]", input_schema)
    if schema.get("type", "object") != "object":
        return None
    definitions: dict[str, Any] = schema.get("$defs") or {}
    properties = {
        name: _as_text(field) if _is_messages(field, definitions) else field
        for name, field in (schema.get("properties") or {}).items()
    }
    shown = {key: value for key, value in schema.items() if key != "$defs"}
    shown |= {"type": "object", "properties": properties}
    if used := _used(shown, definitions):
        shown["$defs"] = used
    return shown


def call_result(output: Any) -> dict[str, Any]:
    """What a caller of `tools/call` is told: the output of the run as JSON, or the error that ended it."""
    error = cast("dict[str, Any]", output).get("__error__") if isinstance(output, dict) else None
    if isinstance(error, dict):
        told = cast("dict[str, Any]", error)
        text = ": ".join(str(part) for part in (told.get("error"), told.get("message")) if part)
        return {"content": [{"type": "text", "text": text}], "isError": True}
    return {"content": [{"type": "text", "text": encode(output).decode()}], "isError": False}


def _as_text(field: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: field[key] for key in ("title", "description") if key in field}
    return {"type": "string", **kept}


def _is_messages(field: Any, definitions: Mapping[str, Any]) -> bool:
    """Whether a field is a list of LangChain messages, or may be one."""
    if not isinstance(field, dict):
        return False
    given = cast("dict[str, Any]", field)
    for choice in _choices(given):
        if choice.get("type") == "array":
            items = choice.get("items")
            kinds = _choices(cast("dict[str, Any]", items)) if isinstance(items, dict) else []
            if kinds and all(_is_message(kind, definitions) for kind in kinds):
                return True
    return False


def _is_message(kind: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    name = str(kind.get("$ref", "")).removeprefix(_REFERENCE)
    return definitions.get(name, {}).get("title", name) in _MESSAGES


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    several = schema.get("anyOf") or schema.get("oneOf")
    return several if isinstance(several, list) else [schema]


def _used(schema: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions that a schema still refers to, directly or through others."""
    used: dict[str, Any] = {}
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += cast("list[Any]", part)
        elif isinstance(part, dict):
            fields = cast("dict[str, Any]", part)
            name = str(fields.get("$ref", "")).removeprefix(_REFERENCE)
            if name in definitions and name not in used:
                used[name] = definitions[name]
                waiting.append(definitions[name])
            waiting += fields.values()
    return used
