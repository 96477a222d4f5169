"""Where one pair keeps its things, and as which user its Postgres runs.

Postgres refuses to be root. For root it runs as another user, to whom the way to the cluster must be open; no
directory is ever opened for that: a closed way (a home of mode 700) leads to `SYSTEM_DIR` instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lgnb.errors import EmbeddedError

MAJOR = 18
# Belongs to root; holds clusters and binaries where the data directory or the environment is closed to Postgres.
SYSTEM_DIR = Path("/var/lib/lgnb")
# Lies in the range that neither distributions nor systemd hand out, so that nobody else owns our files.
POSTGRES_UID = 60932

# File in the data directory that names the base when it lies elsewhere.
_POINTER = "embedded-location"
# Both libpq and Postgres give a meaning of their own to commas, quotes and the like in a socket path.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+=~-]*")


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one pair, all below `base`.

    Attributes:
        postgres_uid: the user of Postgres when we are root, None to run it as ourselves.
    """

    data_dir: Path
    base: Path
    postgres_uid: int | None

    @property
    def pointer(self) -> Path:
        """Names the base where that lies outside the data directory."""
        return self.data_dir / _POINTER

    @property
    def lock(self) -> Path:
        """Held for the moment in which somebody joins, leaves, starts or stops."""
        return self.base / "lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.base / "supervisor.lock"

    @property
    def state(self) -> Path:
        return self.base / "state.json"

    @property
    def holders(self) -> Path:
        return self.base / "holders"

    @property
    def cluster(self) -> Path:
        return self.base / f"pg{MAJOR}"

    @property
    def valkey(self) -> Path:
        return self.base / "valkey"

    @property
    def supervisor_log(self) -> Path:
        return self.base / "supervisor.log"


@dataclass(frozen=True, slots=True)
class Sockets:
    """The directory of the two unix sockets; each has a subdirectory, since they may belong to two users."""

    root: Path

    @property
    def postgres_dir(self) -> Path:
        return self.root / "pg"

    @property
    def postgres(self) -> Path:
        return self.postgres_dir / ".s.PGSQL.5432"

    @property
    def valkey_dir(self) -> Path:
        return self.root / "valkey"

    @property
    def valkey(self) -> Path:
        return self.valkey_dir / "valkey.sock"

    def clear(self) -> None:
        """Delete the sockets of servers that are gone, and the directories made for them."""
        for directory in (self.postgres_dir, self.valkey_dir):
            if directory.is_dir():
                for path in directory.iterdir():
                    path.unlink(missing_ok=True)
                directory.rmdir()
        if self.root.is_dir():
            self.root.rmdir()


def find(data_dir: Path) -> Layout | None:
    """The layout that `settle` has made for this data directory before, or None."""
    data_dir = _absolute(data_dir)
    try:
        base = Path((data_dir / _POINTER).read_text().strip())
    except FileNotFoundError:
        base = data_dir / "embedded"
    return Layout(data_dir, base, _postgres_uid(base)) if base.is_dir() else None


def settle(data_dir: Path) -> Layout:
    """Find or make the directories of this pair.

    Raises:
        EmbeddedError: the data directory cannot be made or used.
    """
    data_dir = _absolute(data_dir)
    try:
        layout = find(data_dir)
        if layout is None:
            layout = _make(data_dir)
        if os.stat(layout.base).st_uid != os.geteuid():
            raise EmbeddedError(
                f"{layout.base} belongs to another user. Run as that user, or choose another data directory with "
                "LGNB_DATA_DIR (--data-dir)."
            )
        return layout
    except OSError as error:
        raise EmbeddedError(
            f"The data directory {data_dir} cannot be used: {error.strerror or error} ({error.filename or data_dir}). "
            "Choose another one with LGNB_DATA_DIR (--data-dir)."
        ) from error


def settle_sockets(layout: Layout, *, before: Path | None) -> Sockets:
    """Make the private directories of the sockets where their paths are short enough.

    Args:
        before: the root they had the last time, which is taken again if it still serves.

    Raises:
        EmbeddedError: no directory serves.
    """
    refusals: list[str] = []
    roots = [*([before] if before else []), *_socket_roots(layout)]
    for root in roots:
        try:
            return _private_sockets(root, layout.postgres_uid)
        except OSError as error:
            refusals.append(f"{root}: {error.strerror or error}")
    raise EmbeddedError("No directory can hold the sockets of the embedded servers. " + "; ".join(refusals) + ".")


