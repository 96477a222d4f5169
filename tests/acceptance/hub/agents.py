"""The operator's graph: it tells whom it works for."""

from __future__ import annotations

from typing import Any

from langgraph.config import get_config
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class Sums(TypedDict, total=False):
    secret: str
    who: str


async def tell(state: Sums) -> dict[str, Any]:
    return {"who": get_config()["configurable"]["langgraph_auth_user_id"]}


graph = StateGraph(Sums).add_node("tell", tell).add_edge(START, "tell").add_edge("tell", END).compile()
