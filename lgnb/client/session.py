"""What one kernel remembers: its server, its current assistant and thread, its runs, and the short names of ids."""

from __future__ import annotations

import difflib
import sys
import time
import uuid
from typing import Any, Literal

import httpx
import uuid_utils

from ..errors import AssistantNotFound, ConnectError, InvalidRequest, NotReady, ThreadNotFound
from .aliases import Aliases
from .connection import Connection, explained
from .discovery import Search, Server, Step, find_server
from .headless import start_private_server
from .render import is_live
from .runner import Runner

READY_SECONDS = 60.0
ASSISTANTS_SECONDS = 5.0  # how long the list of assistants is believed


class Session:
    """The state behind `%lg` and behind the functions of `lgnb`."""

    def __init__(self) -> None:
        self.aliases = Aliases()
        self.assistant: str | None = None
        self.thread_id: str | None = None
        self.last_run: Any = None
        self.runs: dict[str, Any] = {}
        self.steps: tuple[Step, ...] = ()
        self._runner: Runner | None = None
        self._connection: Connection | None = None
        self._threads: dict[str, str] = {}
        self._next_thread: str | Literal["new"] | None = None
        self._assistants: tuple[float, list[dict[str, Any]]] | None = None
        self._schemas: dict[str, dict[str, Any] | None] = {}

    @property
    def runner(self) -> Runner:
        if self._runner is None or not self._runner.thread.is_alive():
            self._runner = Runner()
        return self._runner

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def connection(self) -> Connection:
        """The connection of this kernel; found, or a private server started, at the first use.

        Raises:
            ConnectError: nothing could be found or started.
        """
        if self._connection is None:
            search = find_server()
            self.steps = search.steps
            server = search.server or self._private_server(search)
            self._use(server)
        assert self._connection is not None
        return self._connection

    def connect(self, *, url: str, api_key: str | None = None) -> Connection:
        """Use this server from now on, with no search."""
        server = Server(url=url.rstrip("/"), api_key=api_key, found_by="named by lgnb.connect")
        self.steps = (Step("lgnb.connect", f"names {server.url}"),)
        self._use(server)
        return self.connection()

    def close(self) -> None:
        """Forget the server and stop the runner thread."""
        if self._connection is not None:
            self._connection.close()
        if self._runner is not None:
            self._runner.stop()
        self._connection = self._runner = None

    # Threads: each assistant continues on the thread it used last; a thread chosen by hand takes the next run.

    def choose_thread(self, thread_id: str | Literal["new"]) -> None:
        """Continue with this thread: the next run goes there, whichever assistant it uses."""
        self._next_thread = thread_id
        self.thread_id = None if thread_id == "new" else thread_id

    def thread_for(self, assistant: str, wanted: str | None) -> tuple[str, bool]:
        """The thread id for a run of this assistant, and whether the thread has yet to be made.

        Args:
            wanted: an id or alias, "new", or None for the one that fits.
        """
        chosen = wanted or self._next_thread or self._threads.get(assistant) or "new"
        is_new = chosen == "new"
        thread_id = str(uuid_utils.uuid7()) if is_new else self.full_thread_id(chosen)
        return thread_id, is_new

    def thread(self, wanted: str | None = None) -> str:
        """The id behind an id or alias, or of the current thread.

        Raises:
            InvalidRequest: there is no current thread yet.
            ThreadNotFound: the text is no id.
        """
        if wanted is not None:
            return self.full_thread_id(wanted)
        if self.thread_id is None:
            raise InvalidRequest(
                "There is no current thread yet; start a run with %lg run, or choose one with %lg thread ID."
            )
        return self.thread_id

    def full_thread_id(self, text: str) -> str:
        """The thread id meant by an id, an alias or a part of an id met here.

        Raises:
            ThreadNotFound: it is none of these.
        """
        found = self.aliases.full_id("thread", text)
        try:
            return str(uuid.UUID(found))
        except ValueError:
            fix = "Give an id, or an alias such as thread#1; %lg threads lists them."
            raise ThreadNotFound(repr(text), fix=fix) from None

    def remember_thread(self, assistant: str, thread_id: str) -> None:
        """Note that a run of this assistant was accepted on this thread."""
        self._threads[assistant] = self.thread_id = thread_id
        self._next_thread = None

    def forget_thread(self, thread_id: str) -> None:
        """Note that this thread is gone."""
        self._threads = {name: one for name, one in self._threads.items() if one != thread_id}
        if self._next_thread == thread_id:
            self._next_thread = None
        if self.thread_id == thread_id:
            self.thread_id = None

    # Assistants

    def assistants(self, *, refresh: bool = False, timeout: float | None = None) -> list[dict[str, Any]]:
        """The server's assistants, at most a few seconds old."""
        if self._assistants and not refresh and time.monotonic() - self._assistants[0] < ASSISTANTS_SECONDS:
            return self._assistants[1]
        found = self.connection().call(lambda sdk: sdk.assistants.search(limit=1000), timeout=timeout)
        rows = sorted((dict(row) for row in found), key=lambda row: (row["graph_id"], str(row["name"])))
        self._assistants = (time.monotonic(), rows)
        return rows

    def find_assistant(self, name: str) -> dict[str, Any]:
        """The assistant with this id, graph id or name.

        Raises:
            AssistantNotFound: there is none.
        """
        for refresh in (False, True):
            rows = self.assistants(refresh=refresh)
            system = [row for row in rows if (row.get("metadata") or {}).get("created_by") == "system"]
            for candidates, key in ((rows, "assistant_id"), (system, "graph_id"), (rows, "name"), (rows, "graph_id")):
                for row in candidates:
                    if row.get(key) == name:
                        return row
        near = difflib.get_close_matches(name, [str(row["name"]) for row in self.assistants()], n=1, cutoff=0.6)
        fix = f"Did you mean {near[0]!r}?" if near else "%lg assistants lists what this server has."
        raise AssistantNotFound(repr(name), fix=fix)

    def input_schema(self, assistant_id: str) -> dict[str, Any] | None:
        """The input schema of an assistant's graph, asked once; None when the server cannot tell."""
        if assistant_id not in self._schemas:
            try:
                found = self.connection().call(lambda sdk: sdk.assistants.get_schemas(assistant_id))
            except NotReady:
                return None
            schema = found.get("input_schema")
            self._schemas[assistant_id] = dict(schema) if schema else None
        return self._schemas[assistant_id]

    def _private_server(self, search: Search) -> Server:
        if is_live():
            # Before the wait of some seconds, not after it.
            sys.stdout.write(
                "No Jupyter server with lgnb found: starting a private one, which ends with this kernel.\n"
            )
            sys.stdout.flush()
        server = start_private_server()
        self.steps = (*search.steps, Step("a private server", f"started at {server.url}"))
        return server

    def _use(self, server: Server) -> None:
        wait_until_ready(server)
        connection = Connection(server, self.runner)
        if self._connection is not None:
            self._connection.close()
        self._connection = connection
        self._assistants, self._schemas = None, {}
        self._threads, self._next_thread, self.thread_id = {}, None, None


def wait_until_ready(server: Server, *, timeout: float = READY_SECONDS) -> None:
    """Return once the server can execute runs; it answers 503 while its services start.

    The SDK would try a closed port for eight seconds; a person at a cell wants to know at once.

    Raises:
        ConnectError: it cannot be reached, or is still starting after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            response = httpx.get(f"{server.url}/ok", timeout=10, trust_env=False)
            response.raise_for_status()
            return
        except httpx.HTTPError as error:
            told = explained(error, server)
            if not isinstance(told, NotReady):
                raise told from error
            if time.monotonic() > deadline:
                waited = f"The server at {server.url} is still starting after {timeout:.0f} s"
                raise ConnectError(f"{waited}: {told}") from error
            time.sleep(0.2)


_session: Session | None = None


def current_session() -> Session:
    """The session of this kernel; made at the first use."""
    global _session
    if _session is None:
        _session = Session()
    return _session


def replace_session(session: Session | None) -> Session | None:
    """Put another session in place and return the one that was there."""
    global _session
    previous, _session = _session, session
    return previous
