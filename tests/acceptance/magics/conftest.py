"""A real kernel whose cells use a real server, as any front end would see it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel


@dataclass
class Seen:
    """What a front end saw of one cell: the outputs in order, each with its second since the start."""

    outputs: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list[tuple[float, str, dict[str, Any]]])
    seconds: float = 0.0

    @property
    def drawings(self) -> list[str]:
        """The text/plain of every display and update, in order."""
        return [c["data"]["text/plain"] for _, kind, c in self.outputs if kind in _DRAWS]

    @property
    def text(self) -> str:
        """The last thing the cell showed."""
        return self.drawings[-1] if self.drawings else ""

    @property
    def printed(self) -> str:
        return "".join(c["text"] for _, kind, c in self.outputs if kind == "stream")

    @property
    def error(self) -> dict[str, Any] | None:
        return next((c for _, kind, c in self.outputs if kind == "error"), None)

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.outputs]


_DRAWS = ("display_data", "update_display_data", "execute_result")


class Notebook:
    """Executes cells in a kernel."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def run(self, source: str, *, interrupt_when: Callable[[Seen], bool] | None = None, timeout: float = 60) -> Seen:
        """Execute a cell to its end; interrupt the kernel once, as soon as `interrupt_when` says so."""
        message_id = self.client.execute(source)
        seen, start, is_interrupted = Seen(), time.monotonic(), False
        while True:
            now = time.monotonic() - start
            assert now < timeout, f"the cell did not end; it showed {seen.outputs[-3:]}"
            if interrupt_when is not None and not is_interrupted and interrupt_when(seen):
                self.manager.interrupt_kernel()
                is_interrupted = True
            try:
                message: Any = self.client.get_iopub_msg(timeout=0.05)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                seen.seconds = time.monotonic() - start
                return seen
            if kind not in ("status", "execute_input"):
                seen.outputs.append((now, kind, content))

    def value(self, expression: str) -> Any:
        """The value of an expression in the kernel."""
        seen = self.run(f"print(repr(({expression})))")
        assert seen.error is None, seen.error
        return eval(seen.printed)

    def close(self) -> None:
        """End the kernel; harmless the second time."""
        if self.manager.has_kernel:
            self.client.stop_channels()
            self.manager.shutdown_kernel()


@pytest.fixture
def open_notebook() -> Iterator[Callable[..., Notebook]]:
    """Start a kernel with an environment of its own."""
    yield from _opener()


@pytest.fixture(scope="module")
def open_notebooks() -> Iterator[Callable[..., Notebook]]:
    """The same for a kernel that several tests share."""
    yield from _opener()


def _opener() -> Iterator[Callable[..., Notebook]]:
    opened: list[Notebook] = []

    def open_one(**environment: str) -> Notebook:
        manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, **environment})
        opened.append(Notebook(manager, client))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()


@pytest.fixture(scope="module")
def shared_notebook(lgnb_server: Any, open_notebooks: Callable[..., Notebook]) -> Notebook:
    """A kernel that finds the server of the tests, with lgnb loaded."""
    notebook = open_notebooks(LGNB_URL=lgnb_server.url, LGNB_API_KEY=lgnb_server.api_key, LGNB_LIVE="1")
    assert notebook.run("%load_ext lgnb").outputs == []
    return notebook


@pytest.fixture
def notebook(shared_notebook: Notebook) -> Notebook:
    """The same kernel without a memory of earlier tests: no thread, no run, no alias."""
    forgotten = shared_notebook.run("from lgnb.client.session import replace_session; replace_session(None);")
    assert forgotten.error is None
    return shared_notebook
