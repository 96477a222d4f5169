"""All views behind one navigation."""

from __future__ import annotations

from .base import View


class Studio(View):
    """The whole workbench; the same as the page {base_url}lgnb/studio."""

    view_name = "studio"

    def __init__(self) -> None:
        super().__init__(
            text="The studio: a widget while the kernel runs, and the page lgnb/studio of the Jupyter server."
        )
