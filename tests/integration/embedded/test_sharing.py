from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from lgnb import embedded
from lgnb.embedded.layout import find
from lgnb.errors import EmbeddedError

from .conftest import HoldingProcess, Pair, eventually, names_in, open_files, ping, read_rows, until, write_row

Hold = Callable[..., HoldingProcess]


async def test_first_start_takes_under_ten_seconds_and_a_warm_one_under_three(data_dir: Path) -> None:
    for limit in (10.0, 3.0):
        started = time.monotonic()
        servers = await embedded.acquire(data_dir)
        took = time.monotonic() - started
        await servers.release()

        assert took < limit


async def test_both_servers_are_what_the_rest_of_lgnb_expects(data_dir: Path) -> None:
    servers = await embedded.acquire(data_dir)

    async with await psycopg.AsyncConnection.connect(servers.postgres_uri) as connection:
        await connection.execute("CREATE EXTENSION vector")
        names = ("fsync", "TimeZone", "server_encoding", "listen_addresses", "synchronous_commit", "data_checksums")
        rows = [await (await connection.execute("SELECT current_setting(%s)", (name,))).fetchone() for name in names]
        who = await (await connection.execute("SELECT current_user, current_database()")).fetchone()
    with pytest.raises(EmbeddedError, match="running"):
        embedded.remove(data_dir)

    assert [row and row[0] for row in rows] == ["on", "UTC", "UTF8", "", "on", "on"]
    assert who == ("lgnb", "lgnb")
    assert ping(servers.redis_uri)
    await servers.release()


async def test_nothing_is_left_running_after_the_only_holder_released(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    marks = [pair.supervisor, pair.postgres, pair.valkey]
    sockets = pair.state.sockets
    assert sockets.postgres.is_socket()
    assert sockets.valkey.is_socket()

    await servers.release()

    assert not any(mark.is_alive() for mark in marks)
    assert pair.processes() == []
    assert not sockets.root.exists()
    assert not embedded.inspect(data_dir).running


async def test_sockets_of_the_embedded_servers_belong_to_their_owner_alone(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    sockets = pair.state.sockets

    for path in (sockets.postgres, sockets.valkey):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    listening = [
        connection
        for pid in pair.processes()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == []
    await servers.release()


async def test_releasing_twice_or_at_once_is_harmless(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)

    await asyncio.gather(servers.release(), servers.release())
    await servers.release()

    assert pair.processes() == []


async def test_two_processes_share_one_pair_and_the_last_one_out_stops_it(
    data_dir: Path, pair: Pair, hold: Hold
) -> None:
    ours = await embedded.acquire(data_dir)
    other = hold(data_dir)

    assert other.said == {"postgres_uri": ours.postgres_uri, "redis_uri": ours.redis_uri}
    assert len(embedded.inspect(data_dir).holders) == 2

    write_row(other.postgres_uri, "seen by both")
    other.release()
    assert read_rows(ours.postgres_uri) == ["seen by both"]
    assert ping(ours.redis_uri)

    await ours.release()
    assert pair.processes() == []


async def test_one_process_may_hold_the_pair_several_times(data_dir: Path, pair: Pair) -> None:
    first, second = await asyncio.gather(embedded.acquire(data_dir), embedded.acquire(data_dir))

    await first.release()
    assert ping(second.redis_uri)

    await second.release()
    assert pair.processes() == []


def test_processes_that_start_at_once_make_exactly_one_pair(data_dir: Path, pair: Pair, hold: Hold) -> None:
    holders = [hold(data_dir) for _ in range(3)]

    assert len({holder.postgres_uri for holder in holders}) == 1
    layout = find(data_dir)
    assert layout is not None
    assert layout.supervisor_log.read_text().count("Both servers run") == 1

    for holder in holders:
        holder.release()
    assert pair.processes() == []


async def test_data_survives_a_stop(data_dir: Path) -> None:
    servers = await embedded.acquire(data_dir)
    write_row(servers.postgres_uri, "kept")
    await servers.release()

    servers = await embedded.acquire(data_dir)

    assert read_rows(servers.postgres_uri) == ["kept"]
    await servers.release()


async def test_clients_that_stay_connected_do_not_hold_up_the_stop(data_dir: Path) -> None:
    servers = await embedded.acquire(data_dir)

    async with await psycopg.AsyncConnection.connect(servers.postgres_uri) as connection:
        started = time.monotonic()
        await servers.release()
        took = time.monotonic() - started
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT 1")

    assert took < 5


async def test_servers_belong_to_a_session_of_their_own_and_inherit_no_socket(data_dir: Path, pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(listening.fileno(), True)
        inode = os.fstat(listening.fileno()).st_ino
        servers = await embedded.acquire(data_dir)

    for mark in (pair.supervisor, pair.postgres, pair.valkey):
        assert os.getsid(mark.pid) != os.getsid(0)
        assert os.getpgid(mark.pid) != os.getpgid(0)
        assert f"socket:[{inode}]" not in open_files(mark.pid)
    await servers.release()


async def test_inspecting_tells_what_runs_and_changes_nothing(data_dir: Path, pair: Pair) -> None:
    before = embedded.inspect(data_dir)
    assert (before.running, before.location, before.holders, before.problem) == (False, None, (), None)
    assert names_in(data_dir) == set()

    servers = await embedded.acquire(data_dir)
    during = embedded.inspect(data_dir)
    await servers.release()
    after = embedded.inspect(data_dir)

    assert during.running
    assert [holder.process.pid for holder in during.holders] == [os.getpid()]
    assert (during.postgres_version or "").startswith("18.")
    assert during.valkey_version
    assert during.size_bytes > 1_000_000
    assert (after.running, after.supervisor_pid, after.postgres_pid, after.holders) == (False, None, None, ())


async def test_a_log_that_has_grown_too_long_starts_anew(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    layout = find(data_dir)
    assert layout is not None
    log = layout.base / "postgres.log"
    with log.open("ab") as file:
        file.write(b"a long story\n" * 400_000)

    await eventually(lambda: log.stat().st_size < 100_000)

    assert (layout.base / "postgres.log.1").stat().st_size > 4_000_000
    with psycopg.connect(servers.postgres_uri) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM nowhere")
    until(lambda: "nowhere" in log.read_text())
    await servers.release()
