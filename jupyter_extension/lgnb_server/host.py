"""What the handlers of one server share: settings, keys, open streams, and the resources or why there are none."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import uuid4

from lgnb.errors import NotReady
from lgnb.models.http import HttpConfig
from lgnb.resources import Resources
from lgnb.settings import Settings
from lgnb.worker.supervisor import Supervisor

from .auth.module import AuthModule
from .auth.ownership import Owners
from .keys import Keys
from .monitoring import Monitoring
from .streaming import OpenStreams


class Described(Protocol):
    """The operator's application, as the reference sees it."""

    def openapi(self) -> dict[str, Any] | None: ...


class Host:
    """Built before the server listens; `open()` once the resources stand, `close()` before they fall."""

    def __init__(self, *, settings: Settings, keys: Keys, http: HttpConfig | None = None) -> None:
        self.settings = settings
        self.http = http or HttpConfig()
        self.keys = keys
        # A page beside a kernel sees by this name whether both talk to the same server.
        self.instance = uuid4().hex
        self.streams = OpenStreams(most=settings.max_streams, most_per_caller=settings.max_streams_per_user)
        self.workers: Supervisor | None = None
        # At most one of them says what callers may do; known before the host opens.
        self.module: AuthModule | None = None
        self.owners: Owners | None = None
        self.monitoring: Monitoring | None = None
        self.application: Described | None = None
        self.problem = "The server is starting; try again in a moment."
        self._resources: Resources | None = None

    @property
    def resources(self) -> Resources:
        """Raises NotReady with the reason while the server cannot answer."""
        if self._resources is None:
            raise NotReady(self.problem)
        return self._resources

    @property
    def is_open(self) -> bool:
        return self._resources is not None

    def open(self, resources: Resources) -> None:
        """From now on requests are served."""
        self._resources = resources

    def close(self, problem: str) -> None:
        """From now on requests are refused with this sentence."""
        self._resources = None
        self.problem = problem

    def why_not_ready(self) -> str:
        """The best sentence there is while requests are served but no run can execute."""
        if not self.is_open:
            return self.problem
        return (self.workers and self.workers.problem()) or "No worker is ready yet."
