"""What the clients saw and what was done to the servers, as plain records for the checker."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# ok: the server said yes. fail: it certainly did not happen. unknown: the answer never came.
Outcome = Literal["ok", "fail", "unknown"]


@dataclass(kw_only=True)
class Call:
    """One request for a run, and what became of it as far as its client knows. Times are seconds of the epoch."""

    request: str
    graph: str
    operation: str
    begun: float
    thread_id: str | None = None
    strategy: str = "enqueue"
    steps: int = 1
    durability: str = "async"
    blocking: bool = False
    answers: str | None = None
    outcome: Outcome = "unknown"
    run_id: str | None = None
    streamed: list[int] = field(default_factory=list[int])
    gap: bool = False
    # Whether the stream came to its end by itself, and the status that was read right after.
    closed: bool = False
    status_after: str | None = None
    # Marks of this request in what a waiting caller was told.
    told: list[int] | None = None


@dataclass(kw_only=True)
class Fault:
    """Something that was done to the servers."""

    name: str
    begun: float
    ended: float = 0.0
    pid: int | None = None


@dataclass(kw_only=True)
class History:
    seed: int
    calls: list[Call] = field(default_factory=list[Call])
    faults: list[Fault] = field(default_factory=list[Fault])
    cancels: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
