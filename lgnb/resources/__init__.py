"""What the API means: rules and transactions, the same for every face that speaks it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ..checkpoints.storage import PostgresStorage
from ..db.database import Database
from ..graphs.configuration import Configuration
from ..models.access import Access
from ..queue import Queue
from ..queue.bells import Bells
from ..queue.calls import Calls
from ..queue.events import EventLog
from ..queue.news import NewsChannel
from ..queue.signals import Signals
from ..queue.thread_log import ThreadLog
from ..queue.thread_updates import ThreadUpdates
from ..queue.wakeups import WakeUps
from ..settings import Settings
from .acting import Acting
from .assistants import Assistants
from .cancellation import Cancellation
from .changes import Changes
from .crons import Crons
from .encryption import Encryption, ReadableKeys
from .endings import Endings
from .kernel_workers import KernelWorkers
from .leases import Leases
from .limits import Limits
from .runs import Runs
from .state_updates import StateUpdates
from .store import Store
from .streams import RunStreams
from .system import System
from .thread_commands import ThreadCommands
from .thread_protocol import ThreadProtocol
from .thread_streams import ThreadStreams
from .threads import Threads
from .webhooks import Webhooks

__all__ = ["Resources", "build_resources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Everything a face needs, wired to one Postgres and one Redis."""

    assistants: Assistants
    threads: Threads
    state_updates: StateUpdates
    runs: Runs
    thread_commands: ThreadCommands
    thread_protocol: ThreadProtocol
    thread_streams: ThreadStreams
    changes: Changes
    crons: Crons
    leases: Leases
    kernel_workers: KernelWorkers
    store: Store
    webhooks: Webhooks
    system: System
    storage: PostgresStorage
    events: EventLog
    thread_log: ThreadLog
    wakeups: WakeUps
    signals: Signals
    calls: Calls
    bells: Bells
    news: NewsChannel
    encryption: Encryption | None = None

    def acting_for(self, access: Access) -> Resources:
        """The same for one caller: whatever is reached through it is reached with that caller's rights."""
        if self.encryption is not None:
            access = ReadableKeys(access)
        acting = {
            field.name: value.acting_for(access)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Acting)
        }
        return replace(self, **acting)

    async def close(self) -> None:
        """Stop listening; the pools belong to whoever opened them."""
        await self.changes.stop()
        await self.news.stop()
        await self.bells.stop()
        await self.signals.stop()


async def build_resources(
    *, database: Database, queue: Queue, settings: Settings, configuration: Configuration | None = None
) -> Resources:
    """Wire the resources of one process together; `configuration` is what the configuration file says."""
    configuration = configuration or Configuration()
    storage = PostgresStorage(database)
    limits = Limits.of(settings)
    events = EventLog(queue, ttl_seconds=settings.stream_ttl_seconds, most_bytes=settings.max_event_bytes)
    wakeups, signals, calls, bells = WakeUps(queue), Signals(queue), Calls(queue), Bells(queue)
    bells.start()
    news = NewsChannel(queue)
    thread_log = ThreadLog(
        queue,
        ttl_seconds=settings.stream_ttl_seconds,
        most_kept=settings.protocol_buffer,
        most_bytes=settings.max_event_bytes,
    )
    updates = ThreadUpdates(queue, ttl_seconds=settings.stream_ttl_seconds)
    endings = Endings(events=events, thread_log=thread_log)
    cancellation = Cancellation(database, signals=signals, endings=endings, news=news)
    streams = RunStreams(database, events=events, bells=bells)
    store = Store(database, config=configuration.store)
    await store.prepare()
    webhooks = Webhooks(database, config=configuration.webhooks)
    ttl = configuration.thread_ttl
    threads = Threads(
        database,
        storage=storage,
        calls=calls,
        updates=updates,
        cancellation=cancellation,
        news=news,
        ttl=ttl,
        limits=limits,
    )
    runs = Runs(
        database,
        wakeups=wakeups,
        cancellation=cancellation,
        streams=streams,
        webhooks=webhooks,
        news=news,
        default_ttl=ttl.default,
        limits=limits,
    )
    assistants = Assistants(database, threads=threads, cancellation=cancellation)
    leases = Leases(
        database,
        storage=storage,
        endings=endings,
        wakeups=wakeups,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        webhooks=webhooks,
        news=news,
    )
    return Resources(
        assistants=assistants,
        threads=threads,
        state_updates=StateUpdates(threads=threads, storage=storage),
        runs=runs,
        thread_commands=ThreadCommands(runs=runs, threads=threads),
        thread_protocol=ThreadProtocol(database, log=thread_log, bells=bells, endings=endings),
        thread_streams=ThreadStreams(database, events=events, updates=updates, bells=bells),
        changes=Changes(database),
        crons=Crons(database, runs=runs, webhooks=webhooks, limits=limits),
        leases=leases,
        kernel_workers=KernelWorkers(database, assistants=assistants, leases=leases, signals=signals),
        store=store,
        webhooks=webhooks,
        system=System(database, queue=queue, settings=settings, store=store),
        storage=storage,
        events=events,
        thread_log=thread_log,
        wakeups=wakeups,
        signals=signals,
        calls=calls,
        bells=bells,
        news=news,
        encryption=Encryption.of(database),
    )
