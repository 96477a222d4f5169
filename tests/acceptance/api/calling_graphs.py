"""Graphs that use the API of the server they run in."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_store, get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client, get_sync_client
from typing_extensions import TypedDict

# Made while the module is imported, as people do.
_client = get_client()


class Calls(TypedDict, total=False):
    thread_id: str
    heard: list[str]
    log: list[str]


class Listening(TypedDict, total=False):
    log: list[str]


async def _call(state: Calls) -> Calls:
    """Stream a run of `listens`, and give it the word it waits for once its first chunk is here."""
    thread_id = (await _client.threads.create(metadata={"made_by": "calls"}))["thread_id"]
    heard: list[str] = []
    client = get_client()
    async for part in client.runs.stream(thread_id, "listens", input={}, stream_mode="custom"):
        if part.event == "custom":
            get_stream_writer()(part.data)
            heard.append(part.data)
            await _client.store.put_item(["words", thread_id], key="word", value={"text": f"after {part.data}"})
    values = (await client.threads.get_state(thread_id))["values"]
    return {"thread_id": thread_id, "heard": heard, "log": values["log"]}


def _call_plainly(state: Calls) -> Calls:
    """The same API for a function without asyncio, whose client has to be told where it is."""
    with get_sync_client(url=os.environ["LGNB_API_URL"], api_key=os.environ["LGNB_WORKER_KEY"]) as client:
        thread_id = client.threads.create(metadata={"made_by": "calls_plainly"})["thread_id"]
        client.store.put_item(["words", thread_id], key="word", value={"text": "said before"})
        values: Any = client.runs.wait(thread_id, "listens", input={})
    return {"thread_id": thread_id, "log": values["log"]}


async def _listen(state: Listening, config: RunnableConfig) -> Listening:
    """Say something, then wait for a word in the store."""
    get_stream_writer()("listening")
    place = ("words", config["configurable"]["thread_id"])  # pyright: ignore[reportTypedDictNotRequiredAccess]
    async with asyncio.timeout(30):
        while (item := await get_store().aget(place, "word")) is None:
            await asyncio.sleep(0.02)
    return {"log": [item.value["text"]]}


def _one_node(state: Any, node: Any) -> Any:
    return StateGraph(state).add_node("node", node).add_edge(START, "node").compile()


async def _consult(state: Calls, config: RunnableConfig) -> Calls:
    """Use another graph of this server as an object, on a thread of its own."""
    thread_id = str(uuid4())
    values = await _steps.ainvoke({"log": ["asked"]}, {"configurable": {"thread_id": thread_id}})
    state_there = await _steps.aget_state({"configurable": {"thread_id": thread_id}})
    assert state_there.values == values
    return {"thread_id": thread_id, "log": values["log"]}


_steps = RemoteGraph("steps", client=_client)
waits_for_itself = _one_node(Listening, _steps)
consults = _one_node(Calls, _consult)
calls = _one_node(Calls, _call)
calls_plainly = _one_node(Calls, _call_plainly)
listens = _one_node(Listening, _listen)
