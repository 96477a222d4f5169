"""The `checkpointer` section of `langgraph.json`: how long threads live, what checkpoints may be revived to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from ..errors import SettingsError
from ..models.checkpoints import RevivalConfig
from ..models.threads import ThreadTtl, ThreadTtlConfig, TtlStrategy
from .project import Project
from .sections import Section, key_warnings, read_section

_REVIVED_ANYWAY = "lgnb revives only what is named and what a graph's state declares; name your types in a list"


class _ThreadTtl(Section):
    strategy: TtlStrategy = "delete"
    default_ttl: float | None = Field(default=None, gt=0)
    sweep_interval_minutes: float = Field(default=5.0, gt=0)
    sweep_limit: int = Field(default=10_000, gt=0)


class _Serde(Section):
    allowed_json_modules: list[str | list[str]] | bool | None = None
    allowed_msgpack_modules: list[str | list[str]] | bool | None = None
    pickle_fallback: bool = False

    @field_validator("pickle_fallback")
    @classmethod
    def _never(cls, wanted: bool) -> bool:
        if wanted:
            raise ValueError("reading a pickle runs whatever code it names, so lgnb never does; remove the key")
        return wanted

    @field_validator("allowed_json_modules", "allowed_msgpack_modules")
    @classmethod
    def _names(cls, given: list[str | list[str]] | bool | None) -> list[str | list[str]] | bool | None:
        for name in given if isinstance(given, list) else ():
            if len(_parts(name)) < 2 or not all(part.isidentifier() for part in _parts(name)):
                raise ValueError(f"{name!r} is not the dotted name of a class, such as 'package.module.State'")
        return given


class _Checkpointer(Section):
    path: str | None = None
    backend: Literal["default", "custom", "mongo"] = "default"
    ttl: _ThreadTtl | None = None
    serde: _Serde = Field(default_factory=_Serde)


def checkpointer_config(
    project: Project, thread_ttl: str | None, warnings: list[str]
) -> tuple[ThreadTtlConfig, RevivalConfig]:
    """The section as configuration; `thread_ttl` is what a setting says in place of `checkpointer.ttl`.

    Raises:
        SettingsError: a value is wrong.
    """
    section = read_section(_Checkpointer, project.checkpointer, name="checkpointer", path=project.path)
    warnings += key_warnings(section, name="checkpointer")
    for key, wanted in (("path", section.path is not None), ("backend", section.backend != "default")):
        if wanted:
            warnings.append(
                f"langgraph.json: 'checkpointer.{key}' is not honoured: "
                "lgnb keeps checkpoints with a checkpointer of its own, in its Postgres."
            )
    for key in ("allowed_json_modules", "allowed_msgpack_modules"):
        if getattr(section.serde, key) is True:
            warnings.append(f"langgraph.json: 'checkpointer.serde.{key}': true is not honoured: {_REVIVED_ANYWAY}.")
    return _thread_ttl(section.ttl, thread_ttl), RevivalConfig(
        json_types=tuple(".".join(_parts(name)).split(".") for name in _listed(section.serde.allowed_json_modules)),
        msgpack_types=tuple(_module_and_name(name) for name in _listed(section.serde.allowed_msgpack_modules)),
    )


def _thread_ttl(section: _ThreadTtl | None, override: str | None) -> ThreadTtlConfig:
    section = section or _ThreadTtl()
    if override is not None:
        section = _overriding_ttl(override)
    default = section.default_ttl
    return ThreadTtlConfig(
        default=None if default is None else ThreadTtl(ttl_minutes=default, strategy=section.strategy),
        sweep_interval_minutes=section.sweep_interval_minutes,
        sweep_limit=section.sweep_limit,
    )


def _overriding_ttl(text: str) -> _ThreadTtl:
    try:
        given: Any = json.loads(text)
    except ValueError:
        given = None
    if isinstance(given, int | float) and not isinstance(given, bool):
        given = {"default_ttl": given}
    if not isinstance(given, dict):
        raise SettingsError(f"thread_ttl is {text[:64]!r}, but must be a number of minutes or a JSON object.")
    return read_section(_ThreadTtl, cast("dict[str, Any]", given), name="thread_ttl", path=Path("LGNB_THREAD_TTL"))


def _listed(given: list[str | list[str]] | bool | None) -> list[str | list[str]]:
    return given if isinstance(given, list) else []


def _parts(name: str | list[str]) -> list[str]:
    return [part for piece in ([name] if isinstance(name, str) else name) for part in piece.split(".")]


def _module_and_name(name: str | list[str]) -> tuple[str, str]:
    module, _, cls = ".".join(_parts(name)).rpartition(".")
    return module, cls
