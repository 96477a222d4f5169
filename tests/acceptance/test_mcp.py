"""Every example assistant as a tool, through the official client of the Model Context Protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from langgraph_sdk.client import LangGraphClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


@asynccontextmanager
async def connected(server: Any) -> AsyncIterator[Client]:
    """The official client. No fixture: it has to be closed in the task that opened it."""
    async with (
        httpx2.AsyncClient(headers={"x-api-key": server.api_key}, timeout=60) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
    ):
        yield client


@pytest.fixture
async def http(lgnb_server: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The same server without a client of the protocol between."""
    headers = {"x-api-key": lgnb_server.api_key, "accept": "application/json"}
    async with httpx.AsyncClient(base_url=lgnb_server.url, headers=headers, timeout=60) as client:
        yield client


async def test_every_example_assistant_is_a_tool(lgnb_server: Any) -> None:
    """A list of messages is shown as a text; fields of other kinds keep their schema."""
    async with connected(lgnb_server) as mcp:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        assert mcp.server_info.name == "lgnb"

    assert {"agent", "approval", "steps"} <= tools.keys()
    assert tools["agent"].input_schema["properties"]["messages"]["type"] == "string"
    assert "$defs" not in tools["agent"].input_schema
    assert tools["steps"].input_schema["required"] == ["topic"]


