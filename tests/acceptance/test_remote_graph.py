"""LangGraph's RemoteGraph uses a graph of the server as if it were a local one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client, get_sync_client

_QUESTION = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}


@pytest.fixture
async def agent(lgnb_server: Any) -> AsyncIterator[RemoteGraph]:
    url, key = lgnb_server.url, lgnb_server.api_key
    with get_sync_client(url=url, api_key=key) as sync_client:
        async with get_client(url=url, api_key=key) as client:
            yield RemoteGraph("agent", client=client, sync_client=sync_client)


@pytest.fixture
def thread() -> RunnableConfig:
    """A thread that does not exist yet; the server makes it when the first run arrives."""
    return {"configurable": {"thread_id": str(uuid4())}}


async def test_tokens_of_a_remote_graph_arrive_in_order(agent: RemoteGraph, thread: RunnableConfig) -> None:
    """Message mode gives chunks that make up the answer in the thread's state."""
    texts: list[str] = []
    async for message, _ in agent.astream(_QUESTION, thread, stream_mode="messages"):
        if message["type"] == AIMessageChunk.model_fields["type"].default:
            texts.append(message["content"])

    state = await agent.aget_state(thread)
    assert len(texts) > 5
    assert "".join(texts).endswith(state.values["messages"][-1]["content"])


async def test_a_remote_graph_gives_the_values_at_the_end(agent: RemoteGraph, thread: RunnableConfig) -> None:
    """`ainvoke` waits for the run and returns its last values."""
    values = await agent.ainvoke(_QUESTION, thread)

    assert values["messages"][0]["content"] == "Why is the sky blue?"
    assert values["messages"][-1]["type"] == "ai"


async def test_a_remote_graph_remembers_its_thread(agent: RemoteGraph, thread: RunnableConfig) -> None:
    """A second run on the thread continues it, and the history has the checkpoints of both."""
    first = await agent.ainvoke(_QUESTION, thread)
    second = await agent.ainvoke({"messages": [{"role": "user", "content": "And the sea?"}]}, thread)

    history = [state async for state in agent.aget_state_history(thread, limit=50)]
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert history[0].values["messages"] == second["messages"]
    assert first["messages"] in [state.values.get("messages") for state in history]


async def test_the_state_of_a_remote_graph_can_be_changed(agent: RemoteGraph, thread: RunnableConfig) -> None:
    """`aupdate_state` adds a message through the graph's own reducer."""
    before = await agent.ainvoke(_QUESTION, thread)

    await agent.aupdate_state(thread, {"messages": [{"role": "user", "content": "A note."}]})

    state = await agent.aget_state(thread)
    assert [message["content"] for message in state.values["messages"]] == [
        *(message["content"] for message in before["messages"]),
        "A note.",
    ]


async def test_a_remote_graph_draws_itself(agent: RemoteGraph) -> None:
    """The drawing comes from what the worker registered."""
    drawing = await agent.aget_graph()

    assert {"__start__", "__end__"} < set(drawing.nodes)


def test_a_remote_graph_works_without_asyncio(agent: RemoteGraph, thread: RunnableConfig) -> None:
    """The synchronous client streams one update per node: the model asks for a tool, and answers with its result."""
    question = {"messages": [{"role": "user", "content": "What is 6 * 7?"}]}

    updates = list(agent.stream(question, thread, stream_mode="updates"))

    assert [list(update) for update in updates] == [["model"], ["tools"], ["model"]]
    assert "42" in updates[-1]["model"]["messages"][-1]["content"]
