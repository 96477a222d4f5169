"""The long-term memory of the server."""

from __future__ import annotations

from .base import View


class Store(View):
    """Browses, edits and deletes the items of the store."""

    view_name = "store"

    def __init__(self) -> None:
        super().__init__(text="Store: a widget while the kernel runs, and a part of the studio.")
