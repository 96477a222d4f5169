"""Assistants and their versions, in the database."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from lgnb.errors import (
    AlreadyExists,
    AssistantNotFound,
    GraphLoadError,
    GraphNotFound,
    InvalidState,
    NotFound,
)
from lgnb.graphs.descriptor_views import GraphDescriptor
from lgnb.models.assistants import system_assistant_id
from lgnb.models.runs import RunRequest
from lgnb.resources import Resources

from .conftest import GRAPH


async def test_a_graph_that_is_served_has_an_assistant_of_its_own(resources: Resources) -> None:
    assistant = await resources.assistants.get(system_assistant_id(GRAPH))

    assert (assistant.name, assistant.metadata) == (GRAPH, {"created_by": "system"})


def test_the_id_of_a_system_assistant_is_the_one_clients_compute() -> None:
    assert system_assistant_id("agent") == UUID("fe096781-5601-53d2-b2f6-0d3403f7e9ca")


async def test_a_changed_description_is_a_new_version_and_the_same_one_is_not(resources: Resources) -> None:
    described = GraphDescriptor(graph_id=GRAPH, name=GRAPH, description="Adds.")
    await resources.assistants.register(described)
    await resources.assistants.register(described)

    assistant = await resources.assistants.get(system_assistant_id(GRAPH))
    assert (assistant.version, assistant.description) == (2, "Adds.")


async def test_context_and_configurable_mirror_each_other(resources: Resources) -> None:
    by_context = await resources.assistants.create(graph_id=GRAPH, context={"model": "m"})
    by_config = await resources.assistants.create(graph_id=GRAPH, config={"configurable": {"model": "m"}})

    assert by_context.config["configurable"] == by_config.context == {"model": "m"}
    with pytest.raises(InvalidState):
        await resources.assistants.create(graph_id=GRAPH, context={"a": 1}, config={"configurable": {"b": 1}})


async def test_reserved_keys_of_a_request_are_left_out(resources: Resources) -> None:
    assistant = await resources.assistants.create(
        graph_id=GRAPH,
        config={"configurable": {"langgraph_auth_user": "me", "mine": 1}},
        metadata={"thread_id": "x", "mine": 1},
    )

    assert assistant.config == {"configurable": {"mine": 1}}
    assert assistant.metadata == {"mine": 1}


async def test_a_taken_id_is_refused_or_returns_what_is_there(resources: Resources) -> None:
    first = await resources.assistants.create(graph_id=GRAPH, name="first")

    with pytest.raises(AlreadyExists):
        await resources.assistants.create(graph_id=GRAPH, assistant_id=first.assistant_id)
    again = await resources.assistants.create(
        graph_id=GRAPH, assistant_id=first.assistant_id, name="second", if_exists="do_nothing"
    )
    assert again == first


async def test_every_update_is_a_version_and_merges_metadata_only(resources: Resources) -> None:
    created = await resources.assistants.create(
        graph_id=GRAPH, config={"tags": ["x"], "configurable": {"a": 1}}, metadata={"q": 1}
    )
    updated = await resources.assistants.update(
        created.assistant_id, config={"configurable": {"c": 3}}, metadata={"r": 2}
    )
    untouched = await resources.assistants.update(created.assistant_id, config={})

    assert updated.config == {"configurable": {"c": 3}}
    assert updated.context == {"c": 3}
    assert updated.metadata == {"q": 1, "r": 2}
    assert (untouched.version, untouched.config) == (3, updated.config)


async def test_concurrent_updates_get_different_versions(resources: Resources) -> None:
    created = await resources.assistants.create(graph_id=GRAPH)

    updates = [resources.assistants.update(created.assistant_id, metadata={str(n): n}) for n in range(12)]
    versions = [assistant.version for assistant in await asyncio.gather(*updates)]

    assert sorted(versions) == list(range(2, 14))
    assert len((await resources.assistants.get(created.assistant_id)).metadata) == 12


async def test_an_earlier_version_becomes_the_latest_as_a_whole(resources: Resources) -> None:
    created = await resources.assistants.create(graph_id=GRAPH, context={"a": 1}, name="one")
    await resources.assistants.update(created.assistant_id, context={"a": 2}, name="two")

    restored = await resources.assistants.set_latest(created.assistant_id, version=1)
    renewed = await resources.assistants.update(created.assistant_id, description="d")

    assert (restored.version, restored.name, restored.context) == (1, "one", {"a": 1})
    assert renewed.version == 3
    with pytest.raises(NotFound):
        await resources.assistants.set_latest(created.assistant_id, version=9)


async def test_versions_are_listed_newest_first_and_filtered_by_metadata(resources: Resources) -> None:
    created = await resources.assistants.create(graph_id=GRAPH)
    await resources.assistants.update(created.assistant_id, metadata={"good": True})

    assert [v.version for v in await resources.assistants.versions(created.assistant_id)] == [2, 1]
    assert [v.version for v in await resources.assistants.versions(created.assistant_id, metadata={"good": True})] == [
        2
    ]
    with pytest.raises(AssistantNotFound):
        await resources.assistants.versions(uuid4())


async def test_a_search_filters_sorts_and_says_whether_there_is_more(resources: Resources) -> None:
    for name in ("b_1", "A_2", "c%3"):
        await resources.assistants.create(graph_id=GRAPH, name=name, metadata={"of": {"test": name}, "all": [1, 2]})

    by_name = await resources.assistants.search(metadata={"all": [1]}, sort_by="name", sort_order="asc", limit=2)
    wild = await resources.assistants.search(name="%")
    nested = await resources.assistants.search(metadata={"of": {"test": "A_2"}})

    assert [assistant.name for assistant in by_name.items] == ["A_2", "b_1"]
    assert (by_name.next_offset, by_name.total_header) == (2, 3)
    assert [assistant.name for assistant in wild.items] == ["c%3"]
    assert [assistant.name for assistant in nested.items] == ["A_2"]
    assert await resources.assistants.count(metadata={"all": [2]}) == 3


async def test_unknown_and_failed_graphs_are_told_apart(resources: Resources) -> None:
    await resources.assistants.register(GraphDescriptor(graph_id="broken", name="broken", failure="SyntaxError"))

    for call in (resources.assistants.search, resources.assistants.count, resources.assistants.create):
        with pytest.raises(GraphNotFound):
            await call(graph_id="unknown")
    created = await resources.assistants.create(graph_id="broken")
    with pytest.raises(GraphLoadError, match="SyntaxError"):
        await resources.assistants.schemas(created.assistant_id)
    with pytest.raises(GraphLoadError, match="SyntaxError"):
        await resources.runs.create(None, RunRequest(assistant_id=str(created.assistant_id)))


async def test_deleting_an_assistant_ends_its_runs_and_on_demand_its_threads(resources: Resources) -> None:
    assistant = await resources.assistants.create(graph_id=GRAPH)
    name = str(assistant.assistant_id)
    kept, gone = (await resources.threads.create()).thread_id, (await resources.threads.create()).thread_id
    await resources.threads.update(gone, metadata={"assistant_id": name})
    run = await resources.runs.create(kept, RunRequest(assistant_id=name))
    await resources.threads.update(kept, metadata={"other": 1})

    await resources.assistants.delete(assistant.assistant_id)

    assert (await resources.runs.get(kept, run.run_id)).status == "interrupted"
    with pytest.raises(AssistantNotFound):
        await resources.assistants.get(assistant.assistant_id)
    with pytest.raises(AssistantNotFound):
        await resources.assistants.delete(assistant.assistant_id)


async def test_the_threads_of_a_deleted_assistant_can_go_with_it(resources: Resources) -> None:
    assistant = await resources.assistants.create(graph_id=GRAPH)
    thread_id = (await resources.threads.create()).thread_id
    await resources.runs.create(thread_id, RunRequest(assistant_id=str(assistant.assistant_id)))

    await resources.assistants.delete(assistant.assistant_id, delete_threads=True)

    assert await resources.threads.count() == 0
