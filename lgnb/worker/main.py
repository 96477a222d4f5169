"""The worker process: builds everything a worker needs, runs it until told to stop, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys

from .. import telemetry
from ..checkpoints.codec import Codec
from ..db.database import Database
from ..db.migrate import migrate
from ..embedded import acquire
from ..errors import QueueUnavailable
from ..garbage import spare_collector
from ..graphs.configuration import configuration_of
from ..graphs.descriptors import describe_all
from ..graphs.loading import GraphRegistry
from ..graphs.project import Project
from ..loopback import Api, install
from ..parent_watch import watch_parent
from ..queue import Queue
from ..resources import build_resources
from ..settings import Settings
from .loops import current_run
from .worker import Worker

logger = logging.getLogger(__name__)


def run_worker(settings: Settings) -> int:
    """Run a worker until SIGTERM or SIGINT; the exit code of the process."""
    # Graph threads and the service loop share the interpreter; short turns keep the service loop prompt.
    sys.setswitchinterval(0.001)
    watch_parent(grace_seconds=settings.drain_seconds + 5)
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    telemetry.configure("lgnb-worker")
    project = Project.of(settings.config)
    configuration = configuration_of(project, settings)
    for warning in (*project.warnings, *configuration.warnings):
        logger.warning("%s", warning)
    async with contextlib.AsyncExitStack() as stack:
        postgres_uri, redis_uri = settings.postgres_uri, settings.redis_uri
        if not (postgres_uri and redis_uri):
            embedded = await acquire(settings.data_dir)
            stack.push_async_callback(embedded.release)
            postgres_uri, redis_uri = postgres_uri or embedded.postgres_uri, redis_uri or embedded.redis_uri
        database = Database(
            postgres_uri,
            pool_size=settings.postgres_pool_size,
            application_name="lgnb-worker",
            vault=configuration.vault,
        )
        await database.open()
        stack.push_async_callback(database.close)
        async with database.connection() as connection:
            await migrate(connection)
        queue = Queue(redis_uri, prefix=settings.redis_key_prefix)
        stack.push_async_callback(queue.close)
        with contextlib.suppress(QueueUnavailable):
            await queue.refuse_other_kind()
        resources = await build_resources(
            database=database, queue=queue, settings=settings, configuration=configuration
        )
        stack.push_async_callback(resources.close)
        api = Api(settings.api_url, settings.worker_key or "") if settings.api_url else None
        install(api, calling_run=current_run)
        registry = GraphRegistry()
        registry.load_all(project)
        for descriptor in await describe_all(registry):
            await resources.assistants.register(descriptor)
        codec = Codec(configuration.revival.msgpack_types, json_types=configuration.revival.json_types)
        worker = Worker(resources, registry, settings=settings, postgres_uri=postgres_uri, codec=codec)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        spare_collector()
        logger.info("Worker %d serves %s", os.getpid(), ", ".join(registry.graph_ids))
        await worker.run()
    await asyncio.to_thread(telemetry.shut_down)
    return 0
