from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from lgnb_server.mcp.tools import call_result, tool, tool_name, tool_schema
from mcp_types import CallToolResult, Tool

from lgnb.graphs.descriptors import describe
from lgnb.graphs.examples import agent, steps
from lgnb.graphs.sources import GraphSource
from lgnb.models.assistants import Assistant

_ID = UUID("00000000-0000-4000-8000-000000000000")
_NOW = datetime(2026, 11, 20, tzinfo=UTC)


def _assistant(name: str, description: str | None = None) -> Assistant:
    return Assistant(
        assistant_id=_ID,
        graph_id="agent",
        config={},
        context={},
        metadata={},
        name=name,
        created_at=_NOW,
        updated_at=_NOW,
        version=1,
        description=description,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("agent", "agent"),
        ("My first\tagent", "My_first_agent"),
        ("naïve (v1.0)", "nave_v1.0"),
        ("a" * 200, "a" * 128),
        ("助手", str(_ID)),
    ],
)
def test_a_tool_has_a_name_in_the_characters_of_the_protocol(name: str, expected: str) -> None:
    assert tool_name(_assistant(name)) == expected


def test_a_tool_is_one_by_the_official_types() -> None:
    shown = tool(_assistant("My agent", "Helps."), {"type": "object", "properties": {}})

    parsed = Tool.model_validate(shown)
    assert (parsed.name, parsed.title, parsed.description) == ("My_agent", "My agent", "Helps.")
    assert parsed.annotations is not None
    assert parsed.annotations.open_world_hint
    assert tool(_assistant("My agent"), {})["description"]


async def _schema(graph: Any) -> Any:
    descriptor = await describe(GraphSource("graph", graph))
    return descriptor.schemas["input_schema"]


async def test_messages_are_shown_as_a_text_without_their_envelopes() -> None:
    schema = tool_schema(await _schema(agent.graph))

    assert schema is not None
    assert schema["properties"] == {"messages": {"type": "string", "title": "Messages"}}
    assert schema["required"] == ["messages"]
    assert "$defs" not in schema


async def test_other_fields_stay_as_they_are() -> None:
    given = await _schema(steps.graph)

    assert tool_schema(given) == given


def test_definitions_that_are_still_used_stay() -> None:
    schema = {
        "type": "object",
        "properties": {
            "messages": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/BaseMessage"}}, {"type": "null"}]},
            "plan": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
        },
        "$defs": {
            "BaseMessage": {"type": "object"},
            "Step": {"properties": {"next": {"$ref": "#/$defs/Step"}, "tool": {"$ref": "#/$defs/Tool"}}},
            "Tool": {"type": "string"},
        },
    }

    shown = tool_schema(schema)

    assert shown is not None
    assert shown["properties"]["messages"] == {"type": "string"}
    assert shown["properties"]["plan"] == schema["properties"]["plan"]
    assert shown["$defs"].keys() == {"Step", "Tool"}


@pytest.mark.parametrize("schema", [None, {"type": "string"}, {"type": "array", "items": {}}, "x"])
def test_a_graph_whose_input_is_no_object_is_no_tool(schema: Any) -> None:
    assert tool_schema(schema) is None


def test_a_result_is_json_and_an_error_is_told_as_one() -> None:
    good = CallToolResult.model_validate(call_result({"text": "é", "when": _NOW}))
    bad = CallToolResult.model_validate(call_result({"__error__": {"error": "ValueError", "message": ""}}))

    assert good.content[0].text == '{"text":"é","when":"2026-11-20T00:00:00+00:00"}'
    assert not good.is_error
    assert bad.content[0].text == "ValueError"
    assert bad.is_error
