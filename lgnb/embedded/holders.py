"""The register of those who use the pair now: one small file per `acquire`, worth nothing once its process is gone."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from .processes import ProcessMark


@dataclass(frozen=True, slots=True)
class Holder:
    """One user of the pair.

    Attributes:
        since: when it joined.
        program: the command it was started as, for people.
        path: its file in the register.
    """

    process: ProcessMark
    since: datetime
    program: str
    path: Path

    def leave(self) -> None:
        """Take this holder out of the register; nothing happens the second time."""
        self.path.unlink(missing_ok=True)


def register(directory: Path) -> Holder:
    """Enter this process into the register."""
    directory.mkdir(mode=0o700, exist_ok=True)
    process = ProcessMark.of(os.getpid())
    if process is None:
        raise ProcessLookupError("this process cannot see itself in the process table")
    since = datetime.now(UTC)
    program = Path(sys.argv[0]).name if sys.argv else ""
    path = directory / f"{process.pid}-{uuid4().hex[:8]}.json"
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps({"process": asdict(process), "since": since.isoformat(), "program": program}))
    unfinished.replace(path)
    return Holder(process, since, program, path)


def living(directory: Path) -> list[Holder]:
    """The holders whose process is alive, without touching the files of the others."""
    found = (_read(path) for path in sorted(directory.glob("*.json")))
    return [holder for holder in found if holder is not None and holder.process.is_alive()]


def forget_dead(directory: Path) -> None:
    """Delete what dead holders left. Only under the pair's lock."""
    keep = {holder.path for holder in living(directory)}
    for path in directory.glob("*"):
        if path not in keep:
            path.unlink(missing_ok=True)


def _read(path: Path) -> Holder | None:
    try:
        record = json.loads(path.read_text())
        since = datetime.fromisoformat(record["since"])
        return Holder(ProcessMark(**record["process"]), since, str(record["program"]), path)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # left meanwhile, or cut short by a crash of the machine: nobody who lives
