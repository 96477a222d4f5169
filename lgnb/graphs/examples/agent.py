"""A chat agent with two tools. It answers from a script, or with the model that its context names."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.runtime import Runtime
from pydantic import Field

from lgnb.graphs.scripted_model import ScriptedChatModel

_INSTRUCTIONS = "You are a helpful assistant in a Jupyter notebook. Use your tools for sums and questions about lgnb."

_NOTES = {
    "assistant": "An assistant is a graph together with a configuration; every edit makes a new version.",
    "thread": "A thread keeps the state of one conversation; each run on it continues where the last one ended.",
    "run": "A run is one execution of an assistant, on a thread or without one.",
    "checkpoint": "A checkpoint is the state of a thread after one superstep; any of them can be forked.",
    "interrupt": "An interrupt pauses a run until a person answers; the answer resumes it at the same place.",
    "store": "The store keeps memories across threads, under namespaces and keys.",
    "cron": "A cron starts runs by a schedule.",
    "stream": "Streaming shows a run while it works: tokens, updates of nodes, whole values or your own events.",
}

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

_SUM = re.compile(r"[-+(\d][\d\s.,()+\-*/%×÷−]*[\d)]")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d+/\d+/\d+")
_NAME = re.compile(r"\bmy name is (\w+)|\bcall me (\w+)", re.IGNORECASE)


@dataclass
class Context:
    """What an assistant of this graph can be told."""

    model: Annotated[
        str | None, Field(description="A real model, such as openai:gpt-5-mini; empty for the offline script.")
    ] = None
    token_delay: Annotated[float, Field(description="Seconds before each token of the script.", ge=0)] = 0.02


@tool
def calculate(expression: str) -> str:
    """Work out an arithmetic expression such as `(3 + 4) * 2`."""
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError) as error:
        return f"That cannot be worked out: {error}"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


@tool
def search_docs(query: str) -> str:
    """Look up what the words of lgnb and LangGraph mean."""
    words = query.lower()
    found = [text for word, text in _NOTES.items() if word in words]
    return "\n".join(found) or f"Nothing found. There are notes about {', '.join(_NOTES)}."


TOOLS = [calculate, search_docs]


def _value(node: ast.AST) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("only numbers and + - * / // % ( ) are understood")


def _script(messages: Sequence[BaseMessage]) -> AIMessage:
    """What the offline agent says: it calls a tool where one helps, then tells what came back."""
    last = messages[-1] if messages else HumanMessage("")
    question = next((str(m.text) for m in reversed(messages) if isinstance(m, HumanMessage)), "")
    if isinstance(last, ToolMessage):
        return AIMessage(_told(last, question))
    expression = _expression(question)
    if expression:
        return _call("Let me work that out.", "calculate", {"expression": expression}, len(messages))
    if re.search(r"\b(search|docs?|look up)\b", question, re.IGNORECASE) or _asks_for_a_note(question):
        return _call("Let me look that up.", "search_docs", {"query": question}, len(messages))
    return AIMessage(_answer(question, messages))


def _told(result: ToolMessage, question: str) -> str:
    if result.name == "calculate":
        shown = str(result.text)
        return shown if shown.startswith("That cannot") else f"{_expression(question)} = {shown}"
    return f"Here is what I found:\n\n{result.text}"


def _call(text: str, name: str, args: dict[str, Any], number: int) -> AIMessage:
    return AIMessage(text, tool_calls=[{"name": name, "args": args, "id": f"call_{number}", "type": "tool_call"}])


def _expression(question: str) -> str | None:
    for found in _SUM.findall(question.translate(str.maketrans("×÷−", "*/-"))):
        text = re.sub(r"(?<=\d),(?=\d{3})", "", found).strip()
        if re.search(r"[\d)]\s*[-+*/%]", text) and not _DATE.search(text):
            return text
    return None


def _asks_for_a_note(question: str) -> bool:
    found = re.search(r"\bwhat(?:'s| is| are)\s+(?:an?\s+|the\s+)?(\w+?)s?\b", question, re.IGNORECASE)
    return found is not None and found[1].lower() in _NOTES


def _answer(question: str, messages: Sequence[BaseMessage]) -> str:
    words = question.lower()
    if re.search(r"what(?:'s| is) my name|who am i", words):
        name = _name_told(messages)
        return f"Your name is {name}; you told me earlier in this thread." if name else "You have not told me yet."
    introduced = _NAME.search(question)
    if introduced:
        return f"Nice to meet you, {(introduced[1] or introduced[2]).title()}. I will remember that in this thread."
    if "sky" in words and "blue" in words:
        return (
            "Sunlight holds all colours. The molecules of the air scatter short waves much more than long ones "
            "(**Rayleigh scattering**), so blue light reaches your eye from every direction, and the sky looks blue. "
            "At sunset the light crosses more air, most of the blue is gone, and red remains."
        )
    if re.search(r"\b(hello|hi|hey|good (?:morning|evening))\b", words):
        return "Hello! Ask me anything, such as `17 * 23`, or what a checkpoint is."
    if re.search(r"\b(who are you|what can you do|help)\b", words):
        return (
            "I am the example agent. I work offline from a script, with two real tools:\n\n"
            "- `calculate` for sums, such as 17 * 23\n"
            "- `search_docs` for the words of LangGraph, such as thread or checkpoint\n\n"
            "Name a model in my context, and I answer with that instead."
        )
    quoted = " ".join(question.split())
    return (
        f"You said: “{quoted[:200]}”. I am the offline example and speak from a short script, so I cannot say much "
        "about that. Try a sum, or ask what a thread is; or set `model` in my context to talk to a real model."
    )


def _name_told(messages: Sequence[BaseMessage]) -> str | None:
    told = [_NAME.search(str(m.text)) for m in messages if isinstance(m, HumanMessage)]
    return next(((found[1] or found[2]).title() for found in reversed(told) if found), None)


def _model(context: Context | None) -> Runnable[Any, Any]:
    context = context or Context()
    if not context.model:
        return ScriptedChatModel(script=_script, token_delay=context.token_delay)
    try:
        from langchain.chat_models import (  # pyright: ignore[reportMissingImports] # optional, and slow to import
            init_chat_model,
        )

        return init_chat_model(context.model).bind_tools(TOOLS)
    except ImportError as error:
        raise RuntimeError(
            f"The model {context.model!r} needs a package that is not installed ({error}). Install langchain and "
            "the package of the provider, such as langchain-openai, where the worker runs."
        ) from error
    except Exception as error:  # each provider has its own errors for a missing key or an unknown name
        raise RuntimeError(f"The model {context.model!r} could not be set up: {error}") from error


async def model(state: MessagesState, runtime: Runtime[Context]) -> dict[str, list[BaseMessage]]:
    """Answer, or ask for a tool."""
    reply = await _model(runtime.context).ainvoke([SystemMessage(_INSTRUCTIONS), *state["messages"]])
    return {"messages": [reply]}


def _graph() -> Any:
    builder = StateGraph(MessagesState, context_schema=Context)
    builder.add_node("model", model)
    builder.add_node("tools", ToolNode(TOOLS))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition, ["tools", "__end__"])
    builder.add_edge("tools", "model")
    return builder.compile()


graph = _graph()
