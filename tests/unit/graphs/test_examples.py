from __future__ import annotations

import json
import time
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel import Pregel
from langgraph.types import Command

from lgnb.graphs.descriptor_views import drawing, schemas, subgraphs
from lgnb.graphs.descriptors import describe_all
from lgnb.graphs.examples.approval import read_answer
from lgnb.graphs.loading import GraphRegistry
from lgnb.graphs.project import Project
from lgnb.json_encoding import encode

CONFIG: Any = {"configurable": {"thread_id": "t"}}
QUICK = {"token_delay": 0.0}


@pytest.fixture(scope="module")
def registry() -> GraphRegistry:
    registry = GraphRegistry()
    registry.load_all(Project.builtin())
    assert registry.failures == {}
    return registry


@pytest.fixture
async def agent(registry: GraphRegistry) -> Any:
    async with registry.get("agent").open(
        CONFIG, access_context="threads.create_run", checkpointer=InMemorySaver()
    ) as g:
        yield g


@pytest.fixture
async def approval(registry: GraphRegistry) -> Any:
    async with registry.get("approval").open(
        CONFIG, access_context="threads.create_run", checkpointer=InMemorySaver()
    ) as g:
        yield g


async def ask(graph: Pregel, question: str) -> Any:
    return await graph.ainvoke({"messages": [("user", question)]}, CONFIG, context=QUICK)


async def test_every_example_is_described_completely(registry: GraphRegistry) -> None:
    described = {descriptor.graph_id: descriptor for descriptor in await describe_all(registry)}

    assert list(described) == ["agent", "steps", "approval"]
    for descriptor in described.values():
        assert descriptor.failure is None
        assert all(value for key, value in schemas(descriptor).items()), descriptor.graph_id
    assert "research:gather" in json.dumps(drawing(described["steps"], True))
    assert list(subgraphs(described["steps"])) == ["research"]
    assert list(schemas(described["agent"])["context_schema"]["properties"]) == ["model", "token_delay"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is 17 * 23?", "17 * 23 = 391"),
        ("(1,000 + 0.5) / 4", "(1000 + 0.5) / 4 = 250.125"),
        ("how much is 7 − 9 × 2", "7 - 9 * 2 = -11"),
        ("1 / 0", "That cannot be worked out: division by zero"),
        ("What is a checkpoint?", "A checkpoint is the state of a thread"),
        ("search the docs for crons", "A cron starts runs by a schedule."),
        ("search the docs for fish", "Nothing found. There are notes about assistant"),
    ],
)
async def test_the_agent_calls_the_tool_that_helps(agent: Pregel, question: str, expected: str) -> None:
    result = await ask(agent, question)

    _, call, tool, answer = result["messages"]
    assert call.tool_calls[0]["id"] == tool.tool_call_id
    assert isinstance(tool, ToolMessage)
    assert expected in answer.content


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Why is the sky blue?", "Rayleigh scattering"),
        ("Hi!", "Hello!"),
        ("What can you do?", "`calculate`"),
        ("We met on 2024-05-01", "You said: “We met on 2024-05-01”"),
        ("", "You said: “”"),
    ],
)
async def test_the_agent_answers_without_a_tool_where_none_helps(agent: Pregel, question: str, expected: str) -> None:
    result = await ask(agent, question)

    assert len(result["messages"]) == 2
    assert expected in result["messages"][-1].content


async def test_the_agent_remembers_within_its_thread(agent: Pregel) -> None:
    await ask(agent, "Hello, my name is ada")

    assert "Your name is Ada" in (await ask(agent, "What is my name?"))["messages"][-1].content


async def test_the_agent_streams_its_tokens_while_it_works(agent: Pregel) -> None:
    moments: list[float] = []
    text = ""

    async for part, metadata in agent.astream(
        {"messages": "Why is the sky blue?"}, CONFIG, stream_mode="messages", context={"token_delay": 0.005}
    ):
        assert isinstance(part, AIMessageChunk)
        assert metadata["langgraph_node"] == "model"
        encode([part, metadata])
        text += str(part.text)
        moments.append(time.monotonic())

    assert text.startswith("Sunlight holds all colours.")
    assert len(moments) > 30
    assert moments[-1] - moments[0] > 0.1


async def test_a_model_that_cannot_be_made_says_what_is_missing(agent: Pregel) -> None:
    with pytest.raises(RuntimeError, match=r"The model 'nobody:nothing' (needs a package|could not be set up)"):
        await agent.ainvoke({"messages": "hi"}, CONFIG, context={"model": "nobody:nothing"})


async def test_the_agent_runs_without_any_context(agent: Pregel) -> None:
    assert (await agent.ainvoke({"messages": "Hi"}, CONFIG))["messages"][-1].content.startswith("Hello!")


