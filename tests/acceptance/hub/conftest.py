"""A real JupyterHub with its proxy: servers of alice, bob and dora, the shared service, and the operator's worker."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest
from websockets.sync.client import connect

_HERE = Path(__file__).parent
_TESTS = _HERE.parents[1]
_PROXY = _TESTS / "js" / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
_BASE = "/jupyter"
_WAIT_SECONDS = 60.0
_LOG_LINES = 60

# Alice and bob may use the service, and so may the administrator; the guest only alice's server, carol nothing.
PEOPLE = ("alice", "bob", "carol", "dora@home", "guest", "admin")
WITH_SERVERS = ("alice", "bob", "dora@home")


@dataclass
class Hub:
    """The running Hub. `tokens` has one for each of its users, and for a program that is a service of its own."""

    process: subprocess.Popen[bytes]
    home: Path
    root: str
    tokens: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def service(self) -> str:
        """The root of the API of the shared service."""
        return f"{self.root}/services/lgnb/lgnb"

    def server(self, name: str) -> str:
        """The root of the API of somebody's own server."""
        return f"{self.root}/user/{quote(name, safe='@')}/lgnb"

    def api(self, method: str, path: str, **given: Any) -> httpx.Response:
        """A request to the Hub itself by whoever administers it."""
        headers = {"Authorization": f"token {self.tokens['tests']}"}
        return httpx.request(
            method, f"{self.root}/hub/api{path}", headers=headers, timeout=30, trust_env=False, **given
        )

    def until(self, claim: Callable[[], Any], what: str) -> Any:
        """Wait for a condition, and say what the Hub did when it does not come."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(httpx.HTTPError):
                if result := claim():
                    return result
            time.sleep(0.1)
        log = (self.home / "log").read_text(errors="replace").splitlines()
        raise AssertionError("\n".join([f"It did not happen that {what}.", *log[-_LOG_LINES:]]))

    def runtime_file(self) -> dict[str, Any]:
        """What the shared service tells the kernels of its own account."""
        [path] = self.home.glob("lgnb/lgnb-*.json")
        return json.loads(path.read_text())

    def in_a_kernel_of(self, name: str, *cells: str) -> str:
        """What cells print in a kernel on somebody's server."""
        server, headers = f"{self.root}/user/{quote(name, safe='@')}", {"Authorization": f"token {self.tokens[name]}"}
        made = httpx.post(f"{server}/api/kernels", json={}, headers=headers, timeout=60, trust_env=False)
        made.raise_for_status()
        address = f"{server}/api/kernels/{made.json()['id']}"
        printed = ""
        try:
            with connect(
                f"{address}/channels".replace("http", "ws", 1), additional_headers=headers, proxy=None
            ) as channels:
                for cell in cells:
                    printed += _execute(channels, cell)
        finally:
            httpx.delete(address, headers=headers, timeout=60, trust_env=False)
        return printed


def _execute(channels: Any, code: str) -> str:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": "s",
        "version": "5.4",
    }
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channels.send(json.dumps(message))
    printed = ""
    while True:
        said = json.loads(channels.recv(timeout=_WAIT_SECONDS))
        if said["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        match said["msg_type"]:
            case "stream":
                printed += said["content"]["text"]
            case "display_data" | "execute_result":
                printed += said["content"]["data"].get("text/plain", "")
            case "error":
                raise AssertionError("\n".join(said["content"]["traceback"]))
            case "status" if said["content"]["execution_state"] == "idle":
                return printed
            case _:
                pass


@pytest.fixture(scope="module")
def hub(make_data_dir: Callable[[], Path], database_of_module: str, redis_uri: str, node: str) -> Iterator[Hub]:
    home = make_data_dir()
    port, hub_port, proxy_port, service_port = _free_ports(4)
    tokens = {name: secrets.token_hex(16) for name in ("tests", "robot")}
    told = tokens | {
        "port": port,
        "hub_port": hub_port,
        "proxy_port": proxy_port,
        "service_port": service_port,
        "proxy": [node, str(_PROXY)],
        "home": str(home),
        "page": str(_TESTS.parent / "docs" / "jupyterhub.md"),
        "graphs": str(_HERE / "langgraph.json"),
        "postgres_uri": database_of_module,
        "redis_uri": redis_uri,
        "redis_prefix": f"test-{uuid.uuid4().hex}",
        "token": tokens["tests"],
    }
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(_HERE / "jupyterhub_config.py")],
            cwd=home,
            env=os.environ | {"LGNB_TEST_HUB": json.dumps(told)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    hub = Hub(process, home, f"http://127.0.0.1:{port}{_BASE}", tokens)
    try:
        _open(hub, hub_port)
        yield hub
    finally:
        _stop(process)


def _open(hub: Hub, hub_port: int) -> None:
    # The proxy leads to the Hub only when the service has started; the servers can start meanwhile.
    direct = replace(hub, root=f"http://127.0.0.1:{hub_port}{_BASE}")
    hub.until(lambda: direct.api("GET", "/").status_code == 200, "the Hub answers")
    for name in PEOPLE:
        direct.api("POST", f"/users/{name}")  # some are there already
        hub.tokens[name] = direct.api("POST", f"/users/{name}/tokens", json={}).raise_for_status().json()["token"]
    for name in WITH_SERVERS:
        direct.api("POST", f"/users/{name}/server").raise_for_status()
    for name in WITH_SERVERS:
        hub.until(lambda name=name: _is_ready(direct, name), f"the server of {name} is ready")
    for root in (hub.service, *(hub.server(name) for name in WITH_SERVERS)):
        ok = f"{root}/ok"
        hub.until(lambda ok=ok: httpx.get(ok, timeout=30, trust_env=False).status_code == 200, f"{ok} answers")


def _is_ready(hub: Hub, name: str) -> bool:
    servers = hub.api("GET", f"/users/{name}").json()["servers"]
    return bool(servers.get("", {}).get("ready"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    # The Hub stops its services, then its servers; told directly, all stop at once. What should be left is ended here.
    alive = process.poll() is None
    children = psutil.Process(process.pid).children() if alive else []
    everyone = psutil.Process(process.pid).children(recursive=True) if alive else []
    for one in (process, *children):
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=60)
    finally:
        for one in (process, *psutil.wait_procs(everyone, timeout=10)[1]):
            with suppress(psutil.NoSuchProcess):
                one.kill()


def _free_ports(number: int) -> list[int]:
    """Ports that nothing uses, below those that the system gives to connections of its own choice."""
    found: list[int] = []
    while len(found) < number:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found
