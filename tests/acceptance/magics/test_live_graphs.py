"""Graphs that exist only in a notebook, called by everybody else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import httpx
import pytest
from jupyter_client.manager import start_new_kernel
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError

from .conftest import Notebook, Seen

GRAPHS = """
import operator, os, time
from typing import Annotated, TypedDict
from langchain_core.messages import AIMessageChunk
from langgraph.config import get_stream_writer, get_store
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from lgnb.graphs.scripted_model import ScriptedChatModel

class State(TypedDict, total=False):
    text: str
    log: str
    seen: Annotated[list, operator.add]

def note(state, name):
    if state.get("log"):
        with open(state["log"], "a") as file:
            file.write(name + "\\n")

def shout(state):
    print("shouting", state["text"])
    return {"text": state["text"].upper(), "seen": ["shout"]}

def fail(state):
    if state["text"] == "BOOM":
        raise ValueError("boom it is")
    return {"seen": ["fail"]}

def first(state):
    note(state, "first")
    get_stream_writer()({"at": "first"})
    return {"seen": ["first"]}

def slow(state):
    note(state, "slow")
    gate = state.get("text")
    while gate and not os.path.exists(gate):
        time.sleep(0.05)
    return {"seen": ["slow"]}

def ask(state):
    return {"text": interrupt("what now?"), "seen": ["ask"]}

def remember(state):
    store = get_store()
    store.put(("live",), "text", {"text": state["text"]})
    return {"seen": [store.get(("live",), "text").value["text"]]}

def chain(*nodes):
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node.__name__, node)
    for one, other in zip((START, *(node.__name__ for node in nodes)), (*(node.__name__ for node in nodes), END)):
        builder.add_edge(one, other)
    return builder.compile()

shouting, stepping, asking, remembering = chain(shout, fail), chain(first, slow), chain(ask, shout), chain(remember)
"""


class LiveNotebook(Notebook):
    """A notebook whose cells may be written to after they have ended."""

    def execute(self, source: str) -> str:
        """Execute a cell to its end; its id, by which late output names it."""
        cell = self.client.execute(source, allow_stdin=True)
        while True:
            message: Any = self.client.get_iopub_msg(timeout=30)
            ours = message["parent_header"].get("msg_id") == cell
            if ours and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return cell

    def printed_later(self, cell: str, *texts: str, timeout: float = 20) -> str:
        """What appeared under a cell that has ended, once it contains all `texts`."""
        printed, deadline = "", time.monotonic() + timeout
        while not all(text in printed for text in texts):
            assert time.monotonic() < deadline, f"{texts!r} are not in {printed!r}"
            try:
                message: Any = self.client.get_iopub_msg(timeout=0.2)
            except Empty:
                continue
            if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == cell:
                printed += message["content"]["text"]
        return printed


def _open(lgnb_server: Any, **environment: str) -> LiveNotebook:
    variables = {"LGNB_URL": lgnb_server.url, "LGNB_API_KEY": lgnb_server.api_key, "LGNB_LIVE": "1", **environment}
    manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, **variables})
    notebook = LiveNotebook(manager, client)
    assert notebook.run("%load_ext lgnb").outputs == []
    assert notebook.run(GRAPHS).error is None
    return notebook


def _serve(notebook: Notebook, *pairs: str, flags: str = "") -> Seen:
    seen = notebook.run("\n".join(f"%lg serve {pair} {flags}".strip() for pair in pairs))
    assert seen.error is None, seen.error
    return seen


@pytest.fixture(scope="module")
def served(lgnb_server: Any) -> Iterator[LiveNotebook]:
    """A notebook that serves every graph of this module under its own name."""
    notebook = _open(lgnb_server)
    _serve(notebook, "shouting as shouting", "stepping as stepping", "asking as asking", "remembering as remembering")
    yield notebook
    notebook.close()


@pytest.fixture
def open_live(lgnb_server: Any) -> Iterator[Callable[..., LiveNotebook]]:
    opened: list[LiveNotebook] = []

    def open_one(**environment: str) -> LiveNotebook:
        opened.append(_open(lgnb_server, **environment))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()


@pytest.fixture
async def sdk(lgnb_server: Any) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=lgnb_server.url, api_key=lgnb_server.api_key) as client:
        yield client


async def _until(what: Callable[[], Any], *, timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def _status(sdk: LangGraphClient, run: Any, status: str, *, timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while (found := (await sdk.runs.get(run["thread_id"], run["run_id"]))["status"]) != status:
        assert time.monotonic() < deadline, f"the run is {found}, not {status}"
        await asyncio.sleep(0.05)


async def _saved_before(sdk: LangGraphClient, run: Any, node: str) -> None:
    """Wait for the checkpoint from which the node begins; the node itself may be ahead of it."""
    deadline = time.monotonic() + 30
    while (await sdk.threads.get_state(run["thread_id"]))["next"] != [node]:
        assert time.monotonic() < deadline, f"no checkpoint before {node}"
        await asyncio.sleep(0.05)


# -- Everybody can call it --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("served")
async def test_the_sdk_runs_a_graph_of_a_notebook(sdk: LangGraphClient) -> None:
    """A graph defined in a cell answers like any other assistant, with a thread and a history."""
    thread = await sdk.threads.create()

    values = await sdk.runs.wait(thread["thread_id"], "shouting", input={"text": "hello"})

    assert values == {"text": "HELLO", "seen": ["shout", "fail"]}
    history = await sdk.threads.get_history(thread["thread_id"])
    assert [state["next"] for state in history] == [[], ["fail"], ["shout"], ["__start__"]]


@pytest.mark.usefixtures("served")
async def test_plain_http_streams_it_statelessly(lgnb_server: Any) -> None:
    """What curl would send: one request with a key."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(
            f"{lgnb_server.url}/runs/stream",
            headers={"x-api-key": lgnb_server.api_key},
            json={"assistant_id": "shouting", "input": {"text": "curl"}, "stream_mode": "updates"},
            timeout=30,
        )

    assert answer.status_code == 200
    assert '{"shout":{"text":"CURL","seen":["shout"]}}' in answer.text


