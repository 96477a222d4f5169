"""The life of a host: how it starts, what it tells, what it keeps out, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from langgraph_sdk import get_sync_client

pytestmark = pytest.mark.timeout(180)


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            running = [process.info for process in psutil.process_iter(["pid", "status", "cmdline"])]
            pytest.fail(f"After {seconds:g} s still not so: {what}. These run: {running}")
        time.sleep(0.05)


def workers_of(server: Any) -> list[psutil.Process]:
    children = psutil.Process(server.pid).children()
    return [child for child in children if child.cmdline()[-2:] == ["lgnb", "worker"]]


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that knows this home from its environment or its command."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            named = process.environ().get("LGNB_DATA_DIR", "") == str(home / "data")
            if (named or str(home) in " ".join(process.cmdline())) and process.pid != os.getpid():
                found.append(process)
    return found


async def test_a_server_executes_a_run_for_the_official_client(client: Any) -> None:
    """Nothing is configured: a thread, a run of a built-in graph, its state."""
    thread = await client.threads.create()

    values = await client.runs.wait(
        thread["thread_id"], "agent", input={"messages": [{"role": "user", "content": "Hello"}]}
    )

    assert values["messages"][0]["content"] == "Hello"
    assert values["messages"][-1]["type"] == "ai"
    state = await client.threads.get_state(thread["thread_id"])
    assert state["values"] == values


def test_the_runtime_file_lets_a_kernel_of_the_same_user_in_and_nobody_else(lgnb_server: Any) -> None:
    """Its key opens the API, and only its owner can read it."""
    facts = json.loads(lgnb_server.runtime_file.read_text())

    assert facts["pid"] == lgnb_server.pid
    assert lgnb_server.runtime_file.stat().st_mode & 0o777 == 0o600
    answer = httpx.post(f"{facts['url']}/threads/count", json={}, headers={"x-api-key": facts["key"]})
    assert answer.status_code == 200
    assert httpx.post(f"{facts['url']}/threads/count", json={}).status_code == 401


def test_the_key_of_the_server_appears_in_no_log(lgnb_server: Any) -> None:
    """Neither its own key nor a token that was chosen, not even after failed requests."""
    httpx.get(f"{lgnb_server.url}/nothing", headers={"x-api-key": lgnb_server.own_key})
    httpx.get(f"{lgnb_server.url}/nothing", headers={"x-api-key": "lsv2_sk_of_somebody"})

    assert lgnb_server.own_key not in lgnb_server.log
    assert "lsv2_sk_of_somebody" not in lgnb_server.log


def test_a_usual_jupyter_server_serves_the_api_without_any_configuration(make_server: Any) -> None:
    """Being installed is enough; the API lies beside Jupyter's own."""
    server = make_server("--ServerApp.base_url=/some/where/", command=("jupyter_server",))

    assert server.url.endswith("/some/where/lgnb")
    headers = {"x-api-key": server.token}
    assert httpx.post(f"{server.url}/assistants/search", json={}, headers=headers).json()
    status = httpx.get(server.url.replace("/lgnb", "/api/status"), headers={"Authorization": f"token {server.token}"})
    assert status.status_code == 200
    assert server.stop() == 0


def test_a_configuration_beside_the_notebooks_is_found_by_itself(make_server: Any, make_data_dir: Any) -> None:
    """Whoever writes a langgraph.json and starts Jupyter there has assistants of his own."""
    home = make_data_dir()
    graph = "lgnb.testing.graphs:echo"
    (home / "langgraph.json").write_text(json.dumps({"graphs": {"mine": graph}, "dependencies": ["."]}))
    server = make_server(home=home)
    with get_sync_client(url=server.url, api_key=server.api_key) as client:
        found = client.assistants.search()

    assert [assistant["graph_id"] for assistant in found] == ["mine"]


def test_a_stop_in_good_order_leaves_neither_processes_nor_files(make_server: Any) -> None:
    """Workers, the embedded servers and the runtime file are gone when the server is."""
    server = make_server()
    assert workers_of(server)

    assert server.stop() == 0

    wait_until(lambda: not processes_of(server.home), "every process of the server has ended")
    assert not server.runtime_file.exists()


@pytest.mark.parametrize("command", [("jupyter_server",), ("lgnb", "serve")])
def test_an_interrupt_without_a_terminal_stops_in_good_order_too(make_server: Any, command: tuple[str, ...]) -> None:
    """Jupyter itself cleans up nothing after a plain KeyboardInterrupt."""
    server = make_server(command=command)

    server.stop(signal.SIGINT)

    wait_until(lambda: not processes_of(server.home), "every process of the server has ended")
    assert not server.runtime_file.exists(), server.log


def test_workers_end_when_the_host_is_killed(make_server: Any) -> None:
    """A kill -9 of the host leaves nobody to stop them, so they watch for it."""
    server = make_server()
    workers = workers_of(server)
    assert workers

    server.process.kill()
    server.process.wait()

    wait_until(lambda: not any(worker.is_running() for worker in workers), "the workers have ended")


