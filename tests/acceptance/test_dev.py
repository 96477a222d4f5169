"""`lgnb dev`: files change under a running server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

_AGENT = """
import asyncio
from pathlib import Path
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from words import WORD

HERE = Path(__file__).parent

class State(TypedDict):
    text: str

async def wait(state: State):
    with (HERE / "begun").open("a") as file:
        file.write("x")
    while not (HERE / "go").exists():
        await asyncio.sleep(0.02)
    return {"text": "waited"}

def say(state: State):
    return {"text": state["text"] + " and said " + WORD}

builder = StateGraph(State).add_node("wait", wait).add_node("say", say)
graph = builder.add_edge(START, "wait").add_edge("wait", "say").add_edge("say", END).compile()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agent.py").write_text(_AGENT)
    (tmp_path / "words.py").write_text("WORD = 'one'\n")
    graphs = {"agent": "./agent.py:graph", "echo": "lgnb.testing.graphs:echo"}
    (tmp_path / "langgraph.json").write_text(json.dumps({"graphs": graphs, "dependencies": ["."]}))
    return tmp_path


@pytest.fixture
def dev(make_server: Any, project: Path) -> Any:
    return make_server(command=("lgnb", "dev"), graphs=project / "langgraph.json")


@pytest.fixture
async def client(dev: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=dev.url, api_key=dev.api_key) as client:
        yield client


async def test_changed_code_serves_the_next_run_and_the_present_one_goes_on(
    dev: Any, project: Path, client: LangGraphClient
) -> None:
    """A module of a graph is changed during a run, then broken, then mended; nothing is dropped."""
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "agent", input={"text": ""})
    await _until(lambda: (project / "begun").exists(), "the first node has begun")

    (project / "words.py").write_text("WORD = 'two'\n")
    await _until(lambda: "Worker 2 started" in dev.log, "the new worker is there")
    (project / "go").touch()
    await client.runs.join(thread["thread_id"], run["run_id"])

    assert (await client.runs.get(thread["thread_id"], run["run_id"]))["status"] == "success"
    assert (await client.threads.get_state(thread["thread_id"]))["values"]["text"].startswith("waited and said ")
    assert (project / "begun").read_text() == "x"
    await _until_async(lambda: _says(client, "waited and said two"), "the next run uses the new code")

    (project / "words.py").write_text("WORD = (\n")
    await _until_async(lambda: _failure(dev), "the failure is told")
    failure = await _failure(dev)
    assert "SyntaxError" in failure["detail"]
    assert "words.py" in failure["traceback"]
    assert "agent" in {assistant["graph_id"] for assistant in await client.assistants.search(limit=100)}
    with pytest.raises(httpx.HTTPStatusError) as refused:
        await client.runs.wait(None, "agent", input={"text": ""})
    assert refused.value.response.status_code == 424
    assert await client.runs.wait(None, "echo", input={"text": "still"}) == {"text": "echo: still"}

    (project / "words.py").write_text("WORD = 'three'\n")
    await _until_async(lambda: _says(client, "waited and said three"), "mended code serves again")

    (project / "langgraph.json").write_text("{")
    await _until(lambda: "is not valid JSON" in dev.log, "a broken configuration is named")
    assert await _says(client, "waited and said three")


async def _says(client: LangGraphClient, text: str) -> bool:
    try:
        return await client.runs.wait(None, "agent", input={"text": ""}) == {"text": text}
    except httpx.HTTPStatusError:
        return False  # it is still told that the graph fails


async def _failure(dev: Any) -> dict[str, Any]:
    """What is told of the graph's assistant, when it cannot be loaded."""
    async with httpx.AsyncClient(base_url=dev.url, headers={"x-api-key": dev.api_key}) as api:
        found = (await api.post("/assistants/search", json={"graph_id": "agent"})).json()
        answer = await api.get(f"/assistants/{found[0]['assistant_id']}/schemas")
    return answer.json() if answer.status_code == 424 else {}


async def _until(condition: Any, what: str) -> None:
    async def answer() -> Any:
        return condition()

    await _until_async(answer, what)


async def _until_async(condition: Any, what: str) -> None:
    try:
        async with asyncio.timeout(45):
            while not await condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not in time: {what}")
