"""Every example assistant as an agent, through the official client of the Agent2Agent protocol in both its versions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
    VersionNotSupportedError,
)
from google.protobuf.json_format import MessageToDict, ParseDict
from langgraph_sdk.client import LangGraphClient

from lgnb.models.assistants import system_assistant_id

_VERSIONS = ("1.0", "0.3")

_each_version = pytest.mark.parametrize("version", _VERSIONS)


@pytest.fixture
async def http(lgnb_server: Any) -> AsyncIterator[httpx.AsyncClient]:
    """What carries the key, for the client of the protocol and for requests without it."""
    headers = {"x-api-key": lgnb_server.api_key}
    async with httpx.AsyncClient(base_url=lgnb_server.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
async def testing_http(testing_server: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The same for the server with the graphs of lgnb.testing."""
    headers = {"x-api-key": testing_server.api_key}
    async with httpx.AsyncClient(base_url=testing_server.url, headers=headers, timeout=60) as client:
        yield client


@_each_version
async def test_the_agent_answers_and_remembers_its_context(http: httpx.AsyncClient, version: str) -> None:
    """A message is a task; the next message of the same context goes on on the same thread."""
    agent = await _agent(http, "agent", version, streaming=False)

    first = await _sent(agent, "My name is Ada")
    second = await _sent(agent, "What is my name?", context_id=first.context_id)

    assert first.status.state == TaskState.TASK_STATE_COMPLETED
    assert first.id.startswith(f"{first.context_id}:")
    assert _words(first) == "Nice to meet you, Ada. I will remember that in this thread."
    assert _words(second) == "Your name is Ada; you told me earlier in this thread."
    assert second.id != first.id
    assert second.context_id == first.context_id
    assert [(one.role, one.parts[0].text) for one in second.history] == [
        (Role.ROLE_USER, "What is my name?"),
        (Role.ROLE_AGENT, _words(second)),
    ]


