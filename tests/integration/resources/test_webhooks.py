"""Webhooks on a real Postgres and a real receiver: the outbox, tries, signatures, and connecting as checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from lgnb.db.database import Database
from lgnb.errors import InvalidRequest, LeaseLost, NotFound
from lgnb.graphs.configuration import Configuration
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.runs import Run, RunOutcome, RunRequest
from lgnb.models.webhooks import UrlPolicy, WebhookConfig
from lgnb.queue import Queue
from lgnb.resources import Resources, build_resources
from lgnb.resources.crons import CronChange
from lgnb.settings import Settings
from lgnb.worker.webhook_delivery import WebhookDelivery, signature

GRAPH = "sums"
_LOCAL = UrlPolicy(disable_loopback=False)


@dataclass
class Receiver:
    """An HTTP server that remembers what it was sent and answers what it is told to, then 200."""

    port: int = 0
    answers: list[str] = field(default_factory=list[str])
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append(({**headers, ":line": head[0]}, body))
        answer = self.answers.pop(0) if self.answers else "200 OK"
        if answer != "hang up":
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    await server.wait_closed()


@pytest.fixture
def config() -> WebhookConfig:
    return WebhookConfig(policy=_LOCAL)


@pytest.fixture
async def resources(
    database: Database, queue: Queue, settings: Settings, config: WebhookConfig
) -> AsyncIterator[Resources]:
    resources = await build_resources(
        database=database, queue=queue, settings=settings, configuration=Configuration(webhooks=config)
    )
    await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
    yield resources
    await resources.close()


@pytest.fixture
def deliver(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[None]]:
    """Deliver until nothing is pending, without the pauses between tries."""
    monkeypatch.setattr("lgnb.resources.webhooks._FIRST_DELAY_SECONDS", 0.0)

    async def run(*, secret: str | None = None, headers: dict[str, str] | None = None, loops: int = 1) -> None:
        made = [WebhookDelivery(resources.webhooks, headers=headers or {}, secret=secret) for _ in range(loops)]
        tasks = [asyncio.create_task(one.run()) for one in made]
        try:
            async with asyncio.timeout(20):
                while await resources.webhooks.next_due_seconds() is not None:
                    await asyncio.sleep(0.02)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return run


@pytest.fixture
def ended(start: Any, worker: Any, receiver: Receiver) -> Callable[..., Awaitable[Run]]:
    """A run on the thread of the test, with a webhook, that has ended."""

    async def end(**outcome: Any) -> Run:
        run = await start(webhook=receiver.url, metadata={"who": "me"})
        await worker.finish(await worker.claim_one(), **outcome)
        return run

    return end


async def test_the_end_of_a_run_is_told_once_with_its_values(
    resources: Resources, receiver: Receiver, start: Any, worker: Any, deliver: Any
) -> None:
    run = await start(webhook=receiver.url, metadata={"who": "me"})
    state = {"values": {"n": 1}, "next": [], "tasks": []}
    await worker.finish_with(await worker.claim_one(), state)

    await deliver(loops=3)

    ((headers, body),) = receiver.requests
    told = json.loads(body)
    assert headers[":line"] == "POST /hook?x=1 HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert told["run_id"] == str(run.run_id)
    assert (told["status"], told["values"], told["metadata"]["who"]) == ("success", {"n": 1}, "me")
    assert told["run_started_at"] <= told["run_ended_at"] <= told["webhook_sent_at"]
    assert "error" not in told
    assert "langgraph_auth_user" not in told["kwargs"]["config"]["configurable"]
    (delivery,) = await resources.webhooks.of_run(run.thread_id, run.run_id)
    assert delivery.status == "delivered"
    assert headers["x-lgnb-delivery"] == str(delivery.delivery_id)
    assert [attempt["response_status"] for attempt in delivery.attempts] == [200]


async def test_an_error_is_told(receiver: Receiver, ended: Any, deliver: Any) -> None:
    await ended(status="error", thread_status="error", error={"error": "ValueError", "message": "no"})

    await deliver()

    told = json.loads(receiver.requests[0][1])
    assert (told["status"], told["error"]) == ("error", {"error": "ValueError", "message": "no"})


async def test_nothing_is_noted_when_the_end_is_not_committed(
    resources: Resources, start: Any, worker: Any, receiver: Receiver
) -> None:
    run = await start(webhook=receiver.url)
    claimed = await worker.claim_one()
    await worker.finish(claimed)

    with pytest.raises(LeaseLost):
        await worker.finish(claimed)

    assert len(await resources.webhooks.of_run(run.thread_id, run.run_id)) == 1


async def test_a_stateless_run_is_told_of_after_its_thread_has_gone(
    resources: Resources, worker: Any, receiver: Receiver, deliver: Any
) -> None:
    run = await resources.runs.create(None, RunRequest(assistant_id=GRAPH, webhook=receiver.url))
    await worker.finish(await worker.claim_one())

    await deliver()

    assert json.loads(receiver.requests[0][1])["values"] is None
    (delivery,) = await resources.webhooks.of_run(run.thread_id, run.run_id)
    assert delivery.status == "delivered"


async def test_a_rolled_back_run_is_told_of(
    resources: Resources, start: Any, worker: Any, receiver: Receiver, deliver: Any
) -> None:
    await start(webhook=receiver.url)
    claimed = await worker.claim_one()
    error = {"error": "UserRollback", "message": "x"}
    outcome = RunOutcome(status="interrupted", thread_status="idle", result=b"{}", error=error)
    await resources.leases.roll_back(claimed, outcome)

    await deliver()

    told = json.loads(receiver.requests[0][1])
    assert (told["status"], told["error"]["error"]) == ("rollback", "UserRollback")


@pytest.mark.parametrize(("strategy", "status"), [("interrupt", "interrupted"), ("rollback", "rollback")])
async def test_a_running_run_that_makes_way_is_told_of_and_a_pending_one_is_not(
    resources: Resources, start: Any, worker: Any, receiver: Receiver, deliver: Any, strategy: Any, status: str
) -> None:
    running = await start(webhook=receiver.url)
    await worker.claim_one()
    await start(webhook=receiver.url)

    await start(multitask_strategy=strategy)
    await deliver()

    (told,) = [json.loads(body) for _, body in receiver.requests]
    assert (told["run_id"], told["status"]) == (str(running.run_id), status)
    assert "Superseded" in told["error"]["message"]


async def test_a_receiver_that_recovers_gets_the_same_delivery_again(
    resources: Resources, receiver: Receiver, ended: Any, deliver: Any
) -> None:
    receiver.answers = ["500 Oops", "429 Slow", "hang up"]
    run = await ended()

    await deliver()

    (delivery,) = await resources.webhooks.of_run(run.thread_id, run.run_id)
    assert [attempt["response_status"] for attempt in delivery.attempts] == [500, 429, None, 200]
    assert delivery.attempts[2]["error"]
    assert delivery.status == "delivered"
    assert len({headers["x-lgnb-delivery"] for headers, _ in receiver.requests}) == 1


@pytest.mark.parametrize("answer", ["404 Gone", "302 Found", "301 Moved"])
async def test_a_receiver_that_does_not_want_it_is_asked_once_and_redirects_are_not_followed(
    resources: Resources, receiver: Receiver, ended: Any, deliver: Any, answer: str
) -> None:
    receiver.answers = [f"{answer}\r\nLocation: {receiver.url}"]
    run = await ended()

    await deliver()

    (delivery,) = await resources.webhooks.of_run(run.thread_id, run.run_id)
    assert (delivery.status, len(delivery.attempts), len(receiver.requests)) == ("failed", 1, 1)


async def test_after_the_last_try_it_is_given_up_and_can_be_sent_again(
    resources: Resources, receiver: Receiver, ended: Any, deliver: Any
) -> None:
    receiver.answers = ["503 Busy"] * 6
    run = await ended()
    await deliver()
    (failed,) = await resources.webhooks.of_run(run.thread_id, run.run_id)

    (again,) = await resources.webhooks.send_again(run.thread_id, run.run_id)
    await deliver()

    (delivery,) = await resources.webhooks.of_run(run.thread_id, run.run_id)
    assert (failed.status, len(failed.attempts)) == ("failed", 6)
    assert again.status == "pending"
    assert (delivery.status, len(delivery.attempts)) == ("delivered", 7)


async def test_only_what_has_ended_can_be_sent_again(resources: Resources, ended: Any) -> None:
    run = await ended()

    with pytest.raises(NotFound):
        await resources.webhooks.send_again(run.thread_id, run.run_id)
    with pytest.raises(NotFound):
        await resources.webhooks.send_again(run.thread_id, UUID(int=1))


async def test_a_delivery_whose_process_died_is_tried_by_another(
    resources: Resources, database: Database, receiver: Receiver, ended: Any, deliver: Any
) -> None:
    await ended()
    assert len(await resources.webhooks.claim(limit=10)) == 1
    assert await resources.webhooks.claim(limit=10) == []
    async with database.connection() as connection:
        await connection.execute("UPDATE webhook_deliveries SET next_attempt_at = now()")

    await deliver()

    assert len(receiver.requests) == 1


async def test_the_signature_covers_time_and_body(receiver: Receiver, ended: Any, deliver: Any) -> None:
    await ended()

    await deliver(secret="the key")

    headers, body = receiver.requests[0]
    stamp = int(headers["x-lgnb-signature"].split(",")[0].removeprefix("t="))
    assert headers["x-lgnb-signature"] == signature(b"the key", body, timestamp=stamp)["X-Lgnb-Signature"]
    assert headers["x-lgnb-signature"] != signature(b"the key", body + b" ", timestamp=stamp)["X-Lgnb-Signature"]
    assert headers["x-lgnb-signature"] != signature(b"another", body, timestamp=stamp)["X-Lgnb-Signature"]


async def test_without_a_key_nothing_is_signed_and_headers_of_the_configuration_are_sent(
    receiver: Receiver, ended: Any, deliver: Any
) -> None:
    await ended()

    await deliver(headers={"Authorization": "Bearer x"})

    assert "x-lgnb-signature" not in receiver.requests[0][0]
    assert receiver.requests[0][0]["authorization"] == "Bearer x"


class TestWithAllowedFields:
    @pytest.fixture
    def config(self) -> WebhookConfig:
        return WebhookConfig(policy=_LOCAL, allowed_fields=("run_id", "status", "error"))

    async def test_only_these_fields_are_sent(self, receiver: Receiver, ended: Any, deliver: Any) -> None:
        run = await ended()

        await deliver()

        assert json.loads(receiver.requests[0][1]) == {"run_id": str(run.run_id), "status": "success"}


class TestWhenDisabled:
    @pytest.fixture
    def config(self) -> WebhookConfig:
        return WebhookConfig(policy=_LOCAL, enabled=False)

    async def test_webhooks_are_accepted_and_not_sent(self, resources: Resources, ended: Any) -> None:
        run = await ended()

        assert await resources.webhooks.of_run(run.thread_id, run.run_id) == []


class TestByDefault:
    @pytest.fixture
    def config(self) -> WebhookConfig:
        return WebhookConfig()

    async def test_a_forbidden_webhook_is_refused_wherever_it_is_given(
        self, resources: Resources, receiver: Receiver, thread_id: UUID
    ) -> None:
        request = RunRequest(assistant_id=GRAPH, webhook=receiver.url)
        cron = CronChange(payload={"webhook": receiver.url}, schedule="* * * * *")

        with pytest.raises(InvalidRequest):
            await resources.runs.create(thread_id, request)
        with pytest.raises(InvalidRequest):
            await resources.runs.create_batch([RunRequest(assistant_id=GRAPH), request])
        with pytest.raises(InvalidRequest):
            await resources.crons.create(GRAPH, cron)
        sound = await resources.crons.create(GRAPH, CronChange(payload={}, schedule="* * * * *"))
        with pytest.raises(InvalidRequest):
            await resources.crons.update(sound.cron_id, cron)

    async def test_an_address_that_became_forbidden_is_not_called(
        self, resources: Resources, database: Database, receiver: Receiver, start: Any, worker: Any, deliver: Any
    ) -> None:
        run = await start(webhook="http://8.8.8.8/")
        await worker.finish(await worker.claim_one())
        async with database.connection() as connection:
            # As if the name had led elsewhere when the run was created.
            await connection.execute("UPDATE webhook_deliveries SET url = %s, tries_left = 1", (receiver.url,))

        await deliver()

        (delivery,) = await resources.webhooks.of_run(run.thread_id, run.run_id)
        assert receiver.requests == []
        assert "loopback" in delivery.attempts[0]["error"]


async def test_the_connection_goes_to_the_address_that_was_checked_not_to_the_name_again(
    resources: Resources, receiver: Receiver, start: Any, worker: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(
        "lgnb.resources.addresses.asyncio.BaseEventLoop.getaddrinfo", lambda self, *a, **o: getaddrinfo(*a, **o)
    )
    await start(webhook=f"http://hooks.example.test:{receiver.port}/x")
    await worker.finish(await worker.claim_one())

    await deliver()

    assert receiver.requests[0][0]["host"] == f"hooks.example.test:{receiver.port}"
    assert asked.count("hooks.example.test") == 2


async def test_old_deliveries_are_forgotten(resources: Resources, database: Database, ended: Any, deliver: Any) -> None:
    run = await ended()
    await deliver()
    async with database.connection() as connection:
        await connection.execute("UPDATE webhook_deliveries SET created_at = now() - interval '8 days'")

    assert await resources.webhooks.purge(age_seconds=7 * 86400) == 1

    assert await resources.webhooks.of_run(run.thread_id, run.run_id) == []
