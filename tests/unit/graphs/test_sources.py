from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from langgraph.store.memory import InMemoryStore
from langgraph_sdk.runtime import ServerRuntime

from lgnb.errors import GraphLoadError
from lgnb.graphs.sources import GraphSource

if TYPE_CHECKING:
    from langgraph_sdk.runtime import ServerRuntime as TypingOnlyRuntime  # noqa: F401


class State(TypedDict):
    x: int


@dataclass
class Ctx:
    model: str


def add(state: State) -> State:
    return {"x": state["x"] + 1}


BUILDER = StateGraph(State).add_node("add", add).add_edge(START, "add")
CALLS: list[Any] = []
CONFIG: RunnableConfig = {"configurable": {"thread_id": "t", "colour": "red"}, "metadata": {"m": 1}}


@pytest.fixture(autouse=True)
def calls() -> list[Any]:
    CALLS.clear()
    return CALLS


def is_runtime(value: Any) -> bool:
    return hasattr(value, "access_context")


async def run(source: GraphSource, **options: Any) -> Any:
    async with source.open(CONFIG, access_context="threads.create_run", **options) as graph:
        return await graph.ainvoke({"x": 1}, CONFIG)


@entrypoint()
def functional(value: dict[str, int]) -> dict[str, int]:
    return {"x": value["x"] + 1}


def no_parameters() -> Any:
    CALLS.append(())
    return BUILDER


async def asynchronous() -> Any:
    CALLS.append(())
    return BUILDER.compile()


def untyped(config) -> Any:  # pyright: ignore
    CALLS.append((config,))
    return BUILDER


def config_only(config: RunnableConfig) -> Any:
    CALLS.append((config,))
    return BUILDER


def config_as_dict(anything: dict[str, Any]) -> Any:
    CALLS.append((anything,))
    return BUILDER


def maybe_config(config: RunnableConfig | None = None) -> Any:
    CALLS.append((config,))
    return BUILDER


def runtime_only(rt: ServerRuntime) -> Any:
    CALLS.append((rt,))
    return BUILDER


def typed_runtime(rt: ServerRuntime[Ctx]) -> Any:
    CALLS.append((rt,))
    return BUILDER


def annotated_runtime(rt: Annotated[ServerRuntime | None, "x"]) -> Any:
    CALLS.append((rt,))
    return BUILDER


def unresolved_runtime(rt: NoSuchThing | ServerRuntime) -> Any:  # noqa: F821 # pyright: ignore
    CALLS.append((rt,))
    return BUILDER


def config_then_runtime(config: RunnableConfig, rt: ServerRuntime) -> Any:
    CALLS.append((config, rt))
    return BUILDER


async def runtime_then_config(rt: ServerRuntime, config: RunnableConfig) -> Any:
    CALLS.append((config, rt))
    return BUILDER


def runtime_then_untyped(rt: ServerRuntime, config) -> Any:  # pyright: ignore
    CALLS.append((config, rt))
    return BUILDER


def both_untyped(config, runtime) -> Any:  # pyright: ignore
    CALLS.append((config, runtime))
    return BUILDER


def positional(config: RunnableConfig, /, *, runtime: ServerRuntime) -> Any:
    CALLS.append((config, runtime))
    return BUILDER


def with_options(config: RunnableConfig, debug: bool = False, *args: Any, **kwargs: Any) -> Any:
    CALLS.append((config,))
    return BUILDER


@contextlib.contextmanager
def manager(config: RunnableConfig) -> Iterator[Any]:
    CALLS.append((config,))
    yield BUILDER
    CALLS.append("closed")


@contextlib.asynccontextmanager
async def async_manager(config: RunnableConfig, rt: ServerRuntime) -> AsyncIterator[Any]:
    CALLS.append((config, rt))
    yield BUILDER.compile()
    CALLS.append("closed")


class Builder:
    def __call__(self, rt: ServerRuntime) -> Any:
        CALLS.append((rt,))
        return BUILDER


FACTORIES: list[tuple[Callable[..., Any], str]] = [
    (no_parameters, ""),
    (asynchronous, ""),
    (untyped, "c"),
    (config_only, "c"),
    (config_as_dict, "c"),
    (maybe_config, "c"),
    (runtime_only, "r"),
    (typed_runtime, "r"),
    (annotated_runtime, "r"),
    (unresolved_runtime, "r"),
    (config_then_runtime, "cr"),
    (runtime_then_config, "cr"),
    (runtime_then_untyped, "cr"),
    (both_untyped, "cr"),
    (positional, "cr"),
    (with_options, "c"),
    (manager, "c"),
    (async_manager, "cr"),
    (Builder(), "r"),
    (functools.partial(config_only), "c"),
]


@pytest.mark.parametrize("target", [BUILDER, BUILDER.compile(), functional])
async def test_a_graph_in_any_form_runs(target: Any) -> None:
    source = GraphSource("g", target)

    assert await run(source) == {"x": 2}
    assert not source.is_factory


