"""The private server of a kernel that has none: start it, wait until it can execute runs, stop it with the kernel."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from jupyter_core.paths import jupyter_runtime_dir

from ..errors import ConnectError
from .discovery import Server, process_exists, read_runtime_file, runtime_file

START_SECONDS = 90.0
POLL_SECONDS = 0.1
LOG_LINES = 8


def start_private_server(
    *,
    directory: Path | None = None,
    runtime_dir: Path | None = None,
    command: tuple[str, ...] | None = None,
    timeout: float = START_SECONDS,
) -> Server:
    """Start `lgnb serve` as a child of this kernel and wait until it answers.

    Args:
        directory: where the notebook works; a langgraph.json found there is served.
        command: what to run instead of `lgnb serve`.
        timeout: seconds to wait for readiness.

    Raises:
        ConnectError: the child ended or was not ready in time; the message holds the end of its log.
    """
    directory = directory or Path.cwd()
    runtime = _make_private_place(Path(jupyter_runtime_dir()) if runtime_dir is None else runtime_dir)
    log = runtime / "log"
    child = _start_child(command or _serve_command(directory), directory=directory, runtime=runtime)
    stop = _stop_with_kernel(child)
    try:
        return _wait_until_ready(child, runtime=runtime, log=log, timeout=timeout)
    except BaseException:
        stop()
        raise


def _serve_command(directory: Path) -> tuple[str, ...]:
    command = (sys.executable, "-m", "lgnb", "serve", "--host", "127.0.0.1", "--port", "0")
    config = directory / "langgraph.json"
    return (*command, "-c", str(config)) if config.is_file() else command


def _make_private_place(shared: Path) -> Path:
    """A runtime directory for this server alone: no other kernel must find a server that ends with this one."""
    for left in shared.glob("lgnb-private-*"):
        pid = left.name.rpartition("-")[2]
        if os.name == "posix" and pid.isdigit() and not process_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    place = shared / f"lgnb-private-{os.getpid()}"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def _start_child(command: tuple[str, ...], *, directory: Path, runtime: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "LGNB_PARENT_PID": str(os.getpid()), "JUPYTER_RUNTIME_DIR": str(runtime)}
    descriptor = os.open(runtime / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        # A session of its own: an interrupt of the kernel goes to the whole process group and must not stop the server.
        return subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _stop_with_kernel(child: subprocess.Popen[bytes]) -> Callable[[], None]:
    owner = os.getpid()

    def stop() -> None:
        # A forked child of the kernel inherits this hook, but not the server.
        if os.getpid() == owner and child.poll() is None:
            child.terminate()

    atexit.register(stop)
    return stop


def _wait_until_ready(child: subprocess.Popen[bytes], *, runtime: Path, log: Path, timeout: float) -> Server:
    deadline = time.monotonic() + timeout
    path = runtime_file(runtime, child.pid)
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise ConnectError(f"The private server ended with code {child.returncode}. {_end_of(log)}")
        server = read_runtime_file(path, found_by="a private server of this kernel")
        if server is not None and _is_ready(server):
            return server
        time.sleep(POLL_SECONDS)
    raise ConnectError(f"The private server was not ready after {timeout:.0f} s. {_end_of(log)}")


def _is_ready(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/ok", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _end_of(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()[-LOG_LINES:]
    except OSError:
        lines = []
    said = "\n".join(lines) or "nothing"
    return f"Run `lgnb doctor` to see why. Its log ({log}) ends with:\n{said}"
