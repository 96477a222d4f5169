"""Crons: schedules that create runs, each tick exactly once whatever the number of processes that look."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import OperationalError

from ..db.crons import CronRepository
from ..db.database import Connection, Database
from ..db.threads import ThreadRepository
from ..errors import AssistantNotFound, CronNotFound, InvalidRequest, InvalidState, LgnbError, ThreadNotFound
from ..models.access import Condition
from ..models.assistants import Assistant
from ..models.crons import Cron, DueCron, OnRunCompleted
from ..models.identity import Caller
from ..models.ids import new_id
from ..models.pages import Page
from ..models.runs import RunRequest
from ..models.vault import sealing_for
from .acceptance import Acceptance, ask_for_assistant, assistant_of
from .acting import Acting, metadata_of
from .limits import Limits
from .reserved import clean_config, clean_metadata, without_reserved_keys
from .runs import Runs
from .schedules import Schedule
from .webhooks import Webhooks

logger = logging.getLogger(__name__)

# What a stored request says to the run; the rest of it says when and how often.
_RUN_FIELDS = (
    "input",
    "config",
    "context",
    "webhook",
    "interrupt_before",
    "interrupt_after",
    "stream_mode",
    "stream_subgraphs",
    "stream_resumable",
    "durability",
    "checkpoint_during",
    "multitask_strategy",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CronChange:
    """What a request says; a name that is not in `given` was left out. `payload` is the request itself."""

    payload: dict[str, Any]
    schedule: str | None = None
    timezone: str | None = None
    end_time: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    on_run_completed: OnRunCompleted | None = None
    enabled: bool | None = None

    @property
    def given(self) -> frozenset[str]:
        return frozenset(self.payload)


class Crons(Acting):
    def __init__(self, database: Database, *, runs: Runs, webhooks: Webhooks, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._runs = runs
        self._webhooks = webhooks

    async def create(self, assistant_id: str, change: CronChange, *, thread_id: UUID | None = None) -> Cron:
        """Create a cron; with a thread its runs happen there, without one each gets a thread of its own.

        Raises:
            InvalidRequest: the schedule, the time zone or the webhook cannot be used.
            AssistantNotFound, ThreadNotFound: as they say.
            InvalidState: both `context` and `config.configurable` are given.
        """
        cron_id = new_id()
        value: dict[str, Any] = {
            "payload": _clean(change.payload),
            "schedule": change.schedule or "",
            "cron_id": cron_id,
            "thread_id": thread_id,
            "user_id": self._caller.identity if self._caller else None,
            "end_time": change.end_time,
            "metadata": clean_metadata(change.metadata),
        }
        await self._access.ask("crons", "create", value)
        assistant_visible = await self._assistant_visible(assistant_id)
        thread_visible: Condition | None = None
        if thread_id is not None:
            thread_visible = await self._access.ask("threads", "read", {"thread_id": thread_id})
        schedule = Schedule(value["schedule"], change.timezone)
        schedule.check_pause(self._limits.cron_seconds)
        payload = _stamped(value["payload"], metadata_of(value))
        await self._webhooks.check(payload.get("webhook"))
        async with self._database.transaction() as connection:
            assistant = await _assistant(connection, assistant_id, visible=assistant_visible)
            if thread_id is not None:
                if await ThreadRepository(connection).hold(thread_id, visible=thread_visible) is None:
                    raise ThreadNotFound(thread_id)
            payload = {**payload, "assistant_id": str(assistant.assistant_id)}
            return await CronRepository(connection).insert(
                cron_id,
                assistant_id=assistant.assistant_id,
                thread_id=thread_id,
                user_id=value["user_id"],
                end_time=_aware(value["end_time"]),
                schedule=value["schedule"],
                timezone=change.timezone,
                payload=_with_cron_id(payload, cron_id),
                next_run_date=schedule.after(await _now(connection)),
                metadata=metadata_of(value),
                on_run_completed=None if thread_id else (change.on_run_completed or "delete"),
                enabled=change.enabled is not False,
            )

    async def get(self, cron_id: UUID) -> Cron:
        visible = await self._access.ask("crons", "read", {"cron_id": cron_id})
        async with self._database.connection() as connection:
            cron = await CronRepository(connection).get(cron_id, visible=visible)
        if cron is None:
            raise CronNotFound(cron_id)
        return cron

    async def search(
        self,
        *,
        assistant_id: UUID | None = None,
        thread_id: UUID | None = None,
        enabled: bool | None = None,
        metadata: dict[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: str | None = None,
        sort_order: str | None = None,
    ) -> Page[Cron]:
        """Crons that match, newest first unless sorted otherwise."""
        value = _asked_search(assistant_id, thread_id, metadata, limit=limit, offset=offset)
        visible = await self._access.ask("crons", "search", value)
        thread_visible = await self._access.ask("threads", "search", {})
        async with self._database.connection() as connection:
            rows = await CronRepository(connection).search_page(
                assistant_id=assistant_id,
                thread_id=thread_id,
                enabled=enabled,
                metadata=metadata_of(value),
                visible=visible,
                thread_visible=thread_visible,
                limit=limit + 1,
                offset=offset,
                sort_by=sort_by,
                sort_order=sort_order,
            )
        return Page.of(rows, limit=limit, offset=offset)

    async def count(
        self,
        *,
        assistant_id: UUID | None = None,
        thread_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> int:
        value = _asked_search(assistant_id, thread_id, metadata, limit=0, offset=0)
        visible = await self._access.ask("crons", "search", value)
        thread_visible = await self._access.ask("threads", "search", {})
        async with self._database.connection() as connection:
            return await CronRepository(connection).count(
                assistant_id=assistant_id,
                thread_id=thread_id,
                metadata=metadata_of(value),
                visible=visible,
                thread_visible=thread_visible,
            )

    async def update(self, cron_id: UUID, change: CronChange) -> Cron:
        """Change what is given; the request is merged over the stored one, metadata over the row's.

        Raises:
            InvalidState: nothing is given.
            InvalidRequest: the schedule, the time zone or the webhook cannot be used.
        """
        given = change.given
        if not given:
            raise InvalidState("The request changes nothing.")
        value: dict[str, Any] = {
            "cron_id": cron_id,
            "schedule": change.schedule,
            "end_time": change.end_time,
            "enabled": change.enabled,
            "on_run_completed": change.on_run_completed,
            "payload": _clean(change.payload),
            "metadata": clean_metadata(change.metadata),
        }
        visible = await self._access.ask("crons", "update", value)
        await self._webhooks.check(value["payload"].get("webhook"))
        async with self._database.transaction() as connection:
            crons = CronRepository(connection)
            cron = await crons.lock(cron_id, visible=visible)
            if cron is None:
                raise CronNotFound(cron_id)
            schedule = change.schedule if change.schedule is not None else cron.schedule
            timezone = change.timezone if "timezone" in given else cron.timezone
            next_run_date = cron.next_run_date
            if given & {"schedule", "timezone"}:
                changed = Schedule(schedule, timezone)
                changed.check_pause(self._limits.cron_seconds)
                next_run_date = changed.after(await _now(connection))
            payload = {**cron.payload, **value["payload"], "assistant_id": str(cron.assistant_id)}
            payload = _stamped(payload, metadata_of(value))
            return await crons.update(
                cron_id,
                schedule=schedule,
                timezone=timezone,
                end_time=_aware(change.end_time) if "end_time" in given else cron.end_time,
                payload=_with_cron_id(payload, cron_id),
                next_run_date=next_run_date,
                metadata=cron.metadata | metadata_of(value),
                on_run_completed=cron.on_run_completed
                if cron.thread_id
                else (change.on_run_completed or cron.on_run_completed),
                enabled=cron.enabled if change.enabled is None else change.enabled,
            )

    async def delete(self, cron_id: UUID) -> None:
        """Delete a cron; the runs it created stay."""
        visible = await self._access.ask("crons", "delete", {"cron_id": cron_id})
        async with self._database.connection() as connection:
            if not await CronRepository(connection).delete(cron_id, visible=visible):
                raise CronNotFound(cron_id)

    async def fire(self, *, limit: int = 100) -> int:
        """Create the runs of all crons that are due, and say how many it were.

        A tick is taken and its run is created in one transaction, so that it happens exactly once, however many
        processes look and wherever one of them dies. Ticks that nobody was there for are not made up.
        """
        async with self._database.connection() as connection:
            due = await CronRepository(connection).due(limit=limit)
        return sum([await self._fire(one) for one in due])

    async def next_due_seconds(self) -> float | None:
        async with self._database.connection() as connection:
            return await CronRepository(connection).next_due_seconds()

    async def _assistant_visible(self, assistant_id: str) -> Condition | None:
        if not self._access.restricts:
            return None
        async with self._database.connection() as connection:
            return await ask_for_assistant(self._access, await _assistant(connection, assistant_id))

    async def _fire(self, due: DueCron) -> bool:
        accepted: Acceptance | None = None
        async with self._database.transaction() as connection:
            if due.thread_id is not None:
                # The thread is locked before what hangs on it everywhere, so that no two transactions wait in turns.
                await ThreadRepository(connection).hold(due.thread_id)
            cron = await CronRepository(connection).claim(due.cron_id, tick=due.tick, next_run_date=_following(due))
            if cron is None:
                return False
            try:
                async with connection.transaction():
                    accepted = await self._accept(connection, cron)
            except LgnbError as error:
                logger.warning("Cron %s created no run: %s", cron.cron_id, error)
            except OperationalError:
                raise  # Postgres went away, or chose us to end a deadlock: the tick was not taken
            except Exception:  # one cron that cannot be executed must not keep the others from their time
                logger.exception("Cron %s created no run", cron.cron_id)
        if accepted is not None:
            await self._runs.announce([accepted])
        return accepted is not None

    async def _accept(self, connection: Connection, cron: Cron) -> Acceptance:
        """The run of a tick, stored in the name that the cron itself was."""
        crons = CronRepository(connection)
        context = await crons.encryption_context(cron.cron_id) if connection.vault.fields.seals else {}
        with sealing_for(context):
            cron = await crons.opened(cron)
            return await self._runs.accept(
                connection,
                cron.thread_id,
                _request(cron),
                configurable=_configurable(cron),
                # Whoever made the cron, with nothing but the name: rights may have changed since.
                caller=Caller(cron.user_id) if cron.user_id else None,
            )


async def _assistant(connection: Connection, assistant_id: str, *, visible: Condition | None = None) -> Assistant:
    try:
        assistant = await assistant_of(connection, assistant_id, visible=visible)
    except InvalidRequest:
        assistant = None
    if assistant is None:
        raise AssistantNotFound(assistant_id)
    return assistant


def _asked_search(
    assistant_id: UUID | None, thread_id: UUID | None, metadata: dict[str, Any] | None, *, limit: int, offset: int
) -> dict[str, Any]:
    return {
        "assistant_id": assistant_id,
        "thread_id": thread_id,
        "metadata": metadata or {},
        "limit": limit,
        "offset": offset,
    }


def _following(due: DueCron) -> datetime | None:
    try:
        return Schedule(due.schedule, due.timezone).after(due.now)
    except InvalidRequest as error:  # a time zone that this machine does not know, say
        logger.warning("Cron %s stops: %s", due.cron_id, error)
        return None


def _request(cron: Cron) -> RunRequest:
    given = {name: cron.payload[name] for name in _RUN_FIELDS if cron.payload.get(name) is not None}
    if isinstance(given.get("stream_mode"), str):
        given["stream_mode"] = [given["stream_mode"]]
    config: dict[str, Any] = given.get("config") or {}
    configurable: dict[str, Any] = config.get("configurable") or {}
    given["config"] = {**config, "configurable": {k: v for k, v in configurable.items() if k != "cron_id"}}
    on_completion: Literal["delete", "keep"] = "keep" if cron.on_run_completed == "keep" else "delete"
    return RunRequest(
        assistant_id=str(cron.assistant_id),
        metadata=cron.metadata | (cron.payload.get("metadata") or {}),
        on_completion=on_completion,
        **given,
    )


def _configurable(cron: Cron) -> dict[str, Any]:
    """What the run learns besides its request, and which never becomes context."""
    return {"cron_id": str(cron.cron_id)} | ({"user_id": cron.user_id} if cron.user_id else {})


def _clean(payload: dict[str, Any]) -> dict[str, Any]:
    cleaned = dict(payload)
    if cleaned.get("config"):
        cleaned["config"] = clean_config(cleaned["config"])
    if cleaned.get("context"):
        cleaned["context"] = without_reserved_keys(cleaned["context"])
        if (cleaned.get("config") or {}).get("configurable"):
            raise InvalidState("Give either context or config.configurable, not both.")
    if cleaned.get("metadata"):
        cleaned["metadata"] = clean_metadata(cleaned["metadata"])
    return cleaned


def _stamped(payload: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """The stored request; its metadata reaches the runs over that of the row, so both must say the same."""
    return {**payload, "metadata": {**(payload.get("metadata") or {}), **metadata}} if metadata else payload


def _with_cron_id(payload: dict[str, Any], cron_id: UUID) -> dict[str, Any]:
    config: dict[str, Any] = payload.get("config") or {}
    configurable = {**(config.get("configurable") or {}), "cron_id": str(cron_id)}
    return {**payload, "config": {**config, "configurable": configurable}}


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


async def _now(connection: Connection) -> datetime:
    cursor = await connection.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None
    return row[0]
