"""A chat model that speaks from a script, token by token: examples and tests run offline and give the same text."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable

Script = Callable[[Sequence[BaseMessage]], AIMessage]
"""What the model says after a conversation: a text, tool calls, or both."""

_TOKEN = re.compile(r"\s*\S+|\s+$")


class ScriptedChatModel(BaseChatModel):
    """Streams what `script` answers. A token is a word, and counts as one in the usage.

    Attributes:
        token_delay: seconds before each token.
    """

    script: Script
    token_delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """The script knows its tools already."""
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        whole: AIMessageChunk | None = None
        for generation in self._stream(messages):
            part = generation.message
            assert isinstance(part, AIMessageChunk)
            whole = part if whole is None else whole + part
        assert whole is not None
        spoken = AIMessage(content=whole.content, tool_calls=whole.tool_calls, usage_metadata=whole.usage_metadata)
        return ChatResult(generations=[ChatGeneration(message=spoken)])

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(self.script(messages), messages):
            time.sleep(self.token_delay)
            if run_manager:
                run_manager.on_llm_new_token(str(chunk.text), chunk=ChatGenerationChunk(message=chunk))
            yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self.script(messages), messages):
            await asyncio.sleep(self.token_delay)
            if run_manager:
                await run_manager.on_llm_new_token(str(chunk.text), chunk=ChatGenerationChunk(message=chunk))
            yield ChatGenerationChunk(message=chunk)


def _chunks(message: AIMessage, conversation: Sequence[BaseMessage]) -> list[AIMessageChunk]:
    tokens = _TOKEN.findall(str(message.text))
    chunks = [AIMessageChunk(content=token) for token in tokens]
    for index, call in enumerate(message.tool_calls):
        # As real models do: the name first, then the arguments as pieces of JSON.
        arguments = _TOKEN.findall(json.dumps(call["args"]))
        opening = tool_call_chunk(name=call["name"], args="", id=call["id"], index=index)
        pieces = [tool_call_chunk(name=None, args=piece, id=None, index=index) for piece in arguments]
        chunks += [AIMessageChunk(content="", tool_call_chunks=[piece]) for piece in (opening, *pieces)]
    read, said = sum(len(_TOKEN.findall(str(m.text))) for m in conversation), len(chunks)
    usage = UsageMetadata(input_tokens=read, output_tokens=said, total_tokens=read + said)
    return [*chunks, AIMessageChunk(content="", usage_metadata=usage, chunk_position="last")]
