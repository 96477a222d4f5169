"""A real Postgres and Valkey for one test session: the embedded pair on a data directory of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from lgnb import embedded
from lgnb.embedded import EmbeddedServers


@asynccontextmanager
async def private_servers(directory: Path | None = None) -> AsyncGenerator[EmbeddedServers]:
    """A running pair; when the block ends it is stopped and all its data is deleted.

    Args:
        directory: where to make the data directory; a temporary directory by default.

    Raises:
        EmbeddedError: the servers are not available here or did not start.
    """
    data_dir = _make_data_dir(directory)
    try:
        servers = await embedded.acquire(data_dir)
        try:
            yield servers
        finally:
            await servers.release()
    finally:
        embedded.remove(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


@contextmanager
def running_servers(directory: Path | None = None) -> Generator[EmbeddedServers]:
    """The same for a fixture of a whole test session, which belongs to no event loop."""
    data_dir = _make_data_dir(directory)
    try:
        servers = asyncio.run(embedded.acquire(data_dir))
        try:
            yield servers
        finally:
            asyncio.run(servers.release())
    finally:
        embedded.remove(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def _make_data_dir(directory: Path | None) -> Path:
    data_dir = Path(tempfile.mkdtemp(prefix="lgnb-test-", dir=directory))
    if os.geteuid() == 0:
        # Postgres runs as another user then; what is closed to it would end up in the system's directory.
        data_dir.chmod(0o711)
    return data_dir
