from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel import Pregel

from lgnb.graphs.tracebacks import user_traceback


def frames(error: BaseException) -> list[tuple[str, str]]:
    return re.findall(r'File ".*?([^/\\"]+)", line \d+, in (\S+)', user_traceback(error))


async def failing_node(state: Any) -> Any:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer") from error


async def test_a_node_is_shown_without_the_graph_library() -> None:
    graph = StateGraph(MessagesState).add_node("n", failing_node).add_edge(START, "n").compile()

    with pytest.raises(ValueError, match="outer") as caught:
        await asyncio.wait_for(graph.ainvoke({"messages": "x"}), 10)

    shown = frames(caught.value)
    assert {file for file, _ in shown} == {"test_tracebacks.py"}
    assert [name for _, name in shown if name == "failing_node"] == ["failing_node", "failing_node"]
    text = user_traceback(caught.value)
    assert text.index("KeyError: 'inner'") < text.index("direct cause") < text.rindex("ValueError: outer")


def test_an_error_of_a_library_alone_keeps_the_librarys_frames() -> None:
    with pytest.raises(ValueError, match="entrypoint") as caught:
        StateGraph(MessagesState).compile()
    caught.value.__traceback__ = caught.tb.tb_next  # without the frame of this test

    assert frames(caught.value)[-1] == ("state.py", "validate")


def test_the_error_itself_is_left_as_it_was() -> None:
    with pytest.raises(AttributeError) as caught:
        Pregel.no_such_thing  # type: ignore[attr-defined]  # noqa: B018
    before = caught.tb

    user_traceback(caught.value)

    assert caught.value.__traceback__ is before
