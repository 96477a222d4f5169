from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from lgnb import parent_watch
from lgnb.errors import SettingsError
from lgnb.parent_watch import Parent, start_time, watch_parent

# Waits for a line on its input, so that its test decides how long it lives.
_WAITING = [sys.executable, "-c", "input()"]


def test_a_process_is_alive_until_it_has_ended() -> None:
    with subprocess.Popen(_WAITING, stdin=subprocess.PIPE) as process:
        parent = Parent(process.pid)
        assert parent.is_alive()
        process.kill()
        process.wait()

        assert not parent.is_alive()


def test_a_later_process_with_the_same_id_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(_WAITING, stdin=subprocess.PIPE) as process:
        parent = Parent(process.pid)
        monkeypatch.setattr(parent_watch, "start_time", lambda pid: "later")

        assert not parent.is_alive()
        process.kill()


def test_ones_own_parent_is_known_by_being_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Parent(os.getppid())
    assert parent.is_alive()

    monkeypatch.setattr(os, "getppid", lambda: 1)

    assert not parent.is_alive()


def test_a_process_that_never_was_has_no_start_time() -> None:
    assert start_time(2**22 + 1) is None
    assert not Parent(2**22 + 1).is_alive()


def test_nothing_is_watched_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LGNB_PARENT_PID", raising=False)

    watch_parent(grace_seconds=1)


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5"])
def test_a_variable_that_names_no_process_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGNB_PARENT_PID", text)

    with pytest.raises(SettingsError):
        watch_parent(grace_seconds=1)


@pytest.mark.parametrize("deaf", [False, True])
def test_a_process_ends_with_its_parent_even_when_it_ignores_the_signal(deaf: bool) -> None:
    program = (
        "import os, signal, time\n"
        f"signal.signal(signal.SIGTERM, signal.SIG_IGN) if {deaf} else None\n"
        "from lgnb.parent_watch import watch_parent\n"
        "watch_parent(grace_seconds=0.2)\n"
        "assert 'LGNB_PARENT_PID' not in os.environ\n"
        "print('watching', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(_WAITING, stdin=subprocess.PIPE) as parent:
        environment = os.environ | {"LGNB_PARENT_PID": str(parent.pid)}
        with subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"watching\n"
            parent.kill()
            parent.wait()

            assert child.wait(timeout=10) == (1 if deaf else -signal.SIGTERM)