@_each_version
async def test_the_agent_streams_its_words(http: httpx.AsyncClient, version: str) -> None:
    """The task, what was said so far again and again, the artifact, and the end."""
    agent = await _agent(http, "agent", version)

    updates = [update async for update in agent.send_message(_request("What is 17 * 23?"))]

    kinds = [update.WhichOneof("payload") for update in updates]
    assert updates[0].task.status.state == TaskState.TASK_STATE_SUBMITTED
    assert kinds[0] == "task"
    assert kinds[-2:] == ["artifact_update", "status_update"]
    working = updates[1:-2]
    assert {update.status_update.status.state for update in working} == {TaskState.TASK_STATE_WORKING}
    said = [update.status_update.status.message.parts[0].text for update in working]
    assert said[0] == "Let"
    assert said[-1] == "17 * 23 = 391"
    assert "17 * 23 =" in said
    assert updates[-2].artifact_update.artifact.parts[0].text == "17 * 23 = 391"
    assert updates[-2].artifact_update.last_chunk
    assert updates[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


@_each_version
async def test_an_interrupted_agent_asks_and_goes_on_with_the_answer(http: httpx.AsyncClient, version: str) -> None:
    """The task keeps its id over both runs; a text is the answer to what was asked."""
    agent = await _agent(http, "approval", version, streaming=False)

    asked = await _sent(agent, "Tell the team that the release is out")
    answered = await _sent(agent, "approve", context_id=asked.context_id, task_id=asked.id)

    assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    (question,) = MessageToDict(asked.artifacts[0])["parts"]
    assert question["data"]["value"]["action_requests"][0]["name"] == "send_message"
    assert len(question["data"]["id"]) == 32
    assert "send_message" in asked.status.message.parts[0].text
    assert answered.id == asked.id
    assert answered.status.state == TaskState.TASK_STATE_COMPLETED
    assert _words(answered).startswith("Sent to team:")
    assert answered.history[0].parts[0].text == "Tell the team that the release is out"


@_each_version
async def test_an_interrupt_is_streamed_and_answered_with_data(http: httpx.AsyncClient, version: str) -> None:
    """The stream ends where an answer is needed; data says which interrupt is answered, and how."""
    agent = await _agent(http, "approval", version)

    updates = [update async for update in agent.send_message(_request("Tell the team to go home"))]
    last, task = updates[-1].status_update, updates[0].task
    question = MessageToDict(updates[-2].artifact_update.artifact)["parts"][0]["data"]
    resume = {"resume": {question["id"]: {"type": "reject", "message": "too early"}}}
    answer = _request({"data": resume}, context_id=task.context_id, task_id=task.id)
    ended = [update async for update in agent.send_message(answer)][-1].status_update

    assert last.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    assert ended.status.state == TaskState.TASK_STATE_COMPLETED
    assert ended.task_id == task.id
    seen = await agent.get_task(GetTaskRequest(id=task.id))
    assert _words(seen) == "The message was not sent because: too early."


@_each_version
async def test_a_graph_without_messages_takes_data_and_gives_data(http: httpx.AsyncClient, version: str) -> None:
    """The keys of the data are the input of the graph, those of the artifact its output."""
    agent = await _agent(http, "steps", version, streaming=False)

    task = await _sent(agent, {"data": {"topic": "tea"}})

    (part,) = MessageToDict(task.artifacts[0])["parts"]
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert part["data"]["report"].startswith("# Tea")
    assert len(part["data"]["notes"]) == 3


@_each_version
async def test_output_comes_in_modes_that_the_client_accepts(http: httpx.AsyncClient, version: str) -> None:
    """Data as text for who takes nothing else, text as data; and nothing begins that would end in something else."""

    async def asked(assistant: str, part: Any, *modes: str) -> Any:
        agent = await _agent(http, assistant, version, streaming=False)
        request = _request(part)
        request.configuration.accepted_output_modes.extend(modes)
        (answer,) = [update async for update in agent.send_message(request)]
        return MessageToDict(answer.task.artifacts[0])["parts"]

    (report,) = await asked("steps", {"data": {"topic": "tea"}}, "text/plain")
    assert json.loads(report["text"])["report"].startswith("# Tea")
    (words,) = await asked("agent", "What is 17 * 23?", "application/json")
    assert words["data"] in ("17 * 23 = 391", {"value": "17 * 23 = 391"})
    before = (await http.post("/threads/count", json={})).json()
    with pytest.raises(ContentTypeNotSupportedError, match="image/png"):
        await asked("agent", "Paint a picture", "image/png")
    assert (await http.post("/threads/count", json={})).json() == before


async def test_a_version_that_is_not_spoken_is_refused(http: httpx.AsyncClient) -> None:
    """Named by a client that is newer than the server; the two of the card are spoken whatever their patch."""
    http.headers["A2A-Version"] = "9.0"
    agent = await _agent(http, "agent", streaming=False)

    with pytest.raises(VersionNotSupportedError, match=r"1\.0, 0\.3"):
        await _sent(agent, "hello")
    http.headers["A2A-Version"] = "1.0.7"
    assert (await _sent(agent, "hello")).status.state == TaskState.TASK_STATE_COMPLETED


async def test_a_task_is_read_and_the_history_has_a_scope(http: httpx.AsyncClient) -> None:
    """By default the messages of the task; those of the whole context, or the last few, on demand."""
    agent = await _agent(http, "agent", streaming=False)
    first = await _sent(agent, "hello")
    task = await _sent(agent, "My name is Ada", context_id=first.context_id)

    whole = await agent.get_task(GetTaskRequest(id=task.id))
    last = await agent.get_task(GetTaskRequest(id=task.id, history_length=1))
    context = (await _rpc(http, "agent", "tasks/get", {"id": task.id, "historyScope": "context"}))["result"]
    by_header = await _rpc(http, "agent", "tasks/get", {"id": task.id}, {"LangGraph-A2A-History-Scope": "context"})
    old = await agent.get_task(GetTaskRequest(id=first.id))

    assert [message.parts[0].text for message in whole.history] == ["My name is Ada", _words(task)]
    assert [message.parts[0].text for message in last.history] == [_words(task)]
    assert len(context["history"]) == len(by_header["result"]["history"]) == 4
    assert context["kind"] == "task"
    assert context["status"]["state"] == "completed"
    assert {message["role"] for message in context["history"]} == {"user", "agent"}
    assert _words(old) == _words(first)


async def test_tasks_are_listed_by_context_status_and_page(http: httpx.AsyncClient) -> None:
    """Newest first; a page says where the next one begins."""
    agent = await _agent(http, "approval", streaming=False)
    asked = await _sent(agent, "One")
    other = await _sent(agent, "Two", context_id=asked.context_id)

    both = await agent.list_tasks(ListTasksRequest(context_id=asked.context_id))
    waiting = await agent.list_tasks(
        ListTasksRequest(context_id=asked.context_id, status=TaskState.TASK_STATE_INPUT_REQUIRED)
    )
    page = await agent.list_tasks(ListTasksRequest(context_id=asked.context_id, page_size=1, include_artifacts=True))
    rest = await agent.list_tasks(
        ListTasksRequest(context_id=asked.context_id, page_size=1, page_token=page.next_page_token)
    )
    everywhere = await agent.list_tasks(ListTasksRequest(page_size=2))

    # The second message began the graph anew, so nothing waits for the answer to the first.
    assert [(task.id, task.status.state) for task in both.tasks] == [
        (other.id, TaskState.TASK_STATE_INPUT_REQUIRED),
        (asked.id, TaskState.TASK_STATE_COMPLETED),
    ]
    assert [task.id for task in waiting.tasks] == [other.id]
    assert [task.id for task in page.tasks] == [other.id]
    assert page.tasks[0].artifacts
    assert not both.tasks[0].artifacts
    assert [task.id for task in rest.tasks] == [asked.id]
    assert rest.next_page_token == ""
    assert [task.id for task in everywhere.tasks] == [other.id, asked.id]


@_each_version
async def test_a_task_is_cancelled(
    testing_http: httpx.AsyncClient, testing_client: LangGraphClient, version: str
) -> None:
    """Once it is over there is nothing to cancel, and nothing to add."""
    slow = await testing_client.assistants.create("counter", context={"delay": 60})
    agent = await _agent(testing_http, slow["assistant_id"], version, streaming=False, polling=True)
    begun = await _sent(agent, {"data": {"step": 0}})
    await _until(lambda: _is(agent, begun, TaskState.TASK_STATE_WORKING), "a worker takes it")

    cancelled = await agent.cancel_task(CancelTaskRequest(id=begun.id))

    assert begun.status.state == TaskState.TASK_STATE_SUBMITTED
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
    with pytest.raises(TaskNotCancelableError):
        await agent.cancel_task(CancelTaskRequest(id=begun.id))
    with pytest.raises(UnsupportedOperationError):
        await _sent(agent, {"data": {"step": 0}}, context_id=begun.context_id, task_id=begun.id)
    with pytest.raises(TaskNotFoundError):
        await agent.get_task(GetTaskRequest(id=f"{uuid4()}:{uuid4()}"))


async def test_a_failed_run_is_a_failed_task(testing_http: httpx.AsyncClient) -> None:
    """With the reason."""
    agent = await _agent(testing_http, "failing", streaming=False)

    task = await _sent(agent, {"data": {"text": "x"}})

    assert task.status.state == TaskState.TASK_STATE_FAILED
    assert task.status.message.parts[0].text == "ValueError: failed on purpose"


async def test_parallel_questions_are_told_apart_by_their_ids(testing_http: httpx.AsyncClient) -> None:
    """One text cannot answer two of them."""
    agent = await _agent(testing_http, "two_approvers", streaming=False)
    asked = await _sent(agent, {"data": {"answers": []}})
    questions = [part["data"] for part in MessageToDict(asked.artifacts[0])["parts"]]
    names = {"context_id": asked.context_id, "task_id": asked.id}

    with pytest.raises(Exception, match="2 interrupts wait"):
        await _sent(agent, "yes", **names)
    answers = {question["id"]: question["value"]["question"] for question in questions}
    answered = await _sent(agent, {"data": {"resume": answers}}, **names)

    (output,) = MessageToDict(answered.artifacts[0])["parts"]
    assert answered.status.state == TaskState.TASK_STATE_COMPLETED
    assert output["data"]["answers"] == [{"left": "left?"}, {"right": "right?"}]


@_each_version
async def test_a_task_is_followed_again(
    testing_http: httpx.AsyncClient, testing_client: LangGraphClient, version: str
) -> None:
    """A client that lost its stream gets the task as it is now, and the rest."""
    slow = await testing_client.assistants.create("tokens", context={"delay": 0.1})
    agent = await _agent(testing_http, slow["assistant_id"], version)
    polling = await _agent(testing_http, slow["assistant_id"], version, streaming=False, polling=True)
    begun = await _sent(polling, "speak")

    updates = [update async for update in agent.subscribe(SubscribeToTaskRequest(id=begun.id))]

    assert updates[0].task.id == begun.id
    assert updates[-2].artifact_update.artifact.parts[0].text.endswith("token20")
    assert updates[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    with pytest.raises(UnsupportedOperationError):
        [update async for update in agent.subscribe(SubscribeToTaskRequest(id=begun.id))]


async def test_every_example_has_a_card_with_the_address_it_was_asked_at(http: httpx.AsyncClient) -> None:
    """At the well-known places of both versions."""
    for graph in ("agent", "approval", "steps"):
        path = f"/a2a/{system_assistant_id(graph)}"
        card = await A2ACardResolver(http, f"{http.base_url}{path.removeprefix('/')}").get_agent_card()
        raw = (await http.get(path)).json()

        assert card.name == graph
        assert card.supported_interfaces[0].url == raw["url"] == f"{str(http.base_url).rstrip('/')}{path}"
        assert card.supported_interfaces[0].protocol_version == "1.0"
        assert card.capabilities.streaming
        assert not card.capabilities.push_notifications
        assert card.capabilities.extensions
        assert list(card.default_input_modes) == ["application/json", "text/plain"]
        assert len(card.skills) == 1
        for other in (f"{path}/.well-known/agent.json", f"/.well-known/agent-card.json?assistant_id={path[5:]}"):
            assert (await http.get(other)).json() == raw
        assert (await _rpc(http, graph, "GetExtendedAgentCard", {}))["result"] == raw
    assert (await http.get("/.well-known/agent-card.json")).status_code == 400
    assert (await http.get(f"/a2a/{uuid4()}")).status_code == 404
    assert (await http.get(path, headers={"x-api-key": "wrong"})).status_code == 401


async def test_an_assistant_names_its_own_media_types(http: httpx.AsyncClient, client: LangGraphClient) -> None:
    """They are in the card, and files of other types are refused."""
    modes = {"input_modes": ["text/plain", "image/*"], "output_modes": ["text/markdown"]}
    assistant = await client.assistants.create("agent", name="Painter", metadata={"a2a": modes})
    path = f"/a2a/{assistant['assistant_id']}"
    file = {"kind": "file", "file": {"uri": "http://example.org/x.pdf", "mimeType": "application/pdf"}}

    card = (await http.get(path)).json()
    refused = (await http.post(path, json=_call("message/send", {"message": _message(file)}))).json()
    await client.assistants.delete(assistant["assistant_id"])

    assert card["defaultInputModes"] == ["text/plain", "image/*"]
    assert card["skills"][0]["outputModes"] == ["text/markdown"]
    assert refused["error"]["code"] == -32005


async def test_a_command_and_a_context_are_passed_on(http: httpx.AsyncClient) -> None:
    """Additions of LangGraph to the protocol."""
    asked = (await _rpc(http, "approval", "message/send", {"message": _message({"text": "hello"})}))["result"]
    command = {"resume": "approve", "update": {"wishes": ["Hurry."]}}
    message = _message({"text": "ignored"}, taskId=asked["id"], command=command)

    answered = (await _rpc(http, "approval", "message/send", {"message": message, "context": {"token_delay": 0}}))[
        "result"
    ]

    assert answered["status"]["state"] == "completed"
    assert answered["artifacts"][0]["parts"][1]["data"]["wishes"] == ["Hurry."]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nothing/such", {}, -32601),
        ("tasks/pushNotificationConfig/set", {}, -32003),
        ("message/send", {}, -32602),
        ("message/send", {"message": {"role": "user", "messageId": "1", "parts": []}}, -32602),
        ("message/send", {"message": {"role": "user", "parts": [{"text": "x"}]}}, -32602),
        ("message/send", {"message": {"messageId": "1", "parts": [{"text": "x"}]}}, -32602),
        ("message/send", {"message": {"role": "user", "messageId": "1", "parts": [{"kind": "film"}]}}, -32005),
        ("SendMessage", {"message": {"role": "ROLE_USER", "messageId": "1", "parts": [{"text": "x"}]}}, -32602),
        ("tasks/get", {"id": "x"}, -32001),
        ("tasks/get", {}, -32602),
        ("tasks/cancel", {"id": f"{uuid4()}:{uuid4()}"}, -32001),
        ("ListTasks", {"pageSize": 0}, -32602),
        ("ListTasks", {"pageToken": "x"}, -32602),
        ("ListTasks", {"status": "asleep"}, -32602),
        ("ListTasks", {"contextId": "x"}, -32602),
    ],
)
async def test_a_wrong_request_is_an_error_of_the_protocol(
    http: httpx.AsyncClient, method: str, params: dict[str, Any], code: int
) -> None:
    """The HTTP status stays 200. The graph of the steps takes no messages."""
    answer = await _rpc(http, "steps", method, params)

    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert answer["id"] == "7"


