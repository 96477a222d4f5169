"""The sections of `langgraph.json` that the whole server honours, checked and typed, for hosts and workers alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, model_validator

from ..errors import SettingsError
from ..models.checkpoints import RevivalConfig
from ..models.http import HttpConfig
from ..models.store import AnnKind, Distance, IndexConfig, StoreConfig, VectorType
from ..models.threads import ThreadTtlConfig
from ..models.vault import NoVault, Vault
from ..models.webhooks import WebhookConfig
from ..settings import Settings
from .checkpointer_section import checkpointer_config
from .embedding import load_embedder
from .encryption_section import encryption_vault
from .http_section import http_config
from .project import Project
from .sections import Section, key_warnings, read_section
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
    http: HttpConfig = field(default_factory=HttpConfig)
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
    thread_ttl: ThreadTtlConfig = field(default_factory=ThreadTtlConfig)
    revival: RevivalConfig = field(default_factory=RevivalConfig)
    vault: Vault = field(default_factory=NoVault)
    warnings: tuple[str, ...] = ()


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


def configuration_of(project: Project, settings: Settings | None = None) -> Configuration:
    """Check the sections and load the code that they name.

    Args:
        settings: some of them stand in for what the file says.

    Raises:
        SettingsError: a value is wrong, or code named in the configuration cannot be loaded.
    """
    settings = settings or Settings()
    warnings: list[str] = []
    store = _store(project, warnings)
    http = http_config(project, settings, warnings)
    thread_ttl, revival = checkpointer_config(project, settings.thread_ttl, warnings)
    return Configuration(
        store=store,
        http=http,
        webhooks=webhook_config(project, warnings, enabled=http.sends_webhooks),
        thread_ttl=thread_ttl,
        revival=revival,
        vault=encryption_vault(project, settings, warnings),
        warnings=tuple(warnings),
    )


def _store(project: Project, warnings: list[str]) -> StoreConfig:
    if project.store.get("path") is not None:
        raise SettingsError(f"{project.path}: 'store.path', a store of your own, is not supported; remove it.")
    section = read_section(_Store, project.store, name="store", path=project.path)
    warnings += key_warnings(section, name="store")
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
