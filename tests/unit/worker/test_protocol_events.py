"""Order and content of protocol events, made from what real graphs yield."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from lgnb.models.protocol import ProtocolEvent
from lgnb.testing import graphs
from lgnb.worker.protocol_events import ProtocolTranslator

_RUN = UUID(int=1)
_MODES: Any = ["values", "updates", "messages", "tools", "custom", "tasks", "checkpoints"]


async def report_of(graph: Any, given: Any, *, status: str = "completed") -> list[ProtocolEvent]:
    translator = ProtocolTranslator(_RUN)
    events: list[ProtocolEvent] = []
    graph = graph.copy({"checkpointer": InMemorySaver()})
    config: Any = {"configurable": {"thread_id": "t"}}
    try:
        async for namespace, mode, payload in graph.astream(given, config, stream_mode=_MODES, subgraphs=True):
            events += translator.translate(namespace, mode, payload)
    except ValueError:
        status = "failed"
    return [*events, *translator.rest(status), *translator.requests(None)]


def data_of(event: ProtocolEvent) -> Any:
    return orjson.loads(event.params)["data"]


def of(events: list[ProtocolEvent], method: str) -> list[ProtocolEvent]:
    return [event for event in events if event.method == method]


def lifecycles(events: list[ProtocolEvent]) -> list[tuple[str, ...]]:
    return [(data_of(event)["event"], *event.namespace) for event in of(events, "lifecycle")]


async def test_a_checkpoint_comes_right_before_its_values() -> None:
    events = await report_of(graphs.echo, {"text": "a"})

    methods = [event.method for event in events if event.method in ("values", "checkpoints")]
    assert methods == ["checkpoints", "checkpoints", "values", "checkpoints", "values"]
    [first, second, third] = [data_of(event) for event in of(events, "checkpoints")]
    assert (first["source"], first["step"], "parent_id" in first) == ("input", -1, False)
    assert (second["parent_id"], third["parent_id"]) == (first["id"], second["id"])
    assert [data_of(event) for event in of(events, "values")] == [{"text": "a"}, {"text": "echo: a"}]


async def test_what_a_node_writes_is_custom_and_has_a_name_when_it_says_so() -> None:
    events = await report_of(graphs.echo, {"text": "a"})

    assert [(data_of(event), event.name) for event in of(events, "custom")] == [({"echo": "a"}, "")]
    named = next(ProtocolTranslator(_RUN).translate((), "custom", {"name": "progress", "payload": 1}))
    assert named.name == "progress"


async def test_a_subgraph_starts_and_ends_inside_its_node() -> None:
    events = await report_of(graphs.parent, {"step": 3})

    [(began, inner), (ended, same)] = lifecycles(events)
    assert (began, ended, inner) == ("started", "completed", same)
    started = data_of(of(events, "lifecycle")[0])
    assert (started["graph_name"], started["trigger_call_id"]) == ("child", inner.partition(":")[2])
    # The task that holds the subgraph frames it.
    tasks = [(event.namespace, data_of(event)) for event in of(events, "tasks")]
    around = [data for namespace, data in tasks if namespace == () and data["name"] == "child"]
    assert [("result" in data, data["id"]) for data in around] == [
        (False, inner.partition(":")[2]),
        (True, inner.partition(":")[2]),
    ]


async def test_tokens_of_a_subgraph_carry_its_namespace_and_node() -> None:
    events = await report_of(graphs.nested_tokens, {"messages": [HumanMessage("go")]})

    told = of(events, "messages")
    assert {event.namespace[0].partition(":")[0] for event in told} == {"inner"}
    assert {orjson.loads(event.params)["node"] for event in told} == {"speak"}
    kinds = [data_of(event)["event"] for event in told]
    assert (kinds[0], kinds[1], kinds[-2], kinds[-1]) == (
        "message-start",
        "content-block-start",
        "content-block-finish",
        "message-finish",
    )
    assert kinds.count("content-block-delta") == 20
    assert {data_of(event).get("message_id") for event in told[1:]} == {data_of(told[0])["id"]}


async def test_a_question_is_asked_in_the_namespace_of_the_graph_that_asks() -> None:
    events = await report_of(graphs.nested_approver, {}, status="interrupted")

    [question] = of(events, "input.requested")
    data = data_of(question)
    assert question.namespace[0].startswith("inner:")
    assert data["payload"] == data["value"] == {"question": "one?"}
    assert question.event_id.endswith(f"|{data['interrupt_id']}")
    assert [status for status, *_ in lifecycles(events)] == ["started", "interrupted"]
    assert {} in [data_of(event) for event in of(events, "updates")]


async def test_only_the_interrupts_that_wait_are_asked_for() -> None:
    translator = ProtocolTranslator(_RUN)
    graph = graphs.two_approvers.copy({"checkpointer": InMemorySaver()})
    config: Any = {"configurable": {"thread_id": "t"}}
    async for namespace, mode, payload in graph.astream({}, config, stream_mode=_MODES, subgraphs=True):
        list(translator.translate(namespace, mode, payload))

    both = [data_of(event)["interrupt_id"] for event in translator.requests(None)]
    [one] = translator.requests({both[1]})

    assert len(both) == 2
    assert data_of(one)["interrupt_id"] == both[1]


async def test_a_failing_task_tells_its_error() -> None:
    events = await report_of(graphs.failing, {"text": "a"})

    results = [data for event in of(events, "tasks") if "result" in (data := data_of(event))]
    assert [data["error"] for data in results] == [{"error": "ValueError", "message": "failed on purpose"}]
