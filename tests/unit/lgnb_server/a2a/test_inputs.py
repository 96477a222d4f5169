from __future__ import annotations

from typing import Any

import pytest
from lgnb_server.a2a.inputs import answer, check_file_types, graph_input
from lgnb_server.a2a.parts import Data, File, Part, Text
from lgnb_server.a2a.reading import History, Sent
from lgnb_server.jsonrpc import RpcError

_CHAT = {"type": "object", "properties": {"messages": {}, "topic": {}}}
_FORM = {"type": "object", "properties": {"topic": {}}}
_ONE, _TWO = "1" * 32, "2" * 32


def _sent(*parts: Part) -> Sent:
    return Sent(
        message_id="m",
        parts=parts,
        context_id=None,
        task_id=None,
        command=None,
        context={},
        metadata={},
        history=History(10, "task"),
        waits=True,
    )


def test_texts_are_what_a_person_says() -> None:
    given = graph_input(_sent(Text("one"), Text("two")), _CHAT)

    assert given == {"messages": [{"type": "human", "content": "one\ntwo", "id": "m"}]}


def test_files_become_blocks_and_are_never_fetched() -> None:
    picture = File("aGk=", None, "image/png", "a.png")
    paper = File(None, "http://example.org/a.pdf", None, None)

    (message,) = graph_input(_sent(Text("look"), picture, paper), _CHAT)["messages"]

    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "mime_type": "image/png", "base64": "aGk=", "extras": {"filename": "a.png"}},
        {"type": "file", "mime_type": "application/octet-stream", "url": "http://example.org/a.pdf"},
    ]


def test_data_is_merged_into_the_input() -> None:
    given = graph_input(_sent(Data({"topic": "tea"}), Text("go"), Data({"messages": [{"type": "system"}]})), _CHAT)

    assert given["topic"] == "tea"
    assert [message["type"] for message in given["messages"]] == ["system", "human"]
    assert graph_input(_sent(Data({"topic": "tea"})), _FORM) == {"topic": "tea"}


@pytest.mark.parametrize("schema", [_FORM, None, {}])
def test_a_graph_without_messages_takes_no_words(schema: Any) -> None:
    for part in (Text("x"), File("aGk=", None, None, None)):
        with pytest.raises(RpcError) as refused:
            graph_input(_sent(part), schema)
        assert refused.value.code == -32602


def test_data_that_is_no_object_is_no_input() -> None:
    with pytest.raises(RpcError):
        graph_input(_sent(Data([1])), _FORM)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (Text("yes"), "yes"),
        (Data({"resume": False}), False),
        (Data({"type": "approve"}), {"type": "approve"}),
    ],
)
def test_one_question_is_answered_by_its_id(part: Part, value: Any) -> None:
    assert answer([part], [_ONE]) == {"resume": {_ONE: value}}


def test_several_questions_are_answered_by_a_map() -> None:
    answers = {_ONE: "a", _TWO: "b"}

    assert answer([Data({"resume": answers})], [_ONE, _TWO]) == {"resume": answers}
    with pytest.raises(RpcError, match=_TWO):
        answer([Text("yes")], [_ONE, _TWO])


def test_a_pause_without_a_question_takes_any_answer() -> None:
    assert answer([Text("go on")], []) == {"resume": "go on"}


def test_files_of_types_that_an_assistant_does_not_name_are_refused() -> None:
    picture, unknown = File("aGk=", None, "image/png", None), File("aGk=", None, None, None)

    check_file_types([picture, unknown, Text("x")], None)
    check_file_types([picture, Text("x")], ["image/*"])
    for wrong in (picture, unknown):
        with pytest.raises(RpcError) as refused:
            check_file_types([wrong], ["text/plain"])
        assert refused.value.code == -32005
