"""From typed text to a graph's input, and to the answer of an interrupt."""

from __future__ import annotations

from typing import Any

import pytest

from lgnb.client.inputs import answer, run_input
from lgnb.errors import InvalidRequest

_CHAT = {"properties": {"messages": {"type": "array"}}, "required": ["messages"]}
_TOPIC = {"properties": {"topic": {"type": "string"}, "limit": {"type": "integer"}}}
_NUMBERS = {"properties": {"count": {"type": "integer"}, "by": {"type": "integer"}}}


@pytest.mark.parametrize("schema", [None, _CHAT])
def test_text_becomes_a_message_of_the_user(schema: dict[str, Any] | None) -> None:
    found = run_input(" Why?\nTell me. ", schema=schema)

    assert found == {"messages": [{"role": "user", "content": "Why?\nTell me."}]}


def test_text_goes_to_the_only_text_field_of_a_graph_without_messages() -> None:
    assert run_input("rain", schema=_TOPIC) == {"topic": "rain"}


def test_text_for_a_graph_that_takes_none_is_refused_with_an_example() -> None:
    with pytest.raises(InvalidRequest, match=r'such as \{"count": "…", "by": "…"\}'):
        run_input("rain", schema=_NUMBERS)


def test_objects_are_taken_as_they_are() -> None:
    assert run_input('{"topic": "rain"}', schema=_TOPIC) == {"topic": "rain"}
    assert run_input("topic: rain\nlimit: 3", schema=_TOPIC) == {"topic": "rain", "limit": 3}
    assert run_input("[1, 2]", schema=None) == [1, 2]


def test_a_sentence_with_a_colon_stays_a_sentence() -> None:
    found = run_input("Note: buy milk", schema=_CHAT)

    assert found["messages"][0]["content"] == "Note: buy milk"


def test_nothing_is_an_empty_object() -> None:
    assert run_input("  \n", schema=_CHAT) == {}


def test_broken_json_says_where_and_how_to_send_it_as_text() -> None:
    with pytest.raises(InvalidRequest, match=r"line 1 column 2.*--input text"):
        run_input("{oops}", schema=_CHAT)


def test_a_named_format_is_kept_to() -> None:
    assert run_input("a: 1", schema=None, form="yaml") == {"a": 1}
    assert run_input('{"a": 1}', schema=_CHAT, form="text")["messages"][0]["content"] == '{"a": 1}'
    with pytest.raises(InvalidRequest, match="YAML"):
        run_input("a: [", schema=None, form="yaml")


@pytest.mark.parametrize(
    ("text", "value"), [("yes", "yes"), ("true", True), ("5", 5), ('{"a": 1}', {"a": 1}), ('"5"', "5"), ("{no", "{no")]
)
def test_an_answer_is_json_where_it_reads_as_json(text: str, value: Any) -> None:
    assert answer(f" {text} ") == value
