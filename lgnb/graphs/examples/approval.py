"""Drafts a message and waits for a person before it is sent: approve, edit, reject, or respond with a wish.

The interrupt has the shape that inboxes for agents understand. The answer may have any of their forms, or be
a plain word, true or false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from pydantic import Field
from typing_extensions import TypedDict

from lgnb.graphs.scripted_model import ScriptedChatModel

_ACTION = "send_message"
_DECISIONS = ("approve", "edit", "reject", "respond")
_WORDS = {
    "approve": "approve",
    "approved": "approve",
    "accept": "approve",
    "ok": "approve",
    "yes": "approve",
    "true": "approve",
    "reject": "reject",
    "rejected": "reject",
    "ignore": "reject",
    "no": "reject",
    "false": "reject",
    "edit": "edit",
    "respond": "respond",
    "response": "respond",
}


@dataclass
class Context:
    """What an assistant of this graph can be told."""

    token_delay: Annotated[float, Field(description="Seconds before each token of the draft.", ge=0)] = 0.02


class Message(TypedDict):
    to: str
    body: str


class State(MessagesState):
    draft: Message
    wishes: list[str]
    question: str
    outcome: Literal["sent", "rejected"]


async def draft(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Write the message that was asked for, with every wish of the reviewer in it."""
    request = next((str(m.text) for m in reversed(state["messages"]) if isinstance(m, HumanMessage)), "something")
    wishes = state.get("wishes") or []
    lines = ["Dear team,", request.strip().rstrip(".") + ".", *wishes, "Best regards"]
    text = "\n\n".join(lines)
    delay = (runtime.context or Context()).token_delay
    writer = ScriptedChatModel(script=lambda _: AIMessage(text), token_delay=delay)
    reply = await writer.ainvoke(state["messages"])
    return {"messages": [reply], "draft": Message(to="team", body=str(reply.text)), "question": ""}


async def review(state: State) -> Command[Literal["draft", "review", "send", "__end__"]]:
    """Ask a person, and go where the answer says."""
    answer = interrupt(_request(state))
    decision, detail = read_answer(answer)
    if decision == "approve":
        return Command(goto="send")
    if decision == "edit" and isinstance(detail, Mapping):
        return Command(goto="send", update={"draft": {**state["draft"], **detail}})
    if decision == "edit" and isinstance(detail, str):
        return Command(goto="send", update={"draft": {**state["draft"], "body": detail}})
    if decision == "reject":
        reason = f" because: {detail}" if detail else ""
        said = AIMessage(f"The message was not sent{reason}.")
        return Command(goto="__end__", update={"messages": [said], "outcome": "rejected"})
    if decision == "respond" and isinstance(detail, str):
        return Command(goto="draft", update={"wishes": [*(state.get("wishes") or []), detail]})
    question = f"The answer {answer!r} was not understood; use one of {', '.join(_DECISIONS)}."
    return Command(goto="review", update={"question": question})


async def send(state: State) -> dict[str, Any]:
    """Send the message; this example only says so."""
    message = state["draft"]
    return {"messages": [AIMessage(f"Sent to {message['to']}:\n\n{message['body']}")], "outcome": "sent"}


def _request(state: State) -> dict[str, Any]:
    description = state.get("question") or "Send this message?"
    action = {"name": _ACTION, "args": dict(state["draft"]), "description": description}
    return {
        "action_requests": [action],
        "review_configs": [{"action_name": _ACTION, "allowed_decisions": list(_DECISIONS)}],
    }


def read_answer(answer: Any) -> tuple[str | None, Any]:
    """The decision and what belongs to it: the edited arguments, the reason or the wish.

    Understands `{"decisions": [...]}`, a list, one `{"type": ...}` object, a word, true and false. Any other text is
    a wish. The decision is None when the answer makes no sense.
    """
    if isinstance(answer, Mapping) and "decisions" in answer:
        answer = cast("Any", answer)["decisions"]
    if isinstance(answer, list) and answer:
        answer = cast("list[Any]", answer)[0]
    if isinstance(answer, bool):
        return ("approve" if answer else "reject"), None
    if isinstance(answer, str):
        decision = _WORDS.get(answer.strip().lower())
        return (decision, None) if decision else ("respond", answer.strip() or None)
    if not isinstance(answer, Mapping):
        return None, None
    given = cast("Mapping[str, Any]", answer)
    decision = _WORDS.get(str(given.get("type", "")).lower())
    return decision, _detail(decision, given)


def _detail(decision: str | None, given: Mapping[str, Any]) -> Any:
    if decision == "edit":
        edited: Any = given.get("edited_action") or given.get("args") or given.get("action")
        if isinstance(edited, Mapping) and "args" in edited:
            edited = cast("Any", edited)["args"]
        return edited
    return next((given[key] for key in ("message", "args", "text", "reason") if given.get(key)), None)


def _graph() -> Any:
    builder = StateGraph(State, input_schema=MessagesState, context_schema=Context)
    builder.add_node("draft", draft)
    builder.add_node("review", review)
    builder.add_node("send", send)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "review")
    builder.add_edge("send", END)
    return builder.compile()


graph = _graph()
