"""The private Postgres: how its cluster is made, how it is called and how it tells that it is ready."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import shutil
import signal
import tempfile
from pathlib import Path

from lgnb.errors import EmbeddedError

from .binaries import postgres_bin
from .layout import MAJOR
from .server import CLEAN_ENVIRONMENT, Server

# Written into postgresql.conf when the cluster is made, so that its owner can change them there.
_DEFAULTS = {
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    # Shared memory of the system is small in containers, and systemd may delete it when the user logs out.
    "dynamic_shared_memory_type": "mmap",
    "min_dynamic_shared_memory": "16MB",
}
# Asks whether we may encrypt; over a unix socket a living server always declines with one letter.
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


class Postgres(Server):
    """Postgres on a unix socket. Who can enter the directory of the socket is trusted; nobody else gets there."""

    name = "Postgres"
    program = "postgres"
    setting = "LGNB_POSTGRES_URI"
    start_seconds = 60.0
    # Fast, immediate (recovers at the next start, as after a crash), kill.
    farewells = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))

    @property
    def directory(self) -> Path:
        return self.layout.cluster

    @property
    def pid_file(self) -> Path:
        return self.layout.cluster / "postmaster.pid"

    @property
    def uid(self) -> int | None:
        return self.layout.postgres_uid

    @property
    def title(self) -> str:
        # Backends write over their command line, but all show the name of the cluster in it.
        return f"lgnb-{hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]}"

    async def prepare(self) -> None:
        for unfinished in self.layout.base.glob(f"{self.directory.name}.new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        # We hold the lock that every process of a living server shares. A pid file only says that some process has
        # that number now, which is enough for Postgres to refuse.
        for stale in (self.pid_file, *self.sockets.postgres_dir.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        if not self.directory.exists():
            await self._make_cluster()
        elif self.uid is not None and self.directory.stat().st_uid == 0:
            _give(self.directory, self.uid)  # somebody made all of the data directory root's
        try:
            major = (self.directory / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            major = "none at all"
        if major != str(MAJOR):
            raise EmbeddedError(
                f"{self.directory} should hold a cluster of Postgres {MAJOR}, but its version is {major}. Move it "
                "away, or choose another data directory with LGNB_DATA_DIR."
            )

    def command(self) -> list[str]:
        required = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets.postgres_dir),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "cluster_name": self.title,
            "logging_collector": "off",
            "fsync": "on",
        }
        arguments = (part for name, value in required.items() for part in ("-c", f"{name}={value}"))
        return [str(postgres_bin(self.uid) / "postgres"), "-D", str(self.directory), *arguments]

    async def greet(self) -> bool:
        # Its last line is where pg_ctl looks too: connections are taken early, but refused until recovery is over.
        lines = self.pid_file.read_text().splitlines()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        reader, writer = await asyncio.open_unix_connection(self.sockets.postgres)
        try:
            writer.write(_SSL_REQUEST)
            return await reader.readexactly(1) in b"NS"
        finally:
            writer.close()

    async def _make_cluster(self) -> None:
        """Make the cluster under another name first: a start that breaks off here leaves nothing half done."""
        maker = _maker(self.uid)
        programs = postgres_bin(self.uid)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{self.directory.name}.new-", dir=self.layout.base))
        if maker is not None:
            os.chown(unfinished, maker, maker)
        options = ["--username=lgnb", "--auth-local=trust", "--auth-host=reject", "--no-instructions"]
        # The built-in locale sorts the same on every system, so that an upgrade of the system breaks no index.
        options += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        settings = [f"--set={name}={value}" for name, value in _DEFAULTS.items()]
        await self._call([programs / "initdb", "-D", unfinished, *options, *settings], unfinished, maker)
        single = [programs / "postgres", "--single", "-D", unfinished, "postgres"]
        await self._call(single, unfinished, maker, statement="CREATE DATABASE lgnb;\n")
        if self.uid is not None:
            _give(unfinished, self.uid)
        _name_durably(unfinished, self.directory)

    async def _call(
        self, command: list[str | Path], directory: Path, uid: int | None, *, statement: str | None = None
    ) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,
            env=CLEAN_ENVIRONMENT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )
        said, _ = await process.communicate((statement or "").encode())
        text = said.decode(errors="replace").strip()
        # A single-user Postgres reports a failed statement only in words.
        if process.returncode != 0 or (statement and "ERROR:" in text):
            tail = "\n".join(text.splitlines()[-15:])
            raise EmbeddedError(
                f"The private Postgres could not make its cluster in {self.directory}. {self._way_out} "
                f"The last words of {Path(command[0]).name}:\n{tail}"
            )


def _maker(uid: int | None) -> int | None:
    """The user who makes the cluster for `uid` (None: for ourselves): `initdb` insists on one that has a name."""
    me = os.geteuid()
    if _has_name(me if uid is None else uid):
        return uid
    if uid is None:
        raise EmbeddedError(
            f"Postgres needs a user with a name to make its cluster, and user {me} has none. Add a line for it to "
            f"/etc/passwd (jupyter:x:{me}:0::/tmp:/bin/sh), or set LGNB_POSTGRES_URI."
        )
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise EmbeddedError(
            "Postgres cannot run as root, and this system has no user 'nobody' to make its cluster. Run as an "
            "ordinary user, or set LGNB_POSTGRES_URI."
        ) from None


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _give(directory: Path, uid: int) -> None:
    for parent, _, names in os.walk(directory):
        for path in (parent, *(os.path.join(parent, name) for name in names)):
            os.chown(path, uid, uid, follow_symlinks=False)


def _name_durably(unfinished: Path, final: Path) -> None:
    unfinished.rename(final)
    fd = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
