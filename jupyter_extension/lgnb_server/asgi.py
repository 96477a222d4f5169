"""ASGI on Tornado, both ways: requests to an ASGI application, and an ASGI application that lets Tornado answer."""

from __future__ import annotations

import asyncio
import http.client
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol, cast
from urllib.parse import quote, unquote

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import HTTPError, stream_request_body
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from lgnb.errors import SettingsError
from lgnb.models.identity import Caller

from .handlers.base import LgnbHandler
from .handlers.long_answers import LongAnswerHandler
from .host import Host
from .route import Route
from .streaming import ClientGone

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_VERSION = {"version": "3.0", "spec_version": "2.3"}
_MOST_WAITING = 16
# Of one hop only: Tornado frames its answers itself.
_HOP_HEADERS = ("connection", "keep-alive", "transfer-encoding", "upgrade")
_INTERNAL_ERROR = 1011
_NO_STATUS = 1005


class Application(Protocol):
    """What the handlers ask about an application."""

    state: dict[str, Any]
    root_path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def asks_first(self, request: HTTPServerRequest) -> bool:
        """Whether credentials are looked at before the application sees the request."""
        ...


class Lifespan:
    """The application's own start and end. `start()` returns when it is up, `stop()` when it is down."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._living: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """Raises SettingsError with the reason when the application does not start."""
        scope = {"type": "lifespan", "asgi": _VERSION, "state": self.state}
        self._living = asyncio.create_task(self._live(scope), name="lgnb-lifespan")
        answer = await self._ask("lifespan.startup")
        if answer["type"] != "lifespan.startup.complete":
            await asyncio.wait({self._living})
            raise SettingsError(f"http.app did not start: {answer.get('message') or 'it gave no reason'}")

    async def stop(self) -> None:
        """Let the application clean up; what it raises is only logged."""
        if self._living is None or self._living.done():
            return
        answer = await self._ask("lifespan.shutdown")
        if answer["type"] != "lifespan.shutdown.complete":
            logger.error("http.app did not stop in good order: %s", answer.get("message") or "it gave no reason")
        self._living.cancel()
        await asyncio.wait({self._living})

    async def _live(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._told.get, self._answer)
        except Exception as error:  # noqa: BLE001  an operator's application may raise anything
            await self._answer({"type": "lifespan.failed", "message": f"{type(error).__name__}: {error}"})

    async def _answer(self, message: Message) -> None:
        self._answers.put_nowait(message)

    async def _ask(self, kind: str) -> Message:
        assert self._living is not None
        self._told.put_nowait({"type": kind})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({answer, self._living}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and self._answers.empty():
            answer.cancel()
            return {"type": "lifespan.failed", "message": "it ended too early"}
        return await answer


class _Admission(LongAnswerHandler):
    """What both handlers share: who may come in, and the scope that the application is given."""

    # Who was let in, once somebody asked.
    admitted: Caller | None = None

    def initialize(self, host: Host, routes: Mapping[str, Route], custom: Application | None = None) -> None:
        super().initialize(host, routes)
        assert custom is not None
        self._application = custom

    def set_default_headers(self) -> None:
        """None: the application decides about its answers."""

    async def admit(self) -> None:
        """Ask for credentials, by the rules of every other route. Raises HTTPError."""
        await LgnbHandler.prepare(self)
        self.admitted = self.told_caller or self.access.caller or Caller(str(self.current_user.username))

    def admission(self) -> dict[str, Any]:
        """Who was let in, as Starlette's own authentication would tell it in the scope; nothing if nobody asked."""
        if self.admitted is None:
            return {}
        from starlette.authentication import AuthCredentials

        scopes = ["authenticated", *(one for one in self.admitted.permissions if one != "authenticated")]
        return {"user": self.admitted, "auth": AuthCredentials(scopes)}

    def scope(self, kind: str, **more: Any) -> Scope:
        """The request in ASGI's words; the path is whole, and begins with `root_path`."""
        request = self.request
        raw_path, _, query = str(request.uri).partition("?")
        secure = request.protocol == "https"
        host, _, port = request.host.partition(":")
        return {
            "type": kind,
            "asgi": _VERSION,
            "http_version": str(request.version).removeprefix("HTTP/"),
            "scheme": {"http": ("http", "https"), "websocket": ("ws", "wss")}[kind][secure],
            "path": unquote(raw_path),
            "raw_path": raw_path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": self._application.root_path,
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.get_all()
            ],
            "client": (request.remote_ip, 0),
            "server": (host, int(port) if port.isdigit() else (443 if secure else 80)),
            "state": dict(self._application.state),
            "extensions": {"lgnb": {"handler": self}},
            **self.admission(),
            **more,
        }


