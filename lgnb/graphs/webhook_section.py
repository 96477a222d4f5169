"""The `webhooks` section of `langgraph.json`: which addresses, which headers, which fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from ..errors import SettingsError
from ..models.webhooks import PAYLOAD_FIELDS, UrlPolicy, WebhookConfig
from .project import Project
from .sections import Section, key_warnings, read_section

_VARIABLE = re.compile(r"\$\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset(("host", "content-length", "content-type", "transfer-encoding", "connection"))


class _Url(Section):
    require_https: bool = True
    allowed_domains: list[str] = Field(default_factory=list)
    allowed_ports: list[int] = Field(default_factory=list)
    max_url_length: int = Field(default=2048, gt=0)
    disable_loopback: bool = True
    disable_private_ips: bool = False


class _Webhooks(Section):
    env_prefix: str = Field(default="LG_WEBHOOK_", min_length=1)
    headers: dict[str, str] = Field(default_factory=dict)
    url: _Url | None = None
    allowed_fields: list[Literal[PAYLOAD_FIELDS]] | None = None  # pyright: ignore[reportInvalidTypeForm]  # pydantic reads the tuple

    @field_validator("headers")
    @classmethod
    def _names_are_names(cls, headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS or name.lower().startswith("x-lgnb-"):
                raise ValueError(f"{name!r} cannot be set as a header")
        return headers


def webhook_config(project: Project, warnings: list[str], *, enabled: bool = True) -> WebhookConfig:
    """The section as configuration; headers still hold their variables, see `filled_headers`.

    Raises:
        SettingsError: a value is wrong, or a header names a variable without the prefix.
    """
    section = read_section(_Webhooks, project.webhooks, name="webhooks", path=project.path)
    warnings += key_warnings(section, name="webhooks")
    for text in section.headers.values():
        for name in _VARIABLE.findall(text):
            if not name.startswith(section.env_prefix):
                raise SettingsError(
                    f"webhooks.headers names the variable {name}, but only those that begin with "
                    f"{section.env_prefix} may be sent; see webhooks.env_prefix."
                )
    url = section.url
    return WebhookConfig(
        policy=UrlPolicy()
        if url is None
        else UrlPolicy(
            require_https=url.require_https,
            allowed_domains=tuple(url.allowed_domains),
            allowed_ports=tuple(url.allowed_ports),
            max_url_length=url.max_url_length,
            disable_loopback=url.disable_loopback,
            disable_private_ips=url.disable_private_ips,
        ),
        headers=section.headers,
        allowed_fields=None if section.allowed_fields is None else tuple(section.allowed_fields),
        enabled=enabled,
    )


def filled_headers(headers: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Headers with their variables filled in.

    Raises:
        SettingsError: a variable is not set, or holds what no header may hold.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise SettingsError(f"webhooks.headers needs the variable {match[1]}, which is not set.")
        return environment[match[1]]

    filled = {name: _VARIABLE.sub(value_of, text) for name, text in headers.items()}
    for name, text in filled.items():
        if not text.isascii() or not text.isprintable():
            raise SettingsError(f"The value of the webhook header {name!r} holds a character that no header may hold.")
    return filled
