"""Checkpoints sealed by a key or by an operator's handlers: nothing readable in Postgres, everything in the API."""

from __future__ import annotations

import operator
import uuid
import warnings
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from langgraph_sdk.encryption import Encryption
from langgraph_sdk.encryption.types import DecryptResult
from typing_extensions import TypedDict

from lgnb.checkpoints.history import thread_states
from lgnb.checkpoints.saver import Saver
from lgnb.checkpoints.storage import PostgresStorage
from lgnb.db.database import Database
from lgnb.errors import SealedValue
from lgnb.models.vault import NoVault, Vault
from lgnb.resources.latest_state import latest_values
from lgnb.sealing import AesVault, HandlerVault

_SECRET = "a very secret sentence"
_TABLES = ("checkpoints", "checkpoint_values", "checkpoint_writes")


class State(TypedDict):
    texts: Annotated[list[str], operator.add]
    short: str


def _handlers() -> HandlerVault:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encryption = Encryption()

    @encryption.encrypt.blob
    async def encrypt(ctx: Any, blob: bytes) -> bytes:
        assert ctx.model == "checkpoint"
        return b"sealed" + bytes(byte ^ 0x5A for byte in blob)

    @encryption.decrypt.blob
    async def decrypt(ctx: Any, blob: bytes) -> Any:
        return DecryptResult(plaintext=bytes(byte ^ 0x5A for byte in blob.removeprefix(b"sealed")))

    return HandlerVault(encryption)


@pytest.fixture(params=["a key", "handlers"])
def vault(request: pytest.FixtureRequest) -> Vault:
    return AesVault("k" * 32) if request.param == "a key" else _handlers()


@pytest.fixture
async def open_database(database_uri: str) -> AsyncIterator[Any]:
    opened: list[Database] = []

    async def make(vault: Vault) -> Database:
        database = Database(database_uri, pool_size=2, application_name="sealed-tests", vault=vault)
        await database.open()
        opened.append(database)
        return database

    yield make
    for database in opened:
        await database.close()


def _graph(database: Database) -> Any:
    def ask(state: State) -> Any:
        return {"texts": [interrupt(_SECRET)], "short": _SECRET}

    builder = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END)
    return builder.compile(checkpointer=Saver(PostgresStorage(database)))


async def _stored(database: Database) -> bytes:
    """Every byte of the tables of checkpoints."""
    found = b""
    async with database.connection() as connection:
        for table in _TABLES:
            # The binary columns alone: as text, Postgres would show them as digits.
            for row in await (await connection.execute(f"SELECT * FROM {table}")).fetchall():  # noqa: S608
                parts = [part for column in row for part in (column if isinstance(column, list) else [column])]
                found += b"".join(part for part in parts if isinstance(part, bytes))
    return found


async def test_nothing_readable_is_stored_and_the_graph_goes_on(open_database: Any, vault: Vault) -> None:
    database = await open_database(vault)
    thread_id = uuid.uuid4()
    config = {"configurable": {"thread_id": str(thread_id)}}
    graph = _graph(database)

    await graph.ainvoke({"texts": [_SECRET] * 200, "short": _SECRET}, config)
    ended = await graph.ainvoke(Command(resume=_SECRET), config)

    stored = await _stored(database)
    assert len(stored) > 100
    assert _SECRET.encode() not in stored
    assert ended == {"texts": [_SECRET] * 201, "short": _SECRET}
    states = await thread_states(PostgresStorage(database), thread_id)
    assert states[0]["values"] == ended
    asked = [one.value async for snapshot in graph.aget_state_history(config) for one in snapshot.interrupts]
    assert asked == [_SECRET]
    async with database.connection() as connection:
        assert await latest_values(connection, thread_id) == ended


async def test_what_was_stored_before_stays_readable(open_database: Any, vault: Vault) -> None:
    thread_id = uuid.uuid4()
    config = {"configurable": {"thread_id": str(thread_id)}}
    await _graph(await open_database(NoVault())).ainvoke({"texts": ["before"]}, config)

    ended = await _graph(await open_database(vault)).ainvoke(Command(resume="after"), config)

    assert ended["texts"] == ["before", "after"]


async def test_without_the_key_or_with_another_one_the_reason_is_said(open_database: Any, vault: Vault) -> None:
    thread_id = uuid.uuid4()
    config = {"configurable": {"thread_id": str(thread_id)}}
    await _graph(await open_database(vault)).ainvoke({"texts": [_SECRET]}, config)

    for other in (NoVault(), AesVault("o" * 16)):
        with pytest.raises(SealedValue, match=r"LGNB_AES_KEY|encryption\.path"):
            await thread_states(PostgresStorage(await open_database(other)), thread_id)
