from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lgnb.embedded.holders import forget_dead, living, register
from lgnb.embedded.locks import FileLock, is_held
from lgnb.embedded.processes import ProcessMark, gone, machine, working_in


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def mark_of(pid: int) -> ProcessMark:
    mark = ProcessMark.of(pid)
    assert mark is not None
    return mark


def test_a_mark_lives_as_long_as_its_process(child: subprocess.Popen[bytes]) -> None:
    mark = mark_of(child.pid)
    assert mark.is_alive()

    child.kill()
    child.wait()

    assert not mark.is_alive()
    assert ProcessMark.of(child.pid) is None


def test_a_process_that_nobody_has_buried_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    mark = mark_of(child.pid)
    child.kill()

    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not mark.is_alive()


def test_another_process_with_the_same_number_is_not_mistaken() -> None:
    mark = mark_of(os.getpid())

    assert mark.is_alive()
    assert not replace(mark, started="another time").is_alive()
    assert not replace(mark, machine="another machine").is_alive()


def test_a_signal_reaches_only_the_marked_process(child: subprocess.Popen[bytes]) -> None:
    mark = mark_of(child.pid)

    replace(mark, started="another time").send(9)
    assert child.poll() is None

    mark.send(9)
    assert child.wait() == -9
    mark.send(9)


async def test_waiting_for_a_process_ends_with_it_or_with_the_time(child: subprocess.Popen[bytes]) -> None:
    mark = mark_of(child.pid)
    assert not await gone(mark, seconds=0.05)

    child.kill()

    assert await gone(mark, seconds=10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the working directory of a process")
def test_processes_are_found_by_program_and_directory(tmp_path: Path) -> None:
    program = Path(os.path.realpath(sys.executable)).name
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()

        assert list(working_in(tmp_path, program, title="")) == [process.pid]
        assert list(working_in(tmp_path, "postgres", title="")) == []
        assert list(working_in(tmp_path.parent, program, title="")) == []
        process.communicate(b"\n")

    assert list(working_in(tmp_path, program, title="")) == []


def test_the_register_counts_only_the_living(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    directory = tmp_path / "holders"
    first, second = register(directory), register(directory)
    dead = directory / "7-dead.json"
    dead.write_text(first.path.read_text().replace(f'"started": "{first.process.started}"', '"started": "long ago"'))
    (directory / "8-cut.json").write_text('{"process": {"pid"')

    assert {holder.path for holder in living(directory)} == {first.path, second.path}
    forget_dead(directory)
    assert set(directory.iterdir()) == {first.path, second.path}

    first.leave()
    first.leave()
    assert [holder.process for holder in living(directory)] == [second.process]
    assert second.process.machine == machine()


def test_a_lock_has_one_owner_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    first, second = FileLock(path), FileLock(path)

    assert first.try_acquire()
    assert is_held(path)
    assert not second.try_acquire()

    first.release()
    first.release()
    assert not is_held(path)
    assert second.try_acquire()
    second.release()


def test_a_lock_lives_on_in_the_child_that_inherited_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.try_acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock.fd,)) as process:
        lock.hand_over()

        assert is_held(path)
        process.kill()

    assert not is_held(path)


async def test_waiting_for_a_lock_gives_up_in_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.try_acquire()

    started = time.monotonic()
    assert not await FileLock(path).acquire(seconds=0.1)

    assert time.monotonic() - started < 5
    lock.release()