def is_open_to(path: Path, uid: int) -> bool:
    """Whether a user without any group can walk down to this directory."""
    path = path.resolve()
    return all(_is_passable(directory, uid) for directory in (path, *path.parents))


def make_system_dir() -> Path:
    """The directory of our own for what Postgres needs when we are root.

    Raises:
        OSError: it cannot be made.
        EmbeddedError: it exists, but somebody else could write into it.
    """
    if not SYSTEM_DIR.exists():
        SYSTEM_DIR.mkdir(parents=True)
        SYSTEM_DIR.chmod(0o711)
    found = SYSTEM_DIR.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise EmbeddedError(f"{SYSTEM_DIR} must be a directory that only root can write to.")
    return SYSTEM_DIR


def _absolute(data_dir: Path) -> Path:
    return Path(os.path.abspath(data_dir))


def _make(data_dir: Path) -> Layout:
    if os.geteuid() != 0:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _made(data_dir, data_dir / "embedded")
    # What we make ourselves may be walked through; what was there stays as it is.
    for path in reversed([path for path in (data_dir, *data_dir.parents) if not path.exists()]):
        try:
            path.mkdir()
        except FileExistsError:
            continue  # another process was faster
        path.chmod(0o711)
    if is_open_to(data_dir, POSTGRES_UID):
        return _made(data_dir, data_dir / "embedded")
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    layout = _made(data_dir, make_system_dir() / name)
    unfinished = data_dir / f"{_POINTER}.{os.getpid()}"
    unfinished.write_text(f"{layout.base}\n")
    unfinished.replace(data_dir / _POINTER)
    return layout


def _made(data_dir: Path, base: Path) -> Layout:
    base.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        base.chmod(0o711)
    return Layout(data_dir, base, _postgres_uid(base))


def _postgres_uid(base: Path) -> int | None:
    if os.geteuid() != 0:
        return None
    try:
        # A cluster stays with the user it was made for, whatever later versions prefer.
        return os.stat(base / f"pg{MAJOR}").st_uid or POSTGRES_UID
    except FileNotFoundError:
        return POSTGRES_UID


def _is_passable(directory: Path, uid: int) -> bool:
    found = directory.stat()
    return bool(found.st_mode & (0o100 if found.st_uid == uid else 0o001))


def _socket_roots(layout: Layout) -> Iterator[Path]:
    name = f"lgnb-{os.geteuid()}-{hashlib.sha256(os.fsencode(layout.base.resolve())).hexdigest()[:16]}"
    yield layout.base / "run"
    if runtime_dir := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime_dir) / name
    yield Path(tempfile.gettempdir()) / name
    yield Path("/tmp") / name


def _private_sockets(root: Path, postgres_uid: int | None) -> Sockets:
    if not _PLAIN_PATH.fullmatch(str(root)):
        raise OSError("the path has characters that a connection string cannot carry")
    if postgres_uid is not None and not is_open_to(root.parent, postgres_uid):
        raise OSError("closed to the user of Postgres")
    sockets = Sockets(root)
    _make_private(root, None, 0o700 if postgres_uid is None else 0o711)
    _make_private(sockets.postgres_dir, postgres_uid, 0o700)
    _make_private(sockets.valkey_dir, None, 0o700)
    _probe(sockets.postgres_dir / ".s.PGSQL.probe")
    return sockets


def _make_private(directory: Path, owner: int | None, mode: int) -> None:
    owner = os.geteuid() if owner is None else owner
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        # In a shared place such as /tmp anybody could have put a directory or a link of this name here.
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) & ~mode:
            raise OSError("exists already, but is not a private directory of ours") from None
        return
    if owner != os.geteuid():
        try:
            os.chown(directory, owner, owner)
        except OSError as error:
            directory.rmdir()
            raise EmbeddedError(
                f"Postgres cannot run as root, and this root may not act for another user (uid {owner}: "
                f"{error.strerror}). Run as an ordinary user, or set LGNB_POSTGRES_URI and LGNB_REDIS_URI."
            ) from error
    directory.chmod(mode)


def _probe(path: Path) -> None:
    # The limit of a socket path differs by system, and some shared file systems hold no sockets at all.
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))
    path.unlink()
