"""Which lgnb server belongs to this kernel: the order of the search, and the runtime files it reads.

Every step leaves a sentence, so that `%lg status -v` can say why a server was chosen or none was found.
The files are written by the host (`lgnb-<pid>.json`, mode 0600, in Jupyter's runtime directory).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from jupyter_core.paths import jupyter_runtime_dir

from ..errors import ConnectError

PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a server is and how it was found. The key is left out of the repr on purpose."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    found_by: str
    pid: int | None = None
    root_dir: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One place that was looked at, and what was seen there."""

    place: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Search:
    """The outcome of the search: a server or None, and every step up to it."""

    server: Server | None
    steps: tuple[Step, ...]


def find_server(
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    runtime_dir: Path | None = None,
    is_alive: Callable[[Server], bool] | None = None,
) -> Search:
    """Look for the server of this kernel, nearest first.

    Raises:
        ConnectError: two live servers fit this directory equally well; the message names them.
    """
    environment = os.environ if environment is None else environment
    directory = Path(jupyter_runtime_dir()) if runtime_dir is None else runtime_dir
    is_alive = is_alive or answers
    steps: list[Step] = []

    for place, look in (
        ("LGNB_URL", lambda: _from_variable(environment)),
        ("the Jupyter server that started this kernel", lambda: _from_parent(environment, directory)),
        ("JupyterHub", lambda: _from_hub(environment)),
        ("running servers above this directory", lambda: _from_directory(directory, cwd or Path.cwd(), is_alive)),
    ):
        server, outcome = look()
        steps.append(Step(place, outcome))
        if server is not None:
            return Search(server, tuple(steps))
    return Search(None, tuple(steps))


def runtime_file(directory: Path, pid: int | str) -> Path:
    """Path of the file in which the host with this process id says where it serves."""
    return directory / f"lgnb-{pid}.json"


def read_runtime_file(path: Path, *, found_by: str) -> Server | None:
    """The server a runtime file describes; None when it is missing, half written or not ours."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        return Server(
            url=str(facts["url"]).rstrip("/"),
            api_key=facts.get("key"),
            found_by=found_by,
            pid=facts.get("pid"),
            root_dir=facts.get("root_dir"),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def answers(server: Server) -> bool:
    """Whether the process still exists and something answers at its address within a second."""
    if server.pid is not None and os.name == "posix" and not process_exists(server.pid):
        return False
    try:
        httpx.get(f"{server.url}/ok", timeout=PROBE_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def _from_variable(environment: Mapping[str, str]) -> tuple[Server | None, str]:
    url = environment.get("LGNB_URL", "").rstrip("/")
    if not url:
        return None, "not set"
    server = Server(url=url, api_key=environment.get("LGNB_API_KEY") or None, found_by="named by LGNB_URL")
    return server, f"names {url}"


def _from_parent(environment: Mapping[str, str], directory: Path) -> tuple[Server | None, str]:
    pid = environment.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return None, "JPY_PARENT_PID is not set"
    path = runtime_file(directory, pid)
    server = read_runtime_file(path, found_by="the Jupyter server that started this kernel")
    if server is None:
        return None, f"process {pid} left no {path.name}"
    return server, f"process {pid} serves {server.url}"


def _from_hub(environment: Mapping[str, str]) -> tuple[Server | None, str]:
    url, token = environment.get("JUPYTERHUB_SERVICE_URL"), environment.get("JUPYTERHUB_API_TOKEN")
    if not url or not token:
        return None, "not under JupyterHub"
    # The service URL is what the single-user server binds; a wildcard address cannot be called everywhere.
    url = url.replace("//0.0.0.0", "//127.0.0.1").replace("//:", "//127.0.0.1:").rstrip("/")
    return Server(
        url=f"{url}/lgnb", api_key=token, found_by="the single-user server of JupyterHub"
    ), f"serves {url}/lgnb"


def _from_directory(directory: Path, cwd: Path, is_alive: Callable[[Server], bool]) -> tuple[Server | None, str]:
    here = cwd.resolve()
    found: list[tuple[int, Server]] = []
    for path in sorted(directory.glob("lgnb-*.json")):
        server = read_runtime_file(path, found_by="a running Jupyter server above this directory")
        if server is None or not server.root_dir:
            continue
        root = Path(server.root_dir).resolve()
        if root in (here, *here.parents) and is_alive(server):
            found.append((len(root.parts), server))
    if not found:
        return None, "none"
    nearest = max(depth for depth, _ in found)
    best = [server for depth, server in found if depth == nearest]
    if len(best) > 1:
        urls = " and ".join(server.url for server in best)
        raise ConnectError(f"Several servers fit this directory: {urls}. Choose one with %lg connect URL.")
    return best[0], f"{best[0].url} serves {best[0].root_dir}"


def process_exists(pid: int) -> bool:
    """Whether a process with this id runs, whoever owns it (POSIX)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
