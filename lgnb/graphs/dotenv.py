"""The `.env` files that `langgraph.json` may name: text to a dict of variables, with no effect on the process."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ASSIGNMENT = re.compile(
    r"""
    ^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*
    (?:=[ \t]*(?:
        '(?P<single>[^']*)'
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | (?P<bare>[^\r\n]*?)
    ))?
    [ \t]*(?:(?<=[ \t"'=])\#[^\r\n]*)?\r?$
    """,
    re.VERBOSE | re.MULTILINE,
)
_BLANK = re.compile(r"[ \t]*(?:\#.*)?\r?")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)(?::-([^}]*))?\}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_dotenv(text: str, *, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that `text` sets, in its order.

    Values may be bare, 'single quoted' (taken literally) or "double quoted" (with escapes); quoted ones may span
    lines. `${NAME}` and `${NAME:-default}` stand for earlier variables or those of `environment`.

    Raises:
        ValueError: a line is no assignment; the text is `line N: ...`.
    """
    text = text.removeprefix("\ufeff")
    values: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _ASSIGNMENT.match(text, position)
        if match is None:
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            if not _BLANK.fullmatch(text, position, end):
                raise ValueError(f"line {text.count(chr(10), 0, position) + 1}: expected NAME=value")
            position = end + 1
            continue
        values[match["name"]] = _value(match, {**environment, **values})
        position = match.end() + 1
    return values


def _value(match: re.Match[str], known: Mapping[str, str]) -> str:
    if match["single"] is not None:
        return match["single"]
    if match["double"] is not None:
        value = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), match["double"], flags=re.DOTALL)
    else:
        value = match["bare"] or ""
    return _REFERENCE.sub(lambda found: known.get(found[1], found[2] or ""), value)
