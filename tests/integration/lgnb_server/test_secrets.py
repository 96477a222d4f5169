"""What an attacker reads in answers and logs: no key, no connection string, no version of a library."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

import pytest
from lgnb_server.routes import ROUTES

from lgnb.db.database import Database
from lgnb.errors import DatabaseUnavailable, QueueUnavailable
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.queue import Queue
from lgnb.settings import Settings

_ID = "00000000-0000-4000-8000-000000000000"
_SECRETS = ("key-of-alice-4711", "secret-of-webhooks-4711", "wrong-key-4711", "wrong-token-4711")


@pytest.fixture
def lgnb_config(lgnb_config: dict[str, Any]) -> dict[str, Any]:
    return {**lgnb_config, "api_keys": _SECRETS[0], "webhook_secret": _SECRETS[1]}


def _address_of(route: Any) -> str:
    path: str = route.public_path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", _ID)
    return path


async def test_no_key_appears_in_a_log_or_in_an_answer_whatever_goes_wrong(
    jupyter: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("something that nobody planned")

    caplog.set_level(logging.DEBUG)
    for library in ("httpx", "httpcore"):  # the test's own client tells the headers that it sends
        caplog.set_level(logging.WARNING, logger=library)
    monkeypatch.setattr(type(jupyter.extension.host.resources.threads), "search", fail)
    tried = [
        {"x-api-key": _SECRETS[0]},
        {"authorization": f"Bearer {_SECRETS[0]}"},
        {"x-api-key": _SECRETS[2]},
        {"x-api-key": _SECRETS[2], "authorization": f"Bearer {_SECRETS[3]}"},
    ]
    said: list[str] = []

    for route in ROUTES:
        for headers in tried:
            request = jupyter.anonymous.stream(route.method, _address_of(route), headers=headers, content=b"{")
            async with request as answer:
                said.append(str(answer.headers))
                if "event-stream" not in answer.headers.get("content-type", ""):
                    said.append((await answer.aread()).decode())
    unplanned = await jupyter.anonymous.post("/threads/search", json={}, headers=tried[0])

    assert unplanned.status_code == 500
    assert "something that nobody planned" in caplog.text
    told = "\n".join((*said, unplanned.text, caplog.text, repr(jupyter.extension.host.settings)))
    assert [secret for secret in (*_SECRETS, jupyter.extension.host.keys.own) if secret in told] == []


async def test_every_answer_carries_the_headers_that_keep_a_browser_from_guessing(jupyter: Any) -> None:
    answers = [
        await jupyter.anonymous.get("/ok"),
        await jupyter.anonymous.get("/docs"),
        await jupyter.anonymous.get("/threads"),
        await jupyter.api.get("/nothing"),
        await jupyter.api.post("/threads/count", json={}),
        await jupyter.api.post("/threads/count", content=b"{"),
        await jupyter.api.get(f"/threads/{_ID}"),
    ]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"], answer.url
        assert "server" not in answer.headers, answer.url


async def test_a_name_of_a_node_cannot_forge_an_event_of_a_stream(jupyter: Any) -> None:
    resources = jupyter.extension.host.resources
    await resources.assistants.register(GraphDescriptor(graph_id="g", name="g"))
    run = (await jupyter.api.post("/runs", json={"assistant_id": "g", "stream_resumable": True})).json()
    run_id, thread_id = UUID(run["run_id"]), UUID(run["thread_id"])
    evil = "updates|node\r\nid: 9999-0\r\n\r\nevent: end\ndata: forged\u2028:1"
    await resources.events.append(run_id, thread_id=thread_id, attempt=1, events=[(1, evil, b'{"a":\r\n1}')])
    await resources.events.append_end(run_id, thread_id=thread_id, attempt=1, number=2, status="success")

    stream = await jupyter.api.get(f"/threads/{thread_id}/runs/{run_id}/stream", headers={"Last-Event-ID": "-1"})

    lines = [line for line in stream.content.split(b"\r\n") if line and not line.startswith(b":")]
    assert [line.split(b": ")[0] for line in lines] == [b"event", b"data", b"id"]
    assert b"\n" not in b"".join(lines)
    assert not lines[2].endswith(b"9999-0")


@pytest.mark.parametrize(
    "uri", ["postgresql://me:hunter2@127.0.0.1:1/lgnb", "postgresql://127.0.0.1:1/lgnb?user=me&password=hunter2"]
)
async def test_a_postgres_that_is_away_is_told_without_its_password(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(uri, pool_size=2, application_name="secrets")

    with pytest.raises(DatabaseUnavailable) as refused:
        await database.open(timeout_seconds=1)
    await database.close()

    assert "hunter2" not in f"{refused.value}{caplog.text}{Settings(postgres_uri=uri)!r}"


@pytest.mark.parametrize(
    "uri",
    [
        "redis://:hunter2@127.0.0.1:1/0",
        "redis+cluster://:hunter2@127.0.0.1:1,127.0.0.1:2",
        "redis+sentinel://:hunter2@127.0.0.1:1/main?sentinel_password=hunter2",
    ],
)
async def test_a_redis_that_is_away_is_told_without_its_password(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(uri, prefix="x")

    with pytest.raises(QueueUnavailable) as refused:
        async with asyncio.timeout(10):
            await queue.ping()
    await queue.close()

    assert "hunter2" not in f"{refused.value}{caplog.text}{Settings(redis_uri=uri)!r}"
