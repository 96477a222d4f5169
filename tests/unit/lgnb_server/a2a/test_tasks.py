from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from a2a.client.card_resolver import parse_agent_card
from a2a.compat.v0_3 import types as old
from a2a.types import StreamResponse
from google.protobuf.json_format import ParseDict
from lgnb_server.a2a.cards import agent_card
from lgnb_server.a2a.parts import ArtifactUpdate, Data, File, Message, StatusUpdate, Task, TaskId, Text
from lgnb_server.a2a.reading import TASK_KEY
from lgnb_server.a2a.spelling import New, Old
from lgnb_server.a2a.tasks import Left, messages_of, progress, state_of, submitted, task_id_of, task_of

from lgnb.models.assistants import Assistant
from lgnb.models.runs import Run
from lgnb.models.streams import StreamEvent
from lgnb.models.threads import Thread

_THREAD = UUID("00000000-0000-7000-8000-000000000001")
_RUN = UUID("00000000-0000-7000-8000-000000000002")
_FIRST = UUID("00000000-0000-7000-8000-000000000003")
_NOW = datetime(2026, 11, 20, 9, 33, 31, 51572, tzinfo=UTC)
_TASK = TaskId(_THREAD, _RUN)

_SAID = [
    {"type": "human", "content": "hello", "id": "1"},
    {"type": "ai", "content": "", "id": "2", "tool_calls": [{"name": "x"}]},
    {"type": "tool", "content": "3", "id": "3"},
    {"type": "ai", "content": [{"type": "reasoning"}, {"type": "text", "text": "Three."}], "id": "4"},
]


def _run(status: Any = "success", **metadata: Any) -> Run:
    return Run(
        run_id=_RUN,
        thread_id=_THREAD,
        assistant_id=_FIRST,
        metadata=metadata,
        status=status,
        kwargs={},
        multitask_strategy="enqueue",
        created_at=_NOW,
        updated_at=_NOW,
    )


def _thread(status: Any = "idle", error: Any = None) -> Thread:
    return Thread(
        thread_id=_THREAD,
        created_at=_NOW,
        updated_at=_NOW,
        state_updated_at=_NOW,
        metadata={},
        config={},
        status=status,
        values=None,
        interrupts={},
        error=error,
    )


def _task(run: Run, thread: Thread, values: Any, *, interrupts: Any = (), newest: bool = True, **how: Any) -> Task:
    left = Left(run=run, thread=thread, newest=newest, values=values, interrupts=interrupts)
    return task_of(_TASK, left, **({"outputs": None, "earlier": (), "length": 10} | how))


@pytest.mark.parametrize(
    ("run", "thread", "newest", "state"),
    [
        ("pending", "busy", True, "submitted"),
        ("running", "busy", True, "working"),
        ("success", "idle", True, "completed"),
        ("success", "interrupted", True, "input-required"),
        ("success", "interrupted", False, "completed"),
        ("interrupted", "interrupted", True, "canceled"),
        ("error", "error", True, "failed"),
        ("timeout", "error", True, "failed"),
    ],
)
def test_a_task_stands_as_its_last_run_does(run: Any, thread: Any, newest: bool, state: str) -> None:
    assert state_of(_run(run), _thread(thread), newest=newest) == state


def test_a_run_belongs_to_the_task_that_it_goes_on_with() -> None:
    assert task_id_of(_run()) == _TASK
    assert task_id_of(_run(**{TASK_KEY: f"{_THREAD}:{_FIRST}"})) == TaskId(_THREAD, _FIRST)
    # Anybody may write metadata; a task never leaves its thread.
    assert task_id_of(_run(**{TASK_KEY: f"{_FIRST}:{_FIRST}"})) == _TASK
    assert task_id_of(_run(**{TASK_KEY: 5})) == _TASK


def test_the_last_words_are_the_artifact_and_the_rest_of_the_output_is_data() -> None:
    values = {"messages": _SAID, "score": 3, "scratch": "x", "nothing": None}

    (artifact,) = _task(_run(), _thread(), values, outputs={"messages", "score", "nothing"}).artifacts

    assert artifact.parts == (Text("Three."), Data({"score": 3}))


def test_a_history_shows_words_and_not_the_work_between_them() -> None:
    values = {"messages": _SAID}

    assert [m.message_id for m in _task(_run(), _thread(), values).history] == ["1", "4"]
    assert [m.message_id for m in _task(_run(), _thread(), values, length=1).history] == ["4"]
    assert [m.message_id for m in _task(_run(), _thread(), values, earlier={"1"}).history] == ["4"]
    assert _task(_run(), _thread(), values, length=0).history == ()
    assert [m.role for m in messages_of(values)] == ["user", "agent"]
    for nothing in (None, [], {}, {"messages": "x"}, {"messages": [5, {}]}):
        assert messages_of(nothing) == []


