"""The Jupyter Server extension that serves the LangGraph API under `{base_url}lgnb/`."""

from __future__ import annotations

from typing import Any

from lgnb import __version__

__all__ = ["__version__"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]  # read by Jupyter
    from .extension import LgnbServer  # deferred: listing extensions must not load the whole server

    return [{"module": "lgnb_server", "app": LgnbServer}]
