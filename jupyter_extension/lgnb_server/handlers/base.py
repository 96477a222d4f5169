"""The one way into the API: credentials, authorization, parsing, answers and errors of every handler."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import TracebackType
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from jupyter_core.utils import ensure_async
from jupyter_server.auth import IdentityProvider, User
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from opentelemetry.trace import Span
from pydantic import BaseModel
from tornado.web import HTTPError

from lgnb import telemetry
from lgnb.errors import AccessDenied, InvalidRequest, LgnbError, NotReady
from lgnb.json_encoding import encode
from lgnb.loopback import RUN_HEADER
from lgnb.models.access import UNRESTRICTED, Access
from lgnb.models.identity import Caller
from lgnb.models.pages import Page
from lgnb.resources import Resources
from lgnb.resources.encryption import HEADER
from lgnb.resources.limits import requester
from lgnb.telemetry import passed_on

from .. import parsing
from ..auth.ownership import OwnerAccess, names_users
from ..auth.requests import RequestFacts
from ..callers import KEY_USER_NAME, caller_of
from ..configurables import configurables_of, picked
from ..cors import answer_headers, preflight
from ..host import Host
from ..hub import token_of_server
from ..keys import authorization_secret, same_secret
from ..refusals import refusal
from ..request_log import counted_only
from ..route import MOUNT, UUID_PARAMETERS, Route

logger = logging.getLogger(__name__)

_NO_CREDENTIALS = (
    "Credentials are missing or wrong. Send a key as x-api-key, or the Jupyter token as Authorization: Bearer."
)
_ALLOWED_HEADERS = (
    "accept, authorization, cache-control, content-type, last-event-id, prefer, x-api-key, x-auth-scheme, "
    "x-request-id, x-xsrftoken"
)
_EXPOSED_HEADERS = (
    "content-location, location, retry-after, x-lgnb-ignored-fields, "
    "x-pagination-next, x-pagination-total, x-request-id"
)
_BROWSER_HEADERS = ("Origin", "Referer", "Cookie", "Sec-Fetch-Site")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_KEY_USER = User(username=KEY_USER_NAME, name="API key", display_name="API key", initials="K")

M = TypeVar("M", bound=BaseModel)


class KnownUser(IdentityProvider):
    """Stands in for the provider of the server when it is known already who calls."""

    def __init__(self, user: User, *, by_token: bool) -> None:
        super().__init__()
        self._user = user
        self._by_token = by_token

    def get_user(self, handler: Any) -> User:
        return self._user

    def is_token_authenticated(self, handler: Any) -> bool:
        return self._by_token


@cache
def _known_by_key() -> KnownUser:
    # Traits make it dear, and it is the same for every request.
    return KnownUser(_KEY_USER, by_token=True)


class LgnbHandler(APIHandler):
    """Base of all handlers. A subclass has a method per verb; the route table says who may call it."""

    # The run whose graph sent this request through its worker. Nobody without the key of workers can name one.
    calling_run: UUID | None = None
    # What the operator's auth module said of the caller.
    told_caller: Caller | None = None
    _span: Span | None = None

    def initialize(self, host: Host, routes: Mapping[str, Route]) -> None:
        self.host = host
        self.routes = routes
        self.caller = ""
        self.access: Access = UNRESTRICTED
        self._known: KnownUser | None = None
        self._is_own_code = False
        sent = self.request.headers.get("X-Request-Id", "")
        self.request_id = sent if _REQUEST_ID.fullmatch(sent) else str(uuid4())
        self.set_header("X-Request-Id", self.request_id)

    def set_default_headers(self) -> None:
        """Jupyter's, without the version of Tornado."""
        super().set_default_headers()
        self.clear_header("Server")

    @property
    def resources(self) -> Resources:
        """The resources, acting for the caller. Raises NotReady, which answers 503, until the server has started."""
        resources = self.host.resources
        return resources if self.access is UNRESTRICTED else resources.acting_for(self.access)

    # Who is calling, and may they?

    def refuse_where_callers_are_kept_apart(self, reason: str) -> None:
        """Raises AccessDenied where what is asked for would tell one caller of another."""
        if self.access.restricts:
            raise AccessDenied(reason)

    async def prepare(self) -> None:
        self._begin_span()
        route = self._route
        is_public = self.request.method == "OPTIONS" or bool(route and route.public)
        if not is_public:
            await self._admit()
        elif self.host.module is None:
            self._accept_key()
        await self._let_jupyter_prepare()
        if self._finished or self.request.method == "OPTIONS":
            return
        if not is_public:
            # Jupyter itself only asks for a user when allow_unauthenticated_access is off.
            if not self.logged_in:
                raise HTTPError(401, _NO_CREDENTIALS)
            if self.host.owners is not None and not self._is_own_code:
                self.access = self.host.owners.access_of(
                    self.current_user, provider=super().identity_provider, by_key=self._known is not None
                )
            await self._authorize(route)
            self.caller = caller_of(self)
            requester.set(self.caller)
            await self._begin_encryption()
        if route is None:
            raise HTTPError(405 if self.routes else 404)
        if len(self.request.body) > self.host.settings.max_body_bytes:
            raise HTTPError(413, f"The body is larger than {self.host.settings.max_body_bytes} bytes.")
        self._read_ids()

    async def _let_jupyter_prepare(self) -> None:
        try:
            await super().prepare()
        except HTTPError as error:
            if error.status_code < 500:
                raise
            # Only who says who somebody is fails here: a Hub, for one, and with its address.
            logger.error("Request %s: %s", self.request_id, error)
            raise NotReady("Nobody can say at the moment who calls; the server's log has the reason.") from error

    async def _admit(self) -> None:
        """Find out who calls: from the operator's auth module, or else by a key; what is left is Jupyter's."""
        self.current_user = self._jupyter_current_user = None
        if not self.check_host():
            return  # Jupyter refuses it
        # Until the host is open, nobody knows whether it has an auth module.
        resources, module = self.host.resources, self.host.module
        if module is None and self.host.owners is None:
            self._accept_key()
        elif await self._admit_own_code(resources):
            self._is_own_code = True
        elif module is None:
            self._accept_key()
        else:
            root = url_path_join(self.base_url, MOUNT + self.host.http.mount_prefix)
            facts = RequestFacts(self.request, root=root, path_params=self._path_params())
            caller = await module.authenticate(facts)
            self.access, self.told_caller = module.access_of(caller), caller
            user = User(username=caller.identity, name=caller.display_name, display_name=caller.display_name)
            self._known = KnownUser(user, by_token=False)

    async def _admit_own_code(self, resources: Resources) -> bool:
        """Let in the operator's application with every right, and a graph with those of whoever started its run."""
        secrets = self._secrets()
        if any(self.host.keys.is_application(secret) for secret in secrets):
            self._known = _known_by_key()
            return True
        if not any(self.host.keys.is_worker(secret) for secret in secrets):
            return False
        self.calling_run = _calling_run(self.request.headers.get(RUN_HEADER))
        caller = await resources.runs.caller_of(self.calling_run) if self.calling_run else None
        if caller is None:
            raise AccessDenied("A worker calls for a run, and this one names none that anybody started.", status=401)
        self.access = self._access_of(caller)
        self._known = KnownUser(_worker_user(self.calling_run), by_token=True)
        return True

    def _access_of(self, caller: Caller) -> Access:
        return self.host.module.access_of(caller) if self.host.module else OwnerAccess(caller)

    def _secrets(self) -> list[str]:
        api_key = self.request.headers.get("X-Api-Key", "")
        authorization = self.request.headers.get("Authorization", "")
        return [secret for secret in (api_key, authorization_secret(authorization)) if secret]

    def _path_params(self) -> dict[str, str]:
        texts = cast("dict[str, Any]", self.path_kwargs)
        return {name: text if isinstance(text, str) else text.decode() for name, text in texts.items() if text}

    @property
    def identity_provider(self) -> IdentityProvider:
        """Jupyter's own, or one that knows already who this is."""
        return self._known or super().identity_provider

    def _begin_span(self) -> None:
        if not telemetry.is_traced():
            return
        route = self._route
        attributes = {"http.request.method": str(self.request.method), "lgnb.request_id": self.request_id}
        if route is not None:
            attributes["http.route"] = route.path
        name = f"{self.request.method} {route.path if route else 'unknown'}"
        self._span = telemetry.begin_request(name, self.request.headers, attributes)

    def on_finish(self) -> None:
        if self._span is not None:
            telemetry.end_request(self._span, self.get_status())
            self._span = None
        super().on_finish()

    async def _begin_encryption(self) -> None:
        """Where the operator's handlers encrypt what is stored: in whose name that is done for this request."""
        encryption = self.host.resources.encryption if self.host.is_open else None
        if encryption is not None:
            user = cast(User, self.current_user)
            known = self.access.caller or Caller(user.username, display_name=user.display_name)
            sent = self.request.headers.get(HEADER)
            await encryption.begin(sent, caller=known, calling_run=self.calling_run)

    @property
    def _route(self) -> Route | None:
        return self.routes.get("GET" if self.request.method == "HEAD" else str(self.request.method))

    def _accept_key(self) -> None:
        """Take a key of this server, or Jupyter's token, from x-api-key; leave everything else to Jupyter.

        An unknown x-api-key is no error by itself: SDKs send whatever LangSmith key lies in the environment.
        """
        api_key = self.request.headers.get("X-Api-Key", "")
        authorization = self.request.headers.get("Authorization", "")
        candidates = self._secrets()
        token = getattr(self.identity_provider, "token", "")
        if any(self.host.keys.accept(candidate) for candidate in candidates) or (
            api_key and token and same_secret(api_key, token)
        ):
            hub_token = token_of_server()
            if hub_token and names_users(self.identity_provider):
                # The Hub says whose server this is, and what its authorizer wants to know of him.
                self.request.headers["Authorization"] = f"token {hub_token}"
            else:
                self._known = _known_by_key()
        elif any(self.host.keys.is_worker(candidate) for candidate in candidates):
            self.calling_run = _calling_run(self.request.headers.get(RUN_HEADER))
            self._known = KnownUser(_worker_user(self.calling_run), by_token=True)
        elif api_key and not authorization:
            # The identity provider of a hub knows tokens that nobody else does.
            self.request.headers["Authorization"] = f"token {api_key}"

    async def _authorize(self, route: Route | None) -> None:
        # Not by Jupyter's @authorized: it remembers action and resource of the first request per function.
        if route is None or route.action is None or route.resource is None or self._is_own_code:
            return
        user = cast(User, self.current_user)
        allowed = self.authorizer.is_authorized(self, user, route.action, route.resource)
        if not await ensure_async(allowed):
            raise HTTPError(403, f"You may not {route.action} {route.resource}.")

    def get_login_url(self) -> str:
        raise HTTPError(401, _NO_CREDENTIALS)

    def check_xsrf_cookie(self) -> None:
        if not hasattr(self, "_jupyter_current_user"):
            return  # Tornado asks before the user is known; prepare() asks again
        if not self.logged_in:
            # A Hub asks before it says whose cookie this is.
            try:
                super().check_xsrf_cookie()
            except HTTPError:
                raise HTTPError(401, _NO_CREDENTIALS) from None
            return
        if self.host.module is not None:
            # What a module accepts may be a cookie, which a browser sends along from any page.
            if not self.check_origin():
                raise HTTPError(403, "This origin is not allowed.")
            return
        from_browser = any(name in self.request.headers for name in _BROWSER_HEADERS)
        if not self.identity_provider.auth_enabled and not from_browser:
            return  # with authentication off, a script has nothing to show and forges nobody's request
        super().check_xsrf_cookie()

    # What was asked?

    def body(self, model: type[M]) -> M:
        """The checked body; fields the model does not know are named in a response header."""
        parsed, ignored = parsing.read_model(model, self.request.body)
        self.name_ignored(ignored)
        return parsed

    def name_ignored(self, fields: list[str]) -> None:
        """Tell in a header which fields of the body mean nothing here."""
        if fields:
            self.set_header("X-Lgnb-Ignored-Fields", parsing.ignored_fields_header(fields))

    def configurables(self) -> dict[str, Any]:
        """What the configurable of a run or a graph takes from the headers of this request."""
        rule = self.host.http.configurable_headers
        return configurables_of(self.request.headers, rule) | passed_on(self._span, self.request.headers)

    def query_flag(self, name: str) -> bool:
        """Whether a query parameter says true, yes or 1."""
        return self.get_query_argument(name, "").lower() in ("true", "yes", "1")

    def query_number(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number from the query, within bounds."""
        text = self.get_query_argument(name, "")
        if not text:
            return default
        if not re.fullmatch(r"-?\d{1,18}", text) or not least <= int(text) <= most:
            raise InvalidRequest(f"{name} must be a whole number from {least} to {most}.")
        return int(text)

    def query_list(self, name: str, *, choices: Sequence[str] | None = None) -> list[str] | None:
        """A list from the query: the parameter repeated, a JSON array, or separated by commas."""
        values: list[str] = []
        for text in self.get_query_arguments(name):
            values += _json_texts(text) if text.startswith("[") else [part.strip() for part in text.split(",")]
        values = [value for value in values if value]
        for value in values:
            if choices is not None and value not in choices:
                raise InvalidRequest(f"{name} holds {value[:64]!r}, but allows only {', '.join(choices)}.")
        return values or None

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            raise HTTPError(422, f"{name or 'The address'} is not UTF-8.") from None
        if "\0" in text:
            raise HTTPError(422, f"{name or 'The address'} holds a NUL character.")
        return text

    def _read_ids(self) -> None:
        for name in UUID_PARAMETERS:
            if (text := self.path_kwargs.get(name)) is not None:
                self.path_kwargs[name] = cast(Any, read_uuid(text, name=name))

    # What is answered?

    def answer(self, value: Any, *, status: int = 200) -> None:
        """Finish with `value` as JSON."""
        self.set_status(status)
        self.finish(encode(value))

    def answer_empty(self, *, status: int = 204) -> None:
        """Finish without a body."""
        self.set_status(status)
        self.finish()

    def answer_page(self, page: Page[Any], rows: list[dict[str, Any]]) -> None:
        """Finish with the rows of a page, and say where the next page begins."""
        self.set_header("X-Pagination-Total", str(page.total_header))
        if page.next_offset is not None:
            self.set_header("X-Pagination-Next", str(page.next_offset))
        self.answer(rows)

    @allow_unauthenticated
    async def head(self, *args: Any, **kwargs: Any) -> None:
        """The headers of GET; prepare() has let the caller in by the rules of GET."""
        await cast(Any, self.get(*args, **kwargs))

    def compute_etag(self) -> None:
        """None: hashing every answer would save nothing, since rows carry their own times."""

    def check_etag_header(self) -> bool:
        """False, without reading what the client knows: see `compute_etag`."""
        return False

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        told = refusal(error, status=status_code, request_id=self.request_id)
        # Tornado has cleared the headers that prepare() set.
        self.set_header("X-Request-Id", self.request_id)
        if hasattr(self, "_jupyter_current_user"):
            self.set_cors_headers()
        for name, value in told.headers.items():
            self.set_header(name, value)
        self.set_status(told.status)
        self.finish(encode(told.body))

    def _log(self) -> None:
        if not counted_only(self):
            super()._log()
        if told := picked(self.request.headers, self.host.http.logging_headers):
            shown = " ".join(f"{name}={encode(value).decode()}" for name, value in sorted(told.items()))
            logger.info("%s %s %d %s", self.request.method, self.request.path, self.get_status(), shown)

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        if isinstance(value, NotReady):
            logger.warning("Request %s: %s", self.request_id, value)
        elif not isinstance(value, HTTPError | LgnbError):
            logger.error("Request %s failed.", self.request_id, exc_info=value)

    # From where may a browser ask?

    def set_cors_headers(self) -> None:
        """Only what allow_origin and allow_origin_pat grant, or `http.cors`; a token in the request grants nothing."""
        if self.host.http.cors is not None:
            for name, value in answer_headers(self.host.http.cors, self.get_origin() or "").items():
                self.set_header(name, value)
            return
        origin = self._granted_origin()
        if origin is None:
            return
        self.set_header("Access-Control-Allow-Origin", origin)
        self.set_header("Access-Control-Expose-Headers", _EXPOSED_HEADERS)
        if origin != "*":
            self.set_header("Vary", "Origin")
        if self.allow_credentials:
            self.set_header("Access-Control-Allow-Credentials", "true")

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Whether pages of the request's origin may call at all."""
        cors, origin = self.host.http.cors, self.get_origin()
        return bool(cors and origin and cors.grants(origin)) or super().check_origin(origin_to_satisfy_tornado)

    def _granted_origin(self) -> str | None:
        origin = self.get_origin()
        if not origin:
            return None
        if self.allow_origin == "*":
            return "*"
        if self.allow_origin:
            return origin if origin == self.allow_origin else None
        if self.allow_origin_pat and re.match(self.allow_origin_pat, origin):
            return origin
        return None

    @allow_unauthenticated
    def options(self, *args: Any, **kwargs: Any) -> None:
        """The preflight of a browser."""
        if self.host.http.cors is not None:
            told = preflight(self.host.http.cors, self.get_origin() or "", self.request.headers)
            for name, value in told.headers.items():
                self.set_header(name, value)
            self.set_status(told.status)
            self.finish(told.text, set_content_type="text/plain; charset=utf-8")
            return
        self.set_header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
        self.set_header("Access-Control-Allow-Headers", _ALLOWED_HEADERS)
        self.set_header("Access-Control-Max-Age", "600")
        origin = self.get_origin()
        foreign = bool(origin) and urlsplit(str(origin)).netloc != self.request.host
        refused = foreign and self._granted_origin() is None
        self.set_status(400 if refused else 200)
        self.finish("This origin is not allowed." if refused else "OK", set_content_type="text/plain; charset=utf-8")

    # When is a long answer over?

    @property
    def gone(self) -> asyncio.Event:
        """Set when the client has left or the server stops."""
        if not hasattr(self, "_gone"):
            self._gone = asyncio.Event()
        return self._gone

    def on_connection_close(self) -> None:
        self.gone.set()
        super().on_connection_close()


class UnknownPathHandler(LgnbHandler):
    """Everything under the mount that no route names."""


def _calling_run(text: str | None) -> UUID | None:
    return read_uuid(text, name=RUN_HEADER) if text else None


def _worker_user(run_id: UUID | None) -> User:
    """The caller as Jupyter's authorizer and its log see it."""
    name = f"run-{run_id}" if run_id else "lgnb-worker"
    return User(username=name, name=name, display_name=name, initials="W")


def read_uuid(text: str, *, name: str) -> UUID:
    """A UUID in its usual form; raises InvalidRequest otherwise."""
    try:
        value = UUID(text)
    except ValueError:
        raise InvalidRequest(f"{name} is not a UUID.") from None
    if len(text) != 36:
        raise InvalidRequest(f"{name} is not a UUID.")
    return value


def _json_texts(text: str) -> list[str]:
    try:
        values: Any = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise InvalidRequest("A list in the query must be a JSON array of texts.")
    return [str(value) for value in cast(list[Any], values)]
