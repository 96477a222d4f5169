"""The grammar of `%lg` lines: a subcommand, flags anywhere, and a rest that keeps its quotes and spaces.

A shell's quoting would break `%lg run agent What's new?`; so only the value of a flag may be quoted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError

_WORD = re.compile(r"\S+")
# A whole value in quotes, only what stands after its `key=`, or up to the next space.
_QUOTED = re.compile(r"""\s*(?:([\w.-]+=)?(?:"((?:[^"\\]|\\.)*)"|'([^']*)')(?=\s|$)|(\S+))""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One option of a subcommand. Without a `value` it is a switch.

    Attributes:
        value: the name of its value in help texts.
        complete: what its value is completed with: "threads", "assistants", "runs", "crons", or nothing.
    """

    name: str
    help: str
    value: str = ""
    short: str = ""
    choices: tuple[str, ...] = ()
    is_repeated: bool = False
    complete: str = ""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a line said."""

    words: tuple[str, ...]
    text: str
    flags: Mapping[str, Any]
    body: str | None = None

    def flag(self, name: str) -> Any:
        """The value of a flag, True for a given switch, None where it was not given."""
        return self.flags.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One subcommand.

    Attributes:
        name: one word, or two such as `thread copy`.
        usage: its arguments as help shows them; `words` of them are read as words, the rest stays text.
        takes_body: whether `%%lg NAME` makes sense.
        complete: what its first word is completed with.
    """

    name: str
    run: Callable[[Any, Arguments], Any]
    help: str
    usage: str = ""
    words: int = 0
    takes_text: bool = False
    takes_body: bool = False
    flags: tuple[Flag, ...] = ()
    examples: tuple[str, ...] = ()
    complete: str = ""

    def parse(self, line: str, body: str | None = None) -> Arguments:
        """Read the rest of a line after the subcommand.

        Raises:
            UsageError: an unknown flag, a missing or wrong value, or too many words.
        """
        if body is not None and not self.takes_body:
            raise UsageError(f"%%lg {self.name} takes no body; write it as one line: %lg {self.name} {self.usage}")
        rest, flags = self._split_flags(line)
        words: list[str] = []
        while len(words) < self.words and (match := _WORD.search(rest)):
            words.append(match.group())
            rest = rest[match.end() :].lstrip()
        text = rest.strip()
        if text and not self.takes_text:
            raise UsageError(f"%lg {self.name} takes {self.usage or 'no arguments'}; {text.split()[0]!r} is too much")
        return Arguments(tuple(words), text, flags, body)

    def _split_flags(self, line: str) -> tuple[str, dict[str, Any]]:
        known = {f"--{flag.name}": flag for flag in self.flags}
        known.update({f"-{flag.short}": flag for flag in self.flags if flag.short})
        flags: dict[str, Any] = {}
        kept: list[str] = []
        position = 0
        while match := _WORD.search(line, position):
            word = match.group()
            head, has_value, inline = word.partition("=")
            if word == "--":
                kept.append(line[position : match.start()] + line[match.end() :].lstrip())
                position = len(line)
            elif head in known:
                kept.append(line[position : match.start()])
                flag = known[head]
                if has_value and flag.value and not inline.startswith(('"', "'")):
                    value, position = inline, match.end()
                else:
                    value, position = self._value(flag, line, match.start() + len(head) + len(has_value))
                self._store(flags, flag, value)
            elif self._is_a_flag(word):
                raise UsageError(self._unknown(head, known))
            else:
                kept.append(line[position : match.end()])
                position = match.end()
        kept.append(line[position:])
        return "".join(kept).strip(), flags

    def _is_a_flag(self, word: str) -> bool:
        return re.match(r"^--[A-Za-z]", word) is not None or (
            not self.takes_text and re.match(r"^-[A-Za-z]$", word) is not None
        )

    def _value(self, flag: Flag, line: str, position: int) -> tuple[Any, int]:
        if not flag.value:
            return True, position
        match = _QUOTED.match(line, position)
        if match is None:
            raise UsageError(f"--{flag.name} needs a value: --{flag.name} {flag.value}")
        key, double, single, plain = match.groups()
        value = re.sub(r"\\(.)", r"\1", double) if double is not None else single if single is not None else plain
        return f"{key or ''}{value}", match.end()

    def _store(self, flags: dict[str, Any], flag: Flag, value: Any) -> None:
        if flag.choices and value not in flag.choices:
            raise UsageError(f"--{flag.name} takes {', '.join(flag.choices)}; {value!r} is none of them")
        if flag.is_repeated:
            flags.setdefault(flag.name, []).append(value)
        else:
            flags[flag.name] = value

    def _unknown(self, word: str, known: Mapping[str, Flag]) -> str:
        near = difflib.get_close_matches(word, known, n=1)
        guess = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known)) or 'none'};"
        way_out = " Write -- before a text that contains flags." if self.takes_text else ""
        return f"%lg {self.name} has no flag {word}: {guess}{way_out}"

    def describe(self) -> str:
        """The help of this subcommand."""
        lines = [f"%lg {self.name} {self.usage}".rstrip(), "", f"  {self.help}"]
        if self.flags:
            names = [f"--{flag.name} {flag.value}".rstrip() for flag in self.flags]
            names = [f"-{f.short}, {n}" if f.short else n for f, n in zip(self.flags, names, strict=True)]
            width = max(map(len, names))
            lines += [
                "",
                *(f"  {name.ljust(width)}  {flag.help}" for name, flag in zip(names, self.flags, strict=True)),
            ]
        if self.examples:
            lines += ["", *(f"  {example}" for example in self.examples)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Group:
    """Subcommands that belong together, under the title which help gives them."""

    title: str
    commands: tuple[Command, ...]


def find_command(commands: Mapping[str, Command], line: str) -> tuple[Command, str]:
    """The subcommand a line begins with, of two words where there is such a one, and the rest of the line.

    Raises:
        UsageError: there is none; the nearest name is suggested.
    """
    first, rest = _first_word(line)
    second, after = _first_word(rest)
    if (both := f"{first} {second}") in commands:
        return commands[both], after
    if first in commands:
        return commands[first], rest
    verbs = [name.partition(" ")[2] for name in commands if name.startswith(f"{first} ")]
    if verbs:
        near = difflib.get_close_matches(second, verbs, n=1, cutoff=0.5)
        guess = f"; did you mean %lg {first} {near[0]}?" if near else ""
        raise UsageError(f"After %lg {first} comes one of {', '.join(sorted(verbs))}{guess}")
    near = difflib.get_close_matches(first, commands, n=1, cutoff=0.5)
    guess = f"did you mean %lg {near[0]}?" if near else "%lg help lists them"
    raise UsageError(f"%lg has no subcommand {first!r}; {guess}")


def _first_word(line: str) -> tuple[str, str]:
    match = _WORD.match(line.lstrip())
    return (match.group(), line.lstrip()[match.end() :].lstrip()) if match else ("", "")


def assignments(pairs: Sequence[str], *, flag: str, read: Callable[[str], Any]) -> dict[str, Any]:
    """The object written as repeated `key=value`; a dot in the key nests.

    Raises:
        UsageError: an item has no equals sign.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--{flag} takes key=value, not {pair!r}")
        *path, last = key.split(".")
        target = found
        for step in path:
            target = target.setdefault(step, {})
        target[last] = read(value)
    return found
