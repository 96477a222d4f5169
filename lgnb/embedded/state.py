"""What the supervisor lets others know about the running pair: one small file, replaced as a whole."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .layout import Layout, Sockets
from .processes import ProcessMark, machine


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The pair as its supervisor saw it last.

    Attributes:
        ready: both servers have answered since this supervisor started.
        servers: the process of each server, by its name.
        host: name of the machine or container, for people.
    """

    ready: bool
    supervisor: ProcessMark
    sockets: Sockets
    servers: dict[str, ProcessMark]
    host: str = field(default_factory=platform.node)

    @property
    def is_ours(self) -> bool:
        """Whether the pair runs where we can see its processes and reach its sockets."""
        return self.supervisor.machine == machine()

    @property
    def postgres_uri(self) -> str:
        return f"postgresql://lgnb@/lgnb?host={quote(str(self.sockets.postgres_dir), safe='')}&port=5432"

    @property
    def redis_uri(self) -> str:
        return f"unix://{quote(str(self.sockets.valkey))}?db=0"


def read_state(layout: Layout) -> State | None:
    """The state left by the last supervisor, which may be dead by now; None when there is none."""
    try:
        record: dict[str, Any] = json.loads(layout.state.read_text())
        return State(
            ready=bool(record["ready"]),
            supervisor=ProcessMark(**record["supervisor"]),
            sockets=Sockets(Path(record["sockets"])),
            servers={name: ProcessMark(**mark) for name, mark in record["servers"].items()},
            host=str(record["host"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_state(layout: Layout, state: State) -> None:
    """Replace the state."""
    record = {
        "ready": state.ready,
        "supervisor": _record(state.supervisor),
        "sockets": str(state.sockets.root),
        "servers": {name: _record(mark) for name, mark in state.servers.items()},
        "host": state.host,
    }
    unfinished = layout.state.with_name(f"state.{os.getpid()}.new")
    unfinished.write_text(json.dumps(record))
    unfinished.replace(layout.state)


def _record(mark: ProcessMark) -> dict[str, Any]:
    return {"pid": mark.pid, "started": mark.started, "machine": mark.machine}