def test_questions_are_told_with_the_ids_to_answer_them_by() -> None:
    questions = [{"id": "a" * 32, "value": {"question": "really?"}}, {"id": "b" * 32, "value": "sure?"}]

    task = _task(_run(), _thread("interrupted"), {"messages": _SAID}, interrupts=questions)

    assert task.waiting == ("a" * 32, "b" * 32)
    assert task.artifacts[0].parts == tuple(Data(question) for question in questions)
    assert task.status.message is not None
    assert task.status.message.parts == (Text('{"question":"really?"}'), Text("sure?"))


def test_questions_that_a_later_run_went_past_do_not_wait() -> None:
    questions = [{"id": "a" * 32, "value": "sure?"}]

    task = _task(_run(), _thread("interrupted"), {}, interrupts=questions, newest=False)

    assert (task.status.state, task.waiting) == ("completed", ())


@pytest.mark.parametrize(
    ("run", "error", "newest", "text"),
    [
        ("error", {"error": "ValueError", "message": "no"}, True, "ValueError: no"),
        ("error", {"error": "ValueError", "message": "of a later run"}, False, "The run failed."),
        ("timeout", None, True, "The run took too long and was stopped."),
    ],
)
def test_a_failed_task_says_why(run: Any, error: Any, newest: bool, text: str) -> None:
    message = _task(_run(run), _thread("error", error), {}, newest=newest).status.message

    assert message is not None
    assert message.parts == (Text(text),)


@pytest.mark.parametrize(
    ("name", "messages", "text"),
    [
        ("messages/partial", [{"type": "ai", "content": "Th", "id": "4"}], "Th"),
        ("messages/complete", _SAID, "Three."),
        ("messages/partial", [{"type": "ai", "content": "", "id": "4"}], None),
        ("messages/metadata", {"4": {}}, None),
        ("values", {"messages": _SAID}, None),
    ],
)
def test_progress_is_what_the_graph_has_said_so_far(name: str, messages: Any, text: str | None) -> None:
    said = progress(StreamEvent(name, orjson.dumps(messages)))

    assert (said and said.parts[0]) == (Text(text) if text else None)


def _updates() -> list[Any]:
    values = {"messages": [*_SAID, {"type": "human", "content": [{"type": "image", "url": "http://example.org/a"}]}]}
    task = _task(_run(), _thread(), values)
    asked = _task(_run(), _thread("interrupted"), {}, interrupts=[{"id": "a" * 32, "value": [1, None]}])
    sent = Message(message_id="m", role="user", parts=(Text("x"), Data({"a": 1}), File("aGk=", None, "text/x", "a")))
    return [
        task,
        asked,
        submitted(_TASK, _run("pending"), sent),
        StatusUpdate(task_id=_TASK, status=asked.status, final=True),
        ArtifactUpdate(task_id=_TASK, artifact=asked.artifacts[0]),
    ]


@pytest.mark.parametrize("update", _updates(), ids=lambda update: type(update).__name__)
def test_both_spellings_are_what_the_official_types_read(update: Any) -> None:
    new = ParseDict(New().update(update), StreamResponse())
    parsed = old.SendStreamingMessageSuccessResponse.model_validate(
        {"jsonrpc": "2.0", "id": 1, "result": Old().update(update)}
    )

    assert str(_TASK) in str(new)
    assert str(_TASK) in repr(parsed.result)


def test_a_card_is_read_by_clients_of_both_versions() -> None:
    assistant = Assistant(
        assistant_id=_RUN,
        graph_id="agent",
        config={},
        context={},
        metadata={"a2a": {"input_modes": ["text/plain"], "output_modes": "wrong"}},
        name="Helper",
        created_at=_NOW,
        updated_at=_NOW,
        version=3,
        description=None,
    )
    card = agent_card(assistant, "https://example.org/lgnb/a2a/1")

    before = old.AgentCard.model_validate(card)
    now = parse_agent_card(card)

    assert before.url == now.supported_interfaces[0].url == "https://example.org/lgnb/a2a/1"
    assert [one.protocol_version for one in now.supported_interfaces] == ["1.0", "0.3"]
    assert before.default_input_modes == list(now.default_input_modes) == ["text/plain"]
    assert before.default_output_modes == ["application/json", "text/plain"]
    assert now.version == "3"
    assert now.description