async def test_what_is_no_request_is_refused(http: httpx.AsyncClient) -> None:
    """Inside HTTP 200 where it is about JSON-RPC, by HTTP where no answer could be read."""
    path = f"/a2a/{system_assistant_id('agent')}"
    for body, code in ((b"{", -32700), (b"", -32700), (b"[]", -32600), (b'{"id": 1, "method": "x"}', -32600)):
        answer = await http.post(path, content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)
    call = _call("message/stream", {"message": _message({"text": "x"})})
    refused = await http.post(path, json=call, headers={"accept": "application/json"})
    assert refused.status_code == 400
    assert refused.json()["error"]
    assert (await http.put(path, json={})).status_code == 405
    nobody = await http.post(f"/a2a/{uuid4()}", json=_call("tasks/get", {"id": "x"}))
    assert nobody.json()["error"]["code"] == -32602


async def _agent(
    http: httpx.AsyncClient, assistant: str, version: str = "1.0", *, streaming: bool = True, polling: bool = False
) -> Client:
    """The official client of one assistant, made to speak one version by a card without the other."""
    url = f"{http.base_url}a2a/{_id(assistant)}"
    card = await A2ACardResolver(http, url).get_agent_card()
    kept = [one for one in card.supported_interfaces if one.protocol_version == version]
    del card.supported_interfaces[:]
    card.supported_interfaces.extend(kept)
    return ClientFactory(ClientConfig(httpx_client=http, streaming=streaming, polling=polling)).create(card)