@stream_request_body
class AsgiHandler(_Admission):
    """One request to the application; its body and its answer flow piece by piece."""

    # Another handler has answered, and written its line of the log.
    answered_within = False

    async def prepare(self) -> None:
        """The application begins before the body has arrived."""
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        self._over = asyncio.Event()
        self._received = 0
        self._status: int | None = None
        self._answering = asyncio.create_task(asyncio.sleep(0))
        if self._application.asks_first(self.request):
            await self.admit()
        elif not self.check_host():
            raise HTTPError(403)
        self._check_size(int(self.request.headers.get("Content-Length") or 0))
        scope = self.scope("http", method=self.request.method)
        self._answering = asyncio.create_task(self._answer(scope))

    async def data_received(self, chunk: bytes) -> None:
        self._received += len(chunk)
        self._check_size(self._received)
        await self._pass_on(chunk)

    def _check_size(self, size: int) -> None:
        most = self.host.settings.max_body_bytes
        if size > most:
            raise HTTPError(413, f"The body is larger than {most} bytes.")

    async def _pass_on(self, chunk: bytes | None) -> None:
        """Wait until the application takes it, or needs no more."""
        passing = asyncio.ensure_future(self._chunks.put(chunk))
        over = asyncio.ensure_future(self._over.wait())
        await asyncio.wait({passing, over}, return_when=asyncio.FIRST_COMPLETED)
        passing.cancel()
        over.cancel()

    @allow_unauthenticated
    async def _whole(self, *args: Any, **kwargs: Any) -> None:
        """Tornado calls this when the body is there."""
        await self._pass_on(None)
        await self._answering

    get = post = put = patch = delete = head = options = _whole  # pyright: ignore[reportAssignmentType]

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._over.set()

    def _log(self) -> None:
        if not self.answered_within:
            super()._log()

    async def _answer(self, scope: Scope) -> None:
        whole = False

        async def receive() -> Message:
            nonlocal whole
            if not whole:
                next_chunk = asyncio.ensure_future(self._chunks.get())
                over = asyncio.ensure_future(self._over.wait())
                await asyncio.wait({next_chunk, over}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if next_chunk.done():
                    chunk = next_chunk.result()
                    whole = chunk is None
                    return {"type": "http.request", "body": chunk or b"", "more_body": not whole}
                next_chunk.cancel()
            await self._over.wait()
            return {"type": "http.disconnect"}

        try:
            await self._application(scope, receive, self._send)
        except Exception:  # an operator's application may raise anything
            logger.exception("Request %s: http.app failed.", self.request_id)
        finally:
            self._over.set()
            if not self._finished and not self.gone.is_set():
                if self._status is None:
                    self.send_error(500)
                else:
                    # A clean end would pass for a whole answer.
                    self.drop_connection()

    async def _send(self, message: Message) -> None:
        if self.gone.is_set() or self._finished:
            return
        if message["type"] == "http.response.start":
            self._begin(message)
            return
        if message["type"] != "http.response.body":
            return
        body = bytes(message.get("body") or b"")
        if message.get("more_body"):
            self.send_at_once()
            try:
                await self.send(body)
            except ClientGone:
                self._over.set()
            return
        if body and self._may_have_a_body:
            self.write(body)
        self._over.set()
        self.finish()

    @property
    def _may_have_a_body(self) -> bool:
        return self.request.method != "HEAD" and self._status not in (204, 304)

    def _begin(self, message: Message) -> None:
        status = self._status = int(message["status"])
        self.clear()
        self.clear_header("Content-Type")
        self.set_status(status, http.client.responses.get(status, "Unknown"))
        for name, value in message.get("headers") or ():
            text = bytes(name).decode("latin-1")
            if text.lower() not in _HOP_HEADERS:
                self.add_header(text, bytes(value).decode("latin-1"))

    def finish(self, *args: Any, **kwargs: Any) -> Any:
        """As Tornado does it: Jupyter would name a content type of its own."""
        if self._status is None:
            return super().finish(*args, **kwargs)
        return super(APIHandler, self).finish(*args)


class AsgiSocketHandler(_Admission, WebSocketHandler):  # pyright: ignore[reportIncompatibleMethodOverride]
    """One WebSocket to the application, which accepts or refuses it."""

    async def prepare(self) -> None:
        self._incoming: asyncio.Queue[Message] = asyncio.Queue(_MOST_WAITING)
        self._decided: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._opened = asyncio.Event()
        if self._application.asks_first(self.request):
            await self.admit()
        elif not self.check_host():
            raise HTTPError(403)

    @allow_unauthenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        asked = self.request.headers.get("Sec-WebSocket-Protocol", "")
        subprotocols = [name.strip() for name in asked.split(",") if name.strip()]
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._serving = asyncio.create_task(self._serve(self.scope("websocket", subprotocols=subprotocols)))
        answer = await self._decided
        if answer["type"] != "websocket.accept":
            raise HTTPError(int(answer.get("status", 403)))
        self._subprotocol = cast("str | None", answer.get("subprotocol"))
        for name, value in answer.get("headers") or ():
            self.add_header(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
        await super().get(*args, **kwargs)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return self._subprotocol

    async def open(self, *args: Any, **kwargs: Any) -> None:
        self._opened.set()

    async def on_message(self, message: str | bytes) -> None:
        # Tornado reads the next frame only when this returns, so a flood waits in the client.
        kind = "text" if isinstance(message, str) else "bytes"
        await self._incoming.put({"type": "websocket.receive", kind: message})

    def on_close(self) -> None:
        leaving = {"type": "websocket.disconnect", "code": self.close_code or _NO_STATUS}
        if self._incoming.full():
            self._incoming.get_nowait()
        self._incoming.put_nowait(leaving)

    async def _serve(self, scope: Scope) -> None:
        refusal: Message = {"type": "websocket.close", "status": 500}
        try:
            await self._application(scope, self._incoming.get, self._send)
            refusal = {"type": "websocket.close"}
        except Exception:  # an operator's application may raise anything
            logger.exception("Request %s: the socket of http.app failed.", self.request_id)
        finally:
            if not self._decided.done():
                self._decided.set_result(refusal)
            elif self._opened.is_set():
                self.close(_INTERNAL_ERROR if "status" in refusal else 1000)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._decided.set_result(message)
            await self._opened.wait()
        elif kind == "websocket.close":
            if not self._decided.done():
                self._decided.set_result(message)
            else:
                self.close(message.get("code", 1000), message.get("reason") or None)
        elif kind == "websocket.send":
            text = message.get("text")
            try:
                await self.write_message(text if text is not None else message["bytes"], binary=text is None)
            except WebSocketClosedError:
                return


class TornadoApp:
    """An ASGI application whose answers come from Tornado's handlers.

    Args:
        find: who answers a request; it must not find the handlers of this module again.
    """

    def __init__(self, find: Callable[[HTTPServerRequest], HTTPMessageDelegate]) -> None:
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outer: AsgiHandler = scope["extensions"]["lgnb"]["handler"]
        outer.answered_within = True
        body = bytearray()
        while (message := await receive())["type"] == "http.request":
            body += message.get("body") or b""
            if not message.get("more_body"):
                break
        else:
            return  # the client has gone
        connection = _Connection(outer.request.connection)
        headers = HTTPHeaders()
        for name, value in scope["headers"]:
            headers.add(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
        start_line = RequestStartLine(scope["method"], _uri(scope, outer.request), "HTTP/1.1")
        request = HTTPServerRequest(start_line=start_line, headers=headers, connection=connection)
        delegate = self._find(request)
        started = delegate.headers_received(start_line, headers)
        if started is not None:
            await started
        if body and (taken := delegate.data_received(bytes(body))) is not None:
            await taken
        delegate.finish()
        leaving = asyncio.ensure_future(_until_gone(receive, connection))
        try:
            await connection.pump(send)
        finally:
            leaving.cancel()


async def _until_gone(receive: Receive, connection: _Connection) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    connection.close()


def _uri(scope: Scope, request: HTTPServerRequest) -> str:
    """The address as it was asked for, unless a middleware has changed it."""
    path, _, query = str(request.uri).partition("?")
    if unquote(path) != scope["path"]:
        path = quote(scope["path"])
    query = bytes(scope["query_string"]).decode("latin-1")
    return f"{path}?{query}" if query else path


class _Connection(HTTPConnection):
    """Takes what a handler writes, and gives it on as ASGI messages."""

    def __init__(self, outer: HTTPConnection | None) -> None:
        # Handlers ask who is at the other end, and close it when somebody reads too slowly.
        self.context = getattr(outer, "context", None)
        self.stream = getattr(outer, "stream", None)
        self._messages: asyncio.Queue[tuple[Message, asyncio.Future[None]]] = asyncio.Queue()
        self._on_close: Callable[[], None] | None = None
        self._closed = asyncio.Event()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        self._on_close = callback

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> asyncio.Future[None]:
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.get_all()]
        status = cast(ResponseStartLine, start_line).code
        started = self._put({"type": "http.response.start", "status": status, "headers": pairs})
        return self.write(chunk) if chunk else started

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._put({"type": "http.response.body", "body": chunk, "more_body": True})

    def finish(self) -> None:
        self._put({"type": "http.response.body", "body": b"", "more_body": False})

    def close(self) -> None:
        """The client has gone."""
        callback, self._on_close = self._on_close, None
        if callback is not None:
            callback()
        self._closed.set()

    async def pump(self, send: Send) -> None:
        """Send until the handler has finished, or the client has gone."""
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            more = True
            while more:
                waiting = asyncio.ensure_future(self._messages.get())
                await asyncio.wait({waiting, closed}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    return
                message, sent = waiting.result()
                await send(message)
                if not sent.done():
                    sent.set_result(None)
                more = message.get("more_body", True)
        finally:
            closed.cancel()

    def _put(self, message: Message) -> asyncio.Future[None]:
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._messages.put_nowait((message, sent))
        return sent
