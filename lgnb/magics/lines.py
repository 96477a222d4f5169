"""Lines IPython would misread: `%lg run agent Why?` is a question to a model, not a request for help on `Why`.

IPython takes any line that ends with `?` as help and never calls the magic. This transformer rewrites such
`%lg` lines into the call they stand for, and `%lg run?` into `%lg help run`.
"""

from __future__ import annotations

import re

from .commands import COMMANDS

_LINE = re.compile(r"^(?P<before>\s*(?:[A-Za-z_]\w*\s*=\s*)?)%lg\s+(?P<rest>\S.*?)\s*$")
_HELP = re.compile(r"^(?P<command>[a-z]+(?: [a-z]+)?)\?{1,2}$")


def keep_question_marks(lines: list[str]) -> list[str]:
    """The lines of a cell, with `%lg …?` made safe. The body of a cell magic is left alone."""
    if lines and lines[0].startswith("%%"):
        return lines
    return [_kept(line) for line in lines]


def _kept(line: str) -> str:
    match = _LINE.match(line)
    if match is None or not match["rest"].endswith("?"):
        return line
    rest = match["rest"]
    wanted = _HELP.match(rest)
    # Of two words only a subcommand asks for help: `%lg resume really?` is an answer.
    if wanted is not None and (" " not in wanted["command"] or wanted["command"] in COMMANDS):
        rest = f"help {wanted['command']}"
    return f"{match['before']}get_ipython().run_line_magic('lg', {rest!r})\n"
