"""Real servers for the tests of this folder: a Jupyter process with the extension, its workers, its own data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

import lgnb.testing

TESTING_GRAPHS = Path(lgnb.testing.__file__).with_name("langgraph.json")

_START_SECONDS = 90.0
_STOP_SECONDS = 60.0
_LOG_LINES = 40


@dataclass
class ServerProcess:
    """One running server. `api_key` is what a client sends as x-api-key, `token` is Jupyter's."""

    process: subprocess.Popen[bytes]
    home: Path
    token: str
    url: str = ""
    own_key: str = ""
    environment: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def api_key(self) -> str:
        return self.token

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def runtime_file(self) -> Path:
        return self.home / "runtime" / f"lgnb-{self.pid}.json"

    @property
    def log(self) -> str:
        """Everything the server has said so far."""
        return (self.home / "log").read_text(errors="replace")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Stop in good order and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            return self.process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"The server did not stop.\n{self._end_of_log()}") from None

    def wait_until_ready(self) -> None:
        """Return once runs can execute."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        raise AssertionError(f"The server was not ready in time.\n{self._end_of_log()}")

    def _answers(self) -> bool:
        try:
            facts = json.loads(self.runtime_file.read_text())
            self.url, self.own_key = facts["url"], facts["key"]
            return httpx.get(f"{self.url}/ok", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except (OSError, ValueError, httpx.HTTPError):
            return False

    def _end_of_log(self) -> str:
        return "\n".join(self.log.splitlines()[-_LOG_LINES:])


class MakeServer(Protocol):
    """Starts a server on a free port; it is stopped after the session if no test has done so."""

    def __call__(
        self,
        *options: str,
        graphs: Path | None = None,
        command: tuple[str, ...] = ("lgnb", "serve"),
        environment: dict[str, str] | None = None,
        home: Path | None = None,
        ready: bool = True,
        cwd: Path | None = None,
        program: tuple[str, ...] = (),
    ) -> ServerProcess: ...


@pytest.fixture(scope="session")
def make_server(make_data_dir: Callable[[], Path]) -> Iterator[MakeServer]:
    """`graphs` names a langgraph.json; `command` may also be ("jupyter_server",), a usual Jupyter server.

    `program` is what runs the command in `cwd`, where it is not this Python in the server's home.
    """
    started: list[ServerProcess] = []

    def make(
        *options: str,
        graphs: Path | None = None,
        command: tuple[str, ...] = ("lgnb", "serve"),
        environment: dict[str, str] | None = None,
        home: Path | None = None,
        ready: bool = True,
        cwd: Path | None = None,
        program: tuple[str, ...] = (),
    ) -> ServerProcess:
        home = home or make_data_dir()
        variables = os.environ | _places(home) | ({"LGNB_CONFIG": str(graphs)} if graphs else {}) | (environment or {})
        token = variables.get("LGNB_TOKEN", "secret")
        with open(home / "log", "ab") as log:
            process = subprocess.Popen(
                [
                    *(program or (sys.executable, "-P")),
                    "-m",
                    *command,
                    "--port=0",
                    *_options_of(command, token),
                    *options,
                ],
                cwd=cwd or home,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = ServerProcess(process, home, token, environment=variables)
        started.append(server)
        if ready:
            server.wait_until_ready()
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def lgnb_server(make_server: MakeServer) -> ServerProcess:
    """A server with the built-in example graphs, shared by all tests of the session."""
    return make_server()


@pytest.fixture(scope="session")
def testing_server(make_server: MakeServer) -> ServerProcess:
    """A server with the graphs of lgnb.testing, shared by all tests of the session."""
    return make_server(graphs=TESTING_GRAPHS)


@pytest.fixture(scope="session")
def api_server(make_server: MakeServer) -> ServerProcess:
    """A server for all tests of the core API, with the graphs that `api/` has for them."""
    graphs = Path(__file__).with_name("api") / "langgraph.json"
    return make_server(graphs=graphs, environment={"LGNB_HEARTBEAT_SECONDS": "0.2"})


@pytest.fixture
async def client(lgnb_server: ServerProcess) -> AsyncIterator[LangGraphClient]:
    """The official client of `lgnb_server`."""
    async with get_client(url=lgnb_server.url, api_key=lgnb_server.api_key) as client:
        yield client


@pytest.fixture
async def testing_client(testing_server: ServerProcess) -> AsyncIterator[LangGraphClient]:
    """The official client of `testing_server`."""
    async with get_client(url=testing_server.url, api_key=testing_server.api_key) as client:
        yield client


def _places(home: Path) -> dict[str, str]:
    return {
        "LGNB_DATA_DIR": str(home / "data"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(home / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "PYTHONUNBUFFERED": "1",
    }


def _options_of(command: tuple[str, ...], token: str) -> list[Any]:
    if command[0] == "lgnb":
        return [f"--token={token}"]
    root = ["--allow-root"] if os.geteuid() == 0 else []
    return [f"--IdentityProvider.token={token}", "--no-browser", *root]
