"""Imports the graphs of a project in the worker and keeps them by id. User code runs from here on."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import logging
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from lgnb.errors import GraphLoadError, GraphNotFound

from .project import GraphSpec, Project
from .sources import GraphSource
from .tracebacks import user_traceback

_log = logging.getLogger(__name__)


class GraphRegistry:
    """The graphs this process serves.

    Attributes:
        failures: why a graph could not be loaded, by graph id.
    """

    def __init__(self) -> None:
        self.failures: dict[str, GraphLoadError] = {}
        self._sources: dict[str, GraphSource] = {}
        self._graph_ids: tuple[str, ...] = ()

    @property
    def graph_ids(self) -> tuple[str, ...]:
        """Every graph of the project, those that failed included, in the project's order."""
        return self._graph_ids

    def load_all(self, project: Project) -> None:
        """Import every graph of `project`. A graph that fails is recorded and the others load.

        Sets the project's environment variables and puts its directories in front of `sys.path`. Runs the
        user's modules, which may take long: call it before the event loop matters.
        """
        os.environ.update(project.env)
        _extend_path(project.import_dirs)
        self._graph_ids = tuple(project.graphs)
        for spec in project.graphs.values():
            try:
                self._sources[spec.graph_id] = _load(spec, project)
            except GraphLoadError as error:
                _log.error("%s\n%s", error, error.traceback, extra={"graph_id": spec.graph_id})
                self.failures[spec.graph_id] = error

    def get(self, graph_id: str) -> GraphSource:
        """The graph with this id.

        Raises:
            GraphNotFound: the project names no such graph.
            GraphLoadError: the graph failed to load.
        """
        if graph_id in self.failures:
            raise self.failures[graph_id].with_traceback(None)  # or it would grow with every raise
        if graph_id not in self._sources:
            raise GraphNotFound(graph_id)
        return self._sources[graph_id]


def load_variable(spec: GraphSpec, project: Project) -> Any:
    """The object that other code of the configuration than a graph names; its errors pass through.

    Raises:
        GraphLoadError: there is no such file or variable.
    """
    return getattr(_module(spec, project), spec.variable)


def _module(spec: GraphSpec, project: Project) -> ModuleType:
    module = _import(spec, project)
    if not hasattr(module, spec.variable):
        raise GraphLoadError(spec.graph_id, f"{spec.file or spec.module} has no variable {spec.variable!r}.")
    return module


def _load(spec: GraphSpec, project: Project) -> GraphSource:
    try:
        module = _module(spec, project)
        return GraphSource(
            spec.graph_id,
            getattr(module, spec.variable),
            description=spec.description,
            module=module.__name__,
            stream_transformers=getattr(module, "stream_transformers", None),
        )
    except GraphLoadError:
        raise
    except (Exception, SystemExit) as error:  # a user's module may raise anything, and must not end the worker
        raise GraphLoadError(spec.graph_id, _reason(error), traceback=user_traceback(error)) from error


def _import(spec: GraphSpec, project: Project) -> ModuleType:
    if spec.module is not None:
        return importlib.import_module(spec.module)
    file = spec.file
    assert file is not None
    if not file.is_file():
        raise GraphLoadError(spec.graph_id, f"there is no file {file}.")
    if file.suffix != ".py":
        raise GraphLoadError(spec.graph_id, f"{file.name} is not a Python file.")
    name = _dotted_name(file, project.import_dirs)
    if name is not None:
        return importlib.import_module(name)
    return _import_file(file, project)


def _dotted_name(file: Path, import_dirs: tuple[Path, ...]) -> str | None:
    """The name under which `import` finds exactly this file, or None.

    Checkpoints store values by the name of their class's module, and another process has to find it again. The
    name that the user's own imports give to the file also saves it from being executed twice.
    """
    roots = [directory for directory in import_dirs if file.is_relative_to(directory)]
    if (file.parent / "__init__.py").is_file():
        # A package imports its siblings relatively, which works only from above the package.
        package = file.parent
        while (package.parent / "__init__.py").is_file():
            package = package.parent
        roots = [root for root in roots if package.is_relative_to(root) and root != package]
        if not roots:
            _extend_path((package.parent,))
            roots = [package.parent]
    for root in sorted(roots, key=lambda directory: len(directory.parts), reverse=True):
        parts = file.relative_to(root).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        name = ".".join(parts)
        if parts and all(part.isidentifier() for part in parts) and _finds(name, file):
            return name
    return None


def _finds(name: str, file: Path) -> bool:
    loaded = sys.modules.get(name)
    if loaded is not None:
        return _is_same(getattr(loaded, "__file__", None), file)
    parent = name.rpartition(".")[0]
    if parent and importlib.util.find_spec(parent.partition(".")[0]) is None:
        return False
    # find_spec runs the packages above the file; their errors belong to the import that follows.
    with contextlib.suppress(ModuleNotFoundError):
        spec = importlib.util.find_spec(name)
        return spec is not None and _is_same(spec.origin, file)
    return False


def _is_same(found: str | None, file: Path) -> bool:
    return found is not None and os.path.exists(found) and os.path.samefile(found, file)


def _import_file(file: Path, project: Project) -> ModuleType:
    """Import a file that has no name of its own under one made from its place in the project."""
    home = project.path.parent if project.path else file.parent
    place = Path(os.path.relpath(file, home)).as_posix()
    stem = re.sub(r"\W", "_", file.stem)
    name = f"lgnb_graph_{stem}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    if name in sys.modules and _is_same(sys.modules[name].__file__, file):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before execution: dataclasses and pickling look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _extend_path(directories: tuple[Path, ...]) -> None:
    for directory in reversed(directories):
        text = str(directory)
        if text in sys.path:
            sys.path.remove(text)
        sys.path.insert(0, text)
    importlib.invalidate_caches()


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
