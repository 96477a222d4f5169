from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from lgnb_server.a2a.listing import Place, read_wanted
from lgnb_server.a2a.parts import Data, File, TaskId, Text
from lgnb_server.a2a.reading import read_history, read_sent, read_task_id
from lgnb_server.jsonrpc import RpcError

_THREAD = UUID("00000000-0000-7000-8000-000000000001")
_RUN = UUID("00000000-0000-7000-8000-000000000002")
_TASK = f"{_THREAD}:{_RUN}"


def _params(**message: Any) -> dict[str, Any]:
    return {"message": {"role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "hi"}], **message}}


def _refused(params: dict[str, Any]) -> int:
    with pytest.raises(RpcError) as refused:
        read_sent(params, scope="")
    assert str(refused.value)
    return refused.value.code


@pytest.mark.parametrize(
    "parts",
    [
        [
            {"kind": "text", "text": "hi"},
            {"kind": "data", "data": {"a": 1}},
            {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "text/plain", "name": "a.txt"}},
            {"kind": "file", "file": {"uri": "http://example.org/a"}},
        ],
        [
            {"text": "hi"},
            {"data": {"a": 1}, "mediaType": "application/json"},
            {"raw": "aGk=", "mediaType": "text/plain", "filename": "a.txt"},
            {"url": "http://example.org/a"},
        ],
    ],
    ids=["0.x", "1.0"],
)
def test_both_spellings_of_parts_mean_the_same(parts: list[Any]) -> None:
    assert read_sent(_params(parts=parts), scope="").parts == (
        Text("hi"),
        Data({"a": 1}),
        File("aGk=", None, "text/plain", "a.txt"),
        File(None, "http://example.org/a", None, None),
    )


def test_a_follow_up_names_its_task() -> None:
    sent = read_sent(_params(contextId=str(_THREAD), taskId=_TASK), scope="")

    assert sent.task_id == TaskId(_THREAD, _RUN)
    assert str(sent.task_id) == _TASK
    assert sent.thread_id == _THREAD
    assert read_sent(_params(taskId=_TASK), scope="").thread_id == _THREAD
    assert read_sent(_params(contextId=str(_THREAD)), scope="").thread_id == _THREAD
    assert read_sent(_params(contextId="", taskId=""), scope="").thread_id is None


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"role": "agent"}, -32602),
        ({"role": None}, -32602),
        ({"messageId": ""}, -32602),
        ({"messageId": "x" * 600}, -32602),
        ({"parts": None}, -32602),
        ({"parts": []}, -32602),
        ({"parts": [5]}, -32602),
        ({"parts": [{"kind": "text"}]}, -32602),
        ({"parts": [{"kind": "film"}]}, -32005),
        ({"parts": [{"kind": "file", "file": {}}]}, -32602),
        ({"parts": [{"raw": "aGk=", "url": "http://example.org"}]}, -32602),
        ({"parts": [{"text": "x"}] * 1001}, -32602),
        ({"contextId": "x"}, -32602),
        ({"contextId": str(_RUN), "taskId": _TASK}, -32602),
        ({"taskId": "x"}, -32001),
        ({"command": []}, -32602),
    ],
)
def test_a_message_that_is_wrong_is_told_so(message: dict[str, Any], code: int) -> None:
    assert _refused(_params(**message)) == code


def test_what_is_not_supported_is_refused_and_not_forgotten() -> None:
    for name in ("pushNotificationConfig", "taskPushNotificationConfig"):
        assert _refused({**_params(), "configuration": {name: {"url": "http://example.org"}}}) == -32003


@pytest.mark.parametrize(
    ("configuration", "waits"),
    [({}, True), ({"blocking": True}, True), ({"blocking": False}, False), ({"returnImmediately": True}, False)],
)
def test_a_sender_waits_unless_it_says_otherwise(configuration: dict[str, Any], waits: bool) -> None:
    assert read_sent({**_params(), "configuration": configuration}, scope="").waits is waits


def test_a_history_has_a_length_and_a_scope() -> None:
    assert read_history({}, scope="").length == 10
    assert read_history({}, scope="").scope == "task"
    assert read_history({}, scope="context").scope == "context"
    assert read_history({"historyScope": "task"}, scope="context").scope == "task"
    assert read_history({"historyLength": 0}, scope="").length == 0
    for wrong in ({"historyLength": 11}, {"historyLength": -1}, {"historyLength": "1"}, {"historyScope": "all"}):
        with pytest.raises(RpcError):
            read_history(wrong, scope="")


@pytest.mark.parametrize("text", ["x", f"{_THREAD}", f"{_THREAD}:", f"{_THREAD}:{_RUN}:", f"{_THREAD.hex}:{_RUN.hex}"])
def test_an_id_that_no_task_can_have_is_not_found(text: str) -> None:
    with pytest.raises(RpcError) as refused:
        read_task_id({"id": text}, "id")

    assert refused.value.code == -32001


def test_a_listing_is_read_in_both_spellings_of_states() -> None:
    for status in ("TASK_STATE_INPUT_REQUIRED", "input-required"):
        assert read_wanted({"status": status}, scope="").state == "input-required"
    wanted = read_wanted({"pageToken": "3-1-7", "statusTimestampAfter": "2026-11-20T09:00:00Z"}, scope="")

    assert wanted.place == Place(3, 1, 7)
    assert str(wanted.place) == "3-1-7"
    assert wanted.since is not None
    assert (wanted.limit, wanted.history.length, wanted.artifacts) == (50, 0, False)


@pytest.mark.parametrize(
    "params",
    [
        {"pageSize": 101},
        {"pageToken": "1"},
        {"pageToken": 1},
        {"status": "x"},
        {"status": []},
        {"statusTimestampAfter": "soon"},
        {"statusTimestampAfter": 5},
    ],
)
def test_a_listing_that_is_wrong_is_told_so(params: dict[str, Any]) -> None:
    with pytest.raises(RpcError):
        read_wanted(params, scope="")
