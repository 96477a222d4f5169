"""Sends the same requests to lgnb and to another LangGraph server, and prints where their answers differ.

    make compare

installs the other server in an environment of its own, as a black box. What is told as a difference is either mended
here or listed with its reason in deliberate.toml; a listed difference that is none any more is told as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
from conversations import CONVERSATIONS

_HERE = Path(__file__).parent
_START_SECONDS = 120
_KEY = "secret"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?")
_HEADERS = ("content-type", "content-location", "location", "x-pagination-total", "x-pagination-next")
# Texts for people are each server's own.
_FREE_TEXTS = ("$.detail", "$.message", "$.error")
_MILLISECONDS = 1_000_000_000_000


@dataclass(frozen=True)
class Exchange:
    """A request in words that are the same for both servers, and what came back as flat paths and values."""

    request: str
    answer: dict[str, Any]


@dataclass
class Talker:
    """Asks one server, and keeps what it said without what is different in every run."""

    client: httpx.Client
    heard: list[Exchange] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    talk: str = ""

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: bytes | None = None,
        only_keys: bool = False,
        **options: Any,
    ) -> Any:
        if content is None and body is not None:
            content = json.dumps(body).encode()
        answer = self._send(method, path, content, options)
        parsed = _parsed(answer)
        query = f"?{httpx.QueryParams(options['params'])}" if options.get("params") else ""
        shown = "" if content is None else f" {self._plain(content.decode(), 'request')}"
        asked = options.get("headers", {})
        place = f" Last-Event-ID: {asked['Last-Event-ID']}" if "Last-Event-ID" in asked else ""
        request = f"{method} {self._plain(path, 'request')}{query}{shown}{place}"
        told: dict[str, Any] = {"status": answer.status_code}
        # The body first: it names ids by where they stand, and not every server sends every header.
        told |= dict(_flat(_shape(parsed) if only_keys else self._plain(parsed, "$"), "$"))
        for name in _HEADERS:
            if name in answer.headers:
                told[f"header {name}"] = self._plain(answer.headers[name], name)
        self.heard.append(Exchange(request, told))
        return parsed

    def assistant_of(self, graph_id: str) -> str:
        """The id of the system assistant of a graph; not part of the comparison."""
        body = {"graph_id": graph_id, "metadata": {"created_by": "system"}}
        return self.client.post("/assistants/search", json=body).json()[0]["assistant_id"]

    def until(self, path: str, holds: Callable[[Any], bool]) -> None:
        """Wait; not part of the comparison."""
        deadline = time.monotonic() + 30
        while not holds(self.client.get(path).json()):
            if time.monotonic() > deadline:
                raise TimeoutError(path)
            time.sleep(0.05)

    def _send(self, method: str, path: str, content: bytes | None, options: dict[str, Any]) -> httpx.Response:
        options = {**options, "headers": {"content-type": "application/json", **options.get("headers", {})}}
        request = self.client.build_request(method, path, content=content, **options)
        answer = self.client.send(request, stream=True)
        is_endless = path.endswith("/stream/events") and answer.status_code == 200
        if is_endless:
            answer.close()
            answer._content = b""
        else:
            answer.read()
        return answer

    def _plain(self, value: Any, place: str) -> Any:
        """The value with ids named by where they first stood, and without times."""
        if isinstance(value, dict):
            return {
                self._plain(key, f"{place} key"): self._plain(item, f"{place}.{key}") for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._plain(item, f"{place}.{index}") for index, item in enumerate(value)]
        if isinstance(value, int) and value > _MILLISECONDS and value < 2 * _MILLISECONDS:
            return "<milliseconds>"
        if not isinstance(value, str):
            return value
        value = _UUID.sub(lambda match: self._name(match[0], place), value)
        value = _HEX.sub(lambda match: self._name(match[0], place), value)
        return _TIME.sub(_kind_of_time, value)

    def _name(self, text: str, place: str) -> str:
        if text.startswith("00000000-0000-4000-8000-"):
            return text
        return self.names.setdefault(text, f"<{len(self.heard)} {place}>")


def _kind_of_time(match: re.Match[str]) -> str:
    return f"<time{' with microseconds' if match[1] else ''}{' ' + match[2] if match[2] else ''}>"


def _parsed(answer: httpx.Response) -> Any:
    kind = answer.headers.get("content-type", "")
    if "event-stream" in kind:
        return _events(answer.text)
    try:
        return json.loads(answer.content) if answer.content.strip() else None
    except ValueError:
        return answer.text


def _events(text: str) -> list[Any]:
    events: list[Any] = []
    for frame in re.split(r"\r?\n\r?\n", text):
        fields = dict(
            line.split(": ", 1) for line in re.split(r"\r?\n", frame) if ": " in line and not line.startswith(":")
        )
        if "event" in fields:
            events.append(
                {"event": fields["event"], "has id": "id" in fields, "data": json.loads(fields.get("data", "null"))}
            )
    return events


def _shape(value: Any) -> Any:
    """Keys without values, for figures that no two servers share."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    return type(value).__name__


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}.{index}")
    elif path in _FREE_TEXTS and isinstance(value, str):
        yield path, "<text>"
    else:
        yield path, value


# The two servers


