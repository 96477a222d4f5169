"""The auth module of the operator: loaded once, asked for every request. What does not load stops the start."""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

from lgnb.errors import AccessDenied, SettingsError
from lgnb.graphs.operator_code import load_operator_code
from lgnb.graphs.project import Project
from lgnb.models.identity import Caller

from .dispatch import Handlers, ModuleAccess
from .parameters import ByName
from .requests import RequestFacts
from .section import AuthSection, CacheSection

_FACTS = ("identity", "permissions", "display_name", "is_authenticated")
_STUDIO = "langgraph-studio-user"


class AuthModuleFailed(RuntimeError):
    """The operator's code did something that no client can help: the answer is a 500, the log has the reason."""


class AuthModule:
    """Says who sends a request, and gives that caller's rights."""

    def __init__(self, auth: Any, section: AuthSection) -> None:
        self.section = section
        self._authenticate = ByName(_authenticator(auth))
        self._handlers = Handlers(auth)
        self._http_exception: type[Exception] = auth.exceptions.HTTPException
        self._cache = _Cache(section.cache) if section.cache else None

    async def authenticate(self, facts: RequestFacts) -> Caller:
        """The caller.

        Raises:
            AccessDenied: the module turns the request away.
        """
        if not self.section.disable_studio_auth and facts.header("X-Auth-Scheme") == "langsmith":
            return _studio_user()
        key = self._cache.key_of(facts) if self._cache else None
        if self._cache and key and (known := self._cache.get(key)):
            return known
        caller = await self._ask(facts)
        if self._cache and key:
            self._cache.put(key, caller)
        return caller

    def access_of(self, caller: Caller) -> ModuleAccess:
        """What this caller may do, decided by the module's handlers one question at a time."""
        return ModuleAccess(self._handlers, caller)

    async def _ask(self, facts: RequestFacts) -> Caller:
        try:
            result = await self._authenticate(facts)
        except self._http_exception as error:
            refused: Any = error
            if refused.status_code not in (401, 403):
                raise AuthModuleFailed(f"authenticate raised {refused!r}, but only 401 and 403 are answers.") from error
            raise AccessDenied(refused.detail, status=refused.status_code, headers=refused.headers) from error
        return caller_of(result)


def load_auth(section: AuthSection, project: Project) -> AuthModule | None:
    """The module that the section names, or None.

    Raises:
        SettingsError: it cannot be loaded, or cannot do its work; the sentence says why.
    """
    if section.path is None:
        return None
    place, _, variable = section.path.rpartition(":")
    if not place or not variable.isidentifier():
        raise SettingsError(
            f"auth.path {section.path!r} must be written like './file.py:variable' or 'package.module:variable'."
        )
    try:
        auth = _load(section.path, project)
        return AuthModule(auth, section)
    except SettingsError:
        raise
    except (Exception, SystemExit) as error:  # the operator's module may raise anything; then nobody is let in
        text = str(error) if isinstance(error, TypeError) else f"{type(error).__name__}: {error}"
        raise SettingsError(f"auth.path {section.path!r} cannot be used: {text}") from error


def _load(reference: str, project: Project) -> Any:
    from langgraph_sdk import Auth

    auth = load_operator_code(reference, key="auth.path", project=project)
    if not isinstance(auth, Auth):
        raise TypeError(f"it is a {type(auth).__name__}, but must be an Auth of langgraph_sdk.")
    if _authenticator(auth) is None:
        raise TypeError("no function is decorated with @auth.authenticate.")
    return auth


def _authenticator(auth: Any) -> Any:
    # The SDK keeps it under this name and offers no other way to it.
    return auth._authenticate_handler


def caller_of(result: Any) -> Caller:
    """What an authenticate function returned, as a caller: a name, a mapping, an object, or (permissions, user)."""
    if isinstance(result, tuple) and len(cast("tuple[Any, ...]", result)) == 2:
        permissions, user = cast("tuple[Any, Any]", result)
        caller = caller_of(user)
        return _ModuleCaller({**caller.as_dict(), "permissions": list(permissions)}, user)
    if isinstance(result, str):
        facts: dict[str, Any] = {"identity": result}
    elif isinstance(result, Mapping):
        facts = dict(cast("Mapping[str, Any]", result))
    else:
        facts = _facts_of(result)
    identity = facts.get("identity")
    if not isinstance(identity, str) or not identity:
        raise AuthModuleFailed(
            f"authenticate returned a {type(result).__name__}, but must return a text, or a mapping or object with "
            "an identity that is a text."
        )
    return _ModuleCaller(facts, result)


def _facts_of(user: Any) -> dict[str, Any]:
    if hasattr(user, "__pydantic_fields__"):
        own = user.model_dump()
    elif dataclasses.is_dataclass(user):
        own = {spec.name: getattr(user, spec.name) for spec in dataclasses.fields(user)}
    else:
        own = dict(getattr(user, "__dict__", {}))
    extras = {name: value for name, value in own.items() if not name.startswith("_") and not inspect.isroutine(value)}
    return extras | {name: getattr(user, name) for name in _FACTS if hasattr(user, name)}


class _ModuleCaller(Caller):
    """A caller who also offers what the module's own object does, to the module's handlers."""

    __slots__ = ("_original",)

    def __init__(self, facts: Mapping[str, Any], original: Any) -> None:
        super().__init__(
            facts["identity"],
            permissions=list(facts.get("permissions") or ()),
            display_name=facts.get("display_name"),
            is_authenticated=bool(facts.get("is_authenticated", True)),
            extras={name: value for name, value in facts.items() if name not in _FACTS},
        )
        self._original = original

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
            return getattr(self._original, name)


def _studio_user() -> Caller:
    from langgraph_sdk.auth.types import StudioUser

    return _ModuleCaller({"identity": _STUDIO, "permissions": ["authenticated"]}, StudioUser(_STUDIO, True))


class _Cache:
    """Callers by the headers that they sent. Refusals are not kept, and nothing is for requests without the headers."""

    def __init__(self, section: CacheSection) -> None:
        self._section = section
        self._known: OrderedDict[tuple[str | None, ...], tuple[float, Caller]] = OrderedDict()

    def key_of(self, facts: RequestFacts) -> tuple[str | None, ...] | None:
        key = tuple(facts.header(name) for name in self._section.cache_keys)
        return key if any(key) else None

    def get(self, key: tuple[str | None, ...]) -> Caller | None:
        until, caller = self._known.get(key, (0.0, None))
        return caller if time.monotonic() < until else None

    def put(self, key: tuple[str | None, ...], caller: Caller) -> None:
        self._known[key] = (time.monotonic() + self._section.ttl_seconds, caller)
        self._known.move_to_end(key)
        while len(self._known) > self._section.max_size:
            self._known.popitem(last=False)
