"""Writes the table of settings in docs/configuration.md from lgnb/settings.py; a test fails when it is out of date.

python tests/tools/settings_table.py
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from lgnb.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
_BEGIN, _END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"


def table() -> str:
    """The table as Markdown, one row per setting, in the order of the class."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for spec in fields(Settings):
        meaning = spec.metadata["help"]
        if also := spec.metadata["also"]:
            meaning += f" Also read from {', '.join(f'`{name}`' for name in also)}."
        lines.append(f"| `LGNB_{spec.name.upper()}` | {_default(spec)} | {meaning} |")
    return "\n".join(lines) + "\n"


def rendered(text: str) -> str:
    """`text` with the table between its two marks replaced by the present one."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}{table()}{_END}{after}"


def _default(spec: Field[Any]) -> str:
    if spec.name == "data_dir":
        return "`lgnb` in the user's data directory"  # differs from one system to the next
    value = spec.default if spec.default is not MISSING else spec.default_factory()  # type: ignore[misc]
    return "none" if value in (None, "", ()) else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
