"""`lgnb dev`: watches the files of a project and asks for new workers when one has changed.

The old workers stop claiming at once, finish the step they are in and give back what is left; the new ones begin
beside them. A graph that fails to import is the new workers' to tell, the others are served on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

from ..errors import SettingsError
from ..graphs.project import Project

logger = logging.getLogger(__name__)

# An editor saves in several steps, a checkout many files; both are one change.
_GATHER_MS = 300
_RETRY_SECONDS = 2.0
# Read once, when the host starts.
_SECTIONS_OF_THE_HOST = ("auth", "checkpointer", "encryption", "http", "store", "webhooks")


class Reloader:
    """`run()` until cancelled.

    Args:
        config: the langgraph.json.
        replace: puts new workers in the place of those that run.
    """

    def __init__(self, config: Path, *, replace: Callable[[], None]) -> None:
        self._config = config
        self._replace = replace
        self._project = Project.load(config)

    async def run(self) -> None:
        """Watch, and watch elsewhere when the configuration names other places."""
        while True:
            places = self._places()
            logger.info("Watching %s for changes.", ", ".join(map(str, places)))
            try:
                async for changes in awatch(*places, watch_filter=self._concerns, debounce=_GATHER_MS, step=50):
                    self._reload({Path(path) for _, path in changes})
                    if self._places() != places:
                        break
            except (OSError, RuntimeError) as error:
                logger.warning("Files cannot be watched (%s); trying again.", error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _places(self) -> list[Path]:
        files = [spec.file.parent for spec in self._project.graphs.values() if spec.file is not None]
        env = [self._project.env_file.parent] if self._project.env_file is not None else []
        found = sorted({self._config.parent, *self._project.import_dirs, *files, *env})
        # What lies below another one is watched with it.
        return [place for place in found if place.is_dir() and not any(one in found for one in place.parents)]

    def _concerns(self, change: Change, path: str) -> bool:
        if Path(path) in (self._config, self._project.env_file):
            return True
        return path.endswith(".py") and _usual(change, path)

    def _reload(self, changed: set[Path]) -> None:
        if self._config in changed:
            try:
                project = Project.load(self._config)
            except SettingsError as error:
                # Its workers would not start; the old ones go on with what they have.
                logger.error("%s The workers go on with what was there before.", error)
                return
            for name in _SECTIONS_OF_THE_HOST:
                if getattr(project, name) != getattr(self._project, name):
                    logger.warning("%r has changed in %s; start again for it to count.", name, self._config.name)
            for warning in project.warnings:
                logger.warning("%s", warning)
            self._project = project
        names = ", ".join(sorted(path.name for path in changed))
        logger.info("Changed: %s. New workers take over; runs go on.", names)
        self._replace()


_usual = DefaultFilter()
