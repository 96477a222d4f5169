"""The file in which a host tells the kernels of its user where it serves and with which key."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir, secure_write

from lgnb import __version__


class RuntimeFile:
    """`lgnb-<pid>.json` in Jupyter's runtime directory, readable by its owner alone."""

    def __init__(self) -> None:
        self.path = Path(jupyter_runtime_dir()) / f"lgnb-{os.getpid()}.json"

    def write(self, *, url: str, key: str, root_dir: str) -> None:
        """Write it whole or not at all: a kernel may read at any moment."""
        facts = {
            "pid": os.getpid(),
            "url": url,
            "key": key,
            "root_dir": root_dir,
            "version": __version__,
            "started_at": datetime.now(UTC).isoformat(),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_suffix(".draft")
        with secure_write(str(draft)) as file:
            json.dump(facts, file)
        draft.replace(self.path)

    def remove(self) -> None:
        """Safe when it was never written."""
        self.path.unlink(missing_ok=True)