async def test_steps_researches_at_once_and_writes_in_order(registry: GraphRegistry) -> None:
    progress: list[Any] = []
    namespaces: set[str] = set()

    async with registry.get("steps").open(CONFIG, access_context="threads.create_run") as graph:
        started = time.monotonic()
        async for namespace, mode, data in graph.astream(
            {"topic": "sailing"},
            CONFIG,
            stream_mode=["custom", "updates", "values"],
            subgraphs=True,
            context={"token_delay": 0.01},
        ):
            if mode == "custom":
                progress.append(data["text"])
            namespaces |= {name.partition(":")[0] for name in namespace}
            if mode == "values" and not namespace:
                values = data
        elapsed = time.monotonic() - started

    sections = ["what it is", "why it matters", "where to begin"]
    assert progress[0] == "Planned 3 sections"
    assert sorted(progress[1:4]) == sorted(f"Researched {section}" for section in sections)
    assert progress[4] == "Wrote the report"
    assert namespaces == {"research"}
    assert [note["section"] for note in values["notes"]] == sections
    assert values["report"].startswith("# Sailing\n\n## What it is\n\nIn one sentence: sailing")
    assert elapsed < 5


async def test_approval_asks_in_the_shape_that_inboxes_understand(approval: Pregel) -> None:
    result = await ask(approval, "The release is on Friday.")

    (asked,) = result["__interrupt__"]
    (action,) = asked.value["action_requests"]
    assert action["name"] == "send_message"
    assert action["args"]["body"] == "Dear team,\n\nThe release is on Friday.\n\nBest regards"
    assert action["description"] == "Send this message?"
    assert asked.value["review_configs"] == [
        {"action_name": "send_message", "allowed_decisions": ["approve", "edit", "reject", "respond"]}
    ]
    assert json.loads(encode(asked))["value"] == asked.value


@pytest.mark.parametrize("answer", ["approve", True, {"type": "approve"}, [{"type": "accept", "args": None}]])
async def test_an_approved_message_is_sent(approval: Pregel, answer: Any) -> None:
    await ask(approval, "News")

    result = await approval.ainvoke(Command(resume=answer), CONFIG, context=QUICK)

    assert result["outcome"] == "sent"
    assert result["messages"][-1].content == "Sent to team:\n\nDear team,\n\nNews.\n\nBest regards"


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "edit", "args": {"body": "Short."}},
        {"type": "edit", "args": {"action": "send_message", "args": {"body": "Short."}}},
        {"decisions": [{"type": "edit", "edited_action": {"name": "send_message", "args": {"body": "Short."}}}]},
        {"type": "edit", "args": "Short."},
    ],
)
async def test_an_edited_message_is_sent_as_edited(approval: Pregel, answer: Any) -> None:
    await ask(approval, "News")

    result = await approval.ainvoke(Command(resume=answer), CONFIG, context=QUICK)

    assert result["messages"][-1].content == "Sent to team:\n\nShort."


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (False, "The message was not sent."),
        ("reject", "The message was not sent."),
        ({"type": "reject", "message": "too early"}, "The message was not sent because: too early."),
    ],
)
async def test_a_rejected_message_is_not_sent(approval: Pregel, answer: Any, text: str) -> None:
    await ask(approval, "News")

    result = await approval.ainvoke(Command(resume=answer), CONFIG, context=QUICK)

    assert (result["outcome"], result["messages"][-1].content) == ("rejected", text)


@pytest.mark.parametrize(
    "answer", ["Say when.", {"type": "respond", "message": "Say when."}, [{"type": "response", "args": "Say when."}]]
)
async def test_a_response_changes_the_draft_and_asks_again(approval: Pregel, answer: Any) -> None:
    first = (await ask(approval, "News"))["__interrupt__"][0]

    (second,) = (await approval.ainvoke(Command(resume=answer), CONFIG, context=QUICK))["__interrupt__"]

    assert second.id != first.id
    assert "Say when." in second.value["action_requests"][0]["args"]["body"]


async def test_an_answer_without_sense_is_asked_again_under_a_new_id(approval: Pregel) -> None:
    first = (await ask(approval, "News"))["__interrupt__"][0]

    (second,) = (await approval.ainvoke(Command(resume={"kind": 7}), CONFIG, context=QUICK))["__interrupt__"]

    assert second.id != first.id
    assert "was not understood" in second.value["action_requests"][0]["description"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (" YES ", ("approve", None)),
        (None, (None, None)),
        (7, (None, None)),
        ({}, (None, None)),
        ([], (None, None)),
        ({"decisions": []}, (None, None)),
        ({"type": "ignore"}, ("reject", None)),
    ],
)
def test_answers_are_read_in_all_their_forms(answer: Any, expected: Any) -> None:
    assert read_answer(answer) == expected


async def test_a_draft_is_streamed(approval: Pregel) -> None:
    parts = [
        part
        async for part, _ in approval.astream({"messages": "News"}, CONFIG, stream_mode="messages", context=QUICK)
        if isinstance(part, AIMessage)
    ]

    assert "".join(str(part.text) for part in parts) == "Dear team,\n\nNews.\n\nBest regards"
