"""Sealed JSON where handlers fail, where nobody asks, and where rows are changed in parts."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.encryption import Encryption

from lgnb.db.database import Database
from lgnb.errors import EncryptionFailed, InvalidRequest, SealedValue
from lgnb.graphs.configuration import Configuration
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.access import Condition
from lgnb.models.identity import Caller
from lgnb.models.runs import ClaimedRun, Ending, RunRequest
from lgnb.models.store import IndexConfig, PutItem, StoreConfig
from lgnb.models.threads import ThreadTtl
from lgnb.models.vault import NoVault, begin_sealing, sealing_for
from lgnb.models.webhooks import Answer, UrlPolicy, WebhookConfig
from lgnb.queue import Queue
from lgnb.resources import Resources, build_resources
from lgnb.resources.crons import CronChange
from lgnb.resources.kernel_reach import KernelReach
from lgnb.resources.store import Store
from lgnb.sealing import AesVault, HandlerVault
from lgnb.settings import Settings

from .conftest import GRAPH, HandWorker
from .graphs import execute, newest_state

_SECRET = "the name of the rose"
_RED, _BLUE = {"tenant": "red"}, {"tenant": "blue"}


@dataclass
class Handlers:
    """Seal every text for a tenant, except what is `readable`; fail when told to."""

    readable: set[str] = field(default_factory=lambda: {"kind", "owner"})
    fails_to_seal: bool = False
    fails_to_open: bool = False

    def vault(self) -> HandlerVault:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encryption = Encryption()
        encryption.encrypt.blob(self.encrypt_blob)
        encryption.decrypt.blob(self.decrypt_blob)
        encryption.encrypt.json(self.encrypt_json)
        encryption.decrypt.json(self.decrypt_json)
        return HandlerVault(encryption)

    async def encrypt_blob(self, ctx: Any, blob: bytes) -> bytes:
        return blob[::-1]

    async def decrypt_blob(self, ctx: Any, blob: bytes) -> bytes:
        return blob[::-1]

    async def encrypt_json(self, ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        if self.fails_to_seal:
            raise RuntimeError(f"no key for {_SECRET}")
        mark = f"{ctx.metadata.get('tenant')}:"
        return {k: v if k in self.readable else mark + json.dumps(v)[::-1] for k, v in data.items()}

    async def decrypt_json(self, ctx: Any, data: dict[str, Any]) -> dict[str, Any]:
        if self.fails_to_open:
            raise RuntimeError("no key")
        return {k: v if k in self.readable else self._opened(ctx, v) for k, v in data.items()}

    def _opened(self, ctx: Any, value: str) -> Any:
        tenant, _, text = value.partition(":")
        assert tenant == str(ctx.metadata.get("tenant"))
        return json.loads(text[::-1])


class WordCount:
    """An embedding by the words cat and dog."""

    async def embed(self, texts: list[str]) -> list[list[float]]:
        return [[text.count("cat") + 0.01, text.count("dog") + 0.01] for text in texts]

    async def embed_query(self, text: str) -> list[float]:
        return (await self.embed([text]))[0]

    def texts(self, value: dict[str, Any], paths: list[str]) -> list[tuple[str, str]]:
        return [("text", value["text"])]


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def database(database_uri: str, handlers: Handlers) -> AsyncIterator[Database]:
    database = Database(database_uri, pool_size=8, application_name="encryption-tests", vault=handlers.vault())
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def resources(database: Database, queue: Queue, settings: Settings) -> AsyncIterator[Resources]:
    webhooks = WebhookConfig(policy=UrlPolicy(disable_loopback=False))
    resources = await build_resources(
        database=database, queue=queue, settings=settings, configuration=Configuration(webhooks=webhooks)
    )
    await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
    yield resources
    await resources.close()


async def _rows(database: Database, statement: str) -> list[Any]:
    async with database.connection() as connection:
        return await (await connection.execute(statement.encode())).fetchall()


async def _dump(database: Database) -> str:
    tables = await _rows(database, "SELECT relname FROM pg_stat_user_tables")
    return "\n".join([str(await _rows(database, f"SELECT t::text FROM {name} t")) for (name,) in tables])  # noqa: S608


async def test_metadata_of_two_names_is_merged_and_sealed_anew(resources: Resources, database: Database) -> None:
    with sealing_for(_RED):
        thread = await resources.threads.create(metadata={"kind": "a", "first": _SECRET})
        assistant = await resources.assistants.create(graph_id=GRAPH, metadata={"kind": "a", "first": _SECRET})
    with sealing_for(_BLUE):
        changed = await resources.threads.update(thread.thread_id, metadata={"second": _SECRET})
        second = await resources.assistants.update(assistant.assistant_id, metadata={"second": _SECRET})

    whole = {"kind": "a", "first": _SECRET, "second": _SECRET}
    assert changed.metadata == second.metadata == whole
    assert (await resources.threads.get(thread.thread_id)).metadata == whole
    first = await resources.assistants.set_latest(assistant.assistant_id, version=1)
    assert first.metadata == {"kind": "a", "first": _SECRET}
    (stored,) = await _rows(database, "SELECT metadata FROM threads")
    assert stored[0]["__encryption__"] == {"context": _BLUE}
    assert stored[0]["first"].startswith("blue:")
    assert _SECRET not in await _dump(database)


async def test_what_an_auth_handler_adds_to_a_copy_or_a_version_is_sealed_with_the_rest(resources: Resources) -> None:
    class Stamping:
        caller = Caller("ada")
        restricts = True

        async def ask(self, resource: str, action: str, value: dict[str, Any]) -> Condition | None:
            if action in ("create", "update"):
                value["metadata"] = {**(value.get("metadata") or {}), "owner": "ada", "by": _SECRET}
            return Condition({"owner": "ada"})

    begin_sealing(_RED)
    acting = resources.acting_for(Stamping())
    thread = await acting.threads.create(metadata={"note": "n"})
    assistant = await acting.assistants.create(graph_id=GRAPH, metadata={"note": "n"})

    copied = await acting.threads.copy(thread.thread_id)
    latest = await acting.assistants.set_latest(assistant.assistant_id, version=1)

    assert copied.metadata == latest.metadata == {"note": "n", "owner": "ada", "by": _SECRET}
    assert [one.thread_id for one in (await acting.threads.search(metadata={"owner": "ada"})).items] == [
        copied.thread_id,
        thread.thread_id,
    ]


async def test_handlers_that_hide_an_owner_are_refused(resources: Resources, handlers: Handlers) -> None:
    class Owned:
        caller = Caller("ada")
        restricts = True

        async def ask(self, resource: str, action: str, value: dict[str, Any]) -> Condition | None:
            return Condition({"$or": [{"owner": "ada"}, {"shared": True}]})

    handlers.readable = {"kind"}
    begin_sealing(_RED)
    threads = resources.acting_for(Owned()).threads

    with pytest.raises(InvalidRequest, match=r"changed 'owner' in thread\.metadata"):
        await threads.create(metadata={"owner": "ada"})

    assert (await resources.threads.search()).items == []


async def test_a_request_that_cannot_be_sealed_stores_nothing(resources: Resources, handlers: Handlers) -> None:
    thread = await resources.threads.create()
    handlers.fails_to_seal = True

    with pytest.raises(EncryptionFailed, match=r"encrypt\.json failed on run\.kwargs|run\.metadata|thread\.config"):
        await resources.runs.create(thread.thread_id, RunRequest(assistant_id=GRAPH, input={"log": [_SECRET]}))
    with pytest.raises(EncryptionFailed, match=r"encrypt\.json failed on store\.value"):
        await resources.store.put(("a",), "k", {"text": _SECRET})

    assert await resources.runs.list(thread.thread_id) == []
    assert (await resources.threads.get(thread.thread_id)).status == "idle"
    assert await resources.store.search() == []


async def test_a_run_that_cannot_be_opened_ends_and_the_others_go_on(
    resources: Resources, database: Database, handlers: Handlers
) -> None:
    worker = await HandWorker(resources).register()
    lost = await resources.runs.create(None, RunRequest(assistant_id=GRAPH, input={"log": [_SECRET]}))
    await _rows(database, "UPDATE runs SET kwargs = replace(kwargs::text, 'None:', 'red:')::json RETURNING 1")
    fine = await resources.runs.create(None, RunRequest(assistant_id=GRAPH, input={"log": ["b"]}))

    claimed = await worker.claim()

    assert [one.run_id for one in claimed] == [fine.run_id]
    told = await resources.runs.result(lost)
    assert told["__error__"]["error"] == "SealedValue"
    assert "decrypt.json failed on run.kwargs" in told["__error__"]["message"]


async def test_what_a_run_ended_with_and_cannot_be_sealed_is_an_error_and_the_checkpoints_stay(
    resources: Resources, database: Database, handlers: Handlers
) -> None:
    worker = await HandWorker(resources).register()
    thread = await resources.threads.create()
    run = await resources.runs.create(
        thread.thread_id, RunRequest(assistant_id=GRAPH, input={"log": []}, webhook="http://127.0.0.1:9/")
    )
    claimed = await worker.claim_one()
    await execute(claimed, worker.saver(claimed), log=[_SECRET])
    handlers.fails_to_seal = True

    outcome = await resources.leases.end(claimed, Ending(status="success", result=b'{"log": 1}'), rolled_back=False)

    handlers.fails_to_seal = False
    assert outcome.status == "error"
    assert (await resources.runs.get(thread.thread_id, run.run_id)).status == "error"
    assert (await resources.runs.result(run))["__error__"]["error"] == "EncryptionFailed"
    assert (await resources.threads.get(thread.thread_id)).error == outcome.error
    (state,) = await resources.threads.history(thread.thread_id)
    assert state["values"]["log"] == [_SECRET, "a", "b", "c"]
    assert _SECRET not in await _dump(database)


async def test_a_thread_that_cannot_be_opened_says_why_and_can_be_deleted(
    resources: Resources, handlers: Handlers
) -> None:
    thread = await resources.threads.create(metadata={"note": _SECRET})
    await resources.runs.create(thread.thread_id, RunRequest(assistant_id=GRAPH))
    handlers.fails_to_open = True

    with pytest.raises(SealedValue, match=r"decrypt\.json failed on thread\.metadata: RuntimeError: no key"):
        await resources.threads.get(thread.thread_id)
    await resources.threads.delete(thread.thread_id)

    assert await resources.threads.count() == 0


async def test_a_worker_seals_in_the_name_of_the_run_also_when_it_is_swept(
    resources: Resources, database: Database
) -> None:
    worker = await HandWorker(resources).register()
    with sealing_for(_RED):
        thread = await resources.threads.create(metadata={"kind": "a"})
        await resources.runs.create(thread.thread_id, RunRequest(assistant_id=GRAPH, input={"log": [_SECRET]}))
    claimed = await worker.claim_one()
    assert claimed.encryption == _RED
    with sealing_for(claimed.encryption):
        await execute(claimed, worker.saver(claimed), log=[_SECRET])
    for _ in range(3):
        await worker.lose(database)
        await resources.leases.sweep()
        worker = await HandWorker(resources).register()
        await worker.claim()

    ended = await resources.threads.get(thread.thread_id)

    assert ended.values == {"log": [_SECRET, "a", "b", "c"]}
    ((values, error, kind),) = await _rows(
        database, "SELECT values, error, (SELECT type FROM checkpoint_values LIMIT 1) FROM threads"
    )
    assert values["__encryption__"] == error["__encryption__"] == {"context": _RED}
    assert kind == 'msgpack+sealed{"tenant":"red"}'
    assert _SECRET not in await _dump(database)


async def test_a_thread_keeps_its_name_when_it_is_cut_down(resources: Resources, database: Database) -> None:
    worker = await HandWorker(resources).register()
    with sealing_for(_RED):
        thread = await resources.threads.create(ttl=ThreadTtl(ttl_minutes=5, strategy="keep_latest"))
        await resources.runs.create(thread.thread_id, RunRequest(assistant_id=GRAPH, input={"log": []}))
    claimed = await worker.claim_one()
    with sealing_for(claimed.encryption):
        await execute(claimed, worker.saver(claimed), log=[_SECRET])
        await worker.finish_with(claimed, await newest_state(worker.saver(claimed), claimed))
    await _rows(database, "UPDATE threads SET expires_at = now() RETURNING 1")

    assert await resources.threads.expire() == 1

    assert (await resources.threads.get(thread.thread_id)).values == {"log": [_SECRET, "a", "b", "c"]}
    ((values,),) = await _rows(database, "SELECT values FROM threads")
    assert values["__encryption__"] == {"context": _RED}


async def test_a_webhook_is_told_in_plain_what_waits_for_it_sealed(
    resources: Resources, database: Database, handlers: Handlers
) -> None:
    worker = await HandWorker(resources).register()
    request = RunRequest(assistant_id=GRAPH, input={"log": [_SECRET]}, webhook="http://127.0.0.1:9/")
    await resources.runs.create(None, request)
    await worker.finish(await worker.claim_one(), values={"log": [_SECRET]})
    dump = await _dump(database)
    handlers.fails_to_open = True
    (unopened,) = await resources.webhooks.claim(limit=5)
    await resources.webhooks.finish(unopened, Answer(seconds=0, error=unopened.unopened))
    handlers.fails_to_open = False
    await _rows(database, "UPDATE webhook_deliveries SET next_attempt_at = now() RETURNING 1")

    (due,) = await resources.webhooks.claim(limit=5)

    assert _SECRET not in dump
    assert "no key" in str(unopened.unopened)
    assert (due.unopened, due.payload["values"]) == (None, {"log": [_SECRET]})


async def test_a_cron_that_cannot_be_opened_keeps_no_other_from_its_time(
    resources: Resources, database: Database
) -> None:
    for tenant in (_RED, _BLUE):
        with sealing_for(tenant):
            await resources.crons.create(GRAPH, CronChange(payload={"input": _SECRET}, schedule="@yearly"))
    await _rows(
        database,
        "UPDATE crons SET next_run_date = now(), payload = replace(payload::text, 'red:', 'green:')::jsonb RETURNING 1",
    )

    fired = [await resources.crons.fire(), await resources.crons.fire()]

    assert fired == [1, 0]
    ((kwargs,),) = await _rows(database, "SELECT kwargs FROM runs")
    assert kwargs["__encryption__"] == {"context": _BLUE}
    assert _SECRET not in await _dump(database)


async def test_a_kernel_writes_in_the_name_of_its_runs(resources: Resources, database: Database) -> None:
    reach = KernelReach(resources)
    item = PutItem(namespace=("a",), key="k", value={"text": _SECRET})

    def holds(**context: str) -> None:
        claimed = ClaimedRun(
            run_id=uuid4(),
            thread_id=uuid4(),
            assistant_id=uuid4(),
            graph_id=GRAPH,
            metadata={},
            kwargs={},
            attempt=1,
            failed_attempts=0,
            created_at=None,  # pyright: ignore[reportArgumentType]  nobody asks
            encryption=context,
        )
        reach.hands[claimed.run_id] = claimed

    holds(tenant="red")
    holds(tenant="red")
    await reach.store_write(puts=[item])
    holds(tenant="blue")

    with pytest.raises(InvalidRequest, match="several encryption contexts"):
        await reach.store_write(puts=[item])
    ((value,),) = await _rows(database, "SELECT value FROM store_items")
    assert value["__encryption__"] == {"context": _RED}


async def test_a_key_hides_the_values_of_some_keys_wherever_they_are(
    database_uri: str, queue: Queue, settings: Settings
) -> None:
    vault = AesVault("k" * 16, json_keys=["api_key"])
    database = Database(database_uri, pool_size=4, application_name="encryption-tests", vault=vault)
    await database.open()
    resources = await build_resources(database=database, queue=queue, settings=settings)
    try:
        await resources.assistants.register(GraphDescriptor(graph_id=GRAPH, name=GRAPH))
        thread = await resources.threads.create(metadata={"note": "n", "api_key": _SECRET})
        changed = await resources.threads.update(thread.thread_id, metadata={"more": {"api_key": _SECRET}})
        given = {"log": [{"api_key": _SECRET, "n": 1}]}
        run = await resources.runs.create(
            thread.thread_id, RunRequest(assistant_id=GRAPH, input=given, config={"configurable": {"api_key": _SECRET}})
        )
        claimed = await (await HandWorker(resources).register()).claim_one()

        assert changed.metadata == {"note": "n", "api_key": _SECRET, "more": {"api_key": _SECRET}}
        assert (run.kwargs["input"], claimed.kwargs["input"]) == (given, given)
        assert claimed.kwargs["config"]["configurable"]["api_key"] == _SECRET
        assert [one.thread_id for one in (await resources.threads.search(metadata={"note": "n"})).items] == [
            thread.thread_id
        ]
        assert _SECRET not in await _dump(database)
    finally:
        await resources.close()
        await database.close()


async def test_items_are_found_by_similarity_and_opened(database: Database, vectors: None) -> None:
    store = Store(database, config=StoreConfig(index=IndexConfig(dims=2, embedder=WordCount())))
    await store.prepare()
    await store.put(("a",), "cat", {"kind": "x", "text": "cat cat"})
    await store.put(("a",), "dog", {"kind": "x", "text": "dog"})

    found = await store.search((), query="cat", filter={"kind": "x"}, limit=1)

    assert [(one.key, one.value["text"]) for one in found] == [("cat", "cat cat")]
    ((value,),) = await _rows(database, "SELECT value FROM store_items WHERE key = 'cat'")
    assert "cat" not in str(value)


async def test_without_the_handlers_the_reason_is_said(
    resources: Resources, database_uri: str, queue: Queue, settings: Settings
) -> None:
    thread = await resources.threads.create(metadata={"note": _SECRET})
    await resources.runs.create(thread.thread_id, RunRequest(assistant_id=GRAPH))
    plain = Database(database_uri, pool_size=4, application_name="plain", vault=NoVault())
    await plain.open()
    others = await build_resources(database=plain, queue=queue, settings=settings)
    try:
        with pytest.raises(SealedValue, match=r"thread\.metadata is encrypted: start with the encryption\.path"):
            await others.threads.get(thread.thread_id)
        assert await (await HandWorker(others).register()).claim() == []
        assert (await resources.runs.list(thread.thread_id))[0].status == "pending"
    finally:
        await others.close()
        await plain.close()


async def test_what_was_stored_before_there_were_handlers_is_read_as_it_is(
    resources: Resources, database: Database
) -> None:
    ((thread_id,),) = await _rows(
        database,
        """INSERT INTO threads (thread_id, metadata) VALUES (gen_random_uuid(), '{"note": "n"}') RETURNING thread_id""",
    )

    before = await resources.threads.get(thread_id)
    after = await resources.threads.update(thread_id, metadata={"more": _SECRET})

    assert before.metadata == {"note": "n"}
    assert after.metadata == {"note": "n", "more": _SECRET}
    ((stored,),) = await _rows(database, "SELECT metadata FROM threads")
    assert stored["note"] == 'None:"n"'
