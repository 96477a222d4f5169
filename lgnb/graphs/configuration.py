"""The sections of `langgraph.json` that the whole server honours, checked and typed, for hosts and workers alike."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, model_validator

from ..errors import SettingsError
from ..models.store import AnnKind, Distance, IndexConfig, StoreConfig, VectorType
from ..models.threads import ThreadTtl, ThreadTtlConfig, TtlStrategy
from ..models.webhooks import WebhookConfig
from .embedding import load_embedder
from .project import Project
from .sections import Section, read_section, unknown_keys
from .webhook_section import webhook_config

# What pgvector can index; longer vectors are compared one by one.
_MOST_DIMS: dict[VectorType, int] = {"vector": 2000, "halfvec": 4000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the configuration file says to resources.

    Attributes:
        warnings: sentences about keys that nobody honours.
    """

    store: StoreConfig = field(default_factory=StoreConfig)
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
    thread_ttl: ThreadTtlConfig = field(default_factory=ThreadTtlConfig)
    warnings: tuple[str, ...] = ()


class _ThreadTtl(Section):
    strategy: TtlStrategy = "delete"
    default_ttl: float | None = Field(default=None, gt=0)
    sweep_interval_minutes: float = Field(default=5.0, gt=0)
    sweep_limit: int = Field(default=10_000, gt=0)


class _Checkpointer(Section):
    ttl: _ThreadTtl | None = None


class _Ttl(Section):
    default_ttl: float | None = Field(default=None, gt=0)
    refresh_on_read: bool = True
    sweep_interval_minutes: float = Field(default=5.0, gt=0)


class _Ann(Section):
    kind: AnnKind = "hnsw"
    vector_type: VectorType | None = None


class _Index(Section):
    dims: int = Field(gt=0, le=16000)
    embed: str = Field(min_length=1)
    fields: list[str] = Field(default_factory=lambda: ["$"], min_length=1)
    distance_type: Distance = "cosine"
    ann_index_config: _Ann = Field(default_factory=_Ann)

    @model_validator(mode="after")
    def _indexable(self) -> _Index:
        kind, chosen = self.ann_index_config.kind, self.ann_index_config.vector_type
        if chosen and kind != "flat" and self.dims > _MOST_DIMS[chosen]:
            raise ValueError(f"{kind} takes at most {_MOST_DIMS[chosen]} dims of {chosen}; choose the kind flat")
        return self

    @property
    def vector_type(self) -> VectorType:
        """The type that was chosen, or the most exact one that can be indexed."""
        between = _MOST_DIMS["vector"] < self.dims <= _MOST_DIMS["halfvec"]
        return self.ann_index_config.vector_type or ("halfvec" if between else "vector")

    @property
    def ann(self) -> AnnKind:
        return self.ann_index_config.kind if self.dims <= _MOST_DIMS[self.vector_type] else "flat"


class _Store(Section):
    path: Literal[None] = None
    ttl: _Ttl = Field(default_factory=_Ttl)
    index: _Index | None = None


def configuration_of(project: Project, *, thread_ttl: str | None = None) -> Configuration:
    """Check the sections and load the code that they name.

    Args:
        thread_ttl: minutes, or the JSON of `checkpointer.ttl`, in place of what the file says there.

    Raises:
        SettingsError: a value is wrong, or code named in the configuration cannot be loaded.
    """
    warnings: list[str] = []
    store, webhooks = _store(project, warnings), webhook_config(project, warnings)
    return Configuration(
        store=store,
        webhooks=webhooks,
        thread_ttl=_thread_ttl(project, thread_ttl, warnings),
        warnings=tuple(warnings),
    )


def _thread_ttl(project: Project, override: str | None, warnings: list[str]) -> ThreadTtlConfig:
    checkpointer = read_section(_Checkpointer, project.checkpointer, name="checkpointer", path=project.path)
    names = unknown_keys(checkpointer, name="checkpointer")
    warnings += (f"langgraph.json: {name!r} is not honoured yet." for name in names)
    section = checkpointer.ttl or _ThreadTtl()
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


def _store(project: Project, warnings: list[str]) -> StoreConfig:
    if project.store.get("path") is not None:
        raise SettingsError(f"{project.path}: 'store.path', a store of your own, is not supported; remove it.")
    section = read_section(_Store, project.store, name="store", path=project.path)
    warnings += (f"langgraph.json: {name!r} is unknown and ignored." for name in unknown_keys(section, name="store"))
    index: IndexConfig | None = None
    if section.index is not None:
        index = IndexConfig(
            dims=section.index.dims,
            embedder=load_embedder(section.index.embed, dims=section.index.dims, project=project),
            fields=section.index.fields,
            distance=section.index.distance_type,
            ann=section.index.ann,
            vector_type=section.index.vector_type,
        )
    return StoreConfig(
        default_ttl_minutes=section.ttl.default_ttl,
        refresh_on_read=section.ttl.refresh_on_read,
        sweep_interval_minutes=section.ttl.sweep_interval_minutes,
        index=index,
    )
