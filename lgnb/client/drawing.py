"""The drawing of a graph as text: an indented outline for reading, and Mermaid for documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {"__start__": "start", "__end__": "end"}


class Drawing:
    """Nodes and edges of a graph. text/plain lists the edges; text/markdown is a Mermaid block that GitHub draws."""

    def __init__(self, name: str, *, nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.nodes = [dict(node) for node in nodes]
        self.edges = [dict(edge) for edge in edges]

    @property
    def mermaid(self) -> str:
        """The graph in Mermaid's language; conditional edges are dotted."""
        lines = ["graph TD"]
        for node in self.nodes:
            label = _label(str(node["id"])).replace('"', "#quot;")
            shape = f'(["{label}"])' if str(node["id"]) in NAMES else f'["{label}"]'
            lines.append(f"  {_key(str(node['id']))}{shape}")
        for edge in self.edges:
            arrow = "-.->" if edge.get("conditional") else "-->"
            if edge.get("data"):
                arrow += '|"' + str(edge["data"]).replace('"', "#quot;") + '"|'
            lines.append(f"  {_key(str(edge['source']))} {arrow} {_key(str(edge['target']))}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        lines = [self.name]
        for node in self.nodes:
            after = [self._arrow(edge) for edge in self.edges if edge["source"] == node["id"]]
            tools = (node.get("metadata") or {}).get("__tools")
            name = _label(str(node["id"])) + (f" [{', '.join(tools)}]" if tools else "")
            if after:
                lines.append(f"  {name} {', '.join(after)}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # No text/html: front ends prefer it, and JupyterLab draws the Mermaid block by itself, offline.
        return {"text/plain": repr(self), "text/markdown": f"```mermaid\n{self.mermaid}\n```"}

    @staticmethod
    def _arrow(edge: Mapping[str, Any]) -> str:
        arrow = "⇢" if edge.get("conditional") else "→"
        label = f" ({edge['data']})" if edge.get("data") else ""
        return f"{arrow} {_label(str(edge['target']))}{label}"


def _label(node_id: str) -> str:
    head, colon, last = node_id.rpartition(":")
    return f"{head}{colon}{NAMES.get(last, last)}"


def _key(node_id: str) -> str:
    # "end" alone is a word of Mermaid's language.
    return "n_" + re.sub(r"\W", "_", node_id)
