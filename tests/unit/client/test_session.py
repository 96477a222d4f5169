"""What a kernel remembers: threads per assistant, aliases, and the answers' own interrupts."""

from __future__ import annotations

import pytest

from lgnb.client.aliases import Aliases
from lgnb.client.drawing import Drawing
from lgnb.client.runs import PASSED_ON, _checked
from lgnb.client.session import Session
from lgnb.client.thread_state import answers_by_id, interrupts_of
from lgnb.errors import InvalidRequest, ThreadNotFound

_A, _B = "6f1c2a44-55b0-4c5e-9d0a-8b5f5c1d7e01", "c0a8e9d2-7b34-4f61-8a2e-1f9e3d6b4a02"


def test_an_assistant_continues_on_the_thread_it_used_last() -> None:
    session = Session()
    session.remember_thread("agent", _A)
    session.remember_thread("approval", _B)

    assert session.thread_for("agent", None) == (_A, False)
    assert session.thread_for("approval", None) == (_B, False)
    assert session.thread_for("other", None)[1] is True


def test_a_thread_chosen_by_hand_takes_the_next_run_of_any_assistant() -> None:
    session = Session()
    session.remember_thread("agent", _A)
    session.choose_thread(_B)

    assert session.thread_for("agent", None) == (_B, False)
    session.remember_thread("agent", _B)
    assert session.thread_for("other", None)[1] is True


def test_a_new_thread_can_be_asked_for() -> None:
    session = Session()
    session.remember_thread("agent", _A)

    made, is_new = session.thread_for("agent", "new")

    assert is_new
    assert made != _A


def test_a_deleted_thread_is_used_no_more() -> None:
    session = Session()
    session.remember_thread("agent", _A)

    session.forget_thread(_A)

    assert session.thread_id is None
    assert session.thread_for("agent", None)[1] is True


def test_what_is_no_thread_id_is_refused_before_the_server_is_asked() -> None:
    with pytest.raises(ThreadNotFound, match="nosuch"):
        Session().thread_for("agent", "nosuch")


def test_aliases_count_in_the_order_of_meeting() -> None:
    aliases = Aliases()

    assert [aliases.name("thread", one) for one in (_B, _A, _B)] == ["thread#1", "thread#2", "thread#1"]
    assert aliases.name("run", _A) == "run#1"


@pytest.mark.parametrize("text", ["thread#2", "#2", _A, _A[:8], _A[-6:]])
def test_an_alias_or_a_part_of_an_id_stands_for_the_id(text: str) -> None:
    aliases = Aliases()
    aliases.name("thread", _B)
    aliases.name("thread", _A)

    assert aliases.full_id("thread", text) == _A


@pytest.mark.parametrize("text", ["thread#9", "run#1", "zzzz", "1"])
def test_an_unknown_text_stays_as_it_is(text: str) -> None:
    aliases = Aliases()
    aliases.name("thread", _A)

    assert aliases.full_id("thread", text) == text


_WAITING = [{"id": "a" * 32, "value": 1, "node": "x"}, {"id": "b" * 32, "value": 2, "node": "y"}]


def test_an_answer_reaches_its_own_interrupt() -> None:
    assert answers_by_id("yes", None, _WAITING[:1]) == {"a" * 32: "yes"}
    assert answers_by_id("yes", "2", _WAITING) == {"b" * 32: "yes"}
    assert answers_by_id({"1": "l", "b" * 32: "r"}, None, _WAITING) == {"a" * 32: "l", "b" * 32: "r"}
    assert answers_by_id({"type": "approve"}, None, _WAITING[:1]) == {"a" * 32: {"type": "approve"}}


def test_an_answer_without_an_address_is_refused_where_several_wait() -> None:
    with pytest.raises(InvalidRequest, match="--id 1 … --id 2"):
        answers_by_id("yes", None, _WAITING)
    with pytest.raises(InvalidRequest, match="No interrupt 3"):
        answers_by_id("yes", "3", _WAITING)


def test_interrupts_are_numbered_by_node() -> None:
    tasks = [{"name": "y", "interrupts": [_WAITING[1]]}, {"name": "x", "interrupts": [_WAITING[0]]}]

    assert [one["node"] for one in interrupts_of({"tasks": tasks, "interrupts": _WAITING})] == ["x", "y"]


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="'contxt'"):
        _checked({"contxt": {}})
    assert _checked({"context": {"a": 1}, "config": None}) == {"context": {"a": 1}}


def test_every_option_is_one_of_the_sdk() -> None:
    import inspect

    from langgraph_sdk.client import RunsClient

    assert set(inspect.signature(RunsClient.stream).parameters) >= PASSED_ON


def test_a_drawing_lists_edges_and_speaks_mermaid() -> None:
    nodes = [
        {"id": "__start__"},
        {"id": "model"},
        {"id": "tools", "metadata": {"__tools": ["search"]}},
        {"id": "__end__"},
    ]
    edges = [
        {"source": "__start__", "target": "model"},
        {"source": "model", "target": "__end__", "conditional": True},
        {"source": "model", "target": "tools", "conditional": True, "data": "call"},
        {"source": "tools", "target": "model"},
    ]
    drawing = Drawing("agent", nodes=nodes, edges=edges)

    assert repr(drawing).splitlines() == [
        "agent",
        "  start → model",
        "  model ⇢ end, ⇢ tools (call)",
        "  tools [search] → model",
    ]
    assert 'n_model -.->|"call"| n_tools' in drawing.mermaid
