"""What a client accepts: refused where the assistant has nothing of it, and answers in parts that fit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from lgnb_server.a2a.output_modes import DEFAULT_MODES, OutputModes
from lgnb_server.a2a.parts import (
    Artifact,
    ArtifactUpdate,
    Data,
    File,
    Message,
    Part,
    Status,
    StatusUpdate,
    Task,
    TaskId,
    Text,
)
from lgnb_server.a2a.reading import CONTENT_TYPE
from lgnb_server.a2a.server import check_version
from lgnb_server.jsonrpc import INVALID_PARAMS, RpcError

_ID = TaskId(UUID(int=1), UUID(int=2))


def _modes(*accepted: Any, offered: tuple[str, ...] = DEFAULT_MODES) -> OutputModes:
    return OutputModes.read({"acceptedOutputModes": list(accepted)}, offered=offered)


def _given(modes: OutputModes, *parts: Part) -> list[Part]:
    artifact = Artifact(artifact_id="a", name="", description="", parts=parts)
    update = modes.fitted(ArtifactUpdate(task_id=_ID, artifact=artifact))
    assert isinstance(update, ArtifactUpdate)
    return list(update.artifact.parts)


@pytest.mark.parametrize(
    ("accepted", "text", "data"),
    [
        ((), Text("a"), Data({"b": 1})),
        (("text/plain", "application/json"), Text("a"), Data({"b": 1})),
        (("*/*",), Text("a"), Data({"b": 1})),
        (("text/*",), Text("a"), Text('{"b":1}')),
        (("TEXT/plain; charset=utf-8",), Text("a"), Text('{"b":1}')),
        (("text",), Text("a"), Text('{"b":1}')),
        (("application/json", "image/png"), Data("a"), Data({"b": 1})),
    ],
)
def test_texts_and_data_become_what_is_accepted(accepted: tuple[str, ...], text: Part, data: Part) -> None:
    assert _given(_modes(*accepted), Text("a"), Data({"b": 1})) == [text, data]


def test_a_file_that_is_not_accepted_is_named_in_its_place() -> None:
    picture = File("aGk=", None, "image/png", None)

    assert _given(_modes("text/plain", "image/*"), picture) == [picture]
    (note,) = _given(_modes("text/plain"), picture)
    assert isinstance(note, Text)
    assert "image/png was left out" in note.text


def test_the_words_of_the_agent_are_fitted_and_those_of_the_client_are_not() -> None:
    said = [Message(message_id="m", role=role, parts=(Text("a"),)) for role in ("user", "agent")]
    status = Status(state="working", timestamp="", message=said[1])
    task = _modes("application/json").fitted(Task(task_id=_ID, status=status, history=tuple(said)))
    update = _modes("application/json").fitted(StatusUpdate(task_id=_ID, status=status, final=False))

    assert isinstance(task, Task)
    assert isinstance(update, StatusUpdate)
    assert [message.parts for message in task.history] == [(Text("a"),), (Data("a"),)]
    assert task.status.message == update.status.message == Message(message_id="m", role="agent", parts=(Data("a"),))


def test_an_assistant_that_says_what_its_texts_are_is_believed() -> None:
    modes = _modes("text/markdown", offered=("text/markdown",))

    assert _given(modes, Text("# a")) == [Text("# a")]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["image/png"], CONTENT_TYPE),
        (["application/pdf", "audio/*"], CONTENT_TYPE),
        ("text/plain", INVALID_PARAMS),
        ([1], INVALID_PARAMS),
        ([""], INVALID_PARAMS),
        (["a/b"] * 101, INVALID_PARAMS),
    ],
)
def test_what_cannot_be_given_or_means_nothing_is_refused(given: Any, code: int) -> None:
    with pytest.raises(RpcError) as refused:
        OutputModes.read({"acceptedOutputModes": given}, offered=DEFAULT_MODES)
    assert refused.value.code == code


@pytest.mark.parametrize("version", ["", "1.0", "0.3", "1.0.3", "0.3.0"])
def test_versions_of_the_card_are_spoken_whatever_their_patch(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["2.0", "0.5", "1", "1.00", "1.0.", "v1.0", "0.3, 1.0", "1x0", "x" * 1000])
def test_no_other_version_is_spoken(version: str) -> None:
    with pytest.raises(RpcError, match=r"1\.0, 0\.3") as refused:
        check_version(version)
    assert refused.value.code == -32009
    assert len(str(refused.value)) < 200
