"""`lgnb.serve` and `lgnb.unserve`: what this kernel serves, and through which server."""

from __future__ import annotations

import atexit
import html
import os
import re
import sys
import threading
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from ..client.discovery import Server
from ..client.runner import Runner
from ..client.session import current_session
from ..errors import InvalidRequest, NotFound
from ..graphs.sources import GraphSource
from .breakpoints import install as install_breakpoints
from .identity import this_kernel
from .worker import KernelWorker

_SERVE_SECONDS = 60.0
_STOP_SECONDS = 4.0
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A graph that this kernel serves.

    Attributes:
        is_swap: it took the place of a graph that was served under this name before.
    """

    name: str
    target: Any
    description: str | None
    is_swap: bool = False

    def __repr__(self) -> str:
        if self.is_swap:
            return f"{self.name} now serves the new graph; runs that have begun end with the old one."
        return f"{self.name} is served from this notebook: any client of this server can run it while the kernel lives."

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": f"<p>{html.escape(repr(self))}</p>"}


def serve(graph: Any, name: str, *, description: str | None = None, take_over: bool = False) -> Live:
    """Serve a graph of this notebook as an assistant, until the kernel ends or `unserve` is called.

    Serving under the same name again swaps the graph for the next run. What its nodes print appears under the cell
    that called this, and so do the tracebacks of nodes that fail.

    Args:
        graph: a compiled graph, a StateGraph, or a function that returns one.
        description: what assistants say about it.
        take_over: also take a name that another kernel serves.

    Raises:
        GraphLoadError: the object is no graph.
        GraphTaken: somebody else serves this name; the message says who.
        ConnectError: there is no server, or it refuses this kernel.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name!r} cannot name a graph; use letters, digits, dots, dashes and underscores.")
    source = GraphSource(name, graph, description=description, module="__main__")
    server = current_session().connection().server
    before = _serving.workers.get(server.url)
    is_swap = before is not None and name in before.graphs
    worker = _serving.worker(server)
    _serving.runner.call(
        worker.serve(name, source, copy_context(), take_over=take_over),
        timeout=_SERVE_SECONDS,
    )
    live = Live(name=name, target=graph, description=description, is_swap=is_swap)
    _serving.live[name] = live
    current_session().forget_assistants()
    return live


def unserve(name: str) -> None:
    """Stop serving a graph. Its assistant and threads stay; new runs wait until somebody serves it again.

    Raises:
        NotFound: this kernel serves no graph of that name.
    """
    for worker in _serving.workers.values():
        if name in worker.graphs:
            _serving.runner.call(worker.unserve(name), timeout=_SERVE_SECONDS)
            _serving.live.pop(name, None)
            return
    known = ", ".join(served_names()) or "none"
    raise NotFound(f"This kernel serves no graph {name!r}; it serves {known}.")


def served_names() -> list[str]:
    """What this kernel serves at the moment."""
    return sorted(name for worker in _serving.workers.values() for name in worker.graphs)


def served(name: str) -> Live:
    """What was served under this name; raises NotFound."""
    if name not in _serving.live:
        known = ", ".join(sorted(_serving.live)) or "none"
        raise NotFound(f"This kernel serves no graph {name!r}; it serves {known}.")
    return _serving.live[name]


def stop_serving() -> None:
    """Give back the runs in hand and end the connections. Safe to call twice."""
    _serving.stop()


class _Serving:
    """The workers of this kernel, one for each server, on a thread of their own."""

    def __init__(self) -> None:
        self.workers: dict[str, KernelWorker] = {}
        self.live: dict[str, Live] = {}
        self._runner: Runner | None = None
        self._pid = os.getpid()

    @property
    def runner(self) -> Runner:
        if self._runner is None or not self._runner.thread.is_alive():
            self._runner = Runner("lgnb-kernel-worker")
            _at_exit(self.stop)
            install_breakpoints()
        return self._runner

    def worker(self, server: Server) -> KernelWorker:
        """The worker for this server; made at the first use."""
        runner = self.runner
        if server.url not in self.workers:

            async def make() -> KernelWorker:
                return KernelWorker(server, this_kernel(), on_taken=_say)

            self.workers[server.url] = runner.call(make())
        return self.workers[server.url]

    def stop(self) -> None:
        # A forked child has neither the thread nor the lease.
        if self._runner is None or os.getpid() != self._pid or not self._runner.thread.is_alive():
            return
        for worker in self.workers.values():
            try:
                self._runner.call(worker.stop(), timeout=_STOP_SECONDS)
            except TimeoutError:
                continue
        self.workers.clear()
        self.live.clear()
        self._runner.stop()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _at_exit(stop: Any) -> None:
    """Call `stop` when the interpreter ends, before it waits for threads in which a node may still work."""
    register = getattr(threading, "_register_atexit", atexit.register)
    register(stop)


_serving = _Serving()