@pytest.mark.parametrize(
    ("factory", "given"),
    FACTORIES,
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
async def test_each_form_of_factory_gets_what_it_asks_for(factory: Any, given: str) -> None:
    source = GraphSource("g", factory)

    assert await run(source) == {"x": 2}

    assert source.is_factory
    assert "".join("r" if is_runtime(value) else "c" for value in CALLS[0]) == given
    assert CALLS[1:] in ([], ["closed"])


@pytest.mark.parametrize(
    ("access_context", "executes"), [("threads.create_run", True), ("threads.read", False), ("assistants.read", False)]
)
async def test_a_factory_can_tell_execution_from_reading(access_context: Any, executes: bool) -> None:
    source, store, user = GraphSource("g", config_then_runtime), InMemoryStore(), object()

    async with source.open(CONFIG, access_context=access_context, store=store, user=user, context={"a": 1}):
        config, runtime = CALLS[0]

    assert config["configurable"] == {"thread_id": "t", "colour": "red", "__is_for_execution__": executes}
    assert config.keys() >= {"tags", "metadata", "callbacks", "recursion_limit"}
    assert (runtime.access_context, runtime.store, runtime.user) == (access_context, store, user)
    assert (runtime.execution_runtime is not None) == executes
    if executes:
        assert runtime.execution_runtime.context == {"a": 1}
    assert "__is_for_execution__" not in CONFIG.get("configurable", {})


async def test_the_context_of_a_typed_runtime_has_its_type() -> None:
    async with GraphSource("g", typed_runtime).open(
        CONFIG, access_context="threads.create_run", context={"model": "m"}
    ):
        assert CALLS[0][0].context == Ctx("m")


async def test_a_context_manager_stays_open_until_the_graph_is_done_and_sees_its_error() -> None:
    seen: list[BaseException] = []

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[Any]:
        try:
            yield BUILDER
        except ZeroDivisionError as error:
            seen.append(error)
            raise

    async def use() -> None:
        async with GraphSource("g", factory).open(CONFIG, access_context="threads.read"):
            assert not seen
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()

    assert len(seen) == 1


async def test_a_factory_that_returns_no_graph_is_a_load_error() -> None:
    with pytest.raises(GraphLoadError, match="its factory returned a dict, but must be a StateGraph"):
        await run(GraphSource("g", dict))


async def test_a_generator_without_decorator_is_told_what_is_missing() -> None:
    async def factory() -> AsyncIterator[Any]:
        yield BUILDER

    with pytest.raises(GraphLoadError, match="Decorate the function with contextlib's asynccontextmanager"):
        await run(GraphSource("g", factory))


async def test_errors_of_a_factory_pass_through() -> None:
    def factory() -> Any:
        raise LookupError("no model")

    with pytest.raises(LookupError, match="no model"):
        await run(GraphSource("g", factory))


@pytest.mark.parametrize("factory", [lambda a, b, c: BUILDER, lambda x: BUILDER])
def test_only_parameters_that_can_be_given_are_accepted(factory: Any) -> None:
    if factory.__code__.co_argcount == 1:
        assert GraphSource("g", factory).is_factory
    else:
        with pytest.raises(GraphLoadError, match="wants a parameter 'c'"):
            GraphSource("g", factory)


async def test_the_graph_id_replaces_the_library_name_only() -> None:
    names: list[str] = []
    for target in (BUILDER, BUILDER.compile(name="own"), no_parameters):
        async with GraphSource("g", target).open(CONFIG, access_context="threads.read") as graph:
            names.append(graph.name)

    assert names == ["g", "own", "g"]


async def test_each_use_gets_its_own_copy_with_the_servers_persistence(caplog: pytest.LogCaptureFixture) -> None:
    own, given, store = InMemorySaver(), InMemorySaver(), InMemoryStore()
    compiled = BUILDER.compile(checkpointer=own, store=InMemoryStore())
    source = GraphSource("g", compiled)

    with caplog.at_level(logging.WARNING):
        await run(source, checkpointer=given, store=store)
        await run(source, checkpointer=given, store=store)

    assert given.get_tuple(CONFIG) is not None
    assert own.get_tuple(CONFIG) is None
    assert compiled.checkpointer is own
    assert [record.getMessage() for record in caplog.records] == [
        "Graph 'g' was compiled with its own checkpointer and store; the server's is used instead."
    ]


async def test_without_a_checkpointer_nothing_is_kept() -> None:
    own = InMemorySaver()

    await run(GraphSource("g", BUILDER.compile(checkpointer=own)), checkpointer=None)

    assert own.get_tuple(CONFIG) is None


async def test_an_opened_graph_keeps_its_schema_and_is_a_compiled_graph() -> None:
    async with GraphSource("g", BUILDER).open(CONFIG, access_context="assistants.read") as graph:
        assert isinstance(graph, Pregel)
        assert set(graph.get_graph().nodes) == {"__start__", "add", "__end__"}
