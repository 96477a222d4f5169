"""Assistants: a graph plus config, context and metadata; every change is a version."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID, uuid4

from ..db.assistants import AssistantRepository
from ..db.database import Connection, Database
from ..db.runs import RunRepository
from ..db.threads import ThreadRepository
from ..db.workers import WorkerRepository
from ..errors import (
    AccessDenied,
    AlreadyExists,
    AssistantNotFound,
    GraphLoadError,
    GraphNotFound,
    InvalidState,
    NotFound,
)
from ..graphs import descriptor_views
from ..graphs.descriptor_views import GraphDescriptor
from ..models.assistants import Assistant, AssistantVersion, system_assistant_id
from ..models.live import KernelInfo
from ..models.pages import Page
from ..models.vault import sealing_for
from .acting import Acting, metadata_of
from .cancellation import Cancellation
from .reserved import clean_config, clean_metadata, without_reserved_keys
from .threads import Threads

SYSTEM_METADATA = {"created_by": "system"}


class Assistants(Acting):
    def __init__(self, database: Database, *, threads: Threads, cancellation: Cancellation) -> None:
        self._database = database
        self._threads = threads
        self._cancellation = cancellation

    async def create(
        self,
        *,
        graph_id: str,
        assistant_id: UUID | None = None,
        config: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        description: str | None = None,
        if_exists: Literal["raise", "do_nothing"] = "raise",
    ) -> Assistant:
        """Create an assistant with version 1.

        Raises:
            GraphNotFound: no worker has ever served this graph.
            AlreadyExists: the id is taken and `if_exists` is "raise".
            InvalidState: both `context` and `config.configurable` are given.
        """
        assistant_id = assistant_id or uuid4()
        value: dict[str, Any] = {
            "assistant_id": assistant_id,
            "graph_id": graph_id,
            "config": config or {},
            "context": context or {},
            "metadata": clean_metadata(metadata or {}),
            "name": name or "Untitled",
        }
        visible = await self._access.ask("assistants", "create", value)
        config, context = _mirrored(value["config"] or {}, value["context"] or {})
        async with self._database.transaction() as connection:
            await _require_graph(WorkerRepository(connection), value["graph_id"])
            assistants = AssistantRepository(connection)
            created = await assistants.insert(
                assistant_id,
                graph_id=value["graph_id"],
                config=config,
                context=context,
                metadata=metadata_of(value),
                name=value["name"],
                description=description,
            )
            if created is not None:
                return created
            existing = await assistants.get(assistant_id, visible=visible)
        if existing is None or if_exists == "raise":
            raise AlreadyExists(f"Assistant {assistant_id} exists already.")
        return existing

    async def search(
        self,
        *,
        metadata: dict[str, Any] | None = None,
        graph_id: str | None = None,
        name: str | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: str | None = None,
        sort_order: str | None = None,
    ) -> Page[Assistant]:
        """Assistants that match, newest first unless sorted otherwise."""
        value = {"graph_id": graph_id, "metadata": metadata or {}, "limit": limit, "offset": offset}
        visible = await self._access.ask("assistants", "search", value)
        async with self._database.connection() as connection:
            await _require_graph(WorkerRepository(connection), graph_id)
            rows = await AssistantRepository(connection).search_page(
                metadata=metadata_of(value),
                graph_id=graph_id,
                name=name,
                limit=limit + 1,
                offset=offset,
                sort_by=sort_by,
                sort_order=sort_order,
                visible=visible,
            )
        return Page.of(rows, limit=limit, offset=offset)

    async def count(
        self, *, metadata: dict[str, Any] | None = None, graph_id: str | None = None, name: str | None = None
    ) -> int:
        value = {"graph_id": graph_id, "metadata": metadata or {}, "limit": 0, "offset": 0}
        visible = await self._access.ask("assistants", "search", value)
        async with self._database.connection() as connection:
            await _require_graph(WorkerRepository(connection), graph_id)
            return await AssistantRepository(connection).count(
                metadata=metadata_of(value), graph_id=graph_id, name=name, visible=visible
            )

    async def get(self, assistant_id: UUID) -> Assistant:
        visible = await self._access.ask("assistants", "read", {"assistant_id": assistant_id})
        async with self._database.connection() as connection:
            assistant = await AssistantRepository(connection).get(assistant_id, visible=visible)
        if assistant is None:
            raise AssistantNotFound(assistant_id)
        return assistant

    async def update(
        self,
        assistant_id: UUID,
        *,
        graph_id: str | None = None,
        config: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        description: str | None = None,
    ) -> Assistant:
        """Change what is given, as a new version; None keeps. Metadata is merged, config and context are replaced."""
        value: dict[str, Any] = {
            "assistant_id": assistant_id,
            "graph_id": graph_id,
            "config": config,
            "context": context,
            "metadata": clean_metadata(metadata or {}),
            "name": name,
        }
        visible = await self._access.ask("assistants", "update", value)
        graph_id, config, context = value["graph_id"], value["config"], value["context"]
        if config or context:
            config, context = _mirrored(config or {}, context or {})
        async with self._database.transaction() as connection:
            await _require_graph(WorkerRepository(connection), graph_id)
            assistants = AssistantRepository(connection)
            await assistants.lock(assistant_id, visible=visible)
            updated = await assistants.update(
                assistant_id,
                graph_id=graph_id,
                # An empty config means "keep": the API has no way to clear one.
                config=config or None,
                context=context or None,
                metadata=metadata_of(value),
                name=value["name"],
                description=description,
                visible=visible,
            )
        if updated is None:
            raise AssistantNotFound(assistant_id)
        return updated

    async def delete(self, assistant_id: UUID, *, delete_threads: bool = False) -> None:
        """Delete an assistant, its versions and crons; its runs in flight are cancelled."""
        visible = await self._access.ask("assistants", "delete", {"assistant_id": assistant_id})
        async with self._database.connection() as connection:
            in_flight = await RunRepository(connection).in_flight_ids(
                statuses=["pending", "running"], assistant_id=assistant_id
            )
            thread_ids = await ThreadRepository(connection).of_assistant(assistant_id) if delete_threads else []
            if not await AssistantRepository(connection).delete(assistant_id, visible=visible):
                raise AssistantNotFound(assistant_id)
        for run in in_flight:
            await self._cancellation.cancel(
                run.thread_id, run.run_id, action="interrupt", reason="The assistant of this run was deleted."
            )
        for thread_id in thread_ids:
            # Those that the caller may not delete stay.
            with suppress(AccessDenied):
                await self._threads.delete(thread_id, missing_ok=True)

    async def versions(
        self, assistant_id: UUID, *, metadata: dict[str, Any] | None = None, limit: int = 10, offset: int = 0
    ) -> list[AssistantVersion]:
        visible = await self._access.ask("assistants", "read", {"assistant_id": assistant_id})
        async with self._database.connection() as connection:
            found = await AssistantRepository(connection).versions_page(
                assistant_id, metadata=metadata or {}, limit=limit, offset=offset, visible=visible
            )
        if not found and not offset:
            raise AssistantNotFound(assistant_id)
        return found

    async def set_latest(self, assistant_id: UUID, *, version: int) -> Assistant:
        value: dict[str, Any] = {"assistant_id": assistant_id, "version": version}
        visible = await self._access.ask("assistants", "update", value)
        async with self._database.connection() as connection:
            assistant = await AssistantRepository(connection).set_latest(
                assistant_id, version=version, metadata=metadata_of(value), visible=visible
            )
        if assistant is None:
            raise NotFound(f"Assistant {assistant_id} has no version {version}.")
        return assistant

    async def graph(self, assistant_id: str, *, xray: bool | int = False) -> dict[str, Any]:
        """The drawing of the assistant's graph: nodes and edges. Accepts a graph id too."""
        return descriptor_views.drawing(await self._descriptor(await self._resolve(assistant_id)), xray)

    async def schemas(self, assistant_id: UUID) -> dict[str, Any]:
        return descriptor_views.schemas(await self._descriptor(await self.get(assistant_id)))

    async def subgraphs(
        self, assistant_id: UUID, *, namespace: str | None = None, recurse: bool = False
    ) -> dict[str, Any]:
        descriptor = await self._descriptor(await self.get(assistant_id))
        return descriptor_views.subgraphs(descriptor, namespace, recurse)

    async def register(self, descriptor: GraphDescriptor) -> None:
        """Store what a worker says of a graph of langgraph.json, which no kernel serves from now on."""
        async with self._database.transaction() as connection:
            workers = WorkerRepository(connection)
            await workers.lock_graph(descriptor.graph_id)
            await workers.leave_graph(descriptor.graph_id)
            await self.register_on(connection, descriptor)

    async def register_on(
        self, connection: Connection, descriptor: GraphDescriptor, *, kernel: KernelInfo | None = None
    ) -> None:
        """Store what is said of a graph, by the kernel that serves it or by a worker process.

        The graph's system assistant is kept in step.
        """
        assistant_id = system_assistant_id(descriptor.graph_id)
        await WorkerRepository(connection).upsert_graph(
            descriptor.graph_id,
            descriptor=descriptor.to_json(),
            failure=descriptor.failure,
            kernel=asdict(kernel) if kernel else None,
        )
        assistants = AssistantRepository(connection)
        name, description = descriptor.name or descriptor.graph_id, descriptor.description
        # The server's own words, in nobody's name.
        with sealing_for({}, off=True):
            created = await assistants.insert(
                assistant_id,
                graph_id=descriptor.graph_id,
                config={},
                context={},
                metadata=SYSTEM_METADATA,
                name=name,
                description=description,
            )
        # A graph that cannot be loaded at present is listed like any other; whoever uses it is told why.
        if created is not None or descriptor.failure is not None:
            return
        await assistants.lock(assistant_id)
        present = await assistants.get(assistant_id)
        if present is not None and (present.name, present.description) != (name, description):
            await assistants.update(
                assistant_id,
                graph_id=None,
                config=None,
                context=None,
                metadata=None,
                name=name,
                description=description,
            )

    async def _resolve(self, assistant_id: str) -> Assistant:
        try:
            return await self.get(UUID(assistant_id))
        except ValueError:
            try:
                return await self.get(system_assistant_id(assistant_id))
            except AssistantNotFound:
                raise AssistantNotFound(assistant_id) from None

    async def _descriptor(self, assistant: Assistant) -> GraphDescriptor:
        async with self._database.connection() as connection:
            stored = await WorkerRepository(connection).graph(assistant.graph_id)
        if stored is None:
            raise GraphNotFound(assistant.graph_id)
        descriptor = GraphDescriptor.from_json(stored)
        if descriptor.failure is not None:
            raise GraphLoadError(assistant.graph_id, descriptor.failure, traceback=descriptor.traceback)
        return descriptor


async def _require_graph(workers: WorkerRepository, graph_id: str | None) -> None:
    if graph_id is not None and await workers.graph(graph_id) is None:
        raise GraphNotFound(graph_id)


def _mirrored(config: dict[str, Any], context: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Whichever of context and configurable is given is copied to the other; both is an error."""
    config, context = clean_config(config), without_reserved_keys(context)
    configurable = config.get("configurable") or {}
    if configurable and context:
        raise InvalidState("Give either context or config.configurable, not both.")
    if context:
        return {**config, "configurable": dict(context)}, context
    return config, dict(configurable)
