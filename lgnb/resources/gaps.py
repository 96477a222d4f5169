"""Noticing that something is missing in a log, and saying so."""

from __future__ import annotations

from typing import Self

import orjson

from ..models.streams import StreamEvent
from ..queue.events import LoggedEvent


class Numbers:
    """Notices holes: within an attempt numbers rise by one, a new attempt begins at one.

    An end that no attempt has written has no place among the numbers.
    """

    def __init__(self, *, expect_first: bool) -> None:
        self._last: tuple[int, int] | None = (0, 0) if expect_first else None

    @classmethod
    def behind(cls, seen: LoggedEvent | None) -> Self:
        """To go on behind an entry; from the first one where none has been seen."""
        numbers = cls(expect_first=True)
        if seen is not None:
            numbers.misses(seen)
        return numbers

    def misses(self, logged: LoggedEvent) -> bool:
        if logged.number == 0:
            return False
        last, self._last = self._last, (logged.attempt, logged.number)
        if last is None:
            return False
        if logged.attempt != last[0]:
            return logged.number != 1
        return logged.number != last[1] + 1


def gap(after: str, reason: str) -> StreamEvent:
    """`after` is the place behind which something is missing."""
    return StreamEvent("gap", orjson.dumps({"after": after, "reason": reason}))
