"""Worker processes under a supervisor, with programs in the place of workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from lgnb.settings import Settings
from lgnb.worker import supervisor
from lgnb.worker.supervisor import Supervisor

# The beginning of every program; it notes its process and does what its test wants.
_PROGRAM = """
import os, pathlib, signal, subprocess, sys, time
home = pathlib.Path(os.environ["SUPERVISED_HOME"])
with open(home / "started", "a") as file:
    file.write(f"{os.getpid()}\\n")
"""


@pytest.fixture
async def supervise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Supervisor]]:
    """Starts a supervisor whose workers run `program`."""
    built: list[Supervisor] = []

    def start(program: str, *, count: int = 1, drain_seconds: float = 5.0, **more: Any) -> Supervisor:
        script = tmp_path / "worker.py"
        script.write_text(_PROGRAM + program)
        monkeypatch.setenv("SUPERVISED_HOME", str(tmp_path))
        settings = Settings(postgres_uri="postgresql://p/p", drain_seconds=drain_seconds)
        made = Supervisor(settings, count=count, command=(sys.executable, str(script)), **more)
        built.append(made)
        made.start()
        return made

    yield start
    for made in built:
        await made.stop()


async def until(holds: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(20):
            while not holds():  # what happens in other processes raises no event here
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"still not so: {what}")


def started(home: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(line) for line in (home / "started").read_text().splitlines()]
    return []


async def child_of(pid: int) -> psutil.Process:
    await until(lambda: bool(psutil.Process(pid).children()), "the worker has started a process")
    return psutil.Process(pid).children()[0]


async def test_as_many_workers_run_as_were_asked_for_and_none_after_the_stop(supervise: Any, tmp_path: Path) -> None:
    workers = supervise("time.sleep(60)", count=2)
    await until(lambda: len(started(tmp_path)) == 2, "two workers have started")

    assert sorted(workers.pids) == sorted(started(tmp_path))
    await workers.stop()
    await workers.stop()

    assert workers.pids == []
    assert not any(psutil.pid_exists(pid) for pid in started(tmp_path))


async def test_a_killed_worker_is_announced_and_replaced_at_once(supervise: Any, tmp_path: Path) -> None:
    dead: list[int] = []

    async def note(pid: int) -> None:
        dead.append(pid)

    workers = supervise("time.sleep(60)", on_death=note)
    await until(lambda: len(started(tmp_path)) == 1, "the worker has started")
    first = workers.pids[0]

    os.kill(first, signal.SIGKILL)
    await until(lambda: len(started(tmp_path)) == 2, "another worker has started")

    assert dead == [first]
    assert workers.pids == [started(tmp_path)[1]]
    assert "killed by signal 9" in str(workers.problem())


async def test_a_worker_that_fails_at_once_is_started_ever_more_slowly_and_its_last_words_are_kept(
    supervise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_SECONDS", 3600.0)
    workers = supervise("sys.exit('No module named torch')")
    await until(lambda: len(started(tmp_path)) >= 3, "it was started three times")

    assert workers.problem() == "A worker ended with code 1: No module named torch"
    async with asyncio.timeout(5):
        await workers.stop()


async def test_what_a_worker_says_appears_in_the_log(supervise: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lgnb")
    supervise("print('to stdout', flush=True); print('to stderr', file=sys.stderr, flush=True); time.sleep(60)")

    await until(lambda: "to stdout" in caplog.text and "to stderr" in caplog.text, "both lines are logged")


async def test_a_line_without_end_harms_nobody(supervise: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lgnb")
    supervise("print('x' * 300_000); print('still here', flush=True); time.sleep(60)")

    await until(lambda: "still here" in caplog.text, "the line after it is logged")


async def test_a_worker_that_does_not_stop_is_killed_after_its_drain_time(
    supervise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_STOP_MARGIN_SECONDS", 0.2)
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); open(home / 'deaf', 'w'); time.sleep(60)"
    workers = supervise(stubborn, drain_seconds=0.1)
    await until((tmp_path / "deaf").exists, "it ignores the signal")

    async with asyncio.timeout(5):
        await workers.stop()

    assert not psutil.pid_exists(started(tmp_path)[0])


async def test_what_a_graph_has_started_goes_with_its_worker(supervise: Any, tmp_path: Path) -> None:
    program = "child = subprocess.Popen(['sleep', '60']); (home / 'child').write_text(str(child.pid)); time.sleep(60)"
    workers = supervise(program)
    await until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "", "the child runs")
    child = psutil.Process(int((tmp_path / "child").read_text()))

    await workers.stop()

    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child has ended")


async def test_a_worker_that_dies_is_replaced_although_a_process_it_started_lives_on(
    supervise: Any, tmp_path: Path
) -> None:
    workers = supervise("subprocess.Popen(['sleep', '60'], start_new_session=True); time.sleep(60)")
    await until(lambda: len(started(tmp_path)) == 1, "the worker has started")
    child = await child_of(workers.pids[0])

    os.kill(workers.pids[0], signal.SIGKILL)
    await until(lambda: len(started(tmp_path)) == 2, "another worker has started")

    assert child.is_running()
    child.kill()
    (await child_of(workers.pids[0])).kill()


async def test_a_worker_knows_its_servers_and_its_host_but_no_secret_of_the_host(
    supervise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LGNB_API_KEYS", "LGNB_TOKEN", "LGNB_WEBHOOK_SECRET", "JUPYTER_TOKEN", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.setenv(name, "secret")
    supervise(
        "import json; (home / 'draft').write_text(json.dumps(dict(os.environ))); "
        "os.rename(home / 'draft', home / 'env'); time.sleep(60)"
    )
    await until((tmp_path / "env").exists, "it has told its environment")

    environment = json.loads((tmp_path / "env").read_text())
    assert environment["LGNB_POSTGRES_URI"] == "postgresql://p/p"
    # It joins the embedded server itself.
    assert "LGNB_REDIS_URI" not in environment
    assert environment["LGNB_PARENT_PID"] == str(os.getpid())
    assert "secret" not in environment.values()


async def test_new_workers_begin_while_the_old_ones_finish(supervise: Any, tmp_path: Path) -> None:
    workers = supervise(
        "signal.signal(signal.SIGTERM, lambda *_: [time.sleep(0.1) or 0 for _ in iter(\n"
        "    lambda: (home / 'finish').exists(), True)] and sys.exit(0))\n"
        "time.sleep(60)\n"
    )
    await until(lambda: len(started(tmp_path)) == 1, "the first worker has started")
    old = started(tmp_path)[0]

    workers.replace()
    await until(lambda: len(started(tmp_path)) == 2, "the second worker has started")

    assert workers.pids == [started(tmp_path)[1]]
    assert psutil.pid_exists(old)
    (tmp_path / "finish").touch()
    await workers.stop()
    assert not psutil.pid_exists(old)
    assert len(started(tmp_path)) == 2
