"""One output area that changes while a run works, and stays as one static output afterwards.

At most 20 updates a second reach the front end (it drops what comes faster, the last one included); a longer text is
sent less often, since each update carries the whole of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from ..client.aliases import Aliases
from ..client.render import is_live, run_bundle, run_html, run_plain
from .terminal import TerminalOutput

if TYPE_CHECKING:
    from ..client.runs import Run

SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 1.0
TICK_SECONDS = 1.0  # a quiet run still shows its elapsed time
BYTES_PER_SECOND = 400_000


def open_output(aliases: Aliases) -> LiveOutput | TerminalOutput:
    """Where a run of this cell is shown: an output that is redrawn, or the lines of a terminal."""
    if is_live() and not _shows_updates() and get_ipython() is not None and sys.stdout.isatty():
        return TerminalOutput(aliases)
    return LiveOutput(aliases)


class LiveOutput:
    """Follows a run: pass `changed` as its `on_change`, and call `close()` at the end, whatever happened."""

    def __init__(self, aliases: Aliases, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._aliases = aliases
        self._clock = clock
        self._handle: Any = None
        self._run: Run | None = None
        self._drawn_at = float("-inf")
        self._drawn: str = ""
        self._pause = SHORTEST_SECONDS
        self._has_display = _shows_updates()

    def changed(self, run: Run) -> None:
        """The run has moved, or a moment passed; draw it if that is due."""
        self._run = run
        if not is_live() or not self._has_display:
            return
        since = self._clock() - self._drawn_at
        if since < self._pause:
            return
        plain = run_plain(run, self._aliases)
        if plain == self._drawn and since < TICK_SECONDS:
            return
        self._draw({"text/plain": plain, "text/html": run_html(run, self._aliases)})
        self._drawn = plain

    def close(self) -> None:
        """Leave the final output: one display with every form."""
        if self._run is None:
            return
        self._draw(run_bundle(self._run, self._aliases))

    def _draw(self, bundle: dict[str, str]) -> None:
        if self._handle is None:
            if is_live() and self._has_display:
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                display(bundle, raw=True)
        else:
            self._handle.update(bundle, raw=True)
        self._drawn_at = self._clock()
        size = sum(len(text) for text in bundle.values())
        self._pause = min(max(SHORTEST_SECONDS, size / BYTES_PER_SECOND), LONGEST_SECONDS)


def say(text: str) -> None:
    """One line of text for the person, outside of any result."""
    sys.stdout.write(text + "\n")


def _shows_updates() -> bool:
    """Whether a front end can replace an output; a terminal cannot."""
    return getattr(get_ipython(), "kernel", None) is not None
