"""A graph of one node whose behaviour is told by its context: assistants differ by that, not by code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from .models import chat_model

Language = Literal["English", "French", "German"]

_GREETINGS: dict[Language, tuple[str, str]] = {
    "English": ("Welcome to {hotel}! How can I help you?", "Good evening, and a very warm welcome to {hotel}."),
    "French": ("Bienvenue à {hotel} ! Je peux vous aider ?", "Bonsoir, soyez les bienvenus à {hotel}."),
    "German": ("Willkommen im {hotel}! Was kann ich tun?", "Guten Abend, und herzlich willkommen im {hotel}."),
}


@dataclass
class Context:
    """What an assistant of this graph can be told."""

    hotel: Annotated[str, Field(description="The name of the hotel.")] = "Hotel Example"
    language: Annotated[Language, Field(description="The language it speaks.")] = "English"
    is_formal: Annotated[bool, Field(description="Whether it bows.")] = False
    model: Annotated[str | None, Field(description="A real model; empty for the offline script.")] = None


async def greet(state: MessagesState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Welcome the guest."""
    context = runtime.context or Context()
    manner = "formally" if context.is_formal else "briefly"
    system = f"You are the concierge of {context.hotel}. Greet the guest {manner}, in {context.language}."

    def script(messages: Sequence[BaseMessage]) -> AIMessage:
        return AIMessage(_GREETINGS[context.language][context.is_formal].format(hotel=context.hotel))

    model = chat_model(context.model, script)
    return {"messages": [await model.ainvoke([SystemMessage(system), *state["messages"]])]}


graph = StateGraph(MessagesState, context_schema=Context).add_node("greet", greet).add_edge(START, "greet").compile()
