"""Who executes what, and what waits."""

from __future__ import annotations

from .base import View


class Workers(View):
    """The workers of the server, their runs, and the queue."""

    view_name = "workers"

    def __init__(self) -> None:
        super().__init__(text="Workers: a widget while the kernel runs, and a part of the studio.")
