"""Families of rows: what is measured together, by one module each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..figures import Metric
from ..servers import Server

Figures = dict[str, float]
"""What one round found, by the keys of the metrics."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to do. `seconds` bounds one load; `is_quick` makes everything smaller."""

    seconds: float
    is_quick: bool

    def count(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full


@dataclass(frozen=True, slots=True)
class Family:
    """Rows that are measured together.

    Attributes:
        measure: one round on one server.
        floors: the same work without a server, by the name of the column.
        rounds: how often at most; what hardly varies is measured once.
        with_two_workers: also measured on this server with a second worker process.
    """

    name: str
    metrics: tuple[Metric, ...]
    measure: Callable[[Server, Scale], Awaitable[Figures]] | None = None
    floors: tuple[tuple[str, Callable[[Scale], Awaitable[Figures]]], ...] = ()
    rounds: int = 3
    with_two_workers: bool = False
