"""Runs a command against private servers made from the Postgres and Redis that Debian packages install.

    python tests/tools/debian_servers.py pytest tests/integration

The servers listen on unix sockets in a fresh directory and are stopped with the command. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

_START_SECONDS = 60.0


@contextlib.contextmanager
def debian_postgres() -> Iterator[str]:
    """A new cluster of the newest installed Postgres; gives its URI."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version, default=None)
    if binaries is None:
        raise SystemExit("No Postgres under /usr/lib/postgresql; install it: apt-get install postgresql")
    # Postgres refuses to run as root; the package has made a user for it.
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    folder = Path(tempfile.mkdtemp(prefix="lgnb-postgres-"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    owner: dict[str, int] = {"user": user.pw_uid, "group": user.pw_gid} if os.geteuid() == 0 else {}
    try:
        _run([binaries, "-D", folder / "data", "-U", "lgnb", "-A", "trust", "-E", "UTF8", "--locale=C"], folder, owner)
        control = [binaries.with_name("pg_ctl"), "-D", folder / "data", "-w"]
        # No test cuts the power; without waiting for the disk, making a database for each test takes half the time.
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c max_connections=200 -c fsync=off"
        _run([*control, "-l", folder / "log", "-t", str(int(_START_SECONDS)), "-o", options, "start"], folder, owner)
        try:
            yield f"postgresql://lgnb@/postgres?host={quote(str(folder), safe='')}"
        finally:
            _run([*control, "-m", "fast", "stop"], folder, owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def debian_redis() -> Iterator[str]:
    """A new Redis on a unix socket; gives its URI."""
    binary = shutil.which("redis-server", path="/usr/bin")
    if binary is None:
        raise SystemExit("No redis-server in /usr/bin; install it: apt-get install redis-server")
    folder = Path(tempfile.mkdtemp(prefix="lgnb-redis-"))
    socket = folder / "redis.sock"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("redis-server did not start.")
            time.sleep(0.05)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _version(path: Path) -> float:
    return float(re.sub(r"[^\d.]", "", path.parent.parent.name) or 0)


def _run(command: list[str | Path], folder: Path, owner: dict[str, int]) -> None:
    # The server inherits what it is given, so its output goes to a file and not to a pipe that nobody would close.
    with open(folder / "output", "wb") as output:
        done = subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False, **owner)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{(folder / 'output').read_text()}")


def main(command: list[str]) -> int:
    """Run `command` with the URIs of both servers in its environment; gives its exit code."""
    with debian_postgres() as postgres_uri, debian_redis() as redis_uri:
        servers = {"LGNB_TEST_POSTGRES_URI": postgres_uri, "LGNB_TEST_REDIS_URI": redis_uri}
        return subprocess.run(command, env=os.environ | servers, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1:]))
