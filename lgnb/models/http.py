"""What `langgraph.json` says about the HTTP side of a server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

MiddlewareOrder = Literal["middleware_first", "auth_first"]

RouteGroup = Literal["assistants", "threads", "runs", "store", "mcp", "a2a", "ui", "meta", "event_streaming"]

# Credentials, and what proves that a request is no forgery: never copied anywhere, whatever a rule says.
SECRET_HEADERS = frozenset(
    ("authorization", "cookie", "proxy-authorization", "x-api-key", "x-service-key", "x-tenant-id", "x-xsrftoken")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRule:
    """Names of headers, in lower case; `*` stands for any characters. What is excluded is never picked."""

    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    def picks(self, name: str) -> bool:
        """Whether the header of this name shall be copied."""
        name = name.lower()
        if name in SECRET_HEADERS or not _fits(name, self.includes):
            return False
        return not _fits(name, self.excludes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsConfig:
    """Which pages of other origins may call; `*` stands for all origins, methods or headers."""

    allow_origins: tuple[str, ...] = ()
    allow_origin_regex: str | None = None
    allow_methods: tuple[str, ...] = ("GET",)
    allow_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    expose_headers: tuple[str, ...] = ()
    max_age_seconds: int = 600

    def grants(self, origin: str) -> bool:
        """Whether a page of this origin may call."""
        if "*" in self.allow_origins or origin in self.allow_origins:
            return True
        return self.allow_origin_regex is not None and re.fullmatch(self.allow_origin_regex, origin) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """The section `http`, checked.

    Attributes:
        app: where the operator's ASGI application is, as `./file.py:variable`.
        mount_prefix: what every path begins with, such as `/v1`; empty for none.
        disabled: groups of routes that do not exist.
        cors: None leaves it to what Jupyter is told of foreign origins.
    """

    app: str | None = None
    custom_routes_need_credentials: bool = False
    middleware_order: MiddlewareOrder = "middleware_first"
    mount_prefix: str = ""
    disabled: frozenset[RouteGroup] = frozenset()
    sends_webhooks: bool = True
    cors: CorsConfig | None = None
    configurable_headers: HeaderRule = field(default_factory=HeaderRule)
    logging_headers: HeaderRule = field(default_factory=HeaderRule)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.lower().split("*")))
