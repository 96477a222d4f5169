"""The `http` section of `langgraph.json`: an application of one's own, paths, foreign origins, headers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import Field, field_validator

from ..errors import SettingsError
from ..models.http import CorsConfig, HeaderRule, HttpConfig, MiddlewareOrder, RouteGroup
from ..settings import Settings
from .project import Project
from .sections import Section, key_warnings, read_section

_PREFIX = re.compile(r"(/[A-Za-z0-9_.~-]+)+")
_RESERVED_PREFIX = "/noauth"

# What a setting that names only origins leaves to the API: what its clients send, and what they have to see.
_API_METHODS = ("*",)
_API_HEADERS = ("*",)
_API_EXPOSED = ("content-location", "location", "x-pagination-next", "x-pagination-total", "x-request-id")


class _Headers(Section):
    includes: list[str] = Field(default_factory=list)
    excludes: list[str] = Field(default_factory=list)

    def rule(self) -> HeaderRule:
        return HeaderRule(
            includes=tuple(name.lower() for name in self.includes),
            excludes=tuple(name.lower() for name in self.excludes),
        )


class _Cors(Section):
    allow_origins: list[str] = Field(default_factory=list)
    allow_methods: list[str] = Field(default_factory=lambda: ["GET"])
    allow_headers: list[str] = Field(default_factory=list)
    allow_credentials: bool = False
    allow_origin_regex: str | None = None
    expose_headers: list[str] = Field(default_factory=list)
    max_age: int = Field(default=600, ge=0)

    @field_validator("allow_origin_regex")
    @classmethod
    def _is_a_pattern(cls, text: str | None) -> str | None:
        try:
            re.compile(text or "")
        except re.error as error:
            raise ValueError(f"it is no regular expression ({error})") from None
        return text


class _Http(Section):
    app: str | None = None
    enable_custom_route_auth: bool = False
    middleware_order: MiddlewareOrder = "middleware_first"
    mount_prefix: str | None = None
    disable_assistants: bool = False
    disable_threads: bool = False
    disable_runs: bool = False
    disable_store: bool = False
    disable_mcp: bool = False
    disable_a2a: bool = False
    disable_ui: bool = False
    disable_meta: bool = False
    disable_webhooks: bool = False
    disable_event_streaming: bool = False
    cors: _Cors | None = None
    configurable_headers: _Headers = Field(default_factory=_Headers)
    logging_headers: _Headers = Field(default_factory=_Headers)

    @field_validator("mount_prefix")
    @classmethod
    def _is_a_prefix(cls, prefix: str | None) -> str | None:
        if prefix and not _PREFIX.fullmatch(prefix):
            raise ValueError("it must begin with a slash, not end with one, and hold only letters, digits and -._~")
        if prefix and (prefix + "/").startswith(_RESERVED_PREFIX + "/"):
            raise ValueError(f"{_RESERVED_PREFIX} is reserved")
        return prefix

    @field_validator("app")
    @classmethod
    def _is_a_place(cls, app: str | None) -> str | None:
        place, _, variable = (app or "x:x").rpartition(":")
        if not place or not variable.isidentifier():
            raise ValueError("it must be written like './file.py:app'")
        return app


def http_config(project: Project, settings: Settings, warnings: list[str]) -> HttpConfig:
    """The section as configuration, with what the settings say instead of it.

    Raises:
        SettingsError: a value is wrong.
    """
    section = read_section(_Http, project.http, name="http", path=project.path)
    warnings += key_warnings(section, name="http")
    prefix = section.mount_prefix
    if settings.mount_prefix is not None:
        given = {"mount_prefix": settings.mount_prefix}
        prefix = read_section(_Http, given, name="settings", path=Path("LGNB_MOUNT_PREFIX")).mount_prefix
    disabled: set[RouteGroup] = {group for group in get_args(RouteGroup) if getattr(section, f"disable_{group}")}
    if not settings.event_streaming:
        disabled.add("event_streaming")
    return HttpConfig(
        app=section.app,
        custom_routes_need_credentials=section.enable_custom_route_auth,
        middleware_order=section.middleware_order,
        mount_prefix=prefix or "",
        disabled=frozenset(disabled),
        sends_webhooks=not section.disable_webhooks,
        cors=_cors(section.cors, settings.cors, warnings),
        configurable_headers=section.configurable_headers.rule(),
        logging_headers=section.logging_headers.rule(),
    )


def _cors(section: _Cors | None, override: str | None, warnings: list[str]) -> CorsConfig | None:
    if override is not None:
        section = _overriding_cors(override)
    if section is None:
        return None
    with_credentials = section.allow_credentials
    if with_credentials and "*" in section.allow_origins:
        # The session of a notebook server opens files and kernels; no page of just anybody may use it.
        with_credentials = False
        warnings.append(
            "langgraph.json: 'http.cors.allow_credentials' is not honoured together with the origin '*', "
            "since every page on the web could use the session of this Jupyter server; name the origins."
        )
    return CorsConfig(
        allow_origins=tuple(section.allow_origins),
        allow_origin_regex=section.allow_origin_regex,
        allow_methods=tuple(method.upper() for method in section.allow_methods),
        allow_headers=tuple(name.lower() for name in section.allow_headers),
        allow_credentials=with_credentials,
        expose_headers=tuple(section.expose_headers),
        max_age_seconds=section.max_age,
    )


def _overriding_cors(text: str) -> _Cors:
    """The JSON of `http.cors`, or origins separated by commas."""
    path = Path("LGNB_CORS")
    if not text.lstrip().startswith("{"):
        origins = [origin.strip() for origin in text.split(",") if origin.strip()]
        return _Cors(
            allow_origins=origins,
            allow_methods=list(_API_METHODS),
            allow_headers=list(_API_HEADERS),
            expose_headers=list(_API_EXPOSED),
        )
    try:
        given: Any = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{path}: this is not valid JSON ({error}).") from None
    return read_section(_Cors, cast("dict[str, Any]", given), name="cors", path=path)
