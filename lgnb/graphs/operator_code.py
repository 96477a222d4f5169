"""Code that the configuration names besides graphs: an embedding, an application, encryption. Hosts load it too."""

from __future__ import annotations

import os
import sys
from typing import Any

from ..errors import SettingsError
from .project import GraphSpec, Project


def load_operator_code(reference: str, *, key: str, project: Project) -> Any:
    """The object that `reference` names, as `./file.py:name` or `package.module:name`.

    Raises:
        SettingsError: it cannot be loaded; the sentence names the `key` of the configuration and says why.
    """
    from .loading import load_variable  # imports the graph library

    # The code may read its variables at each call, so they have to stay; what the process has already wins.
    for name, value in project.env.items():
        os.environ.setdefault(name, value)
    # Behind everything else: a host is somebody's notebook server, and nothing of it may be shadowed.
    sys.path.extend(str(path) for path in project.import_dirs if str(path) not in sys.path)
    place, _, variable = reference.rpartition(":")
    try:
        file, module = project.place(place)
        return load_variable(GraphSpec(graph_id=key, file=file, module=module, variable=variable), project)
    except Exception as error:  # importing an operator's module may raise anything
        text = getattr(error, "reason", None) or f"{type(error).__name__}: {error}"
        raise SettingsError(f"{key} {reference!r} cannot be loaded: {text}") from error
