from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from lgnb import embedded
from lgnb.errors import EmbeddedError
from lgnb.testing.servers import private_servers, running_servers

from .conftest import HoldingProcess, Pair, names_in, ping, read_rows, write_row


@pytest.mark.parametrize("name", ["long-" * 40, "spaces, commas and 'quotes' & ünïcödé"])
async def test_any_data_directory_has_sockets_that_clients_can_reach(
    data_dir: Path, name: str, hold: Callable[..., HoldingProcess]
) -> None:
    data_dir = data_dir / name
    data_dir.mkdir()
    data_dir.chmod(data_dir.parent.stat().st_mode)
    servers = await embedded.acquire(data_dir)
    pair = Pair(data_dir)
    sockets = pair.state.sockets

    assert len(str(sockets.postgres)) < 100
    assert not sockets.root.is_relative_to(data_dir)
    for directory in (sockets.postgres_dir, sockets.valkey_dir):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    write_row(servers.postgres_uri, "reached")
    assert ping(servers.redis_uri)

    other = hold(data_dir)
    assert read_rows(other.postgres_uri) == ["reached"]
    other.release()
    await servers.release()
    assert pair.processes() == []
    assert not sockets.root.exists()
    embedded.remove(data_dir)


async def test_a_relative_and_an_absolute_path_mean_one_pair(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data_dir.parent)
    absolute = await embedded.acquire(data_dir)
    relative = await embedded.acquire(Path(data_dir.name))

    assert relative.postgres_uri == absolute.postgres_uri

    await absolute.release()
    await relative.release()


async def test_a_file_in_place_of_the_data_directory_is_a_clear_error(data_dir: Path) -> None:
    file = data_dir / "file"
    file.write_text("not a directory")

    for wrong in (file, file / "below"):
        with pytest.raises(EmbeddedError, match=r"The data directory .*file.* cannot be used: .*LGNB_DATA_DIR"):
            await embedded.acquire(wrong)


async def test_removing_leaves_nothing_of_the_data(data_dir: Path) -> None:
    servers = await embedded.acquire(data_dir)
    await servers.release()
    assert embedded.inspect(data_dir).size_bytes > 0

    embedded.remove(data_dir)
    embedded.remove(data_dir)

    assert names_in(data_dir) == set()


async def test_servers_for_a_test_are_gone_with_their_data_after_it() -> None:
    async with private_servers() as first, private_servers() as second:
        assert first.postgres_uri != second.postgres_uri
        write_row(first.postgres_uri, "only here")
        with pytest.raises(psycopg.errors.UndefinedTable):
            read_rows(second.postgres_uri)
        uris = (first.postgres_uri, second.postgres_uri)

    for uri in uris:
        with pytest.raises(psycopg.OperationalError):
            read_rows(uri)


def test_servers_for_a_session_need_no_event_loop() -> None:
    with running_servers() as servers:
        write_row(servers.postgres_uri, "works")
        assert ping(servers.redis_uri)

    with pytest.raises(psycopg.OperationalError):
        read_rows(servers.postgres_uri)
