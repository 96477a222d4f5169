"""Short names of long ids, counted in the order in which a notebook meets them: thread#1, run#2.

They make saved outputs readable and equal from one execution to the next, and can be typed wherever an id is taken.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["thread", "run", "cron"]


_NAMED_ID = re.compile(r"(?:\b(?:thread|run|cron) )?(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)


class Aliases:
    """Two-way names of ids for the life of a kernel."""

    def __init__(self) -> None:
        self._ids: dict[Kind, list[str]] = {"thread": [], "run": [], "cron": []}

    def name(self, kind: Kind, full_id: str) -> str:
        """The alias of an id; a new one when the id was not met before."""
        known = self._ids[kind]
        if full_id not in known:
            known.append(full_id)
        return f"{kind}#{known.index(full_id) + 1}"

    def full_id(self, kind: Kind, text: str) -> str:
        """The id meant by an alias, by the beginning or end of an id met here, or the text itself."""
        known = self._ids[kind]
        prefix, mark, number = text.rpartition("#")
        if mark and prefix in ("", kind) and number.isdigit() and 1 <= int(number) <= len(known):
            return known[int(number) - 1]
        matches = [one for one in known if len(text) >= 4 and (one.startswith(text) or one.endswith(text))]
        return matches[0] if len(matches) == 1 else text

    def told(self, text: str) -> str:
        """A sentence of the server, with the aliases of the ids in it that this notebook has met."""

        def short(found: re.Match[str]) -> str:
            kinds: list[Kind] = [kind for kind, ids in self._ids.items() if found["id"] in ids]
            return self.name(kinds[0], found["id"]) if kinds else found.group()

        return _NAMED_ID.sub(short, text)

    def known(self, kind: Kind) -> tuple[str, ...]:
        """Every id met so far, oldest first."""
        return tuple(self._ids[kind])
