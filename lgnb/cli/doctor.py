"""`lgnb doctor`: looks at everything a server needs, starts and changes nothing, and says in words what to do."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager
from packaging.requirements import Requirement

from .. import embedded
from ..errors import EmbeddedError, SettingsError
from ..graphs.configuration import configuration_of
from ..graphs.project import Project
from ..graphs.webhook_section import filled_headers
from ..settings import Settings
from .findings import Finding
from .postgres_findings import examine_postgres
from .redis_findings import examine_redis

_DISTRIBUTION = "jupyter-lgnb"


@dataclass(frozen=True, slots=True)
class _Backends:
    postgres_uri: str | None
    redis_uri: str | None


@dataclass(slots=True)
class _Project:
    """What the configuration asks of the servers."""

    wants_vectors: bool = False


async def examine(settings: Settings) -> list[Finding]:
    """Everything found, in the order in which a start needs it."""
    project = _Project()
    findings = [*_software(), *_extension(), *_project(settings, project)]
    async with _backends(settings, findings) as backends:
        if backends.postgres_uri:
            examined = examine_postgres(backends.postgres_uri, settings, wants_vectors=project.wants_vectors)
            findings += [finding async for finding in examined]
        if backends.redis_uri:
            findings += await examine_redis(backends.redis_uri, prefix=settings.redis_key_prefix)
    return findings


def _software() -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(f"Python {python}, lgnb {importlib.metadata.version(_DISTRIBUTION)}, in {sys.prefix}.")
    wrong: list[str] = []
    for text in importlib.metadata.requires(_DISTRIBUTION) or ():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name}{requirement.specifier} (here: {version or 'missing'})")
    if wrong:
        fix = f"Install what fits: {sys.executable} -m pip install --upgrade {_DISTRIBUTION}"
        yield Finding(f"These packages do not fit: {', '.join(wrong)}.", fix)
    else:
        yield Finding(f"Jupyter Server {importlib.metadata.version('jupyter-server')} and all other packages fit.")


def _extension() -> Iterator[Finding]:
    enabled = ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions()
    if enabled.get("lgnb_server"):
        yield Finding("The server extension is enabled.")
    else:
        yield Finding("The server extension is not enabled.", "Run: jupyter server extension enable lgnb_server")


def _project(settings: Settings, facts: _Project) -> Iterator[Finding]:
    if settings.config is None:
        yield Finding("No langgraph.json is named; the built-in example graphs are served.")
        return
    try:
        project = Project.load(settings.config)
        configuration = configuration_of(project, settings)
        filled_headers(configuration.webhooks.headers, {**project.env, **os.environ})
    except SettingsError as error:
        yield Finding(str(error), "Correct the file, and run lgnb doctor again.")
        return
    facts.wants_vectors = configuration.store.index is not None
    yield Finding(f"{settings.config} names {len(project.graphs)} graphs: {', '.join(project.graphs)}.")
    for spec in project.graphs.values():
        if spec.file is not None and not spec.file.is_file():
            yield Finding(f"The file of graph {spec.graph_id!r} does not exist.", f"Correct the path {spec.file}.")
    for warning in (*project.warnings, *configuration.warnings):
        yield Finding(warning, f"Correct {settings.config}, or ignore this.")


@asynccontextmanager
async def _backends(settings: Settings, findings: list[Finding]) -> AsyncGenerator[_Backends]:
    """The servers to look at: those that were named, or the embedded pair while somebody else keeps it running."""
    if settings.postgres_uri and settings.redis_uri:
        yield _Backends(settings.postgres_uri, settings.redis_uri)
        return
    fix = "Set LGNB_POSTGRES_URI and LGNB_REDIS_URI to servers of your own, or mend this."
    try:
        status = embedded.inspect(settings.data_dir)
        if status.problem:
            findings.append(Finding(f"The embedded servers cannot be used: {status.problem}", fix))
        elif not status.running:
            findings.append(Finding(f"The embedded servers of {settings.data_dir} start with the next host."))
        else:
            findings.append(Finding(f"The embedded servers of {settings.data_dir} are running."))
            pair = await embedded.acquire(settings.data_dir)
            try:
                yield _Backends(settings.postgres_uri or pair.postgres_uri, settings.redis_uri or pair.redis_uri)
            finally:
                await pair.release()
            return
    except EmbeddedError as error:
        findings.append(Finding(str(error), fix))
    yield _Backends(settings.postgres_uri, settings.redis_uri)
