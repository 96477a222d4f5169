"""Graphs that are served when there is no langgraph.json, so that the first minute works offline."""

from __future__ import annotations
