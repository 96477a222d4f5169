"""MCP and A2A without a worker: addresses behind proxies, and that nothing makes the server fail."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.assistants import system_assistant_id

_AGENT = f"/a2a/{system_assistant_id('chat')}"
_SCHEMA = {"type": "object", "properties": {"messages": {}, "topic": {}}}
_FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example.org"}


@pytest.fixture
async def chat(jupyter: Any) -> Any:
    """The server, with a graph that a worker once told of, and one that could not be loaded."""
    assistants = jupyter.extension.host.resources.assistants
    await assistants.register(GraphDescriptor(graph_id="chat", name="chat", schemas={"input_schema": _SCHEMA}))
    await assistants.register(GraphDescriptor(graph_id="bare", name="bare"))
    return jupyter


async def test_a_card_leads_back_to_where_it_was_asked_for(chat: Any) -> None:
    card = (await chat.api.get(_AGENT, headers=_FORWARDED)).json()

    assert card["url"] == f"{chat.url}{_AGENT}"
    assert (await chat.api.get(card["url"])).json()["url"] == card["url"]


@pytest.mark.parametrize("jupyter_config", [{"ServerApp": {"trust_xheaders": True}}])
async def test_a_card_leads_through_a_proxy_that_is_trusted(chat: Any) -> None:
    card = (await chat.api.get(_AGENT, headers=_FORWARDED)).json()

    assert card["url"] == f"https://hub.example.org/a%40b/lgnb{_AGENT}"
    assert {one["url"] for one in card["supportedInterfaces"]} == {card["url"]}


async def test_an_assistant_without_a_schema_is_no_tool(chat: Any) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    listed = (await chat.api.post("/mcp", json=call)).json()["result"]["tools"]

    assert [tool["name"] for tool in listed] == ["chat"]


async def test_tools_come_in_pages(chat: Any) -> None:
    assistants = chat.extension.host.resources.assistants
    for number in range(120):
        await assistants.create(graph_id="chat", name=f"tool {number}")

    async def page(**params: Any) -> dict[str, Any]:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}
        return (await chat.api.post("/mcp", json=call)).json()["result"]

    first = await page()
    rest = await page(cursor=first["nextCursor"])

    assert len(first["tools"]) == 100
    assert "nextCursor" not in rest
    names = [tool["name"] for tool in first["tools"] + rest["tools"]]
    assert len(set(names)) == len(names) == 121


async def test_a_long_call_is_kept_alive_and_cancelled_when_its_caller_leaves(chat: Any) -> None:
    resources = chat.extension.host.resources
    params = {"name": "chat", "arguments": {"topic": "tea"}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    async with chat.api.stream("POST", "/mcp", json=call) as answer:
        beats = answer.aiter_raw()
        assert [await anext(beats), await anext(beats)] == [b"\n", b"\n"]
        (thread,) = (await resources.threads.search(status="busy")).items

    deadline = asyncio.get_running_loop().time() + 20
    while await resources.threads.count(status="busy"):
        assert asyncio.get_running_loop().time() < deadline, f"the run on {thread.thread_id} waits for nobody"
        await asyncio.sleep(0.02)


async def test_an_answer_that_is_sent_again_begins_nothing(chat: Any, database_uri: str) -> None:
    """A client that lost the connection cannot know whether its answer has arrived."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "message/send"}
    message = {"role": "user", "messageId": "m", "parts": [{"text": "hello"}]}
    later = {"configuration": {"blocking": False}}

    async def send(**fields: Any) -> dict[str, Any]:
        body = {**call, "params": {"message": {**message, **fields}, **later}}
        return (await chat.api.post(_AGENT, json=body)).json()

    task = (await send())["result"]
    async with await psycopg.AsyncConnection.connect(database_uri, autocommit=True) as connection:
        await connection.execute("UPDATE runs SET status = 'success'")
        await connection.execute("UPDATE threads SET status = 'interrupted'")
    answered = await send(taskId=task["id"], command={"resume": "yes"})
    again = await send(taskId=task["id"], parts=[{"text": "yes"}])

    assert answered["result"]["id"] == task["id"]
    assert answered["result"]["status"]["state"] == "submitted"
    assert again["error"]["code"] == -32004
    assert "works on an answer" in again["error"]["message"]


_leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["user", "task", "m"])
_json = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))
_NAMES = (
    *("message", "role", "messageId", "parts", "text", "data", "file", "raw", "url", "contextId", "taskId", "command"),
    *("configuration", "historyLength", "historyScope", "metadata", "context", "id", "pageSize", "pageToken", "status"),
    *("name", "arguments", "cursor", "protocolVersion", "statusTimestampAfter", "includeArtifacts"),
)
_fields = st.dictionaries(st.sampled_from(_NAMES), _json | st.dictionaries(st.sampled_from(_NAMES), _json), max_size=5)
_METHODS = (
    *("initialize", "ping", "tools/list", "tools/call", "message/stream", "tasks/get", "tasks/cancel", "ListTasks"),
    *("tasks/resubscribe", "GetTask", "CancelTask", "SendStreamingMessage", "GetExtendedAgentCard", "x"),
)
_requests = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | _json, "id": _leaf | _json, "method": st.sampled_from(_METHODS) | _json},
    optional={"params": _fields | _json},
)


async def test_nothing_a_client_can_send_makes_the_server_fail(chat: Any) -> None:
    sent: list[Any] = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_requests | _json)
    def collect(message: Any) -> None:
        sent.append(message)

    collect()
    for message in sent:
        for path in ("/mcp", _AGENT):
            answer = await chat.api.post(path, json=message)
            assert answer.status_code in (200, 202, 400), (path, message, answer.text)
            if answer.status_code == 200:
                assert ("result" in answer.json()) != ("error" in answer.json()), (path, message, answer.text)
            told = answer.json().get("error") if answer.content else None
            assert not isinstance(told, dict) or told["code"] != -32603, (path, message, answer.text)


async def test_a_message_is_taken_without_waiting_and_its_task_is_listed(chat: Any) -> None:
    """Metadata cannot make it the task of another run."""
    message = {"role": "user", "messageId": "m", "parts": [{"text": "x"}, {"data": {"topic": "tea"}}]}
    params = {"message": message, "configuration": {"returnImmediately": True}, "metadata": {"a2a_task_id": "x"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}

    sent = (await chat.api.post(_AGENT, json=body)).json()["result"]["task"]
    listed = (await chat.api.post(_AGENT, json={**body, "method": "ListTasks", "params": {}})).json()["result"]

    assert sent["status"]["state"] == "TASK_STATE_SUBMITTED"
    assert [task["id"] for task in listed["tasks"]] == [sent["id"]]
    assert (listed["totalSize"], listed["nextPageToken"]) == (1, "")


async def test_tasks_of_many_contexts_are_listed_page_by_page(chat: Any) -> None:
    sent: list[str] = []
    for tasks in (2, 1, 2):
        context = str(uuid4())
        sent += [(await _begin(chat, contextId=context))["id"] for _ in range(tasks)]

    pages: list[dict[str, Any]] = []
    token = ""
    while token or not pages:
        params = {"pageSize": 2, "pageToken": token, "status": "TASK_STATE_SUBMITTED"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params}
        pages.append((await chat.api.post(_AGENT, json=body)).json()["result"])
        token = pages[-1]["nextPageToken"]

    assert [task["id"] for page in pages for task in page["tasks"]] == sent[::-1]
    assert [len(page["tasks"]) for page in pages] == [2, 2, 1]
    assert [page["totalSize"] for page in pages] == [3, 5, 5]


async def _begin(chat: Any, **fields: Any) -> dict[str, Any]:
    """A task that no worker ever takes."""
    message = {"role": "user", "messageId": "m", "parts": [{"text": "x"}], **fields}
    params = {"message": message, "configuration": {"blocking": False}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": params}
    return (await chat.api.post(_AGENT, json=body)).json()["result"]
