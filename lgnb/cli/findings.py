"""What `lgnb doctor` says about one thing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing; with a `fix`, something is wrong."""

    text: str
    fix: str = ""

    @property
    def is_problem(self) -> bool:
        return bool(self.fix)

    def as_text(self) -> str:
        return f"PROBLEM  {self.text}\n         {self.fix}" if self.fix else f"ok       {self.text}"