def _id(assistant: str) -> str:
    """Of a graph's own assistant, or of any other."""
    return assistant if "-" in assistant else str(system_assistant_id(assistant))


def _request(part: Any, *, context_id: str = "", task_id: str = "") -> SendMessageRequest:
    parts = [ParseDict({"text": part} if isinstance(part, str) else part, Part())]
    message = Message(message_id=str(uuid4()), role=Role.ROLE_USER, parts=parts, context_id=context_id, task_id=task_id)
    return SendMessageRequest(message=message)


async def _sent(agent: Client, part: Any, **names: Any) -> Task:
    (answer,) = [update async for update in agent.send_message(_request(part, **names))]
    return answer.task


def _words(task: Task) -> str:
    return task.artifacts[0].parts[0].text


def _message(part: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "user", "messageId": str(uuid4()), "parts": [part], **fields}


def _call(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "7", "method": method, "params": params}


async def _rpc(
    http: httpx.AsyncClient, graph: str, method: str, params: dict[str, Any], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    path = f"/a2a/{system_assistant_id(graph)}"
    answer = await http.post(path, json=_call(method, params), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _is(agent: Client, task: Task, state: TaskState) -> bool:
    return (await agent.get_task(GetTaskRequest(id=task.id))).status.state == state


async def _until(ask: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while not await ask():
        assert asyncio.get_running_loop().time() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.05)
