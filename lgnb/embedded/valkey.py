"""The private Valkey. It keeps nothing on disk: the truth is in Postgres."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from .binaries import valkey_server
from .server import Server


class Valkey(Server):
    """Valkey on a unix socket, open to its owner alone."""

    name = "Valkey"
    program = "valkey-server"
    setting = "LGNB_REDIS_URI"
    start_seconds = 15.0
    farewells = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))

    @property
    def directory(self) -> Path:
        return self.layout.valkey

    @property
    def pid_file(self) -> Path:
        return self.layout.valkey / "valkey.pid"

    async def prepare(self) -> None:
        self.directory.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.sockets.valkey),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "pidfile": str(self.pid_file),
            "save": "",
            "appendonly": "no",
            # Queue and streams expire by their own rules; evicting some of them by surprise would lose wake-ups.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": "",
        }
        arguments = (part for name, value in options.items() for part in (f"--{name}", value))
        return [str(valkey_server()), *arguments]

    async def greet(self) -> bool:
        reader, writer = await asyncio.open_unix_connection(self.sockets.valkey)
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()
