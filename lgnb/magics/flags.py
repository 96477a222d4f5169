"""Flags that several subcommands share, and the reading of their values."""

from __future__ import annotations

import json
from typing import Any

import yaml
from IPython.core.error import UsageError

from ..client.inputs import scalar
from ..client.render import MODES
from .parsing import Arguments, Flag, assignments

STRATEGIES = ("enqueue", "reject", "interrupt", "rollback")

THREAD = Flag(name="thread", short="t", value="ID", help="thread id or alias, or new", complete="threads")
OF_THREAD = Flag(name="thread", short="t", value="ID", help="of this thread, not the current one", complete="threads")
MODE = Flag(name="mode", value="MODE", choices=MODES, help="what the output shows: " + ", ".join(MODES))
VAR = Flag(name="var", value="NAME", help="bind the Run to this variable, besides _lg")
BEFORE = Flag(name="interrupt-before", value="NODES", help="pause before these nodes: a,b or *")
AFTER = Flag(name="interrupt-after", value="NODES", help="pause after these nodes")
CONFIG = Flag(name="config", value="KEY=VALUE", is_repeated=True, help="a value of config, such as recursion_limit=5")
CONTEXT = Flag(name="context", value="KEY=VALUE", is_repeated=True, help="a value of the graph's context")
METADATA = Flag(name="metadata", value="KEY=VALUE", is_repeated=True, help="a value of the metadata")
LIMIT = Flag(name="limit", value="N", help="at most this many, up to 1000")


def number(arguments: Arguments, flag: str, default: int, *, most: int = 1000) -> int:
    """The whole number that a flag was given.

    Raises:
        UsageError: it is none, or out of range.
    """
    text = arguments.flag(flag)
    if text is None:
        return default
    if not str(text).isdigit() or not 1 <= int(text) <= most:
        raise UsageError(f"--{flag} takes a number from 1 to {most}, not {text!r}")
    return int(text)


def pairs(arguments: Arguments, flag: str) -> dict[str, Any] | None:
    """The object that a repeated KEY=VALUE flag wrote; None where it was not given."""
    given = arguments.flag(flag)
    return assignments(given, flag=flag, read=scalar) if given else None


def nodes(arguments: Arguments, flag: str) -> str | list[str] | None:
    """The nodes that a flag names: `*`, or a list."""
    text = arguments.flag(flag)
    return text if text in (None, "*") else [node.strip() for node in text.split(",") if node.strip()]


def required(word: str | None, sentence: str) -> str:
    """The word of a line that must be there.

    Raises:
        UsageError: it is not; the sentence says the fix.
    """
    if not word:
        raise UsageError(sentence)
    return word


def values_of(text: str, *, example: str) -> dict[str, Any]:
    """The object written on a line or in a body, as JSON or as YAML.

    Raises:
        UsageError: it is something else; the example shows what is wanted.
    """
    try:
        found = json.loads(text) if text.startswith(("{", "[")) else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"That is no valid object ({reason}); write one such as {example}") from None
    if not isinstance(found, dict):
        raise UsageError(f"That is {_kind(found)}, not an object; write one such as {example}")
    return found


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "a single value"
