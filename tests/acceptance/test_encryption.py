"""A server whose operator encrypts with handlers of his own: nothing readable in Postgres, everything in the API."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
from cryptography.fernet import Fernet
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import UnprocessableEntityError
from psycopg import sql

_PROJECT = Path(__file__).with_name("projects") / "sealed"
_DOCUMENT = Path(__file__).parents[2] / "docs" / "encryption.md"
_SECRET = "the name of the rose"
_RED = {"X-Encryption-Context": base64.b64encode(json.dumps({"tenant": "red"}).encode()).decode()}


@pytest.fixture(scope="module")
def database(postgres_uri: str) -> Iterator[str]:
    """A database for all tests here."""
    name = f"lgnb_sealed_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_uri, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(postgres_uri)._replace(path=f"/{name}"))
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def server(make_server: Any, database: str, redis_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """With the handlers of the documentation: a key per tenant."""
    project = tmp_path_factory.mktemp("sealed")
    shutil.copytree(_PROJECT, project, dirs_exist_ok=True)
    (documented,) = re.findall(r"^```python\n(.*?)^```", _DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (project / "handlers.py").write_text(documented)
    environment = {
        "LGNB_POSTGRES_URI": database,
        "LGNB_REDIS_URI": redis_uri,
        "LGNB_REDIS_KEY_PREFIX": f"sealed-{uuid.uuid4().hex}",
        "TENANT_KEYS": json.dumps({"red": Fernet.generate_key().decode()}),
    }
    server = make_server(graphs=project / "langgraph.json", environment=environment)
    yield server
    server.stop()


@pytest.fixture
async def client(server: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url, api_key=server.api_key, headers=_RED) as client:
        yield client


@pytest.fixture
async def reader(server: Any) -> AsyncIterator[LangGraphClient]:
    """A client that says nothing of tenants, as it only reads."""
    async with get_client(url=server.url, api_key=server.api_key) as client:
        yield client


async def test_nothing_readable_is_stored_and_every_client_sees_everything(
    client: LangGraphClient, reader: LangGraphClient, server: Any, database: str
) -> None:
    """Every way in and every way out, and then every row of every table."""
    assistant: Any = await client.assistants.create(
        "keeper", context={"say": _SECRET}, metadata={"kind": "own", "note": _SECRET}
    )
    changed: Any = await client.assistants.update(assistant["assistant_id"], metadata={"second": _SECRET})
    thread: Any = await client.threads.create(metadata={"kind": "first", "note": _SECRET})
    thread_id = thread["thread_id"]

    parts = [
        part
        async for part in client.runs.stream(
            thread_id,
            assistant["assistant_id"],
            input={"texts": [_SECRET]},
            metadata={"why": _SECRET},
            config={"tags": [_SECRET]},
            stream_mode=["values", "updates"],
        )
    ]
    waiting: Any = await reader.threads.get(thread_id)
    resumed: Any = await client.runs.wait(thread_id, assistant["assistant_id"], command={"resume": f"yes, {_SECRET}"})
    updated: Any = await client.threads.update_state(thread_id, {"texts": [f"and {_SECRET}"]})
    patched: Any = await client.threads.update(thread_id, metadata={"more": _SECRET})
    copied: Any = await client.threads.copy(thread_id)
    failed: Any = await client.runs.wait(thread_id, "keeper", input={"texts": [f"fail {_SECRET}"]}, raise_error=False)
    stateless: Any = await client.runs.wait(None, "keeper", input={"texts": [_SECRET]})
    tool = await _call_tool(server, {"texts": [_SECRET], "kind": "tool"})
    await client.store.put_item(("own",), "one", {"kind": "note", "text": _SECRET})
    cron: Any = await client.crons.create(
        "keeper", schedule="@yearly", input={"texts": [_SECRET]}, metadata={"kind": "cron", "note": _SECRET}
    )

    assert (changed["context"], changed["metadata"]["second"]) == ({"say": _SECRET}, _SECRET)
    assert ("updates", {"keep": {"texts": [f"kept {_SECRET}"], "kind": "seen"}}) in [(p.event, p.data) for p in parts]
    assert next(iter(waiting["interrupts"].values()))[0]["value"] == {"about": f"kept {_SECRET}"}
    ended = [_SECRET, f"kept {_SECRET}", f"yes, {_SECRET}"]
    assert resumed["texts"] == ended
    assert updated["checkpoint_id"]
    assert (patched["metadata"]["note"], patched["metadata"]["more"]) == (_SECRET, _SECRET)
    assert _SECRET in failed["__error__"]["message"]
    assert stateless["__interrupt__"][0]["value"] == {"about": f"kept {_SECRET}"}
    assert f"kept {_SECRET}" in tool
    # Who reads need not know in whose name something was written.
    assistants: Any = await reader.assistants.search(metadata={"kind": "own"})
    assert assistants[0]["metadata"]["note"] == _SECRET
    assert [one["version"] for one in await reader.assistants.get_versions(assistant["assistant_id"])] == [2, 1]
    found: Any = await reader.threads.search(metadata={"kind": "first"}, values={"kind": "seen"})
    assert {one["thread_id"] for one in found} == {thread_id, copied["thread_id"]}
    # A sealed value is not found by what it was.
    assert await reader.threads.search(metadata={"note": _SECRET}) == []
    state: Any = await reader.threads.get_state(copied["thread_id"])
    assert state["values"]["texts"] == [*ended, f"and {_SECRET}"]
    assert state["checkpoint"]["thread_id"] == copied["thread_id"]
    history: Any = await reader.threads.get_history(thread_id, limit=50)
    assert [_SECRET] in [one["values"].get("texts") for one in history]
    assert history[-1]["metadata"]["why"] == _SECRET
    (run,) = [one for one in await reader.runs.list(thread_id) if one["metadata"].get("why")]
    assert run["kwargs"]["input"] == {"texts": [_SECRET]}
    items: Any = await reader.store.search_items((), filter={"kind": "note"})
    assert [one["value"]["text"] for one in items["items"]] == [_SECRET]
    kept: Any = await reader.store.get_item(("kept",), "last")
    assert _SECRET in kept["value"]["text"]
    asked: Any = await reader.store.get_item(("kept",), "asked")
    assert _SECRET in asked["value"]["text"]
    made: Any = await reader.threads.search(metadata={"kind": "made by a graph"})
    assert _SECRET in made[0]["metadata"]["note"]
    crons: Any = await reader.crons.search(metadata={"kind": "cron"})
    assert (crons[0]["cron_id"], crons[0]["payload"]["input"]) == (cron["cron_id"], {"texts": [_SECRET]})

    dump = await _dump(database)

    assert b"sealed:" in dump
    assert b'"tenant": "red"' in dump
    assert _SECRET.encode() not in dump
    # As a bytea is shown in text.
    assert _SECRET.encode().hex().encode() not in dump


async def test_a_cron_fires_in_the_name_of_whoever_made_it(client: LangGraphClient, reader: LangGraphClient) -> None:
    """No request names the tenant when the run begins, and the handlers refuse to seal without one."""
    cron: Any = await client.crons.create(
        "keeper",
        schedule="* * * * * *",
        input={"texts": [_SECRET]},
        metadata={"kind": "tick"},
        on_run_completed="keep",
    )
    async with asyncio.timeout(30):
        while not (found := await reader.threads.search(metadata={"kind": "tick"}, status="interrupted")):
            await asyncio.sleep(0.1)
    await client.crons.delete(cron["cron_id"])

    assert found[0]["values"]["texts"] == [_SECRET, f"kept {_SECRET}"]


async def test_what_the_handlers_refuse_is_told_and_nothing_is_stored(reader: LangGraphClient, server: Any) -> None:
    """A client that forgets the tenant, and one that garbles the header."""
    with pytest.raises(Exception, match=r"encrypt\.json failed on thread\.metadata: ValueError: the request names no"):
        await reader.threads.create(metadata={"kind": "lost", "note": _SECRET})
    async with get_client(url=server.url, api_key=server.api_key, headers={"X-Encryption-Context": "{}"}) as client:
        with pytest.raises(UnprocessableEntityError, match="X-Encryption-Context must be a JSON object in base64"):
            await client.threads.create(metadata={"kind": "lost"})

    assert await reader.threads.search(metadata={"kind": "lost"}) == []


async def _call_tool(server: Any, arguments: dict[str, Any]) -> str:
    """The answer of the assistant as a tool of the Model Context Protocol."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "keeper", "arguments": arguments}}
    headers = {"x-api-key": server.api_key, "accept": "application/json", **_RED}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, trust_env=False) as http:
        return (await http.post("/mcp", json=call)).text


async def _dump(uri: str) -> bytes:
    """Every row of every table, as text."""
    found: list[bytes] = []
    async with await psycopg.AsyncConnection.connect(uri) as connection:
        cursor = await connection.execute("SELECT relname FROM pg_stat_user_tables")
        for (table,) in await cursor.fetchall():
            rows = await connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
            found += [row[0].replace('""', '"').encode() for row in await rows.fetchall()]
    return b"\n".join(found)
