"""A run in a terminal, which cannot redraw: its text is written as it comes, the header at the end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..client.aliases import Aliases
from ..client.render import body, run_plain
from ..client.run_view import ToolCall

if TYPE_CHECKING:
    from ..client.runs import Run


class TerminalOutput:
    """Follows a run like `LiveOutput`, writing only what will not change any more."""

    def __init__(self, aliases: Aliases) -> None:
        self._aliases = aliases
        self._run: Run | None = None
        self._written = ""

    def changed(self, run: Run) -> None:
        """The run has moved, or a moment passed; write what is new and settled."""
        self._run = run
        self._write(_settled_text(run))

    def close(self) -> None:
        """Write the rest, then one line that says how it ended."""
        if self._run is None:
            return
        header, _, text = run_plain(self._run, self._aliases).partition("\n")
        if text.startswith(self._written):
            self._write(text)
        else:
            sys.stdout.write(f"\n{text}")
        sys.stdout.write(f"\n{header}\n" if text else f"{header}\n")
        sys.stdout.flush()

    def _write(self, text: str) -> None:
        if len(text) > len(self._written) and text.startswith(self._written):
            sys.stdout.write(text[len(self._written) :])
            sys.stdout.flush()
            self._written = text


def _settled_text(run: Run) -> str:
    """The body up to the first thing that may still change, such as a tool call without its result."""
    if any(isinstance(item, ToolCall) and item.result is None for item in run.view.items) or run.view.is_final:
        return ""
    # The header is a line of its own; a body that is being said has no more lines after the text.
    return run_plain(run, Aliases()).partition("\n")[2] if body(run) else ""
