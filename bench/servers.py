"""The servers under measurement: black boxes, started for the run, spoken to over HTTP, weighed by their processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
REFERENCE = HERE.parent / ".venv-reference"

_START_SECONDS = 120.0
_KEY = "benchmark"


@dataclass
class Server:
    """One running server. `name` heads its column; `home` holds its data and its log."""

    name: str
    process: subprocess.Popen[bytes]
    home: Path
    url: str
    key: str = _KEY

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Its processes by what they are: host, workers and the two databases, as far as it has them."""
        host = psutil.Process(self.process.pid)
        found = {"host": [host], "workers": host.children(recursive=True)}
        for kind, marks in (("postgres", ("postmaster.pid",)), ("valkey", ("valkey.pid",))):
            pids = [int(path.read_text().split()[0]) for mark in marks for path in self._files(mark)]
            mains = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
            found[kind] = [one for main in mains for one in (main, *main.children(recursive=True))]
        apart = {process.pid for kind in ("postgres", "valkey") for process in found[kind]}
        found["workers"] = [process for process in found["workers"] if process.pid not in apart]
        return found

    def _files(self, name: str) -> list[Path]:
        # Where Postgres may not go through our directory, a file in there says where its own is.
        pointed = (Path(pointer.read_text().strip()) for pointer in self.home.rglob("embedded-location"))
        return [path for place in (self.home, *pointed) for path in place.rglob(name)]

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time used so far, by kind of process."""
        return {kind: sum(map(_cpu_of, found)) for kind, found in self.processes().items()}

    def memory_bytes(self) -> dict[str, float]:
        """Proportional set size by kind of process: what several share counts once."""
        return {kind: sum(map(_memory_of, found)) for kind, found in self.processes().items()}

    @property
    def postgres_uri(self) -> str | None:
        """The private Postgres of this server, to look at its tables; None for servers without one."""
        pids = self._files("postmaster.pid")
        if not pids:
            return None
        lines = pids[0].read_text().splitlines()
        return f"postgresql://lgnb@/lgnb?host={lines[4]}&port={lines[3]}"

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    # A connection that ended meanwhile is in the account of its parent.
    return times.user + times.system + times.children_user + times.children_system


def _memory_of(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0.0


@contextlib.contextmanager
def ours(*, workers: int = 1, name: str = "lgnb") -> Iterator[Server]:
    """This project: `lgnb serve` with the embedded databases, fsync on."""
    with _home() as home:
        variables = _clean_environment() | {
            "LGNB_CONFIG": str(HERE / "langgraph.json"),
            "LGNB_DATA_DIR": str(home / "data"),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "share"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        }
        port = _free_port()
        command = [sys.executable, "-P", "-m", "lgnb", "serve", f"--port={port}", f"--token={_KEY}"]
        with _running(name, [*command, f"--workers={workers}"], home, variables, f"http://127.0.0.1:{port}/lgnb") as it:
            yield it


@contextlib.contextmanager
def reference(*options: str, name: str) -> Iterator[Server]:
    """`langgraph dev` from an environment of its own, as anybody would start it."""
    with _home() as home:
        for file in ("langgraph.json", "graphs.py"):
            shutil.copy(HERE / file, home)
        port = _free_port()
        program = str(REFERENCE / "bin" / "langgraph")
        command = [program, "dev", "--no-browser", "--no-reload", "--host=127.0.0.1", f"--port={port}"]
        with _running(name, [*command, *options], home, _clean_environment(), f"http://127.0.0.1:{port}") as it:
            yield it


def install_reference() -> str | None:
    """Make the environment of `langgraph dev` if it is not there; its version, or None where it cannot be had."""
    python = REFERENCE / "bin" / "python"
    if not (REFERENCE / "bin" / "langgraph").exists():
        subprocess.run([sys.executable, "-m", "venv", str(REFERENCE)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*install, "langgraph-cli[inmem]"], check=False).returncode:
            return None
    look = "from importlib.metadata import version; print(version('langgraph-api'))"
    return subprocess.run([str(python), "-c", look], capture_output=True, text=True, check=True).stdout.strip()


@contextlib.contextmanager
def _running(name: str, command: list[str], home: Path, variables: dict[str, str], url: str) -> Iterator[Server]:
    with open(home / "log", "ab") as log:
        process = subprocess.Popen(
            command, cwd=home, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    server = Server(name, process, home, url)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        server.stop()


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{server.url}/ok", timeout=5) as answer:
            if json.load(answer).get("ok"):
                return
        time.sleep(0.1)
    end = (server.home / "log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{server.name} did not start:\n{end}")


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="lgnb-bench-"))
    home.chmod(0o711)  # as root, the embedded Postgres runs as another user, who has to get through
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _clean_environment() -> dict[str, str]:
    foreign = ("LGNB_", "JUPYTER", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false", "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
