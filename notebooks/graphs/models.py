"""The model of the tutorials' graphs: a script that needs no key, or a real model where the context names one."""

from __future__ import annotations

from typing import Any

from lgnb.graphs.scripted_model import Script, ScriptedChatModel


def chat_model(name: str | None, script: Script) -> Any:
    """The chat model of this name, such as `openai:gpt-5-mini` (install langchain and its provider); or the script."""
    if not name:
        return ScriptedChatModel(script=script, token_delay=0.01)
    from langchain.chat_models import init_chat_model  # deferred: only a real model needs it

    return init_chat_model(name)
