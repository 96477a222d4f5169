"""From langgraph.json to graphs that can be opened and described. Only the worker imports what runs user code."""

from __future__ import annotations
