"""A page of a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next_offset` is None on the last page."""

    items: list[T]
    offset: int
    next_offset: int | None

    @classmethod
    def of(cls, rows: list[T], *, limit: int, offset: int) -> Page[T]:
        """A page from `rows`, fetched with one row more than `limit` to see whether more exist."""
        more = len(rows) > limit
        return cls(rows[:limit], offset, offset + limit if more else None)

    @property
    def total_header(self) -> int:
        """What `X-Pagination-Total` says: not a total, but whether there is more after this page."""
        return self.offset + len(self.items) + (1 if self.next_offset is not None else 0)
