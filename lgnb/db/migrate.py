"""Brings the schema up to date: numbered files, forward only, one at a time under an advisory lock."""

from __future__ import annotations

import logging
import re
from importlib import resources
from typing import LiteralString, cast

from .database import Connection

logger = logging.getLogger(__name__)

# Any constant will do, as long as every lgnb process uses the same one.
_MIGRATION_LOCK = 0x6C676E62

_FILE_NAME = re.compile(r"(\d{4})_\w+\.sql")


def migrations() -> list[tuple[int, str, LiteralString]]:
    """(number, file name, statements) of every migration, in order."""
    found: list[tuple[int, str, LiteralString]] = []
    for file in resources.files("lgnb.db").joinpath("migrations").iterdir():
        if match := _FILE_NAME.fullmatch(file.name):
            found.append((int(match[1]), file.name, cast(LiteralString, file.read_text(encoding="utf-8"))))
    return sorted(found)


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing and return the names applied.

    Running it twice, or in two processes at once, applies each migration once: the lock serialises, a table remembers.
    """
    applied: list[str] = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS lgnb_migrations ("
            "number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor = await connection.execute("SELECT number FROM lgnb_migrations")
        known = {row[0] for row in await cursor.fetchall()}
        for number, name, statements in migrations():
            if number in known:
                continue
            await connection.execute(statements)
            await connection.execute("INSERT INTO lgnb_migrations (number, name) VALUES (%s, %s)", (number, name))
            applied.append(name)
            logger.info("Applied migration %s", name)
    return applied


async def pending_migrations(connection: Connection) -> list[str]:
    """Names of the migrations that this database lacks."""
    cursor = await connection.execute("SELECT to_regclass('lgnb_migrations') IS NOT NULL")
    row = await cursor.fetchone()
    known: set[int] = set()
    if row and row[0]:
        cursor = await connection.execute("SELECT number FROM lgnb_migrations")
        known = {number for (number,) in await cursor.fetchall()}
    return [name for number, name, _ in migrations() if number not in known]
