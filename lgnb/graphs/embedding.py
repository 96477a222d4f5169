"""The embedding that `store.index.embed` names: a function or object in a file, or a model of a provider.

It is configuration, so hosts load it too. The graph library is imported only where an index is configured.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from ..errors import EmbeddingFailed, SettingsError
from .operator_code import load_operator_code
from .project import Project

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class LibraryEmbedder:
    """Embeds with anything that LangChain or the graph library accept as embeddings."""

    def __init__(self, embeddings: Embeddings, *, dims: int) -> None:
        self._embeddings = embeddings
        self._dims = dims

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """One vector per text; raises EmbeddingFailed."""
        if not texts:
            return []
        vectors = await self._vectors(self._embeddings.aembed_documents(texts))
        if len(vectors) != len(texts):
            raise EmbeddingFailed(f"The embedding of the store gave {len(vectors)} vectors for {len(texts)} texts.")
        return vectors

    async def embed_query(self, text: str) -> list[float]:
        """The vector of what is looked for; raises EmbeddingFailed."""

        async def one() -> list[list[float]]:
            return [await self._embeddings.aembed_query(text)]

        return (await self._vectors(one()))[0]

    async def _vectors(self, embedding: Awaitable[list[list[float]]]) -> list[list[float]]:
        try:
            vectors = [[float(number) for number in vector] for vector in await embedding]
        except Exception as error:  # an operator's function, or a provider, may raise anything
            raise EmbeddingFailed(f"The embedding of the store failed: {type(error).__name__}: {error}") from error
        if wrong := {len(vector) for vector in vectors} - {self._dims}:
            raise EmbeddingFailed(
                f"The embedding of the store gave {min(wrong)} numbers per text, but store.index.dims is {self._dims}."
            )
        return vectors

    def texts(self, value: dict[str, Any], paths: list[str]) -> list[tuple[str, str]]:
        """(path, text) for everything that the paths find in a value."""
        from langgraph.store.base import get_text_at_path

        return [(path, text) for path in paths for text in get_text_at_path(value, path) if text.strip()]


def load_embedder(reference: str, *, dims: int, project: Project) -> LibraryEmbedder:
    """What `reference` names: `./file.py:name`, `package.module:name` or `provider:model`.

    Raises:
        SettingsError: it cannot be loaded; the sentence says why.
    """
    from langgraph.store.base import ensure_embeddings

    # A provider's client may read its key at each call, so the variables have to stay; what is set already wins.
    for name, value in project.env.items():
        os.environ.setdefault(name, value)
    place, _, variable = reference.rpartition(":")
    is_code = bool(place) and variable.isidentifier() and ("/" in place or "." in place)
    try:
        return LibraryEmbedder(ensure_embeddings(_code(reference, project) if is_code else reference), dims=dims)
    except SettingsError:
        raise
    except Exception as error:  # building a provider's client may raise anything
        text = f"{type(error).__name__}: {error}"
        raise SettingsError(f"store.index.embed {reference!r} cannot be loaded: {text}") from error


def _code(reference: str, project: Project) -> Any:
    found = load_operator_code(reference, key="store.index.embed", project=project)
    if not callable(found) and not hasattr(found, "aembed_documents"):
        raise SettingsError(f"store.index.embed must name a function or an Embeddings object, not a {type(found)}.")
    return found
