"""What changed between two states of a thread, value by value, and list by list where a list grew or changed."""

from __future__ import annotations

import difflib
import html
import json
from collections.abc import Mapping
from typing import Any, Literal

from .render import brief
from .tables import frame_of
from .thread_state import message_line, next_of

Change = tuple[str, Literal["-", "+"], Any]

_COLOURS = {"-": "#b3261e", "+": "#1b6e35"}


class Difference:
    """The changes from one state to another: `.changes` holds (key, "-" or "+", value)."""

    def __init__(self, before: str, after: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self.before = before
        self.after = after
        self.changes = _changes(_values(old), _values(new))
        if list(old.get("next") or []) != list(new.get("next") or []):
            self.changes.extend([("next", "-", next_of(old)), ("next", "+", next_of(new))])

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def to_frame(self) -> Any:
        """A DataFrame with one row per change."""
        return frame_of([{"key": key, "change": sign, "value": value} for key, sign, value in self.changes])

    def __repr__(self) -> str:
        return "\n".join([self._title, *(self._lines or ["  nothing changed"])])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        lines = self._lines
        if not lines:
            text = f"{self._title}: nothing changed"
            return {"text/plain": text, "text/markdown": text, "text/html": f"<p>{html.escape(text)}</p>"}
        coloured = "\n".join(f'<span style="color: {_COLOURS[one[0]]}">{html.escape(one)}</span>' for one in lines)
        title = html.escape(self._title)
        return {
            "text/plain": repr(self),
            "text/markdown": f"**{self._title}**\n\n```diff\n" + "\n".join(lines) + "\n```",
            "text/html": f'<p><strong>{title}</strong></p><pre style="white-space: pre-wrap">{coloured}</pre>',
        }

    @property
    def _title(self) -> str:
        return f"{self.before} → {self.after}"

    @property
    def _lines(self) -> list[str]:
        return [f"{sign} {key}: {_told(value)}" for key, sign, value in self.changes]


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    found: list[Change] = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after and (key in old) == (key in new):
            continue
        if isinstance(before, list | None) and isinstance(after, list | None) and (before or after):
            found += _list_changes(key, before or [], after or [])
            continue
        if key in old:
            found.append((key, "-", before))
        if key in new:
            found.append((key, "+", after))
    return found


def _list_changes(key: str, before: list[Any], after: list[Any]) -> list[Change]:
    """Items that went and came; what both lists share in order is left out."""
    written = [[json.dumps(one, sort_keys=True, default=str) for one in side] for side in (before, after)]
    found: list[Change] = []
    for _, i, j, k, m in (
        one for one in difflib.SequenceMatcher(None, *written, autojunk=False).get_opcodes() if one[0] != "equal"
    ):
        found.extend((key, "-", one) for one in before[i:j])
        found.extend((key, "+", one) for one in after[k:m])
    return found


def _values(state: Mapping[str, Any]) -> dict[str, Any]:
    values = state.get("values") or {}
    return dict(values) if isinstance(values, Mapping) else {"values": values}


def _told(value: Any) -> str:
    if isinstance(value, dict) and "type" in value and "content" in value:
        return message_line(value)
    text = " ".join(value.split()) if isinstance(value, str) else brief(value, 200)
    return text if len(text) <= 200 else f"{text[:199]}…"
