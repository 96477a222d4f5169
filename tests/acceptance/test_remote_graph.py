"""LangGraph's RemoteGraph uses a graph of the server as if it were a local one."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_client, get_sync_client
from typing_extensions import TypedDict

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


class Answers(TypedDict):
    answers: Annotated[list[Any], operator.add]


class TestAsANode:
    """A graph of this process, with a memory of its own, has a graph of the server as its node."""

    @pytest.fixture
    async def around(self, testing_server: Any) -> AsyncIterator[Callable[[str, Any], Any]]:
        """Makes a graph around one of the server's."""
        async with get_client(url=testing_server.url, api_key=testing_server.api_key) as client:
            self.client = client

            def make(graph_id: str, state: Any) -> Any:
                self.remote = RemoteGraph(graph_id, client=client)
                builder = StateGraph(state).add_node("remote", self.remote).add_edge(START, "remote")
                return builder.compile(checkpointer=InMemorySaver())

            yield make

    async def settled(self, thread: RunnableConfig) -> None:
        """Return when the server's run has ended: the outer graph stops at the question, a moment before."""
        async with asyncio.timeout(30):
            while (await self.client.threads.get(thread["configurable"]["thread_id"]))["status"] == "busy":  # pyright: ignore[reportTypedDictNotRequiredAccess]
                await asyncio.sleep(0.02)

    async def test_its_values_and_tokens_pass_through(self, around: Any, thread: RunnableConfig) -> None:
        """The outer graph streams what the server streams, under the namespace of its node."""
        graph = around("tokens", MessagesState)
        texts: list[str] = []

        async for namespace, _, (message, _) in graph.astream(
            {"messages": [{"role": "user", "content": "go"}]}, thread, stream_mode=["messages"], subgraphs=True
        ):
            if namespace and message["type"] == "AIMessageChunk":
                texts.append(message["content"])

        state = await graph.aget_state(thread)
        assert texts[0] == "token1"
        assert "".join(texts) == state.values["messages"][-1].content

    async def test_its_thread_can_be_read_and_changed_beside_the_graph_around_it(
        self, around: Any, thread: RunnableConfig
    ) -> None:
        """Both remember the thread under the same id, each its own state."""
        graph = around("approver", Answers)
        await graph.ainvoke({"answers": ["before"]}, thread)
        await self.settled(thread)

        await self.remote.aupdate_state(thread, {"answers": ["by hand"]}, as_node="ask")
        history = [state async for state in self.remote.aget_state_history(thread, limit=9)]

        assert history[0].values["answers"] == ["before", "by hand"]
        assert [state.values.get("answers") for state in history[1:]] == [["before"], []]
        assert (await self.remote.aget_state(thread)).values == history[0].values

    async def test_its_question_interrupts_the_graph_around_it(self, around: Any, thread: RunnableConfig) -> None:
        """Who runs the outer graph sees the question with its id, and the server's thread waits for the answer."""
        graph = around("approver", Answers)

        paused = await graph.ainvoke({"answers": []}, thread)
        [asked] = paused["__interrupt__"]
        await self.settled(thread)
        [waiting] = (await self.remote.aget_state(thread)).interrupts
        answered = await self.remote.ainvoke(Command(resume={asked.id: "yes"}), thread)

        assert asked.value == {"question": "one?"}
        assert asked.id == waiting.id
        assert (await graph.aget_state(thread)).next == ("remote",)
        assert answered == {"answers": ["yes"]}
