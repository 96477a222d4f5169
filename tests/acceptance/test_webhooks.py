"""Webhooks of a real server, told to a receiver on this machine and verified with the lines of the documentation."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psutil
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import UnprocessableEntityError

_PROJECT = Path(__file__).with_name("projects") / "hooks" / "langgraph.json"
_DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
_SECRET = "the key of this test"


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {"LGNB_WEBHOOK_SECRET": _SECRET, "LG_WEBHOOK_TEAM": "red"}


@pytest.fixture(scope="module")
def server(make_server: Any, environment: dict[str, str]) -> Any:
    return make_server(graphs=_PROJECT, environment=environment)


@pytest.fixture
async def client(server: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url, api_key=server.api_key) as client:
        yield client


class Received:
    """What a receiver got, and where it listens."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def next(self, number: int = 1) -> tuple[dict[str, str], bytes]:
        async with asyncio.timeout(20):
            while len(self.requests) < number:
                await asyncio.sleep(0.02)
        return self.requests[number - 1]


@pytest.fixture
def received() -> Any:
    """A receiver that answers 200 to everything."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        received.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield received
        server.shutdown()
        thread.join()


@pytest.fixture
def is_genuine() -> Callable[..., bool]:
    """The function that the documentation shows."""
    names: dict[str, Any] = {}
    code = re.search(r"```python\n(.*?)```", _DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    exec(code[1], names)
    return names["is_genuine"]


async def test_the_end_of_a_run_is_told_and_the_signature_verifies(
    client: LangGraphClient, received: Received, is_genuine: Callable[..., bool]
) -> None:
    """The ten lines of the documentation accept it, and nothing that was changed."""
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "echo", input={"text": "hi"}, webhook=received.url)

    headers, body = await received.next()

    told = json.loads(body)
    assert (told["run_id"], told["status"], told["values"]) == (run["run_id"], "success", {"text": "echo: hi"})
    assert headers["x-team"] == "red"
    signature = headers["x-lgnb-signature"]
    assert is_genuine(signature, body, _SECRET.encode())
    assert not is_genuine(signature, body + b" ", _SECRET.encode())
    assert not is_genuine(signature, body, b"another key")
    assert not is_genuine(signature, body, _SECRET.encode(), max_age_seconds=-1)


async def test_failed_and_cancelled_and_stateless_runs_are_told_of(client: LangGraphClient, received: Received) -> None:
    """Each with its status and reason."""
    await client.runs.create(None, "failing", input={"text": ""}, webhook=received.url)
    failed = json.loads((await received.next())[1])
    thread = await client.threads.create()
    run = await client.runs.create(
        thread["thread_id"], "counter", input={"step": 0}, context={"steps": 100, "delay": 0.1}, webhook=received.url
    )
    async with asyncio.timeout(10):
        while (await client.runs.get(thread["thread_id"], run["run_id"]))["status"] != "running":
            await asyncio.sleep(0.05)
    await client.runs.cancel(thread["thread_id"], run["run_id"])
    cancelled = json.loads((await received.next(2))[1])

    assert (failed["status"], failed["values"]) == ("error", None)
    assert failed["error"] == {"error": "ValueError", "message": "failed on purpose"}
    assert (cancelled["status"], cancelled["error"]["error"]) == ("interrupted", "UserInterrupt")


async def test_a_cron_tells_its_webhook(client: LangGraphClient, received: Received) -> None:
    """Like any other run."""
    cron: Any = await client.crons.create("echo", schedule="* * * * * *", input={"text": "x"}, webhook=received.url)

    _, body = await received.next()
    await client.crons.delete(cron["cron_id"])

    assert json.loads(body)["kwargs"]["config"]["configurable"]["cron_id"] == cron["cron_id"]


async def test_deliveries_are_listed_and_sent_again(client: LangGraphClient, server: Any, received: Received) -> None:
    """Two routes of our own."""
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "echo", input={"text": "hi"}, webhook=received.url)
    await received.next()
    path = f"/threads/{thread['thread_id']}/runs/{run['run_id']}/webhooks"

    async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": server.api_key}) as api:
        async with asyncio.timeout(10):
            while (await api.get(path)).json()[0]["status"] != "delivered":
                await asyncio.sleep(0.05)
        answer = await api.post(f"{path}/redeliver")

    assert answer.status_code == 200
    first, second = (await received.next(1))[0], (await received.next(2))[0]
    assert first["x-lgnb-delivery"] == second["x-lgnb-delivery"]


async def test_a_webhook_survives_the_death_of_the_host(
    make_server: Any, environment: dict[str, str], received: Received
) -> None:
    """The host is killed while the receiver is away; the next host on the same data delivers."""
    first = make_server(graphs=_PROJECT, environment=environment)
    async with get_client(url=first.url, api_key=first.api_key) as client:
        run: Any = await client.runs.create(
            None, "counter", input={"step": 0}, context={"steps": 2, "delay": 0.3}, webhook="http://127.0.0.1:1/hook"
        )
        await client.runs.join(run["thread_id"], run["run_id"])
    first.process.kill()
    first.process.wait()
    second = make_server(graphs=_PROJECT, environment=environment, home=first.home)
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/webhooks"

    async with (
        httpx.AsyncClient(base_url=second.url, headers={"x-api-key": second.api_key}) as api,
        asyncio.timeout(60),
    ):
        before = len((await api.get(path)).json()[0]["attempts"])
        while len((await api.get(path)).json()[0]["attempts"]) <= before:
            await asyncio.sleep(0.1)
        assert (await api.get(path)).json()[0]["status"] == "pending"


@pytest.mark.parametrize("url", ["/relative", "ftp://127.0.0.1/", "http://169.254.169.254/latest"])
async def test_a_forbidden_webhook_is_refused_when_the_run_is_created(client: LangGraphClient, url: str) -> None:
    """422, and no run."""
    thread = await client.threads.create()

    with pytest.raises(UnprocessableEntityError):
        await client.runs.create(thread["thread_id"], "echo", input={"text": "hi"}, webhook=url)

    assert await client.runs.list(thread["thread_id"]) == []


async def test_loopback_is_refused_without_a_word_in_the_configuration(testing_client: LangGraphClient) -> None:
    """The default of a server."""
    with pytest.raises(UnprocessableEntityError):
        await testing_client.runs.create(None, "echo", input={"text": "hi"}, webhook="http://localhost:9/")


async def test_the_key_of_the_signatures_is_not_given_to_workers(server: Any) -> None:
    """Code inside graphs has no business with it."""
    workers = [child for child in psutil.Process(server.pid).children() if "worker" in child.cmdline()]

    assert workers
    assert [worker for worker in workers if "LGNB_WEBHOOK_SECRET" in worker.environ()] == []