@pytest.mark.usefixtures("served")
def test_a_remote_graph_of_another_process_calls_it(lgnb_server: Any) -> None:
    """RemoteGraph needs no more than the URL and the name."""
    program = (
        "import sys; from langgraph.pregel.remote import RemoteGraph\n"
        "graph = RemoteGraph('shouting', url=sys.argv[1], api_key=sys.argv[2])\n"
        "print(graph.invoke({'text': 'remote'})['text'], sorted(graph.get_graph().nodes))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, lgnb_server.url, lgnb_server.api_key],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == "REMOTE ['__end__', '__start__', 'fail', 'shout']\n", done.stderr


@pytest.mark.usefixtures("served")
async def test_events_arrive_while_the_graph_works(sdk: LangGraphClient, tmp_path: Path) -> None:
    """What the first node says is on its way before the second one has finished."""
    gate = tmp_path / "gate"
    seen: list[Any] = []

    async for part in sdk.runs.stream(
        None, "stepping", input={"text": str(gate)}, stream_mode=["updates", "custom", "values", "tasks"]
    ):
        seen.append((part.event, part.data))
        if part.event == "updates" and "first" in part.data:
            gate.touch()

    events = [event for event, _ in seen]
    assert ("custom", {"at": "first"}) in seen
    assert events.index("custom") < events.index("updates") < len(events) - 1 - events[::-1].index("updates")
    assert seen[-1] == ("values", {"text": str(gate), "seen": ["first", "slow"]})


@pytest.mark.usefixtures("served")
async def test_an_interrupt_waits_and_is_answered(sdk: LangGraphClient) -> None:
    """Human in the loop works across the socket: the answer reaches the node that asked."""
    thread = await sdk.threads.create()
    await sdk.runs.wait(thread["thread_id"], "asking", input={"text": ""})
    state = await sdk.threads.get_state(thread["thread_id"])
    assert [one["value"] for one in state["interrupts"]] == ["what now?"]

    values = await sdk.runs.wait(thread["thread_id"], "asking", command={"resume": "go"})

    assert values == {"text": "GO", "seen": ["ask", "shout"]}


@pytest.mark.usefixtures("served")
async def test_a_cancel_reaches_the_kernel_at_once(sdk: LangGraphClient, tmp_path: Path) -> None:
    """A run that waits in a node ends when it is cancelled, and the kernel takes the next one."""
    log = tmp_path / "log"
    thread = await sdk.threads.create()
    run = await sdk.runs.create(
        thread["thread_id"], "stepping", input={"text": str(tmp_path / "never"), "log": str(log)}
    )
    await _until(lambda: log.exists() and "slow" in log.read_text())

    start = time.monotonic()
    await sdk.runs.cancel(thread["thread_id"], run["run_id"], wait=True)

    await _status(sdk, run, "interrupted")
    assert time.monotonic() - start < 5
    (tmp_path / "never").touch()
    assert await sdk.runs.wait(None, "shouting", input={"text": "next"})


@pytest.mark.usefixtures("served")
async def test_the_state_of_its_thread_can_be_updated(sdk: LangGraphClient) -> None:
    """An update is a call to the kernel, which has the graph; the host stores what it writes."""
    thread = await sdk.threads.create()
    await sdk.runs.wait(thread["thread_id"], "shouting", input={"text": "one"})

    await sdk.threads.update_state(thread["thread_id"], {"seen": ["edited"]}, as_node="shout")

    state = await sdk.threads.get_state(thread["thread_id"])
    assert state["values"]["seen"] == ["shout", "fail", "edited"]
    assert state["next"] == ["fail"]


@pytest.mark.usefixtures("served")
async def test_its_nodes_reach_the_store_of_the_server(sdk: LangGraphClient) -> None:
    """`get_store()` in a cell's node is the store that the API shows."""
    values = await sdk.runs.wait(None, "remembering", input={"text": "kept"})

    assert values["seen"] == ["kept"]
    assert (await sdk.store.get_item(["live"], key="text"))["value"] == {"text": "kept"}


# -- It lives in the notebook -----------------------------------------------------------------------------------------


def test_the_kernel_has_no_way_to_postgres_or_redis(served: LiveNotebook) -> None:
    """Neither a driver nor an address: everything went over the API."""
    drivers = (
        "[name for name in __import__('sys').modules if name.split('.')[0] in ('psycopg', 'psycopg_pool', 'redis')]"
    )
    addresses = "[name for name, value in os.environ.items() if 'postgresql://' in value or 'redis://' in value]"

    assert served.value(drivers) == []
    assert served.value(addresses) == []


async def test_prints_and_tracebacks_appear_under_the_cell_that_serves(
    open_live: Callable[..., LiveNotebook], sdk: LangGraphClient
) -> None:
    """A failing node shows its own lines in the notebook, and %debug opens there."""
    notebook = open_live()
    cell = notebook.execute("%lg serve shouting as loud")

    await sdk.runs.wait(None, "loud", input={"text": "boom"}, raise_error=False)

    printed = await asyncio.to_thread(notebook.printed_later, cell, "shouting boom\n", "boom it is")
    # What is printed and the traceback come over two streams, in either order.
    assert "A run of loud failed." in printed
    assert "in \x1b[36mfail" in printed
    assert "langgraph" not in printed
    assert notebook.value("__import__('sys').last_traceback.tb_frame.f_code.co_name") == "fail"
    debugged = await asyncio.to_thread(_debug, notebook, "p state['text']")
    assert "'BOOM'" in debugged


def _debug(notebook: Notebook, command: str) -> str:
    """What %debug shows for a command."""
    printed, answers = "", iter([command, "quit"])

    def answer(_: Any) -> None:
        notebook.client.input(next(answers))

    def output(message: Any) -> None:
        nonlocal printed
        printed += message["content"].get("text", "")

    notebook.client.execute_interactive("%debug", allow_stdin=True, stdin_hook=answer, output_hook=output, timeout=30)
    return printed


async def test_a_breakpoint_in_a_node_asks_under_the_cell_that_serves(
    open_live: Callable[..., LiveNotebook], sdk: LangGraphClient
) -> None:
    """The run stops there, with the variables of the node, until it is told to go on."""
    notebook = open_live()
    notebook.run("def halt(state):\n    local = 42\n    breakpoint()\n    return {'text': str(local)}")
    cell = notebook.execute("%lg serve chain(halt) as halting")
    waiting = asyncio.create_task(sdk.runs.wait(None, "halting", input={"text": ""}))

    for command in ("p local + 1", "c"):
        question: Any = await asyncio.to_thread(notebook.client.get_stdin_msg, timeout=20)
        assert question["parent_header"]["msg_id"] == cell
        assert question["content"]["prompt"] == "(Pdb) "
        notebook.client.input(command)

    assert (await waiting)["text"] == "42"
    assert "43" in await asyncio.to_thread(notebook.printed_later, cell, "43")


async def test_executing_the_cell_again_swaps_the_graph_for_the_next_run(
    open_live: Callable[..., LiveNotebook], sdk: LangGraphClient, tmp_path: Path
) -> None:
    """A run that has begun ends with the graph it began with."""
    notebook, gate, log = open_live(), tmp_path / "gate", tmp_path / "log"
    _serve(notebook, "stepping as changing")
    thread = await sdk.threads.create()
    begun = await sdk.runs.create(thread["thread_id"], "changing", input={"text": str(gate), "log": str(log)})
    await _until(lambda: log.exists() and "slow" in log.read_text())

    swapped = await asyncio.to_thread(notebook.run, "stepping = chain(shout)")

    assert "changing now serves the new graph" in swapped.printed
    values = await sdk.runs.wait(None, "changing", input={"text": "new"})
    assert values == {"text": "NEW", "seen": ["shout"]}
    gate.touch()
    assert (await sdk.runs.join(thread["thread_id"], begun["run_id"]))["seen"] == ["first", "slow"]


async def test_a_busy_cell_holds_up_neither_runs_nor_the_lease(served: LiveNotebook, sdk: LangGraphClient) -> None:
    """A cell that computes for longer than the lease: runs are executed beside it, in their first attempt."""
    busy = asyncio.create_task(asyncio.to_thread(served.run, "time.sleep(8)"))
    await asyncio.sleep(0.5)

    start = time.monotonic()
    assert await sdk.runs.wait(None, "shouting", input={"text": "a"})
    assert time.monotonic() - start < 5

    await busy
    thread = await sdk.threads.create()
    parts = [part async for part in sdk.runs.stream(thread["thread_id"], "shouting", input={"text": "b"})]
    assert parts[0].data["attempt"] == 1


# -- Faults -----------------------------------------------------------------------------------------------------------


async def test_a_killed_kernel_leaves_its_run_to_whoever_serves_again(
    open_live: Callable[..., LiveNotebook], sdk: LangGraphClient, lgnb_server: Any, tmp_path: Path
) -> None:
    """The run waits, the assistant can be inspected, calls say why; then it goes on from its last checkpoint."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    killed = open_live()
    _serve(killed, "stepping as mortal")
    thread = await sdk.threads.create()
    run = await sdk.runs.create(thread["thread_id"], "mortal", input={"text": str(gate), "log": str(log)})
    await _until(lambda: log.exists() and "slow" in log.read_text())
    await _saved_before(sdk, run, "slow")

    killed.manager.signal_kernel(9)

    await _status(sdk, run, "pending", timeout=20)
    assistant = (await sdk.assistants.search(graph_id="mortal"))[0]
    assert [node["id"] for node in (await sdk.assistants.get_graph(assistant["assistant_id"]))["nodes"]]
    other = await sdk.threads.create(metadata={"graph_id": "mortal"})
    with pytest.raises(APIStatusError) as refused:
        await sdk.threads.update_state(other["thread_id"], {"text": "x"})
    assert refused.value.status_code == 503
    assert "does not serve it now" in str(refused.value)
    async with httpx.AsyncClient(trust_env=False) as http:
        live = (await http.get(f"{lgnb_server.url}/live/graphs", headers={"x-api-key": lgnb_server.api_key})).json()
    mortal = next(one for one in live if one["graph_id"] == "mortal")
    assert (mortal["is_served"], mortal["n_pending"]) == (False, 1)

    gate.touch()
    _serve(await asyncio.to_thread(open_live), "stepping as mortal")

    assert (await sdk.runs.join(thread["thread_id"], run["run_id"]))["seen"] == ["first", "slow"]
    assert log.read_text().split() == ["first", "slow", "slow"]


async def test_restarting_the_kernel_returns_its_run_at_once(
    open_live: Callable[..., LiveNotebook], sdk: LangGraphClient, tmp_path: Path
) -> None:
    """In good order there is nothing to wait for: the run is pending before any lease could have ended."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    notebook = open_live()
    _serve(notebook, "stepping as restarted")
    thread = await sdk.threads.create()
    run = await sdk.runs.create(thread["thread_id"], "restarted", input={"text": str(gate), "log": str(log)})
    await _until(lambda: log.exists() and "slow" in log.read_text())

    start = time.monotonic()
    restarting = asyncio.create_task(asyncio.to_thread(notebook.manager.restart_kernel))
    await _status(sdk, run, "pending", timeout=10)
    assert time.monotonic() - start < 4
    await restarting

    gate.touch()
    notebook.client.wait_for_ready(timeout=30)
    assert notebook.run("%load_ext lgnb").error is None
    assert notebook.run(GRAPHS).error is None
    _serve(notebook, "stepping as restarted")
    assert (await sdk.runs.join(thread["thread_id"], run["run_id"]))["seen"] == ["first", "slow"]


# -- Names ------------------------------------------------------------------------------------------------------------


def test_a_name_of_langgraph_json_is_refused(served: LiveNotebook) -> None:
    """`agent` is served by the workers of the server."""
    seen = served.run("%lg serve shouting as agent")

    assert seen.error is not None
    assert seen.error["ename"] == "GraphTaken"
    assert "Workers serve a graph 'agent' of langgraph.json; choose another name." in "".join(seen.error["traceback"])


async def test_another_kernel_learns_who_serves_a_name_and_may_take_it(
    served: LiveNotebook, open_live: Callable[..., LiveNotebook], sdk: LangGraphClient
) -> None:
    """The error says who; --take-over takes the name, and the first kernel is told."""
    cell = served.execute("%lg serve remembering as wanted")
    other = await asyncio.to_thread(open_live, JPY_SESSION_NAME="/nb/other.ipynb")

    refused = other.run("%lg serve shouting as wanted")

    assert refused.error is not None
    assert "is served by kernel" in refused.error["evalue"]
    assert "--take-over" in refused.error["evalue"]
    _serve(other, "shouting as wanted", flags="--take-over")
    values = await sdk.runs.wait(None, "wanted", input={"text": "mine"})
    assert values["text"] == "MINE"
    told = await asyncio.to_thread(served.printed_later, cell, "somebody else")
    assert told == "wanted is served by somebody else now.\n"


async def test_what_is_no_longer_served_waits(open_live: Callable[..., LiveNotebook], sdk: LangGraphClient) -> None:
    """`%lg unserve` takes no more runs; serving again does them."""
    notebook = open_live()
    _serve(notebook, "shouting as coming")
    assert notebook.run("%lg unserve coming").error is None
    thread = await sdk.threads.create()
    run = await sdk.runs.create(thread["thread_id"], "coming", input={"text": "later"})
    assert "1 run waits" in notebook.run("%lg").text
    assert (await sdk.runs.get(run["thread_id"], run["run_id"]))["status"] == "pending"

    _serve(notebook, "shouting as coming")

    assert (await sdk.runs.join(thread["thread_id"], run["run_id"]))["text"] == "LATER"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("%lg serve shouting", "Say which graph and its name: %lg serve graph as my-agent"),
        ("%lg serve nothing as x", "nothing is no graph of this notebook"),
        ("%lg serve note as x/y", "cannot name a graph"),
        ("%lg serve GRAPHS_TEXT as x", "is no graph of this notebook"),
        ("%lg serve 42 as x", "it is a int, but must be a StateGraph"),
        ("%lg unserve", "Say which graph: %lg unserve NAME"),
        ("%lg unserve unknown", "This kernel serves no graph 'unknown'"),
    ],
)
def test_a_mistake_is_told_in_one_line(served: LiveNotebook, line: str, says: str) -> None:
    seen = served.run(line)

    told = seen.error["evalue"] if seen.error else seen.printed
    assert says in told
    assert "\n" not in told.strip()


