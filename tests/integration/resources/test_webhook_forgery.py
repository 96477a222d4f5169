"""Webhooks as a way into the network of the server: names that change, disguised addresses, redirects.

The resolver is the test's: it says where a name leads, and another address the next time.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lgnb.db.database import Database
from lgnb.errors import InvalidRequest
from lgnb.graphs.configuration import Configuration
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.webhooks import UrlPolicy, WebhookConfig
from lgnb.queue import Queue
from lgnb.resources import Resources, build_resources
from lgnb.settings import Settings
from lgnb.worker.webhook_delivery import WebhookDelivery

GRAPH = "sums"
_PUBLIC = "93.184.216.34"


class Inside:
    """A service on loopback that must never be reached."""

    def __init__(self) -> None:
        self.calls = 0
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        writer.close()


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    inside = Inside()
    server = await asyncio.start_server(inside.handle, "127.0.0.1", 0)
    inside.port = server.sockets[0].getsockname()[1]
    yield inside
    server.close()
    await server.wait_closed()


@pytest.fixture
def policy() -> UrlPolicy:
    return UrlPolicy()


@pytest.fixture
async def resources(
    database: Database, queue: Queue, settings: Settings, policy: UrlPolicy
) -> AsyncIterator[Resources]:
    configuration = Configuration(webhooks=WebhookConfig(policy=policy))
    resources = await build_resources(database=database, queue=queue, settings=settings, configuration=configuration)
    await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
    yield resources
    await resources.close()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets names lead to one address after the other; gives the list of names that were asked for."""

    def install(*answers: str | list[str]) -> list[str]:
        asked: list[str] = []
        left = list(answers)

        async def getaddrinfo(self: Any, host: str, port: int, **options: Any) -> list[Any]:
            asked.append(host)
            answer = left.pop(0) if len(left) > 1 else left[0]
            addresses = [answer] if isinstance(answer, str) else answer
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
        return asked

    return install


@pytest.fixture
def tried(resources: Resources, start: Any, worker: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Let a run with this webhook end, deliver until nothing is due, and tell the tries."""
    monkeypatch.setattr("lgnb.resources.webhooks._FIRST_DELAY_SECONDS", 0.0)

    async def deliver(url: str) -> list[dict[str, Any]]:
        run = await start(webhook=url)
        await worker.finish(await worker.claim_one())
        delivering = asyncio.create_task(WebhookDelivery(resources.webhooks, headers={}, secret=None).run())
        try:
            async with asyncio.timeout(20):
                while await resources.webhooks.next_due_seconds() is not None:
                    await asyncio.sleep(0.02)
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
        (delivery,) = await resources.webhooks.of_run(run.thread_id, run.run_id)
        return delivery.attempts

    return deliver


@pytest.mark.parametrize(
    "rebound",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254", "64:ff9b::7f00:1", [_PUBLIC, "127.0.0.1"]],
)
async def test_a_name_that_leads_inside_when_it_is_called_is_not_called(
    resolver: Any, tried: Any, inside: Inside, rebound: str | list[str]
) -> None:
    resolver(_PUBLIC, rebound)

    attempts = await tried(f"http://rebinding.example.com:{inside.port}/")

    assert inside.calls == 0
    assert all("which is not allowed" in attempt["error"] for attempt in attempts)


async def test_a_name_is_not_asked_for_again_between_the_check_and_the_call(
    resolver: Any, start: Any, resources: Resources, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolver(_PUBLIC)
    target = await resources.webhooks.target(f"http://rebinding.example.com:{inside.port}/")
    resolver("127.0.0.1")

    assert [str(address) for address in target.addresses] == [_PUBLIC]
    assert asked == ["rebinding.example.com"]


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1%25lo]",
        "[fec0::1]",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "169.254.169.254",
        "2852039166",
        "0xa9.0xfe.0xa9.0xfe",
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "0",
        "example.com@127.0.0.1",
        "93.184.216.34@127.0.0.1",
        "user:pass@93.184.216.34",
        "127.0.0.1\\@93.184.216.34",
        "127.0.0.1#@93.184.216.34",
        "127.0.0.1%00.example.com",
        "127.0.0.1%0d%0a.example.com",
    ],
)
async def test_no_spelling_of_an_address_inside_is_accepted(resources: Resources, host: str) -> None:
    with pytest.raises(InvalidRequest):
        await resources.webhooks.check(f"http://{host}/latest/meta-data")


class TestARedirect:
    @pytest.fixture
    def policy(self) -> UrlPolicy:
        return UrlPolicy(disable_loopback=False)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_is_not_followed_wherever_it_leads(self, tried: Any, inside: Inside, status: int) -> None:
        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            place = f"http://127.0.0.1:{inside.port}/"
            writer.write(f"HTTP/1.1 {status} Go\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(redirect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        attempts = await tried(f"http://127.0.0.1:{port}/")

        server.close()
        await server.wait_closed()
        assert inside.calls == 0
        assert [attempt["response_status"] for attempt in attempts] == [status]


async def test_private_networks_are_called_by_default_and_can_be_forbidden(resources: Resources, resolver: Any) -> None:
    resolver("10.0.0.7")
    strict = UrlPolicy(disable_private_ips=True)

    await resources.webhooks.check("http://intranet.example.com/hook")

    from lgnb.resources.addresses import allowed_target

    with pytest.raises(InvalidRequest, match="private"):
        await allowed_target("http://intranet.example.com/hook", strict)
