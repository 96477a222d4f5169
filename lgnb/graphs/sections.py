"""Reads a section of `langgraph.json` into a model, and says in words what is wrong with it."""

from __future__ import annotations

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
    for key in section.model_extra or {}:
        yield f"{name}.{key}"
    for key in type(section).model_fields:
        part = getattr(section, key)
        if isinstance(part, Section):
            yield from unknown_keys(part, name=f"{name}.{key}")
