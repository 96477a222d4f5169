"""A process that holds the pair of a data directory, for the tests to share with and to kill.

It says the addresses in one line, leaves when it is told so on stdin, and says that it has left.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from lgnb import embedded
from lgnb.errors import EmbeddedError


async def hold(data_dir: Path) -> None:
    try:
        servers = await embedded.acquire(data_dir)
    except EmbeddedError as error:
        say({"error": str(error)})
        return
    say({"postgres_uri": servers.postgres_uri, "redis_uri": servers.redis_uri})
    await asyncio.to_thread(sys.stdin.readline)
    await servers.release()
    say({"released": True})


def say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


asyncio.run(hold(Path(sys.argv[1])))
