"""A request in the words in which an authenticate function asks for it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import orjson
from tornado.httputil import HTTPServerRequest

PARAMETERS = (
    "request",
    "body",
    "user",
    "path",
    "method",
    "scopes",
    "scope",
    "path_params",
    "query_params",
    "headers",
    "authorization",
)
"""The names of parameters that can be filled."""


class RequestFacts:
    """What is known of a request before anybody knows who sent it. The upgrade of a WebSocket is one too.

    Args:
        root: what stands before the path of an operation, such as `/lgnb`.
    """

    def __init__(self, request: HTTPServerRequest, *, root: str, path_params: Mapping[str, str]) -> None:
        self._request = request
        self._root = root.rstrip("/")
        self.path_params = dict(path_params)
        self.method = str(request.method)
        self.path = request.path.removeprefix(self._root) or "/"
        self.query_params = {
            name: values[-1].decode("utf-8", "replace") for name, values in request.query_arguments.items() if values
        }
        # A header that was sent several times is one, as the standard has it, so that nobody reads another one of them.
        self.headers = {
            name.lower().encode("latin-1"): value.encode("latin-1", "replace")
            for name, value in dict(request.headers).items()
        }
        self.authorization: str | None = request.headers.get("Authorization")
        # Nobody is known yet.
        self.user: Any = None
        self.scopes: list[str] = []

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        return self._request.headers.get(name)

    @functools.cached_property
    def body(self) -> Any:
        """The JSON of the body, or None."""
        try:
            return orjson.loads(self._request.body) if self._request.body else None
        except orjson.JSONDecodeError:
            return None

    @functools.cached_property
    def scope(self) -> dict[str, Any]:
        """The request as ASGI describes it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self._request.version.removeprefix("HTTP/"),
            "method": self.method,
            "scheme": self._request.protocol,
            "path": self._request.path,
            "raw_path": self._request.path.encode("latin-1", "replace"),
            "query_string": self._request.query.encode("latin-1", "replace"),
            "root_path": self._root,
            "headers": list(self.headers.items()),
            "client": (self._request.remote_ip, 0),
            "server": None,
            "path_params": self.path_params,
        }

    @functools.cached_property
    def request(self) -> Any:
        """The request as an object of Starlette."""
        from starlette.requests import Request

        return Request(self.scope, self._receive)

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self._request.body, "more_body": False}
