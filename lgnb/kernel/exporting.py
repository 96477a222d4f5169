"""`%lg export`: a live graph as a module and a langgraph.json, for a permanent worker."""

from __future__ import annotations

import html
import json
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest
from .cell_source import source_of
from .serving import Live

_HEADER = '"""The graph {name}, exported from a notebook by lgnb."""\n\n'


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    name: str
    module: Path
    configuration: Path

    def __repr__(self) -> str:
        return (
            f"Wrote {self.module.name} and {self.configuration.name} to {self.module.parent.name}/. "
            f"Serve {self.name} for good with: lgnb serve -c {self.module.parent.name}/{self.configuration.name}"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": f"<p>{html.escape(repr(self))}</p>"}


def export(live: Live, *, cells: Sequence[str], values: Mapping[str, Any], directory: Path | None = None) -> Exported:
    """Write the module with the cells that define the graph, and name it in the langgraph.json beside it.

    Args:
        cells: the cells of the session, oldest first.
        values: the variables of the notebook.
        directory: a folder, made if need be; by default one with the graph's name. Other graphs that its
            langgraph.json names stay.

    Raises:
        InvalidRequest: the cells do not define the graph as a whole, or a file of somebody else is in the way.
    """
    variable = _variable(live, values)
    source = source_of(variable, cells, values)
    if source.missing:
        raise InvalidRequest(
            f"The cells of this session do not define {', '.join(source.missing)}, which {live.name} needs; "
            "define it in a cell (not with %run or a startup file), execute that, and export again."
        )
    directory = directory or Path(live.name)
    module = directory / f"{_module_name(live.name)}.py"
    configuration = directory / "langgraph.json"
    header = _HEADER.format(name=live.name)
    if module.exists() and not module.read_text(encoding="utf-8").startswith(header):
        raise InvalidRequest(f"{module} exists and was not exported by lgnb; choose another folder.")
    graphs = _configured(configuration, live, f"./{module.name}:{variable}")
    directory.mkdir(parents=True, exist_ok=True)
    module.write_text(header + source.text, encoding="utf-8")
    configuration.write_text(json.dumps(graphs, indent=2) + "\n", encoding="utf-8")
    return Exported(live.name, module.resolve(), configuration.resolve())


def _variable(live: Live, values: Mapping[str, Any]) -> str:
    names = [name for name, value in values.items() if value is live.target and not name.startswith("_")]
    if not names:
        raise InvalidRequest(
            f"No variable holds the graph {live.name} any more; give it one, serve that, and export again."
        )
    return names[0]


def _module_name(name: str) -> str:
    slug = re.sub(r"\W", "_", name)
    return f"graph_{slug}" if not slug.isidentifier() or keyword.iskeyword(slug) else slug


def _configured(path: Path, live: Live, target: str) -> dict[str, Any]:
    found: Any = {"dependencies": ["."], "graphs": {}}
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            found["graphs"] = dict(found.get("graphs") or {})
        except (ValueError, AttributeError, TypeError):
            raise InvalidRequest(f"{path} is no configuration; mend it, or choose another folder.") from None
    found["graphs"][live.name] = {"path": target, "description": live.description} if live.description else target
    return found
