"""Stream transformers that a graph was compiled with: they change, drop and add what protocol clients see."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.stream import StreamChannel, StreamTransformer
from typing_extensions import TypedDict

from lgnb.testing import graphs
from lgnb.worker.transformers import Transformers, Triple


class Text(TypedDict):
    text: str


class Redacting(StreamTransformer):
    """Hides the secret, drops updates, and counts values on a channel of its own."""

    before_builtins = True

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._counted: StreamChannel[int] = StreamChannel("count")
        self._count = 0

    def init(self) -> dict[str, Any]:
        return {"count": self._counted}

    def process(self, event: Any) -> bool:
        if event["method"] == "values":
            self._count += 1
            self._counted.push(self._count)
            event["params"]["data"] = {"text": event["params"]["data"]["text"].replace("secret", "***")}
        return event["method"] != "updates"

    def finalize(self) -> None:
        self._counted.push(-1)


def _node(state: Text) -> dict[str, str]:
    return {"text": "the secret"}


async def shown_by(graph: Any) -> list[Triple]:
    transformers = Transformers(graph.copy({}))
    shown: list[Triple] = []
    async for namespace, mode, payload in graph.astream(
        {"text": "a secret"}, stream_mode=["values", "updates"], subgraphs=True
    ):
        shown += await transformers.apply(namespace, mode, payload)
    return [*shown, *await transformers.close()]


async def test_transformers_change_drop_and_add_events() -> None:
    builder = StateGraph(Text).add_node("node", _node).add_edge(START, "node")

    assert await shown_by(builder.compile(transformers=[Redacting])) == [
        ((), "custom", {"name": "count", "payload": 1}),
        ((), "values", {"text": "a ***"}),
        ((), "custom", {"name": "count", "payload": 2}),
        ((), "values", {"text": "the ***"}),
        ((), "custom", {"name": "count", "payload": -1}),
    ]


async def test_a_graph_without_transformers_lets_everything_through() -> None:
    assert [mode for _, mode, _ in await shown_by(graphs.echo)] == ["values", "updates", "values"]


async def test_interrupts_are_shown_apart_from_the_state_and_come_through() -> None:
    builder = StateGraph(Text).add_node("node", _node).add_edge(START, "node")
    transformers = Transformers(builder.compile(transformers=[Redacting]))

    shown = await transformers.apply((), "values", {"text": "secret", "__interrupt__": ("waiting",)})

    assert shown[-1] == ((), "values", {"text": "***", "__interrupt__": ("waiting",)})


async def test_a_failed_run_closes_the_transformers() -> None:
    builder = StateGraph(Text).add_node("node", _node).add_edge(START, "node")
    transformers = Transformers(builder.compile(transformers=[Redacting]))

    assert await transformers.close(ValueError("failed")) == []
