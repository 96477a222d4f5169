"""Whether a client takes what it would be sent."""

from __future__ import annotations


def accepts(header: str, *content_types: str) -> bool:
    """Whether an `Accept` header allows one of these types; without a header everything is allowed."""
    ranges = [part.partition(";")[0].strip().lower() for part in header.split(",")]
    return not header.strip() or any(_allows(entry, kind) for entry in ranges for kind in content_types)


def _allows(entry: str, content_type: str) -> bool:
    return entry in ("*/*", content_type, f"{content_type.partition('/')[0]}/*")