@contextmanager
def _process(command: list[str], *, home: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=os.environ | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _until_ready(process: subprocess.Popen[bytes], home: Path, url_of: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        url = url_of()
        try:
            if url and httpx.get(f"{url}/ok", timeout=5, trust_env=False).status_code == 200:
                return url
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{process.args[0]} did not start:\n{(home / 'log').read_text()[-3000:]}")


@contextmanager
def _lgnb(home: Path) -> Iterator[str]:
    command = [sys.executable, "-P", "-m", "lgnb", "serve", "--port=0", f"--token={_KEY}"]
    environment = {
        "LGNB_CONFIG": str(home / "langgraph.json"),
        "LGNB_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    with _process(command, home=home, environment=environment) as process:

        def url() -> str | None:
            files = list((home / "runtime").glob(f"lgnb-{process.pid}.json"))
            return json.loads(files[0].read_text())["url"] if files else None

        yield _until_ready(process, home, url)


@contextmanager
def _reference(home: Path, program: Path) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [
        str(program),
        "dev",
        "--no-browser",
        "--no-reload",
        "--host=127.0.0.1",
        f"--port={port}",
        "--n-jobs-per-worker=10",
    ]
    environment = {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
    with _process(command, home=home, environment=environment) as process:
        yield _until_ready(process, home, lambda: f"http://127.0.0.1:{port}")


def _heard(url: str, only: str) -> dict[str, list[Exchange]]:
    heard: dict[str, list[Exchange]] = {}
    for conversation in CONVERSATIONS:
        if only not in conversation.__name__:
            continue
        headers = {"x-api-key": _KEY}
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
            talker = Talker(client)
            talker.names = {talker.assistant_of(graph_id): f"<assistant of {graph_id}>" for graph_id in _graph_ids()}
            try:
                conversation(talker)
            except (httpx.HTTPError, LookupError, OSError, TypeError, ValueError) as error:
                # One conversation that breaks off shall not hide the others.
                talker.heard.append(Exchange("(the conversation broke off)", {"error": repr(error)}))
            heard[conversation.__name__] = talker.heard
    return heard


def _graph_ids() -> list[str]:
    return list(json.loads((_HERE / "langgraph.json").read_text())["graphs"])


# What is told


@dataclass
class Deliberate:
    """A difference that is meant: requests and places it covers, and why."""

    request: str
    at: list[str]
    reason: str
    met: int = 0

    def covers(self, request: str, place: str) -> bool:
        covered = fnmatchcase(request, self.request) and any(fnmatchcase(place, at) for at in self.at)
        self.met += covered
        return covered


def _deliberate() -> list[Deliberate]:
    entries = tomllib.loads((_HERE / "deliberate.toml").read_text(encoding="utf-8"))["difference"]
    return [Deliberate(**entry) for entry in entries]


def _differences(ours: Exchange, theirs: Exchange) -> Iterator[tuple[str, Any, Any]]:
    nothing = "(nothing)"
    for place in dict.fromkeys([*ours.answer, *theirs.answer]):
        here, there = ours.answer.get(place, nothing), theirs.answer.get(place, nothing)
        if here != there or type(here) is not type(there):
            yield place, here, there


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the answers of lgnb with those of another server.")
    parser.add_argument("reference", type=Path, help="the program `langgraph` of the other server")
    parser.add_argument("--only", default="", help="only conversations whose name holds this")
    parser.add_argument("--most", type=int, default=12, help="places to show per request")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="lgnb-compare-") as folder:
        homes = [Path(folder) / name for name in ("ours", "theirs")]
        os.chmod(folder, 0o711)
        for home in homes:
            home.mkdir(mode=0o711)
            for name in ("graphs.py", "langgraph.json"):
                shutil.copy(_HERE / name, home / name)
        with _lgnb(homes[0]) as our_url, _reference(homes[1], options.reference.absolute()) as their_url:
            with ThreadPoolExecutor(2) as threads:
                ours, theirs = threads.map(_heard, (our_url, their_url), (options.only, options.only))

    deliberate = _deliberate()
    total = found = 0
    for name, exchanges in ours.items():
        if len(exchanges) != len(theirs[name]):
            found += 1
            print(f"{name}: {len(exchanges)} answers here, {len(theirs[name])} there")  # noqa: T201
        for here, there in zip(exchanges, theirs[name], strict=False):
            total += 1
            left = [
                each
                for each in _differences(here, there)
                if not any([one.covers(here.request, each[0]) for one in deliberate])
            ]
            if left:
                found += 1
                print(f"\n{name}: {here.request[:300]}")  # noqa: T201
                for place, our_value, their_value in left[: options.most]:
                    print(f"    {place}\n        here   {_short(our_value)}\n        there  {_short(their_value)}")  # noqa: T201
                if len(left) > options.most:
                    print(f"    … and {len(left) - options.most} more")  # noqa: T201
    unused = [one for one in deliberate if not one.met] if not options.only else []
    for one in unused:
        print(f"\nListed as deliberate, but no difference any more: {one.request} {one.at}: {one.reason}")  # noqa: T201
    print(f"\n{total} requests, {found} with differences that are not listed.")  # noqa: T201
    return 1 if found or unused else 0


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


if __name__ == "__main__":
    sys.exit(main())
