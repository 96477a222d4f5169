"""Reads a section of `langgraph.json` into a model, and says in words what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import SettingsError


class Section(BaseModel):
    """A section or a part of one. Keys that are not known are kept, to be named in a warning."""

    model_config = ConfigDict(extra="allow", frozen=True)


S = TypeVar("S", bound=Section)


def read_section(model: type[S], given: Mapping[str, Any], *, name: str, path: Path | None) -> S:
    """The section called `name` as `model`.

    Raises:
        SettingsError: a value is of the wrong kind; the sentence names file, key and what is wrong.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join([name, *(str(part) for part in first["loc"])])
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{path or 'langgraph.json'}: {place!r} is wrong: {message}.") from None


def unknown_keys(section: BaseModel, *, name: str) -> Iterator[str]:
    """Dotted names of the keys that nobody honours."""
    for dotted, _ in _unknown(section, name=name):
        yield dotted


def key_warnings(section: BaseModel, *, name: str) -> Iterator[str]:
    """A sentence for each key that nobody honours, with the known one that looks like it."""
    for dotted, near in _unknown(section, name=name):
        hint = f"; did you mean {near!r}?" if near else "."
        yield f"langgraph.json: the key {dotted!r} is unknown and ignored{hint}"


def _unknown(section: BaseModel, *, name: str) -> Iterator[tuple[str, str | None]]:
    known = list(type(section).model_fields)
    for key in section.model_extra or {}:
        yield f"{name}.{key}", next(iter(difflib.get_close_matches(key, known, n=1)), None)
    for key in known:
        part = getattr(section, key)
        if isinstance(part, Section):
            yield from _unknown(part, name=f"{name}.{key}")
