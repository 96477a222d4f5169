"""The LangGraph workbench for Jupyter. Importing this is quick: everything heavy loads on first use."""

from __future__ import annotations

from ._version import __version__

__all__ = ["__version__"]
