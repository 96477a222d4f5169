"""What is asked of both servers: conversations of requests that build on each other's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

MISSING = "00000000-0000-4000-8000-000000000000"

CONVERSATIONS: list[Callable[[Any], None]] = []


def conversation(talk: Callable[[Any], None]) -> Callable[[Any], None]:
    CONVERSATIONS.append(talk)
    return talk


def fixed(number: int) -> str:
    return str(UUID(int=number, version=4))


@conversation
def assistants(ask: Any) -> None:
    for body in (
        {},
        {"graph_id": 1},
        {"graph_id": "nobody"},
        {"graph_id": "steps", "assistant_id": "x"},
        {"graph_id": "steps", "config": 1},
        {"graph_id": "steps", "config": {"recursion_limit": "9"}},
        {"graph_id": "steps", "metadata": []},
        {"graph_id": "steps", "if_exists": "maybe"},
        {"graph_id": "steps", "config": {"configurable": {"a": 1}}, "context": {"a": 1}},
    ):
        ask("POST", "/assistants", body)
    full = {
        "graph_id": "steps",
        "config": {"tags": ["t"], "recursion_limit": 50, "configurable": {"model": "m"}},
        "metadata": {"team": "red", "nested": {"a": 1, "b": 2}},
        "name": "Ada",
        "description": "An assistant",
    }
    made = ask("POST", "/assistants", full | {"assistant_id": fixed(1)})
    assistant = made["assistant_id"]
    ask("POST", "/assistants", full | {"assistant_id": fixed(1)})
    ask("POST", "/assistants", full | {"assistant_id": fixed(1), "if_exists": "do_nothing", "name": "Other"})
    ask("GET", f"/assistants/{assistant}")
    for place in (MISSING, "steps", "not-an-id"):
        ask("GET", f"/assistants/{place}")
    for change in (
        {},
        {"metadata": {"team": "blue"}},
        {"config": {"configurable": {"model": "n"}}},
        {"config": {}},
        {"context": {"model": "o"}},
        {"name": "Bob", "description": "Changed"},
        {"graph_id": "asks"},
        {"graph_id": "nobody"},
        {"metadata": 1},
    ):
        ask("PATCH", f"/assistants/{assistant}", change)
    ask("PATCH", f"/assistants/{MISSING}", {"name": "x"})
    ask("POST", f"/assistants/{assistant}/versions", {})
    ask("POST", f"/assistants/{assistant}/versions", {"limit": 2, "offset": 1})
    ask("POST", f"/assistants/{assistant}/versions", {"metadata": {"team": "red"}})
    ask("POST", f"/assistants/{assistant}/versions", {"metadata": {"team": "green"}})
    ask("POST", f"/assistants/{MISSING}/versions", {})
    for version in ({"version": 1}, {"version": 99}, {"version": "1"}, {}):
        ask("POST", f"/assistants/{assistant}/latest", version)
    ask("POST", f"/assistants/{MISSING}/latest", {"version": 1})
    for search in (
        {"metadata": {"team": "red"}},
        {"metadata": {"nested": {"a": 1}}},
        {"metadata": {"nested": {"a": 2}}},
        {
            "metadata": {"created_by": "system"},
            "sort_by": "graph_id",
            "sort_order": "asc",
            "select": ["graph_id", "name"],
        },
        {"metadata": {"created_by": "system"}, "sort_by": "name", "select": ["name"], "limit": 3},
        {"metadata": {"created_by": "system"}, "sort_by": "name", "select": ["name"], "limit": 3, "offset": 8},
        {"graph_id": "steps", "name": "AD"},
        {"graph_id": "nobody"},
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"sort_by": "secret"},
        {"select": ["secret"]},
    ):
        ask("POST", "/assistants/search", search)
    for count in ({}, {"metadata": {"team": "red"}}, {"graph_id": "asks"}, {"name": "ada"}, {"metadata": "x"}):
        ask("POST", "/assistants/count", count)
    ask("DELETE", f"/assistants/{assistant}")
    ask("DELETE", f"/assistants/{assistant}")
    ask("GET", f"/assistants/{assistant}")


@conversation
def drawings(ask: Any) -> None:
    for graph in ("steps", "asks", "nested", "speaks", "context", "factory", "asks_both"):
        assistant = ask.assistant_of(graph)
        ask("GET", f"/assistants/{assistant}/graph")
        ask("GET", f"/assistants/{assistant}/schemas")
        ask("GET", f"/assistants/{assistant}/subgraphs")
    nested = ask.assistant_of("nested")
    for xray in ("true", "false", "1", "0", "-1", "x"):
        ask("GET", f"/assistants/{nested}/graph", params={"xray": xray})
    ask("GET", "/assistants/nested/graph")
    ask("GET", "/assistants/nested/schemas")
    ask("GET", f"/assistants/{nested}/subgraphs", params={"recurse": "true"})
    ask("GET", f"/assistants/{nested}/subgraphs/child")
    ask("GET", f"/assistants/{nested}/subgraphs/nobody")
    ask("GET", f"/assistants/{MISSING}/graph")


@conversation
def threads(ask: Any) -> None:
    for body in (
        {"thread_id": "x"},
        {"metadata": 1},
        {"if_exists": "maybe"},
        {"ttl": 5},
        {"ttl": {"ttl": "long"}},
        {"ttl": {"ttl": 5, "strategy": "burn"}},
        {"supersteps": [{}]},
        {"supersteps": [{"updates": [{"values": {"log": ["x"]}, "as_node": "a"}]}]},
    ):
        ask("POST", "/threads", body)
    ask("POST", "/threads", None)
    ask("POST", "/threads", content=b"{")
    ask("POST", "/threads", [])
    ask("POST", "/threads", {"unknown": 1})
    thread = ask(
        "POST", "/threads", {"thread_id": fixed(2), "metadata": {"owner": "ada", "thread_id": "x", "l": [1, 2]}}
    )["thread_id"]
    ask("POST", "/threads", {"thread_id": fixed(2)})
    ask("POST", "/threads", {"thread_id": fixed(2), "if_exists": "do_nothing", "metadata": {"owner": "bob"}})
    for place in (thread, MISSING, "not-an-id"):
        ask("GET", f"/threads/{place}")
        ask("GET", f"/threads/{place}/state")
        ask("GET", f"/threads/{place}/history")
        ask("POST", f"/threads/{place}/history", {})
        ask("GET", f"/threads/{place}/runs")
    for change in (
        {"metadata": {"more": {"x": 1}}},
        {"metadata": {"more": None}},
        {"metadata": None},
        {"metadata": 1},
        {},
    ):
        ask("PATCH", f"/threads/{thread}", change)
    ask("PATCH", f"/threads/{thread}", {"metadata": {"a": 1}}, headers={"Prefer": "return=minimal"})
    ask("PATCH", f"/threads/{MISSING}", {"metadata": {}})
    ask("POST", f"/threads/{thread}/state", {"values": {"log": ["x"]}})
    ask("POST", f"/threads/{MISSING}/state", {"values": {}})
    for search in (
        {"metadata": {"owner": "ada"}},
        {"metadata": {"owner": "ada"}, "select": ["thread_id", "status"]},
        {
            "metadata": {"owner": "ada"},
            "extract": {"who": "metadata.owner", "second": "metadata.l[1]", "no": "values.x"},
        },
        {"metadata": {"owner": "ada"}, "extract": {"thread_id": "metadata.owner"}},
        {"metadata": {"owner": "ada"}, "extract": {"x": "secret.owner"}},
        {"ids": [thread]},
        {"ids": [MISSING]},
        {"ids": ["x"]},
        {"status": "idle", "metadata": {"owner": "ada"}},
        {"status": "asleep"},
        {"sort_by": "secret"},
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"select": ["secret"]},
        {"metadata": {"owner": "nobody"}},
    ):
        ask("POST", "/threads/search", search)
    for count in ({"metadata": {"owner": "ada"}}, {"metadata": {"owner": "nobody"}}, {"status": "asleep"}):
        ask("POST", "/threads/count", count)
    copied = ask("POST", f"/threads/{thread}/copy", None)["thread_id"]
    ask("POST", f"/threads/{MISSING}/copy", None)
    for prune in ({}, {"thread_ids": ["x"]}, {"thread_ids": [MISSING]}, {"thread_ids": [copied]}):
        ask("POST", "/threads/prune", prune)
    ask("GET", f"/threads/{copied}")
    ask("DELETE", f"/threads/{thread}")
    ask("DELETE", f"/threads/{thread}")


@conversation
def runs_of_one_graph(ask: Any) -> None:
    thread = ask("POST", "/threads", {"metadata": {"m": 1}})["thread_id"]
    for body in (
        {},
        {"assistant_id": 1},
        {"assistant_id": "nobody"},
        {"assistant_id": MISSING},
        {"assistant_id": "steps", "stream_mode": "loud"},
        {"assistant_id": "steps", "multitask_strategy": "both"},
        {"assistant_id": "steps", "config": {"configurable": {"a": 1}}, "context": {"b": 1}},
        {"assistant_id": "steps", "checkpoint_id": "x"},
        {"assistant_id": "steps", "after_seconds": "soon"},
        {"assistant_id": "steps", "durability": "never"},
        {"assistant_id": "steps", "webhook": "ftp://example.org"},
        {"assistant_id": "steps", "webhook": "http://127.0.0.1:1"},
        {"assistant_id": "steps", "interrupt_before": 1},
        {"assistant_id": "steps", "if_not_exists": "perhaps"},
    ):
        ask("POST", f"/threads/{thread}/runs", body)
    ask("POST", f"/threads/{MISSING}/runs", {"assistant_id": "steps", "input": {"log": ["i"]}})
    run = ask(
        "POST", f"/threads/{thread}/runs", {"assistant_id": "steps", "input": {"log": ["i"]}, "metadata": {"r": 1}}
    )
    ask("GET", f"/threads/{thread}/runs/{run['run_id']}/join")
    ask("GET", f"/threads/{thread}/runs/{run['run_id']}")
    ask("GET", f"/threads/{thread}")
    ask("GET", f"/threads/{thread}/state")
    ask("GET", f"/threads/{thread}/history")
    states = ask("POST", f"/threads/{thread}/history", {"limit": 10})
    for mistake in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"before": 1}):
        ask("POST", f"/threads/{thread}/history", mistake)
    middle = states[2]["checkpoint"]
    ask("GET", f"/threads/{thread}/state/{middle['checkpoint_id']}")
    ask("GET", f"/threads/{thread}/state/{MISSING}")
    ask("POST", f"/threads/{thread}/state/checkpoint", {"checkpoint": middle})
    ask("POST", f"/threads/{thread}/state/checkpoint", {})
    ask("POST", f"/threads/{thread}/history", {"limit": 2, "before": {"configurable": middle}})
    ask("POST", f"/threads/{thread}/history", {"limit": 2, "metadata": {"source": "input"}})
    ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "steps", "input": {"log": ["j"]}})
    ask(
        "POST",
        f"/threads/{thread}/runs/wait",
        {"assistant_id": "steps", "input": None, "checkpoint_id": middle["checkpoint_id"]},
    )
    ask("GET", f"/threads/{thread}/state")
    ask("POST", f"/threads/{thread}/state", {"values": {"log": ["by hand"]}, "as_node": "a"})
    ask("GET", f"/threads/{thread}/state")
    ask("GET", f"/threads/{thread}")
    for mistake in (
        {"values": {"log": []}, "as_node": "nobody"},
        {"values": "text"},
        {"values": {"unknown": 1}, "as_node": "a"},
    ):
        ask("POST", f"/threads/{thread}/state", mistake)
    for params in (
        {},
        {"limit": 1},
        {"limit": 1, "offset": 1},
        {"status": "success"},
        {"status": "pending"},
        {"limit": 0},
        {"select": "status"},
        {"select": "secret"},
        {"status": "asleep"},
    ):
        ask("GET", f"/threads/{thread}/runs", params=params)
    ask("GET", f"/threads/{thread}/runs/{MISSING}")
    ask("POST", f"/threads/{thread}/runs/{run['run_id']}/cancel", None)
    ask("POST", f"/threads/{thread}/runs/{MISSING}/cancel", None)
    ask("DELETE", f"/threads/{thread}/runs/{run['run_id']}")
    ask("DELETE", f"/threads/{thread}/runs/{run['run_id']}")
    ask("GET", f"/threads/{thread}/storage", only_keys=True)
    ask("POST", f"/threads/{thread}/runs", {"assistant_id": "steps", "on_disconnect": "shrug"})


@conversation
def runs_that_fail(ask: Any) -> None:
    for graph, extra in (
        ("fails", {"input": {"log": []}}),
        ("steps", {"input": "text"}),
        ("steps", {"input": None}),
        ("steps", {"input": {"log": []}, "config": {"recursion_limit": 1}}),
    ):
        thread = ask("POST", "/threads", {})["thread_id"]
        ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": graph, **extra})
        ask("GET", f"/threads/{thread}/runs")
        ask("GET", f"/threads/{thread}")
        ask("GET", f"/threads/{thread}/state")
        ask(
            "POST",
            f"/threads/{thread}/runs/stream",
            {"assistant_id": graph, **extra, "stream_mode": ["values", "updates"]},
        )


@conversation
def interrupts(ask: Any) -> None:
    for graph in ("asks", "asks_both", "nested"):
        thread = ask("POST", "/threads", {})["thread_id"]
        paused = ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": graph, "input": {"log": []}})
        ask("GET", f"/threads/{thread}")
        ask("GET", f"/threads/{thread}/state")
        ask("GET", f"/threads/{thread}/state", params={"subgraphs": "true"})
        last = ask("GET", f"/threads/{thread}/runs")[0]
        ask("GET", f"/threads/{thread}/runs/{last['run_id']}/join")
        waiting = [each["id"] for each in paused["__interrupt__"]]
        answer = {one: f"answer {number}" for number, one in enumerate(waiting)}
        resume = answer if len(waiting) > 1 else "answer"
        ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": graph, "command": {"resume": resume}})
        ask("GET", f"/threads/{thread}")
        ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": graph, "command": {"resume": "too late"}})
        ask("POST", f"/threads/{thread}/history", {"limit": 3})
    thread = ask("POST", "/threads", {})["thread_id"]
    body = {"assistant_id": "steps", "input": {"log": []}, "interrupt_before": ["b"]}
    ask("POST", f"/threads/{thread}/runs/wait", body)
    ask("GET", f"/threads/{thread}")
    ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "steps", "input": None, "interrupt_after": "*"})
    ask(
        "POST",
        f"/threads/{thread}/runs/wait",
        {"assistant_id": "steps", "command": {"goto": "c", "update": {"log": ["u"]}}},
    )
    ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "steps", "command": {"update": [["log", ["pair"]]]}})
    ask("POST", "/runs/wait", {"assistant_id": "asks", "command": {"resume": 1}})
    ask("POST", "/runs/wait", {"assistant_id": "asks", "input": {"log": []}})


@conversation
def streams(ask: Any) -> None:
    for graph in ("steps", "asks", "nested", "speaks", "fails"):
        given = {"messages": [{"role": "user", "content": "hi", "id": "q"}]} if graph == "speaks" else {"log": ["i"]}
        for mode in ("values", "updates", "custom", "messages", "messages-tuple", "tasks", "checkpoints", "debug"):
            ask("POST", "/runs/stream", {"assistant_id": graph, "input": given, "stream_mode": [mode]})
    for modes in (["values", "updates"], ["messages", "messages-tuple"], ["updates", "custom"]):
        ask(
            "POST",
            "/runs/stream",
            {"assistant_id": "nested", "input": {"log": []}, "stream_mode": modes, "stream_subgraphs": True},
        )
    thread = ask("POST", "/threads", {})["thread_id"]
    body = {
        "assistant_id": "steps",
        "input": {"log": []},
        "stream_mode": ["values", "updates"],
        "stream_resumable": True,
    }
    ask("POST", f"/threads/{thread}/runs/stream", body)
    run = ask("GET", f"/threads/{thread}/runs")[0]["run_id"]
    for params, place in (({}, None), ({}, "-1"), ({"stream_mode": "updates"}, "-1"), ({"stream_mode": "loud"}, "-1")):
        headers = {"Last-Event-ID": place} if place else {}
        ask("GET", f"/threads/{thread}/runs/{run}/stream", params=params, headers=headers)
    for mistake in ({"assistant_id": "nobody"}, {"assistant_id": "steps", "stream_mode": ["tools"]}, {}):
        ask("POST", f"/threads/{thread}/runs/stream", mistake)


@conversation
def stateless_runs(ask: Any) -> None:
    ask("POST", "/runs/wait", {"assistant_id": "steps", "input": {"log": ["i"]}})
    kept = ask("POST", "/runs", {"assistant_id": "steps", "input": {"log": ["i"]}, "on_completion": "keep"})
    ask("GET", f"/threads/{kept['thread_id']}/runs/{kept['run_id']}/join")
    ask("GET", f"/threads/{kept['thread_id']}")
    ask("POST", "/runs/batch", [])
    ask("POST", "/runs/batch", {})
    ask("POST", "/runs/batch", [{"assistant_id": "steps"}, {"assistant_id": "nobody"}])
    ask("POST", "/runs/batch", [{"assistant_id": "steps", "input": {"log": []}}] * 2)
    ask("POST", "/runs/wait", {"assistant_id": "encodes", "input": {}})
    ask(
        "POST",
        "/runs/wait",
        {"assistant_id": "factory", "input": {"log": []}, "config": {"configurable": {"word": "hi"}}},
    )
    for extra in (
        {},
        {"context": {"model": "m", "other": 1}},
        {"config": {"configurable": {"model": "m", "other": 1}}},
        {"context": {"model": "m"}, "config": {"tags": ["t"]}},
        {"context": {"temperature": 0.5, "model": "x"}},
    ):
        ask("POST", "/runs/wait", {"assistant_id": "context", "input": {"log": []}, **extra})
    ask("POST", "/runs/cancel", {})
    ask("POST", "/runs/cancel", {"status": "all", "thread_id": MISSING, "run_ids": []})
    ask("POST", "/runs/cancel", {"status": "asleep"})
    ask("POST", "/runs/cancel", {"thread_id": MISSING, "run_ids": [MISSING]})


@conversation
def surroundings(ask: Any) -> None:
    thread = ask("POST", "/threads", {"metadata": {"of": "thread"}})["thread_id"]
    full = {
        "assistant_id": "surroundings",
        "input": {},
        "metadata": {"of": "run", "number": 1},
        "config": {
            "tags": ["t"],
            "recursion_limit": 17,
            "metadata": {"from": "config"},
            "configurable": {"a": 1, "user_id": "me"},
        },
    }
    ask("POST", f"/threads/{thread}/runs/wait", full)
    ask("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "surroundings", "input": {}})
    ask("POST", "/runs/wait", full)
    ask("POST", "/runs/wait", {"assistant_id": "surroundings", "input": {}, "context": {"model": "m"}})
    reserved = {
        "langgraph_auth_user": {"identity": "eve"},
        "langgraph_auth_user_id": "eve",
        "__after_seconds__": 7,
        "b": 2,
    }
    ask("POST", "/runs/wait", {"assistant_id": "surroundings", "input": {}, "config": {"configurable": reserved}})
    ask(
        "POST",
        "/runs/wait",
        {"assistant_id": "surroundings", "input": {}, "metadata": {"run_id": "x", "thread_id": "y", "k": 1}},
    )
    headers = {
        "x-foo": "1",
        "langsmith-trace": "20240101T000000000000Zabc",
        "baggage": "langsmith-tags=a,langsmith-project=p",
    }
    ask("POST", "/runs/wait", {"assistant_id": "surroundings", "input": {}}, headers=headers)
    given = {"messages": [{"role": "user", "content": "hi", "id": "q"}]}
    ask("POST", "/runs/stream", {"assistant_id": "speaks", "input": given, "stream_mode": ["events"]})


@conversation
def double_texting(ask: Any) -> None:
    slow = {"assistant_id": "slow", "input": {"log": []}}
    for strategy in ("enqueue", "reject", "interrupt", "rollback"):
        thread = ask("POST", "/threads", {})["thread_id"]
        first = ask("POST", f"/threads/{thread}/runs", slow)
        ask.until(f"/threads/{thread}/state", lambda state: state["next"] == ["sleep"])
        quick = {"assistant_id": "steps", "input": {"log": []}, "multitask_strategy": strategy}
        second = ask("POST", f"/threads/{thread}/runs", quick)
        if strategy == "enqueue":
            ask("GET", f"/threads/{thread}/runs/{second['run_id']}")
            ask("POST", f"/threads/{thread}/state", {"values": {"log": ["x"]}})
            ask("POST", f"/threads/{thread}/runs/{first['run_id']}/cancel", None, params={"wait": "1"})
        if strategy == "reject":
            ask(
                "POST",
                f"/threads/{thread}/runs/{first['run_id']}/cancel",
                None,
                params={"action": "rollback", "wait": "1"},
            )
        ask.until(f"/threads/{thread}", lambda row: row["status"] != "busy")
        ask("GET", f"/threads/{thread}/runs/{first['run_id']}")
        ask("GET", f"/threads/{thread}/runs")
        ask("GET", f"/threads/{thread}")
        ask("GET", f"/threads/{thread}/state")


@conversation
def crons(ask: Any) -> None:
    thread = ask("POST", "/threads", {})["thread_id"]
    yearly = {"assistant_id": "steps", "schedule": "0 0 1 1 *", "input": {"log": []}, "metadata": {"c": 1}}
    for mistake in (
        {"schedule": "never"},
        {"schedule": "* * * * * * *"},
        {"schedule": ""},
        {"timezone": "Mars/Base"},
        {"end_time": "soon"},
        {"on_run_completed": "shrug"},
        {"assistant_id": "nobody"},
        {"assistant_id": MISSING},
        {"enabled": "yes"},
    ):
        made = ask("POST", "/runs/crons", yearly | mistake)
        if "cron_id" in made:
            ask.client.delete(f"/runs/crons/{made['cron_id']}")
    for schedule in ("0 0 L * *", "0 0 * * 5#2", "@yearly", "0 9 * jan mon-fri", "*/5 * * * * 30"):
        made = ask("POST", "/runs/crons", yearly | {"schedule": schedule, "enabled": False})
        ask("DELETE", f"/runs/crons/{made['cron_id']}")
    cron = ask("POST", "/runs/crons", yearly | {"timezone": "America/New_York"})["cron_id"]
    bound = ask("POST", f"/threads/{thread}/runs/crons", yearly)["cron_id"]
    ask("POST", f"/threads/{MISSING}/runs/crons", yearly)
    for place in (cron, MISSING, "x"):
        ask("GET", f"/runs/crons/{place}")
    for change in (
        {},
        {"enabled": False},
        {"schedule": "0 0 2 1 *"},
        {"metadata": {"d": 2}},
        {"schedule": "never"},
        {"end_time": "2099-01-01T00:00:00Z"},
        {"input": {"log": ["x"]}},
    ):
        ask("PATCH", f"/runs/crons/{cron}", change)
    ask("PATCH", f"/runs/crons/{MISSING}", {"enabled": True})
    for search in (
        {"thread_id": thread},
        {"assistant_id": "steps"},
        {"metadata": {"c": 1}},
        {"enabled": False},
        {"sort_by": "secret"},
        {"limit": 0},
        {"select": ["cron_id", "enabled"]},
    ):
        ask("POST", "/runs/crons/search", search)
    for count in ({"thread_id": thread}, {"assistant_id": "steps"}):
        ask("POST", "/runs/crons/count", count)
    for place in (cron, cron, bound):
        ask("DELETE", f"/runs/crons/{place}")


@conversation
def store(ask: Any) -> None:
    for body in (
        {},
        {"namespace": ["a"], "key": "k"},
        {"namespace": ["a"], "key": "k", "value": 1},
        {"namespace": "a", "key": "k", "value": {}},
        {"namespace": [], "key": "k", "value": {}},
        {"namespace": ["a.b"], "key": "k", "value": {}},
        {"namespace": [""], "key": "k", "value": {}},
        {"namespace": ["langgraph"], "key": "k", "value": {}},
    ):
        ask("PUT", "/store/items", body)
    for key, value in (("one", {"n": 1, "in": {"x": 1}}), ("two", {"n": 2}), ("three", {"n": 3, "in": {"x": 1}})):
        ask("PUT", "/store/items", {"namespace": ["cmp", "a"], "key": key, "value": value})
    ask("PUT", "/store/items", {"namespace": ["cmp", "b", "c"], "key": "four", "value": {"n": 4}})
    for params in (
        {"namespace": "cmp.a", "key": "one"},
        {"namespace": "cmp.a", "key": "missing"},
        {"namespace": "cmp.a"},
        {"key": "one"},
    ):
        ask("GET", "/store/items", params=params)
    for search in (
        {"namespace_prefix": ["cmp"], "filter": {"n": 1}},
        {"namespace_prefix": ["cmp"], "filter": {"n": {"$gt": 2}}},
        {"namespace_prefix": ["cmp"], "filter": {"n": {"$ne": 1}, "in": {"x": 1}}},
        {"namespace_prefix": ["cmp"], "filter": {"n": {"$between": [1, 2]}}},
        {"namespace_prefix": ["cmp", "b"]},
        {"namespace_prefix": ["cmp"], "limit": 0},
        {"namespace_prefix": ["cmp"], "limit": "x"},
        {"namespace_prefix": ["a.b"]},
        {"namespace_prefix": "cmp"},
    ):
        ask("POST", "/store/items/search", search)
    for query in (
        {"prefix": ["cmp"]},
        {"prefix": ["cmp"], "max_depth": 2},
        {"suffix": ["c"]},
        {"prefix": ["cmp", "*"]},
        {"prefix": ["cmp"], "limit": 1},
        {"max_depth": "x"},
    ):
        ask("POST", "/store/namespaces", query)
    ask("DELETE", "/store/items", {"namespace": ["cmp", "a"], "key": "one"})
    ask("DELETE", "/store/items", {"namespace": ["cmp", "a"], "key": "one"})
    ask("DELETE", "/store/items", {"namespace": ["cmp", "a"]})
    ask("GET", "/store/items", params={"namespace": "cmp.a", "key": "one"})


@conversation
def system(ask: Any) -> None:
    ask("GET", "/ok")
    ask("GET", "/info", only_keys=True)
    ask("GET", "/metrics", params={"format": "json"}, only_keys=True)
    ask("GET", "/nothing")
    ask("PUT", "/threads", {})
    ask("DELETE", "/threads")
    ask("GET", "/threads/")


@conversation
def commands(ask: Any) -> None:
    thread = ask("POST", "/threads", {})["thread_id"]
    for body in (
        {},
        {"id": 1},
        {"id": "1", "method": "run.start"},
        {"id": 1, "method": "fly"},
        {"id": 1, "method": "run.start", "params": {}},
        {"id": 1, "method": "run.start", "params": {"assistant_id": "nobody"}},
        {"id": 1, "method": "input.respond", "params": {}},
        {"id": 1, "method": "input.respond", "params": {"interrupt_id": "x", "response": 1}},
        {"id": 1, "method": "agent.getTree"},
        {"id": 1, "method": "subscription.unsubscribe", "params": {"subscription_id": "x"}},
        {"id": 7, "method": "run.start", "params": {"assistant_id": "steps", "input": {"log": []}}},
    ):
        ask("POST", f"/threads/{thread}/commands", body)
    ask("POST", f"/threads/{thread}/commands", content=b"{")
    ask.until(f"/threads/{thread}", lambda row: row["status"] != "busy")
    ask("GET", f"/threads/{thread}/state")
    for body in ({}, {"channels": []}, {"channels": ["loud"]}, {"channels": ["debug"]}):
        ask("POST", f"/threads/{thread}/stream/events", body)
