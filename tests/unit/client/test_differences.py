"""What changed between two states."""

from __future__ import annotations

from typing import Any

import pytest

from lgnb.client.differences import Difference


def _diff(old: dict[str, Any], new: dict[str, Any]) -> Difference:
    return Difference("a", "b", {"values": old}, {"values": new})


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"x": 1}, {"x": 1}, []),
        ({"x": 1}, {"x": 2}, [("x", "-", 1), ("x", "+", 2)]),
        ({}, {"x": None}, [("x", "+", None)]),
        ({"x": 1}, {}, [("x", "-", 1)]),
        ({"x": [1, 2]}, {"x": [1, 2, 3]}, [("x", "+", 3)]),
        ({"x": [1, 2, 3]}, {"x": [1, 4, 3]}, [("x", "-", 2), ("x", "+", 4)]),
        ({}, {"x": [1]}, [("x", "+", 1)]),
        ({"x": {"a": 1}}, {"x": {"a": 2}}, [("x", "-", {"a": 1}), ("x", "+", {"a": 2})]),
    ],
)
def test_values_and_items_of_lists_are_compared(old: Any, new: Any, changes: Any) -> None:
    assert _diff(old, new).changes == changes


def test_what_comes_next_is_a_change_too() -> None:
    found = Difference("a", "b", {"values": {}, "next": ["model"]}, {"values": {}, "next": []})

    assert repr(found) == "a → b\n- next: model\n+ next: end"


def test_messages_read_as_who_said_what() -> None:
    found = _diff({"messages": []}, {"messages": [{"type": "ai", "content": "Hello"}]})

    assert repr(found) == "a → b\n+ messages: ai: Hello"


def test_it_has_every_form_and_escapes_what_a_model_said() -> None:
    bundle = _diff({}, {"x": "<script>"})._repr_mimebundle_()

    assert bundle["text/markdown"] == "**a → b**\n\n```diff\n+ x: <script>\n```"
    assert "<script>" not in bundle["text/html"]


def test_no_change_is_said_and_is_false() -> None:
    same = _diff({"x": 1}, {"x": 1})

    assert not same
    assert "nothing changed" in repr(same)
    assert "nothing changed" in same._repr_mimebundle_()["text/html"]
