"""Assistants with their context and versions."""

from __future__ import annotations

from .base import View


class Assistants(View):
    """Makes assistants, edits their context by the graph's schema, and shows versions side by side."""

    view_name = "assistants"

    def __init__(self) -> None:
        super().__init__(text="Assistants: a widget while the kernel runs, and a part of the studio.")
