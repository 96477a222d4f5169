"""Items of the store: long-term memory apart from threads, and what the store was told by its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from .access import Condition

Namespace = tuple[str, ...]
MatchKind = Literal["prefix", "suffix"]
Distance = Literal["cosine", "l2", "inner_product"]
AnnKind = Literal["hnsw", "ivfflat", "flat"]
VectorType = Literal["vector", "halfvec"]
IndexChoice = Literal[False] | list[str] | None
"""Which parts of an item are embedded: none of it, these paths, or (None) those of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item, as the API shows it."""

    namespace: list[str]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundItem:
    """One item of a search. A higher `score` is more similar; None without a query, and for what is not embedded."""

    namespace: list[str]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutItem:
    """An item to store, or with a `value` of None to delete."""

    namespace: Namespace
    key: str
    value: dict[str, Any] | None
    index: IndexChoice = None
    ttl_minutes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemQuery:
    """A search: every part must match; `query` ranks by similarity where an index is configured."""

    namespace_prefix: Namespace = ()
    filter: dict[str, Any] = field(default_factory=dict[str, Any])
    limit: int = 10
    offset: int = 0
    query: str | None = None
    refresh_ttl: bool = True
    # What the values of the items must fulfil besides.
    visible: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceQuery:
    """Which namespaces to list; in a path the label `*` stands for any one label."""

    conditions: tuple[tuple[MatchKind, Namespace], ...] = ()
    max_depth: int | None = None
    limit: int = 100
    offset: int = 0


class Embedder(Protocol):
    """Texts to vectors, and values to texts."""

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """One vector per text; raises EmbeddingFailed."""
        ...

    async def embed_query(self, text: str) -> list[float]:
        """The vector of what is looked for, which some models embed in another way; raises EmbeddingFailed."""
        ...

    def texts(self, value: dict[str, Any], paths: list[str]) -> list[tuple[str, str]]:
        """(path, text) for everything that the paths find in a value."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """How items are embedded and compared. `fields` are paths; `$` is the whole value."""

    dims: int
    embedder: Embedder
    fields: list[str] = field(default_factory=lambda: ["$"])
    distance: Distance = "cosine"
    ann: AnnKind = "hnsw"
    vector_type: VectorType = "vector"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """What the configuration says about the store."""

    default_ttl_minutes: float | None = None
    refresh_on_read: bool = True
    sweep_interval_minutes: float = 5.0
    index: IndexConfig | None = None
