"""Redis: wake-ups, event logs, bells, signals and calls. It carries speed, never truth."""

from __future__ import annotations

from .connection import Queue

__all__ = ["Queue"]
