"""Loads the named static statements of `sql/*.sql`, once per process.

A file holds blocks that begin with `-- name --`, followed by one comment line of intent and the statement.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import LiteralString, cast

_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@functools.cache
def queries() -> dict[str, LiteralString]:
    """Every named statement. Names are unique over all files."""
    found: dict[str, LiteralString] = {}
    for file in sorted(resources.files("lgnb.db").joinpath("sql").iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _HEADER.split(file.read_text(encoding="utf-8"))
        for name, statement in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise RuntimeError(f"Query {name} is defined twice.")
            # The one place where text from our own package becomes a trusted literal.
            found[name] = cast(LiteralString, statement.strip())
    return found


def query(name: str) -> LiteralString:
    """The statement called `name`; a KeyError here is a bug of ours."""
    return queries()[name]
