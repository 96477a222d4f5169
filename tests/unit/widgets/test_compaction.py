"""Events made small for the way through the kernel."""

from __future__ import annotations

from typing import Any

from lgnb.widgets.compaction import compacted


def token(text: str, *, message: str = "a", event: str = "messages", **more: Any) -> dict[str, Any]:
    chunk = {"type": "AIMessageChunk", "id": message, "content": text, "tool_call_chunks": [], **more}
    return {"event": event, "data": [chunk, {"langgraph_node": "model", "thread_id": "t"}], "id": f"{text}-0"}


def test_adjacent_tokens_of_a_message_become_one_with_the_last_id() -> None:
    [joined] = compacted([token("Hel"), token("lo"), token("!", chunk_position="last")])

    assert joined["data"][0]["content"] == "Hello!"
    assert joined["data"][0]["chunk_position"] == "last"
    assert joined["data"][1] == {"langgraph_node": "model"}
    assert joined["id"] == "!-0"


def test_messages_and_subgraphs_stay_apart() -> None:
    events = [token("a"), token("b", message="b"), token("c", message="b", event="messages|child:1")]

    assert [event["data"][0]["content"] for event in compacted(events)] == ["a", "b", "c"]


def test_what_lies_between_tokens_keeps_its_place() -> None:
    between = {"event": "custom", "data": 1, "id": "5-0"}

    assert [event["event"] for event in compacted([token("a"), between, token("b")])] == [
        "messages",
        "custom",
        "messages",
    ]


def test_pieces_of_tool_calls_are_passed_on_as_they_are() -> None:
    call = token("", tool_call_chunks=[{"index": 0, "args": "{"}])

    assert len(compacted([token("a"), call, call])) == 3


def test_a_message_that_ended_takes_no_more_text() -> None:
    assert len(compacted([token("a", chunk_position="last"), token("b")])) == 2
