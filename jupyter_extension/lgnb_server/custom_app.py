"""The operator's own application, `http.app` in langgraph.json: which requests are its own, and what it wraps.

It is configuration, not a graph, and lives in the host. Its routes are tried before ours, its middleware sees every
request; what it does not answer itself, our handlers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import Application as TornadoApplication
from tornado.web import HTTPError

from lgnb.errors import LgnbError, SettingsError
from lgnb.graphs.operator_code import load_operator_code
from lgnb.graphs.project import Project
from lgnb.json_encoding import encode
from lgnb.models.http import HttpConfig

from .asgi import AsgiApp, AsgiHandler, AsgiSocketHandler, Lifespan, Receive, Scope, Send, TornadoApp
from .host import Host
from .refusals import refusal
from .route import Route

# Paths that nobody may take away from us.
_OURS = ("/ok", "/metrics", "/docs", "/openapi.json")
_PUBLIC = ("", "/", "/info", *_OURS)

_READ = Route(method="GET", path="/", handler=AsgiHandler, summary="", answer="", resource="lgnb:app", action="read")
_WRITE = Route(
    method="POST", path="/", handler=AsgiHandler, summary="", answer="", resource="lgnb:app", action="execute"
)
_RULES = {"GET": _READ, "OPTIONS": _READ, "POST": _WRITE, "PUT": _WRITE, "PATCH": _WRITE, "DELETE": _WRITE}


class CustomApp:
    """A Starlette or FastAPI application among our routes. `start()` and `stop()` are its lifespan."""

    def __init__(self, app: Any, *, http: HttpConfig, root_path: str) -> None:
        """`root_path` is where the API begins, as addresses write it."""
        from starlette.middleware import Middleware

        self.root_path = unquote(root_path)
        self.within: AsgiApp | None = None
        self._raw_root = root_path
        self._app = app
        self._http = http
        # The module may have been loaded before, by a server that this process has stopped.
        app.user_middleware[:] = [one for one in app.user_middleware if one.cls is not _Gate]
        # Without middleware it need not see what is not its own.
        self._wraps = bool(app.user_middleware)
        app.user_middleware.append(Middleware(_Gate, custom=self))
        app.middleware_stack = None
        self._lifespan = Lifespan(app)

    @classmethod
    def load(cls, project: Project, *, http: HttpConfig, root_path: str) -> CustomApp:
        """The application that `http.app` names.

        Raises:
            SettingsError: it cannot be loaded, or is of the wrong kind.
        """
        assert http.app is not None
        app = load_operator_code(http.app, key="http.app", project=project)
        try:
            from starlette.applications import Starlette
        except ImportError:
            Starlette = ()
        if not isinstance(app, Starlette):
            raise SettingsError(f"http.app must name a Starlette or FastAPI application, not a {type(app).__name__}.")
        if getattr(app.router, "on_startup", None) or getattr(app.router, "on_shutdown", None):
            raise SettingsError("http.app uses on_startup or on_shutdown; write a lifespan function instead.")
        return cls(app, http=http, root_path=root_path)

    @property
    def state(self) -> dict[str, Any]:
        """What the lifespan has left for requests."""
        return self._lifespan.state

    def openapi(self) -> dict[str, Any] | None:
        """The application's own description, if it makes one."""
        describe: Callable[[], dict[str, Any]] | None = getattr(self._app, "openapi", None)
        return describe() if describe is not None else None

    def install(self, web_app: TornadoApplication, host: Host) -> None:
        """Let the requests that concern the application go to it first."""
        self.within = TornadoApp(lambda request: web_app.find_handler(_marked(request)))
        kwargs = {"host": host, "routes": _RULES, "custom": self}
        rules = [
            Rule(_Concerns(self, websocket=True), AsgiSocketHandler, kwargs),
            Rule(_Concerns(self, websocket=False), AsgiHandler, kwargs),
        ]
        web_app.default_router.rules[:0] = [web_app.default_router.process_rule(rule) for rule in rules]

    async def start(self) -> None:
        await self._lifespan.start()

    async def stop(self) -> None:
        await self._lifespan.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    # What concerns it?

    def concerns(self, request: HTTPServerRequest, *, websocket: bool) -> bool:
        """Whether a request goes through the application: to a route of it, or by its middleware."""
        path = self._path(request)
        if path is None:
            return False
        if websocket:
            return self.has_route("websocket", path, "GET")
        return self._wraps or self.has_route("http", path, str(request.method))

    def asks_first(self, request: HTTPServerRequest) -> bool:
        """See `asgi.Application`."""
        if self._http.middleware_order != "auth_first" or request.method == "OPTIONS":
            return False
        path = self._path(request) or ""
        kind = "websocket" if _is_upgrade(request) else "http"
        if self.has_route(kind, path, str(request.method)):
            return self._http.custom_routes_need_credentials
        return path not in _PUBLIC

    def needs_credentials(self) -> bool:
        """Whether a route of the application asks for them when it is reached."""
        return self._http.custom_routes_need_credentials and self._http.middleware_order == "middleware_first"

    def has_route(self, kind: str, path: str, method: str) -> bool:
        """Whether the application has a route for this path below the root."""
        if path in _OURS:
            return False
        from starlette.routing import Match

        scope = {"type": kind, "path": self.root_path + path, "root_path": self.root_path, "method": method}
        return any(route.matches({**scope, "headers": []})[0] is not Match.NONE for route in self._app.router.routes)

    def _path(self, request: HTTPServerRequest) -> str | None:
        below = request.path == self._raw_root or request.path.startswith(self._raw_root + "/")
        return unquote(request.path[len(self._raw_root) :]) if below and not hasattr(request, _MARK) else None


class _Gate:
    """The innermost middleware: what is not the application's own goes on to our handlers."""

    def __init__(self, app: AsgiApp, *, custom: CustomApp) -> None:
        self._app = app
        self._custom = custom

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(self._custom.root_path)
        if not self._custom.has_route(scope["type"], path, scope.get("method", "GET")):
            assert self._custom.within is not None
            await self._custom.within(scope, receive, send)
            return
        if self._custom.needs_credentials() and scope.get("method") != "OPTIONS":
            try:
                await self._admit(scope)
            except (HTTPError, LgnbError) as error:
                await _refuse(error, scope, send)
                return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        handler = scope["extensions"]["lgnb"]["handler"]
        await handler.admit()
        scope.update(handler.admission())


async def _refuse(error: HTTPError | LgnbError, scope: Scope, send: Send) -> None:
    """Answer with the error as the handlers would, through the middleware that is around."""
    told = refusal(error, status=500, request_id=scope["extensions"]["lgnb"]["handler"].request_id)
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "status": told.status})
        return
    headers = {"content-type": "application/json", **{name.lower(): text for name, text in told.headers.items()}}
    pairs = [(name.encode(), text.encode()) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": told.status, "headers": pairs})
    await send({"type": "http.response.body", "body": encode(told.body)})


class _Concerns(Matcher):
    def __init__(self, custom: CustomApp, *, websocket: bool) -> None:
        self._custom = custom
        self._websocket = websocket

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        fits = _is_upgrade(request) == self._websocket
        return {} if fits and self._custom.concerns(request, websocket=self._websocket) else None


_MARK = "lgnb_within"


def _marked(request: HTTPServerRequest) -> HTTPServerRequest:
    """A request that the application has seen already."""
    setattr(request, _MARK, True)
    return request


def _is_upgrade(request: HTTPServerRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"
