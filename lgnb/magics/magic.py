"""The magic itself: find the subcommand, run it, and tell what went wrong in one line."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from ..client.session import current_session
from ..errors import LgnbError, RunFailed
from .commands import COMMANDS, overview
from .parsing import find_command


@magics_class
class LgMagics(Magics):
    """`%lg` and `%%lg`."""

    @no_var_expand
    @line_cell_magic
    def lg(self, line: str, cell: str | None = None) -> Any:
        line = line.strip()
        command, rest = find_command(COMMANDS, f"status {line}" if not line or line.startswith("-") else line)
        arguments = command.parse(rest, cell)
        try:
            return command.run(self.shell, arguments)
        except LgnbError as error:
            _tell_in_one_line(error)
            raise
        except KeyboardInterrupt as stop:
            # Our frames would bury what came of the run; the exception itself must pass, so that "Run All" stops.
            stop._render_traceback_ = lambda: ["KeyboardInterrupt"]  # type: ignore[attr-defined]
            raise


LgMagics.lg.__doc__ = overview()


def _tell_in_one_line(error: LgnbError) -> None:
    """Make IPython show this error without our frames: a failed run with its node's own, else one sentence."""

    def lines() -> list[str]:
        if isinstance(error, RunFailed):
            where = f" (raised in node {error.node})" if error.node else ""
            own = error.traceback.rstrip() or str(error)
            return [f"{own}{where}"]
        return [f"{type(error).__name__}: {current_session().aliases.told(str(error))}"]

    error._render_traceback_ = lines  # type: ignore[attr-defined]