def test_a_killed_worker_is_replaced_within_seconds(make_server: Any) -> None:
    """The host notices the death itself; nobody waits for a lease to run out."""
    server = make_server()
    (worker,) = workers_of(server)

    worker.kill()
    wait_until(lambda: httpx.get(f"{server.url}/ok").status_code == 503, "the server says that it has no worker")
    began = time.monotonic()
    wait_until(lambda: httpx.get(f"{server.url}/ok").status_code == 200, "a new worker is ready")

    assert time.monotonic() - began < 10
    assert [process.pid for process in workers_of(server)] != [worker.pid]
    server.stop()


def test_a_headless_server_ends_with_the_process_that_asked_for_it(make_server: Any) -> None:
    """A kernel starts a private server; when the kernel dies, so does the server."""
    kernel = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server = make_server(environment={"LGNB_PARENT_PID": str(kernel.pid)})

    kernel.kill()
    kernel.communicate()

    assert server.process.wait(timeout=30) == 0
    wait_until(lambda: not processes_of(server.home), "every process of the server has ended")


def test_a_failed_start_ends_lgnb_serve_with_one_sentence(make_server: Any) -> None:
    """Nobody has to search a log for the reason."""
    server = make_server(environment={"LGNB_DATA_DIR": "/dev/null/lgnb"}, ready=False)

    assert server.process.wait(timeout=60) == 1
    assert "lgnb is not available: The data directory /dev/null/lgnb cannot be used" in server.log
    assert "Traceback" not in server.log


def test_a_server_starts_and_executes_runs_while_redis_is_away(make_server: Any) -> None:
    """Redis only carries speed: without it workers look into Postgres by themselves."""
    server = make_server(environment={"LGNB_REDIS_URI": "redis://127.0.0.1:1"})
    with get_sync_client(url=server.url, api_key=server.api_key) as client:
        values = client.runs.wait(None, "agent", input={"messages": [{"role": "user", "content": "6 * 7"}]})

    assert values["messages"][-1]["content"] == "6 * 7 = 42"


def test_a_failed_start_leaves_the_rest_of_jupyter_alive(make_server: Any) -> None:
    """The API says why it is not there, and everything else works."""
    server = make_server(
        command=("jupyter_server",),
        environment={"LGNB_REDIS_URI": "redis://127.0.0.1:1", "LGNB_JOBS": "many"},
        ready=False,
    )
    files = server.home / "runtime"
    wait_until(lambda: bool(list(files.glob("jpserver-*.json"))), "Jupyter has started")
    facts = json.loads(next(files.glob("jpserver-*.json")).read_text())
    headers = {"Authorization": f"token {server.token}"}

    def answer() -> httpx.Response:
        return httpx.get(f"{facts['url']}lgnb/ok", headers=headers)

    wait_until(lambda: "LGNB_JOBS" in answer().text, "the API tells the reason")
    assert answer().status_code == 503
    assert answer().headers["retry-after"] == "1"
    assert httpx.get(f"{facts['url']}api/status", headers=headers).status_code == 200
    assert server.stop() == 0


def test_the_hint_of_a_generated_key_works_as_printed(make_server: Any) -> None:
    """Whoever starts `lgnb serve` without a token is told once how to connect."""
    server = make_server("--token=", "--workers=0")
    wait_until(lambda: "get_client(" in server.log, "the hint is printed")
    line = next(line for line in server.log.splitlines() if "get_client(" in line and "import" not in line)
    arguments = line.split("get_client(")[1].rstrip(")")
    given = dict(part.split("=", 1) for part in arguments.split(", "))

    url, key = given["url"].strip('"'), given["api_key"].strip('"')

    assert httpx.post(f"{url}/threads/count", json={}, headers={"x-api-key": key}).json() == 0
    assert server.stop() == 0


def test_the_host_imports_neither_a_users_graph_nor_the_runtime_of_graphs(
    tmp_path: Path, make_data_dir: Callable[[], Path]
) -> None:
    """It is the user's whole workbench: a graph that blocks or crashes must not be able to touch it."""
    (tmp_path / "graph_of_a_user.py").write_text(
        "from langgraph.graph import StateGraph\n"
        "graph = StateGraph(dict).add_node('n', lambda s: {'done': True})"
        ".add_edge('__start__', 'n').compile()\n"
    )
    (tmp_path / "langgraph.json").write_text(json.dumps({"graphs": {"users": "./graph_of_a_user.py:graph"}}))
    home = make_data_dir()
    process = subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).with_name("host_that_tells_its_modules.py"))],
        env=os.environ
        | {
            "LGNB_CONFIG": str(tmp_path / "langgraph.json"),
            "LGNB_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "LGNB_TOKEN": "secret",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        runtime_file = home / "runtime" / f"lgnb-{process.pid}.json"
        wait_until(runtime_file.exists, "the server has started", seconds=60)
        url = json.loads(runtime_file.read_text())["url"]
        wait_until(lambda: httpx.get(f"{url}/ok").status_code == 200, "runs can execute", seconds=60)
        with get_sync_client(url=url, api_key="secret") as client:
            assert client.runs.wait(None, "users", input={}) == {"done": True}
        process.send_signal(signal.SIGTERM)
        modules = process.communicate(timeout=60)[0].decode().split()
    finally:
        process.kill()
        process.wait()

    assert "lgnb_server.extension" in modules
    forbidden = ("graph_of_a_user", "langgraph.pregel", "langgraph.graph", "langchain_core")
    assert [name for name in modules if name.startswith(forbidden)] == []
