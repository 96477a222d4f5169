"""The table of every operation: it makes the handlers, their authorization and the reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from lgnb.models.assistants import Assistant, AssistantVersion
from lgnb.models.crons import Cron
from lgnb.models.http import HttpConfig, RouteGroup
from lgnb.models.live import LiveGraph
from lgnb.models.runs import Run
from lgnb.models.store import Item
from lgnb.models.threads import Thread
from lgnb.models.webhooks import Delivery

from . import bodies
from .handlers import a2a, assistants, crons, live, mcp, protocol, runs, store, system, thread_stream, threads
from .handlers.base import UnknownPathHandler
from .host import Host
from .route import MOUNT, Action, Query, Route

_FLAG = {"type": "boolean", "default": False}
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_NUMBER = {"type": "integer"}

_subgraphs = Query(name="subgraphs", about="Nest the states of subgraphs.", schema=_FLAG)
_select = Query(name="select", about="The fields to answer with; repeated.", schema=_TEXTS)
_limit = Query(name="limit", about="Most rows, up to 1000.", schema=_NUMBER)
_offset = Query(name="offset", about="Rows to skip.", schema=_NUMBER)
_action = Query(name="action", about="interrupt or rollback.", schema=_TEXT)
_cancel = Query(name="cancel_on_disconnect", about="Cancel the run when this client leaves.", schema=_FLAG)
_modes = Query(name="stream_mode", about="Only these modes; repeated, a JSON array or a comma list.", schema=_TEXTS)
_thread_modes = Query(
    name="stream_modes", about="run_modes, lifecycle, state_update; stream_mode means the same.", schema=_TEXTS
)
_namespace = Query(name="recurse", about="Subgraphs of subgraphs too.", schema=_FLAG)
_xray = Query(name="xray", about="true, false, or how many levels of subgraphs to draw.", schema=_TEXT)

_EVENTS = "text/event-stream"


def _of(resource: str, action: Action) -> dict[str, Any]:
    return {"resource": f"lgnb:{resource}", "action": action}


_ASSISTANTS_READ, _ASSISTANTS_WRITE = _of("assistants", "read"), _of("assistants", "write")
_THREADS_READ, _THREADS_WRITE = _of("threads", "read"), _of("threads", "write")
_CRONS_READ, _CRONS_WRITE = _of("crons", "read"), _of("crons", "write")
_STORE_READ, _STORE_WRITE = _of("store", "read"), _of("store", "write")
_RUNS_READ, _RUNS_WRITE, _RUNS_EXECUTE = _of("runs", "read"), _of("runs", "write"), _of("runs", "execute")

_ASSISTANT_ROUTES = (
    Route(
        method="POST",
        path="/assistants",
        handler=assistants.AssistantsHandler,
        summary="Create an assistant.",
        answer="The assistant.",
        body=bodies.AssistantCreate,
        returns=Assistant,
        **_ASSISTANTS_WRITE,
    ),
    Route(
        method="POST",
        path="/assistants/search",
        handler=assistants.AssistantSearchHandler,
        summary="Search assistants by graph, name and metadata.",
        answer="A page of assistants.",
        body=bodies.AssistantSearch,
        **_ASSISTANTS_READ,
    ),
    Route(
        method="POST",
        path="/assistants/count",
        handler=assistants.AssistantCountHandler,
        summary="Count assistants.",
        answer="The number.",
        body=bodies.AssistantCount,
        returns=int,
        **_ASSISTANTS_READ,
    ),
    Route(
        method="GET",
        path="/assistants/{assistant_id}",
        handler=assistants.AssistantHandler,
        summary="Get an assistant.",
        answer="The assistant.",
        returns=Assistant,
        **_ASSISTANTS_READ,
    ),
    Route(
        method="PATCH",
        path="/assistants/{assistant_id}",
        handler=assistants.AssistantHandler,
        summary="Change an assistant, as a new version.",
        answer="The assistant.",
        body=bodies.AssistantPatch,
        returns=Assistant,
        **_ASSISTANTS_WRITE,
    ),
    Route(
        method="DELETE",
        path="/assistants/{assistant_id}",
        handler=assistants.AssistantHandler,
        summary="Delete an assistant with its versions.",
        answer="Nothing.",
        status=204,
        queries=(Query(name="delete_threads", about="Delete its threads too.", schema=_FLAG),),
        **_ASSISTANTS_WRITE,
    ),
    Route(
        method="POST",
        path="/assistants/{assistant_id}/versions",
        handler=assistants.AssistantVersionsHandler,
        summary="List the versions of an assistant.",
        answer="Versions, newest first.",
        body=bodies.AssistantVersions,
        returns=list[AssistantVersion],
        **_ASSISTANTS_READ,
    ),
    Route(
        method="POST",
        path="/assistants/{assistant_id}/latest",
        handler=assistants.AssistantLatestHandler,
        summary="Go back to a version of an assistant.",
        answer="The assistant.",
        body=bodies.AssistantLatest,
        returns=Assistant,
        **_ASSISTANTS_WRITE,
    ),
    Route(
        method="GET",
        path="/assistants/{assistant}/graph",
        handler=assistants.AssistantGraphHandler,
        summary="Get the drawing of an assistant's graph, by the assistant's id or the graph's.",
        answer="Nodes and edges.",
        queries=(_xray,),
        **_ASSISTANTS_READ,
    ),
    Route(
        method="GET",
        path="/assistants/{assistant_id}/schemas",
        handler=assistants.AssistantSchemasHandler,
        summary="Get the JSON Schemas of an assistant's graph.",
        answer="The schemas of input, output, state, config and context.",
        **_ASSISTANTS_READ,
    ),
    Route(
        method="GET",
        path="/assistants/{assistant_id}/subgraphs",
        handler=assistants.AssistantSubgraphsHandler,
        summary="Get the subgraphs of an assistant's graph.",
        answer="Schemas by the name of the subgraph.",
        queries=(_namespace,),
        **_ASSISTANTS_READ,
    ),
    Route(
        method="GET",
        path="/assistants/{assistant_id}/subgraphs/{namespace:path}",
        handler=assistants.AssistantSubgraphsHandler,
        summary="Get one subgraph of an assistant's graph.",
        answer="Schemas by the name of the subgraph.",
        queries=(_namespace,),
        **_ASSISTANTS_READ,
    ),
)

_THREAD_ROUTES = (
    Route(
        method="POST",
        path="/threads",
        handler=threads.ThreadsHandler,
        summary="Create a thread.",
        answer="The thread.",
        body=bodies.ThreadCreate,
        returns=Thread,
        **_THREADS_WRITE,
    ),
    Route(
        method="POST",
        path="/threads/search",
        handler=threads.ThreadSearchHandler,
        summary="Search threads by id, metadata, values and status.",
        answer="A page of threads.",
        body=bodies.ThreadSearch,
        **_THREADS_READ,
    ),
    Route(
        method="POST",
        path="/threads/count",
        handler=threads.ThreadCountHandler,
        summary="Count threads.",
        answer="The number.",
        body=bodies.ThreadCount,
        returns=int,
        **_THREADS_READ,
    ),
    Route(
        method="POST",
        path="/threads/prune",
        handler=threads.ThreadPruneHandler,
        summary="Delete threads, or all but their latest checkpoints.",
        answer="How many threads were pruned.",
        body=bodies.ThreadPrune,
        **_THREADS_WRITE,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}",
        handler=threads.ThreadHandler,
        summary="Get a thread.",
        answer="The thread.",
        queries=(Query(name="include", about="ttl adds when the thread expires.", schema=_TEXTS),),
        **_THREADS_READ,
    ),
    Route(
        method="PATCH",
        path="/threads/{thread_id}",
        handler=threads.ThreadHandler,
        summary="Merge metadata into a thread, or set when it expires.",
        answer="The thread; nothing with the header Prefer: return=minimal.",
        body=bodies.ThreadPatch,
        returns=Thread,
        **_THREADS_WRITE,
    ),
    Route(
        method="DELETE",
        path="/threads/{thread_id}",
        handler=threads.ThreadHandler,
        summary="Delete a thread with its runs and checkpoints.",
        answer="Nothing.",
        status=204,
        **_THREADS_WRITE,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/copy",
        handler=threads.ThreadCopyHandler,
        summary="Copy a thread with its history.",
        answer="The new thread.",
        returns=Thread,
        **_THREADS_WRITE,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/storage",
        handler=threads.ThreadStorageHandler,
        summary="Measure what a thread stores.",
        answer="Counts and bytes.",
        **_THREADS_READ,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/state",
        handler=threads.StateHandler,
        summary="Get the state of a thread.",
        answer="The state.",
        queries=(_subgraphs, _select),
        **_THREADS_READ,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/state",
        handler=threads.StateHandler,
        summary="Write to the state of a thread.",
        answer="The new checkpoint.",
        body=bodies.StateUpdate,
        **_THREADS_WRITE,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/state/checkpoint",
        handler=threads.StateAtCheckpointHandler,
        summary="Get the state of a thread at a checkpoint.",
        answer="The state.",
        body=bodies.StateRead,
        **_THREADS_READ,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/state/{checkpoint_id}",
        handler=threads.StateHandler,
        summary="Get the state of a thread at a checkpoint, by its id.",
        answer="The state.",
        queries=(_subgraphs, _select),
        **_THREADS_READ,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/history",
        handler=threads.HistoryHandler,
        summary="List the states of a thread.",
        answer="States, newest first.",
        queries=(_limit, Query(name="before", about="Id of a checkpoint.", schema=_TEXT), _select),
        **_THREADS_READ,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/history",
        handler=threads.HistoryHandler,
        summary="List the states of a thread that match.",
        answer="States, newest first.",
        body=bodies.StateHistory,
        **_THREADS_READ,
    ),
)


def _creating_runs(prefix: str, whose: str) -> tuple[Route, ...]:
    """The three ways to create a run are the same with and without a thread."""
    return (
        Route(
            method="POST",
            path=f"{prefix}/runs",
            handler=runs.RunsHandler,
            summary=f"Create a run {whose}.",
            answer="The run, pending.",
            body=bodies.RunCreate,
            returns=Run,
            **_RUNS_EXECUTE,
        ),
        Route(
            method="POST",
            path=f"{prefix}/runs/stream",
            handler=runs.RunStreamHandler,
            summary=f"Create a run {whose} and follow its events.",
            answer="The events.",
            body=bodies.RunCreate,
            content_type=_EVENTS,
            **_RUNS_EXECUTE,
        ),
        Route(
            method="POST",
            path=f"{prefix}/runs/wait",
            handler=runs.RunWaitHandler,
            summary=f"Create a run {whose} and wait for its end.",
            answer="The final state.",
            body=bodies.RunCreate,
            **_RUNS_EXECUTE,
        ),
    )


_RUN_ROUTES = (
    *_creating_runs("", "without a thread"),
    Route(
        method="POST",
        path="/runs/batch",
        handler=runs.RunBatchHandler,
        summary="Create several runs without a thread, all or none.",
        answer="The runs.",
        body=bodies.RunCreate,
        body_is_list=True,
        returns=list[Run],
        **_RUNS_EXECUTE,
    ),
    Route(
        method="POST",
        path="/runs/cancel",
        handler=runs.RunsCancelHandler,
        summary="Cancel runs by status, or some of one thread.",
        answer="Nothing.",
        status=204,
        body=bodies.RunsCancel,
        queries=(_action,),
        **_RUNS_WRITE,
    ),
    Route(
        method="GET",
        path="/runs/{run_id}/join",
        handler=runs.RunJoinHandler,
        summary="Wait for the end of a run.",
        answer="The final state.",
        queries=(_cancel,),
        **_RUNS_READ,
    ),
    Route(
        method="GET",
        path="/runs/{run_id}/stream",
        handler=runs.RunJoinStreamHandler,
        summary="Follow the events of a run.",
        answer="The events.",
        queries=(_modes, _cancel),
        content_type=_EVENTS,
        **_RUNS_READ,
    ),
    *_creating_runs("/threads/{thread_id}", "on a thread"),
    Route(
        method="GET",
        path="/threads/{thread_id}/runs",
        handler=runs.RunsHandler,
        summary="List the runs of a thread.",
        answer="Runs, newest first.",
        queries=(_limit, _offset, Query(name="status", about="Only runs in this status.", schema=_TEXT), _select),
        **_RUNS_READ,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}",
        handler=runs.RunHandler,
        summary="Get a run.",
        answer="The run.",
        returns=Run,
        **_RUNS_READ,
    ),
    Route(
        method="DELETE",
        path="/threads/{thread_id}/runs/{run_id}",
        handler=runs.RunHandler,
        summary="Delete a run with the checkpoints it wrote.",
        answer="Nothing.",
        status=204,
        **_RUNS_WRITE,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}/webhooks",
        handler=runs.RunWebhooksHandler,
        summary="List what the webhook of a run was told, with every try.",
        answer="Deliveries, oldest first.",
        returns=list[Delivery],
        **_RUNS_READ,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/runs/{run_id}/webhooks/redeliver",
        handler=runs.RunWebhooksAgainHandler,
        summary="Tell the webhook of a run once more.",
        answer="The deliveries, pending.",
        returns=list[Delivery],
        **_RUNS_WRITE,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/runs/{run_id}/cancel",
        handler=runs.RunCancelHandler,
        summary="Cancel a run.",
        answer="Nothing; with wait an empty object, once the run has ended.",
        status=202,
        queries=(_action, Query(name="wait", about="Answer when the run has ended.", schema=_FLAG)),
        **_RUNS_WRITE,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}/join",
        handler=runs.RunJoinHandler,
        summary="Wait for the end of a run of a thread.",
        answer="The final state.",
        queries=(_cancel,),
        **_RUNS_READ,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/runs/{run_id}/stream",
        handler=runs.RunJoinStreamHandler,
        summary="Follow the events of a run of a thread.",
        answer="The events.",
        queries=(_modes, _cancel),
        content_type=_EVENTS,
        **_RUNS_READ,
    ),
)

_PROTOCOL_ROUTES = (
    Route(
        method="GET",
        path="/threads/{thread_id}/stream",
        handler=thread_stream.ThreadStreamHandler,
        summary="Follow all runs of a thread, one after another.",
        answer="Their events; it never ends.",
        queries=(_thread_modes,),
        content_type=_EVENTS,
        **_RUNS_READ,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/stream/events",
        handler=protocol.ThreadEventsHandler,
        summary="Follow a thread through the thread protocol.",
        answer="Event envelopes, numbered over all runs of the thread; it never ends.",
        body=bodies.ThreadEvents,
        content_type=_EVENTS,
        **_RUNS_READ,
    ),
    Route(
        method="GET",
        path="/threads/{thread_id}/stream/events",
        handler=protocol.ThreadEventsHandler,
        summary="Open a WebSocket of the thread protocol: commands in, answers and events out.",
        answer="The socket.",
        status=101,
        **_RUNS_EXECUTE,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/commands",
        handler=protocol.ThreadCommandsHandler,
        summary="Carry out a command of the thread protocol.",
        answer="The result, or what was wrong, in the protocol's envelope.",
        body=bodies.ThreadCommand,
        **_RUNS_EXECUTE,
    ),
)

_CRON_ROUTES = (
    Route(
        method="POST",
        path="/runs/crons",
        handler=crons.CronsHandler,
        summary="Create a cron whose runs have no thread.",
        answer="The cron.",
        body=bodies.CronCreate,
        returns=Cron,
        **_CRONS_WRITE,
    ),
    Route(
        method="POST",
        path="/threads/{thread_id}/runs/crons",
        handler=crons.CronsHandler,
        summary="Create a cron on a thread.",
        answer="The cron.",
        body=bodies.CronCreate,
        returns=Cron,
        **_CRONS_WRITE,
    ),
    Route(
        method="POST",
        path="/runs/crons/search",
        handler=crons.CronSearchHandler,
        summary="Search crons by assistant, thread and metadata.",
        answer="A page of crons.",
        body=bodies.CronSearch,
        **_CRONS_READ,
    ),
    Route(
        method="POST",
        path="/runs/crons/count",
        handler=crons.CronCountHandler,
        summary="Count crons.",
        answer="The number.",
        body=bodies.CronCount,
        returns=int,
        **_CRONS_READ,
    ),
    Route(
        method="GET",
        path="/runs/crons/{cron_id}",
        handler=crons.CronHandler,
        summary="Get a cron.",
        answer="The cron.",
        returns=Cron,
        **_CRONS_READ,
    ),
    Route(
        method="PATCH",
        path="/runs/crons/{cron_id}",
        handler=crons.CronHandler,
        summary="Change a cron.",
        answer="The cron.",
        body=bodies.CronPatch,
        returns=Cron,
        **_CRONS_WRITE,
    ),
    Route(
        method="DELETE",
        path="/runs/crons/{cron_id}",
        handler=crons.CronHandler,
        summary="Delete a cron.",
        answer="Nothing.",
        status=204,
        **_CRONS_WRITE,
    ),
)

_STORE_ROUTES = (
    Route(
        method="PUT",
        path="/store/items",
        handler=store.ItemsHandler,
        summary="Store an item.",
        answer="Nothing.",
        status=204,
        body=bodies.ItemPut,
        **_STORE_WRITE,
    ),
    Route(
        method="GET",
        path="/store/items",
        handler=store.ItemsHandler,
        summary="Get an item.",
        answer="The item, or null.",
        returns=Item | None,
        queries=(
            Query(name="namespace", about="The labels, joined by dots.", schema=_TEXT),
            Query(name="key", about="The key of the item.", schema=_TEXT),
            Query(name="refresh_ttl", about="Whether reading prolongs its life.", schema={"type": "boolean"}),
        ),
        **_STORE_READ,
    ),
    Route(
        method="DELETE",
        path="/store/items",
        handler=store.ItemsHandler,
        summary="Delete an item.",
        answer="Nothing.",
        status=204,
        body=bodies.ItemDelete,
        **_STORE_WRITE,
    ),
    Route(
        method="POST",
        path="/store/items/search",
        handler=store.ItemSearchHandler,
        summary="Search items by namespace, filter and similarity.",
        answer="The items.",
        body=bodies.ItemSearch,
        **_STORE_READ,
    ),
    Route(
        method="POST",
        path="/store/namespaces",
        handler=store.NamespacesHandler,
        summary="List namespaces.",
        answer="The namespaces.",
        body=bodies.NamespaceList,
        **_STORE_READ,
    ),
)

_MCP_ROUTES = (
    Route(
        method="POST",
        path="/mcp",
        handler=mcp.McpHandler,
        summary="Speak the Model Context Protocol, in which every assistant is a tool.",
        answer="The response to a request; nothing, with 202, to a notification.",
        body=bodies.RpcMessage,
        slash_allowed=True,
        **_RUNS_EXECUTE,
    ),
    Route(
        method="DELETE",
        path="/mcp",
        handler=mcp.McpHandler,
        summary="End a session of the Model Context Protocol; there are none.",
        answer="There is no session.",
        status=404,
        slash_allowed=True,
        **_RUNS_EXECUTE,
    ),
)

_A2A_ROUTES = (
    Route(
        method="POST",
        path="/a2a/{assistant_id}",
        handler=a2a.A2aHandler,
        summary="Speak the Agent2Agent protocol with an assistant.",
        answer="The response, or events where the method streams.",
        body=bodies.RpcMessage,
        **_RUNS_EXECUTE,
    ),
    Route(
        method="GET",
        path="/a2a/{assistant_id}",
        handler=a2a.A2aHandler,
        summary="Get the agent card of an assistant.",
        answer="The card.",
        **_ASSISTANTS_READ,
    ),
    Route(
        method="GET",
        path="/a2a/{assistant_id}/.well-known/agent-card.json",
        handler=a2a.AgentCardHandler,
        summary="Get the agent card of an assistant, where clients of the protocol look for it.",
        answer="The card.",
        **_ASSISTANTS_READ,
    ),
    Route(
        method="GET",
        path="/a2a/{assistant_id}/.well-known/agent.json",
        handler=a2a.AgentCardHandler,
        summary="Get the agent card of an assistant, where older clients look for it.",
        answer="The card.",
        **_ASSISTANTS_READ,
    ),
    Route(
        method="GET",
        path="/.well-known/agent-card.json",
        handler=a2a.NamedAgentCardHandler,
        summary="Get the agent card of an assistant that the query names.",
        answer="The card.",
        queries=(Query(name="assistant_id", about="Id of the assistant.", schema=_TEXT),),
        **_ASSISTANTS_READ,
    ),
)

_SYSTEM_ROUTES = (
    Route(
        method="GET",
        path="/",
        handler=system.OkHandler,
        summary="Ask whether runs can execute.",
        answer="ok, and the dependencies with check_db=1.",
        queries=(Query(name="check_db", about="Probe Postgres and Redis.", schema=_FLAG),),
    ),
    Route(
        method="GET",
        path="/ok",
        handler=system.OkHandler,
        summary="Ask whether runs can execute.",
        answer="ok, and the dependencies with check_db=1.",
        queries=(Query(name="check_db", about="Probe Postgres and Redis.", schema=_FLAG),),
    ),
    Route(
        method="GET",
        path="/info",
        handler=system.InfoHandler,
        summary="Get version and features.",
        answer="Version, flags and host.",
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=system.MetricsHandler,
        summary="Get figures of queue, workers and requests.",
        answer="The text of Prometheus, or JSON.",
        queries=(Query(name="format", about="prometheus or json.", schema=_TEXT),),
        content_type="text/plain",
    ),
    Route(
        method="GET",
        path="/workers",
        handler=system.WorkersHandler,
        summary="List the workers, what each executes, and what waits.",
        answer="Workers with their runs, the first pending runs, and how many there are.",
        **_RUNS_READ,
    ),
    Route(
        method="GET",
        path="/changes",
        handler=system.ChangesHandler,
        summary="Follow what changes on the server: assistants, crons, runs, store, threads, workers.",
        answer="Events named changes, each with a list of names.",
        content_type=_EVENTS,
        **_THREADS_READ,
    ),
    Route(
        method="GET",
        path="/docs",
        handler=system.DocsHandler,
        summary="Read this reference.",
        answer="A page.",
        content_type="text/html",
    ),
    Route(
        method="GET",
        path="/openapi.json",
        handler=system.OpenApiHandler,
        summary="Get this reference for programs.",
        answer="OpenAPI 3.1.",
    ),
)

_LIVE_ROUTES = (
    Route(
        method="GET",
        path="/live",
        handler=live.KernelHandler,
        summary="Open the WebSocket of a kernel that executes runs of its own graphs.",
        answer="The socket.",
        status=101,
        **_of("live", "execute"),
    ),
    Route(
        method="GET",
        path="/live/graphs",
        handler=live.LiveGraphsHandler,
        summary="List the graphs that live in kernels, served at the moment or not.",
        answer="The graphs, by their ids.",
        returns=list[LiveGraph],
        **_of("live", "read"),
    ),
)

ROUTES: tuple[Route, ...] = (
    *_ASSISTANT_ROUTES,
    *_THREAD_ROUTES,
    # Before the runs: the word crons stands where they have an id.
    *_CRON_ROUTES,
    *_RUN_ROUTES,
    *_PROTOCOL_ROUTES,
    *_STORE_ROUTES,
    *_LIVE_ROUTES,
    *_MCP_ROUTES,
    *_A2A_ROUTES,
    *_SYSTEM_ROUTES,
)


# What clusters and clients ask for at the root, wherever the API is mounted.
_AT_ROOT = ("/", "/ok", "/metrics")


def enabled_routes(http: HttpConfig) -> tuple[Route, ...]:
    """The routes that this configuration leaves."""
    return tuple(route for route in ROUTES if http.disabled.isdisjoint(_groups(route)))


def _groups(route: Route) -> set[RouteGroup]:
    """The groups that a route belongs to; it is gone when one of them is disabled."""
    first = route.path.split("/")[1]
    if route.path.endswith(("/stream/events", "/commands")):
        return {"runs", "event_streaming"}
    if first == "threads":
        return {"runs"} if route.resource in ("lgnb:runs", "lgnb:crons") else {"threads"}
    if first in ("assistants", "runs", "store", "mcp", "a2a"):
        return {cast(RouteGroup, first)}
    if first == ".well-known":
        return {"a2a"}
    if first in ("info", "metrics", "docs", "openapi.json"):
        return {"meta"}
    return set()


def url_patterns(host: Host, routes: Sequence[Route] | None = None) -> list[tuple[str, type[Any], dict[str, Any]]]:
    """What Jupyter is given: a pattern per path, tried in the order of the table, and one for everything else."""
    prefix = host.http.mount_prefix
    routes = enabled_routes(host.http) if routes is None else routes
    by_pattern: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_pattern.setdefault(route.pattern, {})[route.method] = route
    patterns: list[tuple[str, type[Any], dict[str, Any]]] = []
    for pattern, verbs in by_pattern.items():
        handler = next(iter(verbs.values())).handler
        places = (prefix, "") if prefix and pattern in _AT_ROOT else (prefix,)
        for place in places:
            below = f"/{MOUNT}{re.escape(place)}"
            address = f"{below}/?" if pattern == "/" else f"{below}{pattern}"
            patterns.append((address, handler, {"host": host, "routes": verbs}))
    patterns.append((f"/{MOUNT}/.*", UnknownPathHandler, {"host": host, "routes": {}}))
    return patterns
