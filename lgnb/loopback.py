"""`get_client()` without a URL inside a graph: reaches the host's API over HTTP, and says which run is calling.

The LangGraph SDK means such a client for the server it runs in, over a transport within the process. A worker has no
server within; `install()` gives the SDK a transport that forwards each request to the host, and passes its answer on
piece by piece, so that streams arrive live.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import httpx

from .errors import ConnectError

RUN_HEADER = "x-lgnb-run"
"""Names the run on whose behalf a worker calls. The host believes it only together with the key of workers."""

_NOBODY_KNOWN = (
    "get_client() without a URL does not know where the API is: this worker was not started by a host. "
    "Set LGNB_API_URL and LGNB_WORKER_KEY for the worker, or give get_client() a url."
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Api:
    """Where the API is, and the key of workers."""

    url: str
    key: str = field(default="", repr=False)


def install(api: Api | None, *, calling_run: Callable[[], UUID | None]) -> None:
    """Make the SDK use the transport of this module in this process, for clients made from now on.

    Args:
        api: None where nobody knows it; a client then says so when it is used, not before.
        calling_run: the run whose code executes at the moment.
    """
    # Deferred: the SDK brings the runtime of graphs along, which a host without such a client does not need.
    import langgraph_sdk._async.client as sdk_client

    # Otherwise the SDK would look for another server's modules, and use them where they happen to be installed.
    os.environ["__LANGGRAPH_DEFER_LOOPBACK_TRANSPORT"] = "true"
    transport = Loopback(api, calling_run=calling_run)

    def parked(**_: Any) -> Loopback:
        # The SDK keeps every transport that waits for an application. Ours wait for nothing.
        sdk_client._registered_transports.clear()  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
        return transport

    # The SDK offers a server no other way to bring a transport that streams.
    sdk_client.get_asgi_transport = lambda: parked  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]


class Loopback(httpx.AsyncBaseTransport):
    """Forwards to the API. All clients of a process share one, from whichever event loops they are used."""

    def __init__(self, api: Api | None, *, calling_run: Callable[[], UUID | None]) -> None:
        self._api = api
        self._url = httpx.URL(api.url) if api else httpx.URL()
        self._calling_run = calling_run
        # Connections belong to the loop that opened them.
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncHTTPTransport] = WeakKeyDictionary()
        self._lock = threading.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._api is None:
            raise ConnectError(_NOBODY_KNOWN)
        try:
            return await self._pool().handle_async_request(self._forwarded(request, self._api))
        except httpx.ConnectError as error:
            raise httpx.ConnectError(f"The API at {self._api.url} does not answer: {error}", request=request) from error

    async def aclose(self) -> None:
        """Nothing: a client that is closed leaves the connections to the others."""

    def _forwarded(self, request: httpx.Request, api: Api) -> httpx.Request:
        url = self._url.copy_with(raw_path=self._url.raw_path.rstrip(b"/") + request.url.raw_path)
        headers = request.headers.copy()
        headers["host"] = url.netloc.decode("ascii")
        # The SDK may have put a key there that it found in the environment and that belongs to another service.
        headers.pop("x-api-key", None)
        headers.pop(RUN_HEADER, None)
        if api.key:
            headers["x-api-key"] = api.key
        if run_id := self._calling_run():
            headers[RUN_HEADER] = str(run_id)
        return httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=request.extensions)

    def _pool(self) -> httpx.AsyncHTTPTransport:
        loop = asyncio.get_running_loop()
        with self._lock:
            pool = self._pools.get(loop)
            if pool is None:
                # Every run may hold a stream, so only what idles is limited. A certificate of this machine is its own.
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
                pool = httpx.AsyncHTTPTransport(limits=limits, verify=self._url.host not in _LOOPBACK)
                self._pools[loop] = pool
            return pool