async def test_the_agent_answers_with_its_final_state(lgnb_server: Any) -> None:
    """What a person says becomes a message; the result is the JSON of the whole state."""
    async with connected(lgnb_server) as mcp:
        called = await mcp.call_tool("agent", {"messages": "What is 17 * 23?"})

    assert not called.is_error
    state = json.loads(called.content[0].text)
    assert [message["type"] for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert "391" in state["messages"][-1]["content"]


async def test_a_graph_without_messages_takes_its_own_fields(lgnb_server: Any) -> None:
    """The steps example wants a topic."""
    async with connected(lgnb_server) as mcp:
        called = await mcp.call_tool("steps", {"topic": "tea"})

    assert json.loads(called.content[0].text)["report"].startswith("# Tea")


async def test_an_interrupt_comes_back_inside_the_result(lgnb_server: Any) -> None:
    """Nobody can answer it there: a tool call has no thread."""
    async with connected(lgnb_server) as mcp:
        called = await mcp.call_tool("approval", {"messages": "Tell the team that the release is out"})

    (asked,) = json.loads(called.content[0].text)["__interrupt__"]
    assert not called.is_error
    assert asked["value"]["action_requests"][0]["name"] == "send_message"


async def test_a_tool_that_does_not_exist_is_refused(lgnb_server: Any) -> None:
    """With the error that clients know."""
    async with connected(lgnb_server) as mcp:
        with pytest.raises(MCPError) as refused:
            await mcp.call_tool("nobody", {})

    assert refused.value.error.code == -32602


async def test_a_failed_run_is_an_error_of_the_tool(testing_server: Any) -> None:
    """The name of the exception is told; the protocol itself is fine."""
    headers = {"x-api-key": testing_server.api_key}
    call = _request("tools/call", name="failing", arguments={"text": "x"}, context={"message": "no luck"})

    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        answer = await client.post(f"{testing_server.url}/mcp/", json=call)

    result = answer.json()["result"]
    assert result == {"content": [{"type": "text", "text": "ValueError: no luck"}], "isError": True}


async def test_a_client_that_leaves_cancels_its_run(testing_server: Any, testing_client: LangGraphClient) -> None:
    """The long call of a host that was closed does not work on for nobody."""
    slow = await testing_client.assistants.create("echo", name="slow echo", context={"delay": 60})
    headers = {"x-api-key": testing_server.api_key}
    call = _request("tools/call", name="slow_echo", arguments={"text": "x"})

    async def busy() -> list[Any]:
        return await testing_client.threads.search(status="busy", metadata={"assistant_id": slow["assistant_id"]})

    async def over() -> bool:
        return not await busy()

    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        async with client.stream("POST", f"{testing_server.url}/mcp", json=call) as answer:
            assert answer.status_code == 200
            await _until(busy, "the run begins")

    await _until(over, "the run is cancelled")


async def test_assistants_of_one_name_are_one_tool_that_cannot_be_called(
    http: httpx.AsyncClient, client: LangGraphClient
) -> None:
    """The name says too little; the error says what to do."""
    twins = [await client.assistants.create("steps", name="Two of a kind") for _ in range(2)]

    listed = (await http.post("/mcp", json=_request("tools/list"))).json()["result"]["tools"]
    called = (await http.post("/mcp", json=_request("tools/call", name="Two_of_a_kind"))).json()
    for twin in twins:
        await client.assistants.delete(twin["assistant_id"])

    assert [tool["title"] for tool in listed].count("Two of a kind") == 1
    assert called["error"]["code"] == -32602
    assert "different names" in called["error"]["message"]


async def test_a_context_reaches_the_graph(http: httpx.AsyncClient) -> None:
    """An addition of LangGraph to the protocol."""
    call = _request("tools/call", name="agent", arguments={"messages": "hello"}, context={"model": "nobody:none"})

    result = (await http.post("/mcp", json=call)).json()["result"]

    assert result["isError"]
    assert result["content"][0]["text"].startswith("RuntimeError")


async def test_the_version_is_the_clients_where_it_is_known(http: httpx.AsyncClient) -> None:
    """Otherwise the newest."""
    for asked, told in (("2024-11-05", "2024-11-05"), ("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25")):
        answer = (await http.post("/mcp", json=_request("initialize", protocolVersion=asked))).json()
        assert answer["result"]["protocolVersion"] == told
        assert answer["result"]["capabilities"] == {"tools": {"listChanged": False}}


async def test_what_expects_no_answer_gets_none(http: httpx.AsyncClient) -> None:
    """Notifications, and responses to requests that nobody made."""
    for message in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ):
        answer = await http.post("/mcp", json=message)
        assert (answer.status_code, answer.content) == (202, b"")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (("nothing/such", {}), -32601),
        (("tools/call", {}), -32602),
        (("tools/call", {"name": "agent", "arguments": "x"}), -32602),
        (("tools/call", {"name": "agent", "context": 1}), -32602),
        (("tools/list", {"cursor": "x"}), -32602),
    ],
)
async def test_a_wrong_request_is_an_error_of_the_protocol(
    http: httpx.AsyncClient, message: tuple[str, dict[str, Any]], code: int
) -> None:
    """The HTTP status stays 200."""
    answer = await http.post("/mcp", json=_request(message[0], **message[1]))

    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == code
    assert answer.json()["id"] == 7


async def test_what_is_no_message_is_refused_by_http(http: httpx.AsyncClient) -> None:
    """Broken JSON, other versions, batches, and an Accept that allows no answer."""
    for body in (b"{", b"", b"[]", b'{"id": 1, "method": "ping"}'):
        answer = await http.post("/mcp", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]
    refused = await http.post("/mcp", json=_request("ping"), headers={"accept": "text/html"})
    assert refused.status_code == 400
    assert (await http.post("/mcp", json=_request("ping"), headers={"accept": "text/event-stream"})).json()[
        "result"
    ] == {}


async def test_there_are_no_sessions(http: httpx.AsyncClient) -> None:
    """Neither a stream to open nor a session to end, with and without a slash; and no entry without a key."""
    for path in ("/mcp", "/mcp/"):
        assert (await http.post(path, json=_request("ping"))).json() == {"jsonrpc": "2.0", "id": 7, "result": {}}
        assert (await http.get(path)).status_code == 405
        assert (await http.delete(path)).status_code == 404
    assert (await http.post("/mcp", json=_request("ping"), headers={"x-api-key": "wrong"})).status_code == 401


def _request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


async def _until(ask: Callable[[], Awaitable[Any]], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while not await ask():
        assert asyncio.get_running_loop().time() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.05)
