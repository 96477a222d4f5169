from __future__ import annotations

import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from lgnb.graphs.loading import GraphRegistry
from lgnb.graphs.project import Project

CONFIG: Any = {"configurable": {"thread_id": "t"}}


@pytest.fixture(scope="module")
def registry() -> GraphRegistry:
    registry = GraphRegistry()
    registry.load_all(Project.load(Path(str(resources.files("lgnb.testing") / "langgraph.json"))))
    assert registry.failures == {}
    return registry


async def run(registry: GraphRegistry, graph_id: str, input: Any, *, saver: Any = None, **context: Any) -> Any:
    source = registry.get(graph_id)
    async with source.open(CONFIG, access_context="threads.create_run", checkpointer=saver or InMemorySaver()) as graph:
        return await graph.ainvoke(input, CONFIG, context=context or None)


async def test_echo_answers_its_text(registry: GraphRegistry) -> None:
    assert await run(registry, "echo", {"text": "a"}) == {"text": "echo: a"}


@pytest.mark.parametrize("graph_id", ["counter", "parent"])
async def test_counter_writes_one_line_for_each_step(registry: GraphRegistry, graph_id: str, tmp_path: Path) -> None:
    log = tmp_path / "log"

    result = await run(registry, graph_id, {"step": 0}, steps=4, log_file=str(log))

    assert (result["step"], result["seen"]) == (4, [1, 2, 3, 4])
    assert log.read_text().split() == ["1", "2", "3", "4"]


async def test_blocker_blocks_its_loop(registry: GraphRegistry) -> None:
    started = time.monotonic()

    assert await run(registry, "blocker", {"text": ""}, seconds=0.1) == {"text": "unblocked"}

    assert time.monotonic() - started >= 0.1


async def test_failing_fails_as_often_as_it_is_told(registry: GraphRegistry, tmp_path: Path) -> None:
    options = {"times": 1, "log_file": str(tmp_path / "log"), "message": "so it is"}

    with pytest.raises(ValueError, match="so it is"):
        await run(registry, "failing", {"text": ""}, **options)
    assert await run(registry, "failing", {"text": ""}, **options) == {"text": "recovered"}


def test_crasher_ends_its_process(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\nfrom lgnb.testing.graphs import crasher\n"
        "context = {'times': 1, 'log_file': sys.argv[1]}\n"
        "sys.exit(asyncio.run(crasher.ainvoke({'text': ''}, context=context)) != {'text': 'survived'})"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log")]

    assert [subprocess.run(command, check=False).returncode for _ in range(2)] == [41, 0]


async def test_tokens_streams_as_many_as_it_is_told(registry: GraphRegistry) -> None:
    result = await run(registry, "tokens", {"messages": []}, count=3)

    assert result["messages"][-1].content == "token1 token2 token3"


async def test_approver_waits_for_an_answer(registry: GraphRegistry) -> None:
    saver = InMemorySaver()

    (asked,) = (await run(registry, "approver", {"answers": []}, saver=saver))["__interrupt__"]
    answered = await run(registry, "approver", Command(resume={asked.id: "yes"}), saver=saver)

    assert asked.value == {"question": "one?"}
    assert answered == {"answers": ["yes"]}


async def test_two_approvers_wait_at_the_same_time(registry: GraphRegistry) -> None:
    saver = InMemorySaver()

    asked = (await run(registry, "two_approvers", {"answers": []}, saver=saver))["__interrupt__"]
    by_question = {interrupt.value["question"]: interrupt.id for interrupt in asked}
    resume = {by_question["left?"]: 1, by_question["right?"]: 2}
    answered = await run(registry, "two_approvers", Command(resume=resume), saver=saver)

    assert answered == {"answers": [{"left": 1}, {"right": 2}]}
