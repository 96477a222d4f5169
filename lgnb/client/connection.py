"""A server this kernel talks to: the SDK client on the runner's loop, and its errors told in our words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from ..errors import Conflict, ConnectError, InvalidRequest, LgnbError, NotFound, NotReady
from .discovery import Server
from .runner import Runner, Stream

T = TypeVar("T")

_IS_BUSY = "is busy with run"


class Connection:
    """One server, one SDK client. Errors of the SDK leave here as ours."""

    def __init__(self, server: Server, runner: Runner) -> None:
        self.server = server
        self.runner = runner
        self.sdk = new_client(server)

    def __repr__(self) -> str:
        return f"Connection({self.server.url!r}, {self.server.found_by})"

    def call(self, ask: Callable[[LangGraphClient], Awaitable[T]], *, timeout: float | None = None) -> T:
        """Ask the server and wait for the answer.

        Raises:
            LgnbError: what the server refused or why it cannot be reached, in one sentence.
        """
        return self.runner.call(self.ask(ask), timeout=timeout)

    async def ask(self, ask: Callable[[LangGraphClient], Awaitable[T]]) -> T:
        """The same for code that already runs on the runner's loop."""
        try:
            return await ask(self.sdk)
        except httpx.HTTPError as error:
            raise explained(error, self.server) from error

    def stream(self, source: Callable[[LangGraphClient], AsyncIterator[T]]) -> Stream[T]:
        """Read a stream of the SDK on the runner's loop."""

        async def translated() -> AsyncIterator[T]:
            try:
                async for item in source(self.sdk):
                    yield item
            except httpx.HTTPError as error:
                raise explained(error, self.server) from error

        return self.runner.stream(translated)

    def close(self) -> None:
        """Close the SDK's connections."""
        self.runner.call(self.sdk.aclose(), timeout=5)


def new_client(server: Server) -> LangGraphClient:
    """A fresh SDK client of a server, for the event loop of whoever uses it first.

    The key is passed even when it is None: otherwise the SDK would send a LangSmith key of the environment.
    """
    return get_client(url=server.url, api_key=server.api_key)


def explained(error: httpx.HTTPError, server: Server) -> LgnbError:
    """Our error for one of the SDK or of its transport: what happened, and what to do."""
    if not isinstance(error, httpx.HTTPStatusError):
        reason = str(error) or type(error).__name__
        return ConnectError(f"The server at {server.url} does not answer ({reason}); check it with %lg status -v.")
    status, detail = error.response.status_code, _detail(error)
    match status:
        case 401 | 403:
            return ConnectError(
                f"The server at {server.url} refuses this key ({status}); "
                "set LGNB_API_KEY or use lgnb.connect(url=…, api_key=…)."
            )
        case 404:
            return NotFound(detail)
        case 409:
            busy = " Wait for it with %lg wait, or give the new run another strategy." if _IS_BUSY in detail else ""
            return Conflict(f"{detail}{busy}")
        case 400 | 413 | 422:
            return InvalidRequest(detail)
        case 429 | 503:
            return NotReady(f"{detail} Try again in a moment.")
        case _:
            return LgnbError(f"The server answered {status}: {detail}")


def _detail(error: httpx.HTTPStatusError) -> str:
    body: Any = getattr(error, "body", None)
    if body is None:
        try:
            body = error.response.json()
        except (ValueError, httpx.StreamError):
            body = None
    text: object = body.get("detail") or body.get("message") if isinstance(body, dict) else body
    return str(text or getattr(error, "message", None) or error).strip()
