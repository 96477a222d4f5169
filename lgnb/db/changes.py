"""Marks that change whenever a table does, cheap enough to be asked every second."""

from __future__ import annotations

from .repository import Repository


class ChangeRepository(Repository):
    async def marks(self) -> dict[str, str]:
        """A mark by the name of what it stands for."""
        found: dict[str, str] = await self._scalar("change_marks")
        return found
