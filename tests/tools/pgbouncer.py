"""A pgbouncer in transaction mode before a Postgres, from the Debian package: for the tests that show what it needs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SETTINGS = {
    "pool_mode": "transaction",
    "default_pool_size": "8",
    "max_client_conn": "200",
}
"""What docs/operations.md tells to set."""

_START_SECONDS = 30.0


def find() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextlib.contextmanager
def pgbouncer(postgres_uri: str) -> Iterator[str]:
    """Gives the URI of the same database through pgbouncer. The Postgres must listen on a unix socket."""
    binary = find()
    assert binary is not None
    parts = urlsplit(postgres_uri)
    host, user, name = parse_qs(parts.query)["host"][0], parts.username or "lgnb", parts.path[1:]
    folder = Path(tempfile.mkdtemp(prefix="lgnb-pgbouncer-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = ["[databases]", f"* = host={host} user={user}", "[pgbouncer]", "listen_addr = 127.0.0.1"]
    lines += [f"listen_port = {port}", "unix_socket_dir =", "auth_type = any", f"logfile = {folder / 'log'}"]
    lines += [f"{key} = {value}" for key, value in SETTINGS.items()]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    runs_as: dict[str, int] = {}
    if os.geteuid() == 0:
        # It refuses to run as root, and the socket of Postgres is its user's alone.
        owner = Path(host).stat().st_uid or pwd.getpwnam("postgres").pw_uid
        os.chown(folder, owner, -1)
        runs_as = {"user": owner}
    process = subprocess.Popen([binary, "-q", str(folder / "pgbouncer.ini")], stderr=subprocess.DEVNULL, **runs_as)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                log = folder / "log"
                raise RuntimeError(f"pgbouncer did not start: {log.read_text() if log.exists() else 'it said nothing'}")
            time.sleep(0.05)
        yield f"postgresql://{user}@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
