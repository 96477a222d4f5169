from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from lgnb import embedded
from lgnb.embedded.layout import find
from lgnb.errors import EmbeddedError

from .conftest import HoldingProcess, Pair, eventually, ping, read_rows, until, write_row

Hold = Callable[..., HoldingProcess]


def test_servers_do_not_outlive_a_killed_holder(data_dir: Path, pair: Pair, hold: Hold) -> None:
    holder = hold(data_dir)
    write_row(holder.postgres_uri, "committed")
    supervisor = pair.supervisor

    holder.kill()

    until(lambda: pair.processes() == [] and not supervisor.is_alive())


async def test_the_next_host_after_a_killed_one_finds_everything_committed(
    data_dir: Path, pair: Pair, hold: Hold
) -> None:
    holder = hold(data_dir)
    write_row(holder.postgres_uri, "committed")
    holder.kill()

    servers = await embedded.acquire(data_dir)

    assert read_rows(servers.postgres_uri) == ["committed"]
    assert len(embedded.inspect(data_dir).holders) == 1
    await servers.release()
    assert pair.processes() == []


async def test_a_killed_holder_does_not_disturb_the_others(data_dir: Path, pair: Pair, hold: Hold) -> None:
    holder = hold(data_dir)
    servers = await embedded.acquire(data_dir)
    with psycopg.connect(servers.postgres_uri) as connection:
        postgres = pair.postgres
        holder.kill()
        await eventually(lambda: len(embedded.inspect(data_dir).holders) == 1)
        connection.execute("SELECT 1")

    assert pair.postgres == postgres
    await servers.release()


async def test_servers_of_a_killed_supervisor_are_adopted(data_dir: Path, pair: Pair, hold: Hold) -> None:
    holder = hold(data_dir)
    write_row(holder.postgres_uri, "committed")
    before = pair.state
    before.supervisor.send(signal.SIGKILL)
    await eventually(lambda: not before.supervisor.is_alive())
    assert before.servers["Postgres"].is_alive()

    servers = await embedded.acquire(data_dir)

    assert pair.supervisor != before.supervisor
    assert pair.state.servers == before.servers
    assert read_rows(servers.postgres_uri) == ["committed"]
    holder.release()
    await servers.release()
    assert pair.processes() == []


async def test_servers_that_nobody_recorded_are_found_and_adopted(data_dir: Path, pair: Pair, hold: Hold) -> None:
    assert "error" not in hold(data_dir).said
    layout = find(data_dir)
    assert layout is not None
    before = pair.state
    before.supervisor.send(signal.SIGKILL)
    await eventually(lambda: not before.supervisor.is_alive())
    layout.state.unlink()

    servers = await embedded.acquire(data_dir)

    assert pair.state.servers == before.servers
    assert ping(servers.redis_uri)
    await servers.release()


async def test_the_last_one_out_stops_the_servers_of_a_killed_supervisor(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    sockets = pair.state.sockets
    supervisor = pair.supervisor
    supervisor.send(signal.SIGKILL)
    await eventually(lambda: not supervisor.is_alive())

    await servers.release()

    assert pair.processes() == []
    assert not sockets.root.exists()


async def test_killed_servers_come_back_while_they_have_a_holder(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    write_row(servers.postgres_uri, "committed")
    before = pair.state

    for mark in before.servers.values():
        mark.send(signal.SIGKILL)

    def both_are_new() -> bool:
        return not before.servers.items() & pair.state.servers.items()

    await eventually(both_are_new)
    assert read_rows(servers.postgres_uri) == ["committed"]
    assert ping(servers.redis_uri)
    await servers.release()
    assert pair.processes() == []


async def test_joining_waits_for_servers_that_were_killed_a_moment_ago(data_dir: Path, pair: Pair, hold: Hold) -> None:
    holder = hold(data_dir)
    write_row(holder.postgres_uri, "committed")
    for mark in pair.state.servers.values():
        mark.send(signal.SIGKILL)

    servers = await embedded.acquire(data_dir)

    assert read_rows(servers.postgres_uri) == ["committed"]
    assert ping(servers.redis_uri)
    holder.release()
    await servers.release()


async def test_after_everything_was_killed_the_next_start_recovers(data_dir: Path, pair: Pair, hold: Hold) -> None:
    holder = hold(data_dir)
    write_row(holder.postgres_uri, "committed")
    state = pair.state
    for mark in (state.supervisor, *state.servers.values()):
        mark.send(signal.SIGKILL)
    holder.kill()
    await eventually(lambda: not any(mark.is_alive() for mark in (state.supervisor, *state.servers.values())))
    assert state.sockets.postgres.exists()

    servers = await embedded.acquire(data_dir)

    assert read_rows(servers.postgres_uri) == ["committed"]
    await servers.release()
    assert pair.processes() == []


async def test_a_backend_too_busy_to_notice_that_its_postgres_was_killed_is_ended(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    before = pair.state

    def count_for_ever() -> None:
        with suppress(psycopg.OperationalError), psycopg.connect(servers.postgres_uri) as connection:
            connection.execute("DO $$ DECLARE n bigint := 0; BEGIN LOOP n := n + 1; END LOOP; END $$")

    busy = threading.Thread(target=count_for_ever)
    busy.start()

    def is_busy() -> bool:
        with psycopg.connect(servers.postgres_uri) as connection:
            found = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$%'").fetchone()
            return found == (1,)

    await eventually(is_busy)
    before.servers["Postgres"].send(signal.SIGKILL)
    again = await embedded.acquire(data_dir)

    busy.join(timeout=20)
    assert not busy.is_alive()
    write_row(again.postgres_uri, "works")
    await again.release()
    await servers.release()
    assert pair.processes() == []


async def test_a_supervisor_told_to_end_stops_its_servers(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    supervisor = pair.supervisor

    supervisor.send(signal.SIGTERM)

    await eventually(lambda: not supervisor.is_alive())
    assert pair.processes() == []
    await servers.release()


async def test_a_half_made_cluster_is_thrown_away(data_dir: Path) -> None:
    base = data_dir / "embedded"
    base.mkdir(mode=0o711)
    (base / "pg18.new-broken").mkdir()
    (base / "pg18.new-broken" / "PG_VERSION").write_text("18\n")

    servers = await embedded.acquire(data_dir)

    assert not (base / "pg18.new-broken").exists()
    await servers.release()


async def test_a_failed_start_tells_the_last_words_and_leaves_nothing_running(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    await servers.release()
    layout = find(data_dir)
    assert layout is not None
    with (layout.cluster / "postgresql.conf").open("a") as configuration:
        configuration.write("nonsense_parameter = 1\n")

    with pytest.raises(EmbeddedError) as caught:
        await embedded.acquire(data_dir)

    assert 'unrecognized configuration parameter "nonsense_parameter"' in str(caught.value)
    assert "LGNB_POSTGRES_URI" in str(caught.value)
    assert pair.processes() == []
    assert embedded.inspect(data_dir).holders == ()


async def test_a_cluster_of_another_version_is_left_alone(data_dir: Path) -> None:
    cluster = data_dir / "embedded" / "pg18"
    cluster.mkdir(parents=True)
    (data_dir / "embedded").chmod(0o711)
    (cluster / "PG_VERSION").write_text("17\n")

    with pytest.raises(EmbeddedError, match="its version is 17"):
        await embedded.acquire(data_dir)

    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]
