"""A graph that says who it thinks started it."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


class Answer(TypedDict, total=False):
    told: dict[str, Any]


def look(state: Answer, config: RunnableConfig, runtime: Runtime) -> Answer:
    given = config["configurable"]
    user, of_server = given["langgraph_auth_user"], runtime.server_info.user
    return {
        "told": {
            "identity": user.identity,
            "as_a_key": user["identity"],
            "of_server": of_server.identity,
            "user_id": given["user_id"],
            "auth_user_id": given["langgraph_auth_user_id"],
            "permissions": given["langgraph_auth_permissions"],
            "extra": user.get("team"),
        }
    }


graph = StateGraph(Answer).add_node("look", look).add_edge(START, "look").compile()
