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
        directory: where to make the data directory; the temporary directory by default. Keep it short, and as root
            open to others (a closed one such as `tmp_path` costs a directory in the system's place).

    Raises:
        EmbeddedError: the servers are not available here or did not start.
    """
    with _data_dir(directory) as data_dir:
        servers = await embedded.acquire(data_dir)
        try:
            yield servers
        finally:
            await servers.release()


@contextmanager
def running_servers(directory: Path | None = None) -> Generator[EmbeddedServers]:
    """The same for a fixture of a whole test session, which belongs to no event loop."""
    with _data_dir(directory) as data_dir:
        servers = asyncio.run(embedded.acquire(data_dir))
        try:
            yield servers
        finally:
            asyncio.run(servers.release())


@contextmanager
def _data_dir(directory: Path | None) -> Generator[Path]:
    data_dir = Path(tempfile.mkdtemp(prefix="lgnb-test-", dir=directory))
    if os.geteuid() == 0:
        data_dir.chmod(0o711)  # Postgres runs as another user then
    try:
        yield data_dir
    finally:
        embedded.remove(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)
