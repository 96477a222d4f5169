"""Live graphs: those that exist only in a notebook's kernel, which executes their runs while it serves them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelInfo:
    """Which kernel serves a graph.

    Attributes:
        kernel_id: Jupyter's id of the kernel, which a restart keeps; elsewhere an id of the process.
        notebook: path of the notebook, where the kernel knows it.
    """

    kernel_id: str
    host_name: str
    pid: int
    notebook: str | None = None

    def is_same(self, other: KernelInfo) -> bool:
        """Whether one of the two stands for the other: restarted, or opened again for the same notebook."""
        if self.kernel_id == other.kernel_id:
            return True
        return self.notebook is not None and (self.notebook, self.host_name) == (other.notebook, other.host_name)

    def __str__(self) -> str:
        where = f"notebook {PurePath(self.notebook).name}" if self.notebook else f"kernel {self.kernel_id[:8]}"
        return f"{where} on {self.host_name} (process {self.pid})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGraph:
    """A live graph as a person asks for it; `is_served` tells whether its kernel holds a lease right now."""

    graph_id: str
    description: str | None
    kernel: dict[str, Any]
    is_served: bool
    n_pending: int
    n_running: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeld:
    """A run that a kernel has in hand."""

    run_id: UUID
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a host tells a kernel that has come, or has come back.

    Attributes:
        resumed: the lease it had is still its own, and so are `held` of the runs it had.
    """

    worker_id: UUID
    lease_seconds: float
    run_timeout_seconds: float
    resumed: bool
    held: list[RunHeld]
    default_ttl_minutes: float | None
    refresh_on_read: bool
