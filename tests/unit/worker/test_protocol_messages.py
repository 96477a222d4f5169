"""Messages of the thread protocol: whole ones, and block by block."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk

from lgnb.worker.protocol_messages import ChunkAssembly, plain_message, whole_message_events, without_messages


def text_chunk(text: str, **more: Any) -> AIMessageChunk:
    return AIMessageChunk(content=text, id="m", **more)


def events_of(*chunks: AIMessageChunk) -> list[dict[str, Any]]:
    assembly = ChunkAssembly("m")
    return [event for chunk in chunks for event in assembly.add(chunk)]


def test_chunks_become_one_text_block() -> None:
    usage: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    last = text_chunk("", usage_metadata=usage, chunk_position="last")

    events = events_of(text_chunk("Hello"), text_chunk(" you"), last)

    assert events == [
        {"event": "message-start", "role": "ai", "id": "m"},
        {"event": "content-block-start", "index": 0, "content": {"type": "text", "text": ""}},
        {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": "Hello"}},
        {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": " you"}},
        {"event": "content-block-finish", "index": 0, "content": {"type": "text", "text": "Hello you"}},
        {"event": "message-finish", "usage": usage},
    ]


def test_a_tool_call_in_pieces_is_a_block_of_its_own_and_ends_parsed() -> None:
    opening = tool_call_chunk(name="add", args="", id="c1", index=0)
    pieces = [tool_call_chunk(name=None, args=part, id=None, index=0) for part in ('{"a":', " 1}")]

    events = events_of(
        text_chunk("Wait."),
        text_chunk("", tool_call_chunks=[opening]),
        *(text_chunk("", tool_call_chunks=[piece]) for piece in pieces),
        text_chunk("", chunk_position="last"),
    )

    calls = [event for event in events if event.get("index") == 1]
    assert calls[0]["content"] | {"index": 0} == {
        "type": "tool_call_chunk",
        "name": "add",
        "args": "",
        "id": "c1",
        "index": 0,
    }
    deltas = [event["delta"] for event in calls if event["event"] == "content-block-delta"]
    assert deltas == [{"type": "tool-call-delta", "args": '{"a":'}, {"type": "tool-call-delta", "args": " 1}"}]
    finished = {event["index"]: event["content"] for event in events if event["event"] == "content-block-finish"}
    assert finished[0]["text"] == "Wait."
    assert (finished[1]["type"], finished[1]["name"], finished[1]["args"]) == ("tool_call", "add", {"a": 1})


def test_a_message_that_breaks_off_is_finished_with_what_there_is() -> None:
    assembly = ChunkAssembly("m")
    list(assembly.add(text_chunk("Half")))

    rest = list(assembly.finish())

    assert [event["event"] for event in rest] == ["content-block-finish", "message-finish"]
    assert list(assembly.finish()) == []


def test_a_whole_message_is_told_as_if_it_had_been_written() -> None:
    message = ToolMessage("7", tool_call_id="c1")

    events = list(whole_message_events(message, message_id="tool-c1", role="tool", tool_call_id="c1"))

    assert events[0] == {"event": "message-start", "role": "tool", "id": "tool-c1", "tool_call_id": "c1"}
    assert {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": "7"}} in events
    assert events[-1] == {"event": "message-finish"}


def test_a_state_shows_its_messages_as_plain_objects() -> None:
    call: Any = {"name": "add", "args": {}, "id": "c1", "type": "tool_call"}
    state = {
        "messages": [HumanMessage("Hi", id="h"), AIMessage("", id="a", tool_calls=[call])],
        "count": 1,
        "__interrupt__": ["left out"],
    }

    assert without_messages(state) == {
        "messages": [
            {"type": "human", "content": "Hi", "id": "h"},
            {"type": "ai", "content": "", "id": "a", "tool_calls": [call]},
        ],
        "count": 1,
    }


def test_pictures_of_one_provider_become_pictures_of_all() -> None:
    message = HumanMessage([{"type": "image_url", "image_url": {"url": "data:x"}}], id="h")

    assert plain_message(message)["content"] == [{"type": "image", "url": "data:x"}]
