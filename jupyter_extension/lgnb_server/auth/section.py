"""The `auth` section of `langgraph.json`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lgnb.graphs.project import Project
from lgnb.graphs.sections import Section, read_section, unknown_keys


class CacheSection(Section):
    """How long the answer of authenticate counts for requests whose headers `cache_keys` say the same."""

    cache_keys: list[str] = Field(min_length=1)
    ttl_seconds: float = Field(default=60.0, gt=0)
    max_size: int = Field(default=1000, gt=0)


class OpenApiSection(Section):
    """What is added to the reference."""

    securitySchemes: dict[str, Any] = Field(default_factory=dict[str, Any])
    security: list[dict[str, list[str]]] | None = None
    paths: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])


class AuthSection(Section):
    path: str | None = None
    disable_studio_auth: bool = True
    openapi: OpenApiSection | None = None
    cache: CacheSection | None = None


def auth_section(project: Project, warnings: list[str]) -> AuthSection:
    """The section, checked.

    Raises:
        SettingsError: a value is wrong.
    """
    section = read_section(AuthSection, project.auth, name="auth", path=project.path)
    warnings += (f"langgraph.json: {name!r} is not honoured." for name in unknown_keys(section, name="auth"))
    return section
