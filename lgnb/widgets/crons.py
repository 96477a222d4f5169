"""What runs by a schedule."""

from __future__ import annotations

from .base import View


class Crons(View):
    """Shows crons; pauses, resumes and deletes them."""

    view_name = "crons"

    def __init__(self) -> None:
        super().__init__(text="Crons: a widget while the kernel runs, and a part of the studio.")