# -- For good ---------------------------------------------------------------------------------------------------------


def test_an_exported_graph_is_served_by_a_worker_without_the_notebook(
    open_live: Callable[..., LiveNotebook], tmp_path: Path
) -> None:
    """The module holds what the graph needs from the cells, and the loader of the workers takes it."""
    notebook = open_live()
    _serve(notebook, "shouting as my-shouting", flags='--description "it shouts"')

    written = notebook.run(f"%lg export my-shouting {tmp_path / 'out'}")

    assert "lgnb serve -c out/langgraph.json" in written.text
    module = (tmp_path / "out" / "my_shouting.py").read_text()
    assert "def shout(state)" in module
    assert "lgnb.serve" not in module
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from lgnb.graphs.loading import GraphRegistry; from lgnb.graphs.project import Project\n"
        "registry = GraphRegistry(); registry.load_all(Project.of(Path(sys.argv[1])))\n"
        "async def main():\n"
        "    async with registry.get('my-shouting').open({}, access_context='threads.create_run') as graph:\n"
        "        print((await graph.ainvoke({'text': 'out'}))['text'], registry.get('my-shouting').description)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "out" / "langgraph.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "shouting out\nOUT it shouts\n", done.stderr


def test_an_export_needs_the_graph_to_be_served_here(served: LiveNotebook) -> None:
    seen = served.run("%lg export unknown")

    assert seen.error is not None
    assert seen.error["evalue"].startswith("This kernel serves no graph 'unknown'")
