"""A deterministic embedding: how often a text names each of three words."""

from __future__ import annotations

_WORDS = ("cat", "dog", "ship")


def embed(texts: list[str]) -> list[list[float]]:
    """Counts, and a little of everything, so that no vector is zero."""
    return [[text.count(word) + 0.01 for word in _WORDS] for text in texts]
