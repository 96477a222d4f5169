"""The commands of docs/operations.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from lgnb import embedded
from lgnb.embedded.binaries import postgres_bin
from lgnb.embedded.layout import MAJOR

_ROOT = Path(__file__).parents[2]


def commands(name: str) -> str:
    text = (_ROOT / "docs" / "operations.md").read_text("utf-8")
    found = re.search(rf"<!-- tested: {name} -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def programs(major: int) -> Path:
    """Where pg_dump and pg_restore of this version are; those of a newer one say what an older server does not know."""
    debian = Path(f"/usr/lib/postgresql/{major}/bin")
    return debian if major != MAJOR and debian.is_dir() else postgres_bin(None)


def run(name: str, folder: Path, *, major: int = MAJOR, **variables: str) -> None:
    path = os.pathsep.join((str(programs(major)), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"PATH": path} | variables
    done = subprocess.run(
        ["sh", "-e", "-c", commands(name)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def _count(uri: str) -> list[tuple[str, str]]:
    async with await psycopg.AsyncConnection.connect(uri) as connection:
        cursor = await connection.execute("SELECT thread_id::text, metadata::text FROM threads ORDER BY 1")
        return await cursor.fetchall()


async def test_a_dump_comes_back_in_another_database(postgres_uri: str, database_uri: str, tmp_path: Path) -> None:
    async with await psycopg.AsyncConnection.connect(database_uri, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO threads (thread_id, metadata) "
            """SELECT gen_random_uuid(), '{"a": "ü"}' FROM generate_series(1, 3)"""
        )
    name = f"lgnb_restored_{uuid.uuid4().hex}"
    restored_uri = urlunsplit(urlsplit(database_uri)._replace(path=f"/{name}"))

    async with await psycopg.AsyncConnection.connect(postgres_uri, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
        try:
            major = admin.info.server_version // 10_000
            run("dump", tmp_path, major=major, LGNB_POSTGRES_URI=database_uri)
            run("restore", tmp_path, major=major, LGNB_POSTGRES_URI=restored_uri)
            before, after = await _count(database_uri), await _count(restored_uri)
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    assert len(after) == 3
    assert after == before


async def test_a_copy_of_a_stopped_data_directory_is_a_backup(data_dir: Path) -> None:
    pair = await embedded.acquire(data_dir)
    async with await psycopg.AsyncConnection.connect(pair.postgres_uri, autocommit=True) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await pair.release()
    backup = data_dir.with_name(f"{data_dir.name}-backup")

    run("copy", data_dir.parent, LGNB_DATA_DIR=str(data_dir), BACKUP=str(backup))

    again = await embedded.acquire(backup)
    try:
        async with await psycopg.AsyncConnection.connect(again.postgres_uri) as connection:
            row = await (await connection.execute("SELECT number FROM kept")).fetchone()
    finally:
        await again.release()
    assert row == (7,)
