"""What `langgraph.json` says, read and checked into a frozen `Project`.

Imports no graph and no graph library: the host parses projects too, and never runs a user's code.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from lgnb.errors import SettingsError

from .dotenv import parse_dotenv

_HONOURED_KEYS = ("auth", "checkpointer", "encryption", "http", "store", "webhooks")
"""Sections whose content is kept for whoever honours them."""

_UNSUPPORTED_KEYS = {
    "priority": "runs start in the order in which they are due",
    "ui": "lgnb serves no bundles of user interfaces",
    "ui_config": "lgnb serves no bundles of user interfaces",
}

_IGNORED_KEYS = (
    "$schema",
    "api_version",
    "base_image",
    "disable_persistence",
    "dockerfile_lines",
    "image_distro",
    "keep_pkg_tools",
    "node_version",
    "pip_config_file",
    "pip_installer",
    "python_version",
    "source",
)
"""Keys that only matter when an image is built, or to another server's memory."""

_KNOWN_KEYS = ("graphs", "dependencies", "env", *_HONOURED_KEYS, *_UNSUPPORTED_KEYS, *_IGNORED_KEYS)

_EXAMPLES = {
    "agent": "A chat agent with two tools. Answers offline from a script, or with the model its context names.",
    "steps": "Plans a text, researches its parts at once, and writes it; shows progress, fan-out and a subgraph.",
    "approval": "Drafts a message and waits for a person to approve, edit, reject or answer.",
}


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """One entry of `graphs`.

    Attributes:
        file: the file that holds the variable, absolute; None when `module` names it.
        module: the dotted module that holds the variable; None when `file` names it.
        variable: a compiled graph, a StateGraph or a factory.
    """

    graph_id: str
    file: Path | None = None
    module: str | None = None
    variable: str
    description: str | None = None

    @property
    def reference(self) -> str:
        """The place as a person would write it, such as `/srv/app/agent.py:graph`."""
        return f"{self.file or self.module}:{self.variable}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The graphs to serve and everything the configuration says about them.

    Attributes:
        path: the configuration file; None for the built-in examples.
        import_dirs: directories that belong on `sys.path`, the most important first.
        env: variables to set before a graph is imported; values of a dotenv file included.
        warnings: sentences about keys that were not understood or are not honoured.
    """

    path: Path | None = None
    graphs: Mapping[str, GraphSpec]
    dependencies: tuple[str, ...] = ()
    import_dirs: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=_empty, repr=False)
    env_file: Path | None = None
    store: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    auth: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    checkpointer: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    encryption: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    http: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    webhooks: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path, *, environment: Mapping[str, str] | None = None) -> Project:
        """Read and check one `langgraph.json`. `environment` is what a dotenv file may refer to.

        Raises:
            SettingsError: the file cannot be read, is no JSON, or holds something of the wrong kind; the
                sentence names the file and the line.
        """
        return _Reader(path.absolute(), os.environ if environment is None else environment).project()

    def place(self, text: str) -> tuple[Path | None, str | None]:
        """Where code is that the configuration names: an absolute file, or else a dotted module."""
        is_module = all(part.isidentifier() for part in text.split("."))
        if is_module and not text.endswith(".py"):
            return None, text
        return Path(os.path.normpath((self.path.parent if self.path else Path.cwd()) / text)), None

    @classmethod
    def of(cls, path: Path | None) -> Project:
        """The project of a configuration file, or the built-in one; see `load`."""
        return cls.load(path) if path else cls.builtin()

    @classmethod
    def builtin(cls) -> Project:
        """The example graphs that are served when there is no `langgraph.json`."""
        graphs = {
            graph_id: GraphSpec(
                graph_id=graph_id, module=f"lgnb.graphs.examples.{graph_id}", variable="graph", description=text
            )
            for graph_id, text in _EXAMPLES.items()
        }
        return cls(graphs=MappingProxyType(graphs))


class _Reader:
    """Reads one file; keeps its text so that every complaint can name a line."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        self._text = ""
        self._warnings: list[str] = []

    def project(self) -> Project:
        content = self._content()
        self._warn_about_keys(content)
        dependencies = self._dependencies(content)
        return Project(
            path=self._path,
            graphs=MappingProxyType(self._graphs(content)),
            dependencies=dependencies,
            import_dirs=self._import_dirs(dependencies),
            env=MappingProxyType(self._env(content)),
            env_file=self._path.parent / content["env"] if isinstance(content.get("env"), str) else None,
            **{key: self._section(content, key) for key in _HONOURED_KEYS},
            warnings=tuple(self._warnings),
        )

    def _content(self) -> dict[str, Any]:
        try:
            self._text = self._path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(f"{self._path} cannot be read: {reason}.") from error
        try:
            content = json.loads(self._text)
        except json.JSONDecodeError as error:
            raise SettingsError(f"{self._path}, line {error.lineno}: this is not valid JSON ({error.msg}).") from error
        except RecursionError:
            raise SettingsError(f"{self._path} is nested too deep.") from None
        if not isinstance(content, dict):
            raise SettingsError(f"{self._path}, line 1: expected an object with a key 'graphs'.")
        return cast("dict[str, Any]", content)

    def _warn_about_keys(self, content: dict[str, Any]) -> None:
        name = self._path.name
        for key in content:
            if key in _UNSUPPORTED_KEYS:
                why = _UNSUPPORTED_KEYS[key]
                self._warnings.append(f"{name}, line {self._line(key)}: {key!r} is not honoured: {why}.")
            elif key not in _KNOWN_KEYS:
                near = difflib.get_close_matches(key, _KNOWN_KEYS, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                self._warnings.append(f"{name}, line {self._line(key)}: the key {key!r} is unknown and ignored{hint}")

    def _graphs(self, content: dict[str, Any]) -> dict[str, GraphSpec]:
        graphs = content.get("graphs")
        if graphs is None:
            raise SettingsError(f"{self._path}: the key 'graphs' is missing; it maps names to graphs.")
        if not isinstance(graphs, dict) or not graphs:
            raise self._wrong("an object that maps at least one name to a graph", "graphs")
        return {str(key): self._graph(str(key), entry) for key, entry in cast("dict[str, Any]", graphs).items()}

    def _graph(self, graph_id: str, entry: Any) -> GraphSpec:
        if not graph_id.strip():
            raise SettingsError(f"{self._path}, line {self._line('graphs')}: the name of a graph must not be empty.")
        description: Any = None
        if isinstance(entry, dict):
            parts = cast("dict[str, Any]", entry)
            entry, description = parts.get("path"), parts.get("description")
            for key in parts.keys() - {"path", "description"}:
                self._warnings.append(
                    f"{self._path.name}, line {self._line('graphs', graph_id, key)}: "
                    f"the key {key!r} of graph {graph_id!r} is unknown and ignored."
                )
        place, _, variable = entry.rpartition(":") if isinstance(entry, str) else ("", "", "")
        if not place or not variable.isidentifier():
            raise self._wrong("written like './file.py:variable' or 'package.module:variable'", "graphs", graph_id)
        if description is not None and not isinstance(description, str):
            raise self._wrong("a text", "graphs", graph_id, "description")
        file, module = self._place(place)
        return GraphSpec(graph_id=graph_id, file=file, module=module, variable=variable, description=description)

    def _place(self, place: str) -> tuple[Path | None, str | None]:
        is_module = all(part.isidentifier() for part in place.split("."))
        if is_module and not place.endswith(".py"):
            return None, place
        return Path(os.path.normpath(self._path.parent / place)), None

    def _dependencies(self, content: dict[str, Any]) -> tuple[str, ...]:
        given: Any = content.get("dependencies", [])
        if not isinstance(given, list) or not all(isinstance(item, str) for item in cast("list[Any]", given)):
            raise self._wrong("a list of directories and package names", "dependencies")
        return tuple(cast("list[str]", given))

    def _import_dirs(self, dependencies: tuple[str, ...]) -> tuple[Path, ...]:
        home = self._path.parent
        found: list[Path] = []
        for dependency in dependencies:
            if not dependency.startswith((".", "/")) and not Path(dependency).is_absolute():
                continue  # the name of a package, for image builds
            directory = Path(os.path.normpath(home / dependency))
            if not directory.exists():
                raise SettingsError(
                    f"{self._path}, line {self._line('dependencies')}: there is no directory {dependency!r}."
                )
            if directory.is_dir():
                found.append(directory)
                if (directory / "pyproject.toml").is_file() and (directory / "src").is_dir():
                    found.append(directory / "src")  # what an editable installation would have put there
        return tuple(dict.fromkeys([home, *found]))

    def _env(self, content: dict[str, Any]) -> dict[str, str]:
        given: Any = content.get("env", {})
        if isinstance(given, str):
            return self._dotenv(self._path.parent / given)
        if not isinstance(given, dict):
            raise self._wrong("an object of variables, or the path of a dotenv file", "env")
        values: dict[str, str] = {}
        for name, value in cast("dict[str, Any]", given).items():
            if not isinstance(value, (str, int, float)):
                raise self._wrong("a text or a number", "env", name)
            values[name] = json.dumps(value) if isinstance(value, bool) else str(value)
        return values

    def _dotenv(self, path: Path) -> dict[str, str]:
        try:
            return parse_dotenv(path.read_text(encoding="utf-8"), environment=self._environment)
        except OSError as error:
            raise SettingsError(
                f"{self._path}, line {self._line('env')}: the file {path} cannot be read: {error.strerror}."
            ) from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path} is not UTF-8 text.") from error
        except ValueError as error:
            raise SettingsError(f"{path}, {error}.") from error

    def _section(self, content: dict[str, Any], key: str) -> Mapping[str, Any]:
        given: Any = content.get(key)
        if given is None:
            return _empty()
        if not isinstance(given, dict):
            raise self._wrong("an object", key)
        return MappingProxyType(cast("dict[str, Any]", given))

    def _wrong(self, expected: str, *keys: str) -> SettingsError:
        return SettingsError(f"{self._path}, line {self._line(*keys)}: {'.'.join(keys)!r} must be {expected}.")

    def _line(self, *keys: str) -> int:
        """The line of a key, looked for in the text below the keys that lead to it."""
        position = 0
        for key in keys:
            match = re.compile(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:").search(self._text, position)
            if match is None:
                break
            position = match.start()
        return self._text.count("\n", 0, position) + 1
