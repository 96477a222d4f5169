"""A failed run in the notebook that serves its graph: the node's own traceback, ready for `%debug`."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from IPython.core.getipython import get_ipython

from ..graphs.tracebacks import users_part


def show_failure(graph_id: str, error: BaseException) -> None:
    """Print the traceback where the prints of the run go, and leave the error for `%debug`."""
    kind, part = type(error), users_part(error)
    shell: Any = get_ipython()
    if shell is None:
        lines = traceback.format_exception(kind, error, part)
    else:
        lines = [f"{line}\n" for line in shell.InteractiveTB.structured_traceback(kind, error, part)]
        # What %debug looks at.
        shell.InteractiveTB.tb = part
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, part
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    sys.stderr.write(f"A run of {graph_id} failed.\n{''.join(lines)}")
    sys.stderr.flush()
