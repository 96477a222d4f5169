"""The inbox of everything that waits for a person, across threads."""

from __future__ import annotations

from .base import View


class Interrupts(View):
    """Everything that waits for a person, with the form that answers it."""

    view_name = "interrupts"

    def __init__(self) -> None:
        super().__init__(text="Interrupts: a widget while the kernel runs, and a part of the studio.")
