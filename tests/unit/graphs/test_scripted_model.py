from __future__ import annotations

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage

from lgnb.graphs.scripted_model import ScriptedChatModel

CALL = {"name": "add", "args": {"a": 1, "b": [2, 3]}, "id": "call_1", "type": "tool_call"}


def model(message: AIMessage) -> ScriptedChatModel:
    return ScriptedChatModel(script=lambda _: message)


async def test_words_come_as_tokens_and_add_up_to_the_text() -> None:
    text = "One two\n\nthree  "

    chunks = [chunk async for chunk in model(AIMessage(text)).astream([HumanMessage("a b")])]

    assert [str(chunk.text) for chunk in chunks] == ["One", " two", "\n\nthree", "  ", ""]
    assert chunks[-1].chunk_position == "last"
    assert chunks[-1].usage_metadata == {"input_tokens": 2, "output_tokens": 4, "total_tokens": 6}
    assert len({chunk.id for chunk in chunks}) == 1


async def test_tool_calls_stream_in_pieces_and_arrive_whole() -> None:
    scripted = model(AIMessage("Wait", tool_calls=[CALL]))

    chunks = [chunk async for chunk in scripted.astream("x")]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk

    assert isinstance(whole, AIMessageChunk)
    assert whole.tool_calls == [CALL]
    assert len([chunk for chunk in chunks if chunk.tool_call_chunks]) > 2


def test_the_same_is_said_without_streaming() -> None:
    message = model(AIMessage("Wait", tool_calls=[CALL])).invoke("x")

    assert (message.content, message.tool_calls) == ("Wait", [CALL])
    assert [str(chunk.text) for chunk in model(AIMessage("a b")).stream("x")] == ["a", " b", ""]


def test_an_empty_answer_is_an_answer() -> None:
    assert model(AIMessage("")).invoke("x").content == ""
