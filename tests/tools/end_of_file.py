"""Ends every named text file with exactly one newline, its lines without blanks; fails when it had to change one."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def mended(text: str) -> str:
    """`text` without blanks at the ends of lines and with one newline at its end; an empty text stays empty."""
    body = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).rstrip("\n")
    return f"{body}\n" if body else ""


def main(names: list[str]) -> int:
    changed = 0
    for path in map(Path, names):
        before = path.read_bytes().decode()
        after = mended(before)
        if after != before:
            path.write_bytes(after.encode())
            sys.stderr.write(f"{path}: mended\n")
            changed += 1
    return min(changed, 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
