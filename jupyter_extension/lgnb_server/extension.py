"""The server extension: from traits to settings, and the place where a host's parts are built, started and stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar, cast

from jupyter_events import EventLogger
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from traitlets import Bool

from lgnb import embedded, telemetry
from lgnb.db.database import Database
from lgnb.db.migrate import migrate
from lgnb.errors import LgnbError, QueueUnavailable, SettingsError
from lgnb.garbage import spare_collector
from lgnb.graphs.configuration import configuration_of
from lgnb.graphs.http_section import http_config
from lgnb.graphs.project import Project
from lgnb.graphs.webhook_section import filled_headers
from lgnb.loopback import Api, install
from lgnb.models.http import HttpConfig
from lgnb.queue import Queue
from lgnb.resources import Resources, build_resources
from lgnb.settings import Settings
from lgnb.worker.reloader import Reloader
from lgnb.worker.supervisor import Supervisor
from lgnb.worker.webhook_delivery import WebhookDelivery

from .auth.module import load_auth
from .auth.ownership import Owners, keeps_owners, refuse_what_owners_cannot_be_kept_with
from .auth.section import auth_section
from .custom_app import CustomApp
from .host import Host
from .hub import claim_data_dir, refuse_other_services
from .keys import Keys, configured_keys
from .monitoring import Monitoring
from .route import MOUNT
from .routes import url_patterns
from .runtime_file import RuntimeFile
from .studio import studio_patterns
from .traits import Lgnb

_STREAM_END_SECONDS = 3.0
_REFRESH_SECONDS = 5.0


class LgnbServer(ExtensionApp):
    """Serves the LangGraph API under `{base_url}lgnb/`."""

    name = "lgnb_server"
    extension_url = f"/{MOUNT}/docs"
    load_other_extensions = False
    classes: ClassVar[list[type[Any]]] = [Lgnb]

    stops_on_failure = Bool(
        False, help="Stop the whole server when the extension cannot start; for a server that does nothing else."
    ).tag(config=True)

    reloads = Bool(
        False, help="Put new workers in the place of the old ones when a file of the project changes; see lgnb dev."
    ).tag(config=True)

    def initialize_handlers(self) -> None:
        self.failed = False
        self._stack = AsyncExitStack()
        self._stopping: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        problem: str | None = None
        http = HttpConfig()
        try:
            settings = Settings.from_environment(overrides=Lgnb(parent=self).overrides())
            # Workers start in the current directory and would find its configuration, so it counts here as well.
            settings = settings.with_config_of(Path(self._root_dir()), Path.cwd())
            # Paths are given to Jupyter now, long before anything else of the configuration is looked at.
            http = http_config(Project.of(settings.config), settings, [])
        except SettingsError as error:
            settings, problem = Settings(), str(error)
        self._has_settings = problem is None
        keys = Keys(configured_keys(settings.api_keys), worker=settings.worker_key)
        self.host = Host(settings=settings, keys=keys, http=http)
        if problem:
            self.host.close(problem)
        # The studio first: the last pattern of the API takes everything else.
        self.handlers.extend([*studio_patterns(MOUNT), *url_patterns(self.host)])

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Called by Jupyter once its loop runs. Whatever fails here, the rest of Jupyter lives."""
        self._forward_logs()
        self._stop_on_interrupt(serverapp)
        if not self._has_settings:
            self._fail(self.host.problem)
            return
        self._starting = asyncio.ensure_future(self._start())
        with suppress(asyncio.CancelledError):
            await self._starting

    async def _start(self) -> None:
        assert self.serverapp is not None
        telemetry.configure("lgnb-host")
        self._stack.push_async_callback(asyncio.to_thread, telemetry.shut_down)
        self.host.monitoring = Monitoring(cast(EventLogger, self.serverapp.event_logger))
        try:
            self.host.open(await self._build())
        except LgnbError as error:
            await self._stack.aclose()
            self._fail(str(error))
        except Exception as error:  # whatever it is, Jupyter lives on and /lgnb says what happened
            await self._stack.aclose()
            self.log.error("lgnb failed to start.", exc_info=True)
            self._fail(f"lgnb failed to start: {type(error).__name__}; the server's log has the rest.")
        else:
            spare_collector()
            self.log.info("lgnb serves the LangGraph API at %s", self.api_url)

    def _fail(self, problem: str) -> None:
        self.failed = True
        self.host.close(problem)
        self.log.error("lgnb is not available: %s", problem)
        if self.stops_on_failure and self.serverapp is not None:
            self.serverapp.stop()

    async def _build(self) -> Resources:
        """Build and start every part; what is on the stack is stopped in reverse order."""
        settings = self.host.settings
        project = Project.of(settings.config)
        configuration = configuration_of(project, settings)
        for warning in (*project.warnings, *configuration.warnings):
            self.log.warning("%s", warning)
        self._load_auth(project)
        if configuration.http.app is not None:
            await self._start_application(project)
        headers = filled_headers(configuration.webhooks.headers, {**project.env, **os.environ})
        postgres_uri, redis_uri = settings.postgres_uri, settings.redis_uri
        if not (postgres_uri and redis_uri):
            pair = await embedded.acquire(settings.data_dir)
            self._stack.push_async_callback(pair.release)
            if not postgres_uri and self.host.module is None:
                claim_data_dir(settings)
            postgres_uri, redis_uri = postgres_uri or pair.postgres_uri, redis_uri or pair.redis_uri

        database = Database(
            postgres_uri, pool_size=settings.postgres_pool_size, application_name="lgnb-host", vault=configuration.vault
        )
        await database.open()
        self._stack.push_async_callback(database.close)
        async with database.connection() as connection:
            await migrate(connection)

        queue = Queue(redis_uri, prefix=settings.redis_key_prefix)
        self._stack.push_async_callback(queue.close)
        try:
            await queue.refuse_other_kind()
        except QueueUnavailable as error:
            # Redis only carries speed: runs are accepted and executed without it, and it may come back.
            self.log.warning("%s Runs start by polling until then.", error)

        resources = await build_resources(
            database=database, queue=queue, settings=settings, configuration=configuration
        )
        self._stack.push_async_callback(resources.close)
        if self.host.monitoring is not None:
            resources.news.start(self.host.monitoring.hear)
        refreshing = asyncio.ensure_future(self._refresh(resources))
        self._stack.push_async_callback(_cancelled, refreshing)

        delivery = WebhookDelivery(resources.webhooks, headers=headers, secret=settings.webhook_secret)
        delivering = asyncio.ensure_future(delivery.run())
        self._stack.push_async_callback(_cancelled, delivering)

        async def take_over(pid: int) -> None:
            await resources.leases.release_process(host_name=socket.gethostname(), pid=pid)

        supervisor = Supervisor(
            settings.with_values(api_url=self.api_url, worker_key=self.host.keys.worker),
            count=settings.workers,
            on_death=take_over,
            writes_bytecode=not self.reloads,
        )
        self._stack.push_async_callback(supervisor.stop)
        supervisor.start()
        self.host.workers = supervisor
        if self.reloads:
            self._watch(supervisor)

        runtime_file = RuntimeFile()
        self._stack.callback(runtime_file.remove)
        runtime_file.write(url=self.api_url, key=self.host.keys.own, root_dir=self._root_dir())
        return resources

    def _load_auth(self, project: Project) -> None:
        """Know who may call before anything can be called; what cannot be loaded lets nobody in."""
        assert self.serverapp is not None
        refuse_other_services(self.serverapp)
        warnings: list[str] = []
        section = auth_section(project, warnings)
        for warning in warnings:
            self.log.warning("%s", warning)
        self.host.module = load_auth(section, project)
        if self.host.module is None:
            if keeps_owners(self.host.settings):
                refuse_what_owners_cannot_be_kept_with(self.host.settings)
                self.host.owners = Owners()
        elif not section.disable_studio_auth:
            self.log.warning(
                "auth.disable_studio_auth is false: whoever sends the header x-auth-scheme: langsmith is let in "
                "without a check."
            )

    def _watch(self, supervisor: Supervisor) -> None:
        config = self.host.settings.config
        if config is None:
            self.log.warning("There is no langgraph.json, so there is nothing to reload.")
            return
        watching = asyncio.ensure_future(Reloader(config, replace=supervisor.replace).run())
        self._stack.push_async_callback(_cancelled, watching)

    async def _start_application(self, project: Project) -> None:
        """Bring up the operator's own application; its life is around everything else."""
        assert self.serverapp is not None
        root_path = url_path_join(self.serverapp.base_url, MOUNT + self.host.http.mount_prefix)
        application = CustomApp.load(project, http=self.host.http, root_path=root_path)
        install(Api(self.api_url, self.host.keys.application), calling_run=lambda: None)
        await application.start()
        self._stack.push_async_callback(application.stop)
        application.install(self.serverapp.web_app, self.host)
        self.host.application = application

    async def _refresh(self, resources: Resources) -> None:
        while True:
            await resources.system.refresh()
            await asyncio.sleep(_REFRESH_SECONDS)

    @property
    def api_url(self) -> str:
        """Root of the API, as a process on this machine reaches it."""
        assert self.serverapp is not None
        return url_path_join(self.serverapp.connection_url, MOUNT + self.host.http.mount_prefix)

    def _root_dir(self) -> str:
        assert self.serverapp is not None
        return os.path.abspath(self.serverapp.root_dir)

    def current_activity(self) -> Any:
        """How many runs and streams are open; anything but zero keeps cullers from stopping the server."""
        if not self.host.is_open:
            return None
        return self.host.resources.system.active_runs() + len(self.host.streams)

    async def stop_extension(self) -> None:
        """Refuse requests, end streams, stop workers, close connections. Safe to call twice."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        if self._starting and not self._starting.done():
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if not self.failed:
            self.host.close("The server is stopping.")
        await self.host.streams.end(timeout_seconds=_STREAM_END_SECONDS)
        try:
            await self._stack.aclose()
        except Exception:  # Jupyter has more to clean up after us
            self.log.error("lgnb did not stop in good order.", exc_info=True)
        self._restore_logs()

    def _stop_on_interrupt(self, serverapp: ServerApp) -> None:
        """Make an interrupt an orderly stop where Jupyter would let a KeyboardInterrupt tear everything down.

        That is where it has no terminal to ask on; elsewhere it has a handler of its own.
        """
        unhandled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if unhandled and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, lambda number, frame: serverapp.stop(from_signal=True))

    def _forward_logs(self) -> None:
        """Let what lgnb's modules log appear in Jupyter's log."""
        self._log_handler = _Forwarding(self.log)
        for name in ("lgnb", "lgnb_server"):
            logger = logging.getLogger(name)
            logger.addHandler(self._log_handler)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.INFO)

    def _restore_logs(self) -> None:
        for name in ("lgnb", "lgnb_server"):
            logging.getLogger(name).removeHandler(self._log_handler)


class _Forwarding(logging.Handler):
    """Hands records on to another logger."""

    def __init__(self, target: Any) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        if self._target.isEnabledFor(record.levelno):
            self._target.handle(record)


async def _cancelled(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
