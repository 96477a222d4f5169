"""The drawing of a graph, with subgraphs that open and close in place."""

from __future__ import annotations

from ..client import assistants
from ..client.drawing import Drawing
from .base import View


class Graph(View):
    """The graph of an assistant, or a drawing that is at hand already."""

    view_name = "graph"

    def __init__(self, graph: str | Drawing, *, text: Drawing | None = None, closed: bool = False) -> None:
        """
        Args:
            graph: the name of an assistant, or what `lgnb.assistants.graph` gave with `xray`.
            text: what stands for the widget where there is none; the same drawing by default.
            closed: whether the subgraphs begin as one node each.
        """
        drawing = assistants.graph(graph, xray=True) if isinstance(graph, str) else graph
        self.drawing = text or drawing
        # No HTML: front ends without the widget draw the Mermaid block by themselves.
        forms = {"text/markdown": f"```mermaid\n{self.drawing.mermaid}\n```"}
        shown = {"nodes": drawing.nodes, "edges": drawing.edges}
        super().__init__({"graph": shown, "name": drawing.name, "closed": closed}, text=repr(self.drawing), forms=forms)
