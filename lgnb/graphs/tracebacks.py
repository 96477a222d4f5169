"""Tracebacks reduced to what the user wrote: without the frames of the server, the graph library and asyncio."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

_OURS = ("lgnb", "importlib")
_LIBRARIES = ("langgraph", "langchain_core", "asyncio", "concurrent")
_NOT_OURS = (os.path.join("lgnb", "graphs", "examples") + os.sep, os.path.join("lgnb", "testing") + os.sep)


def user_traceback(error: BaseException) -> str:
    """The formatted traceback of `error` and its causes with only the user's frames.

    A part without any keeps those of the libraries, since nothing else would say where it happened.
    """
    ours, libraries = _directories(_OURS), _directories(_LIBRARIES)
    formatted = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException | None] = [formatted]
    while pending:
        current = pending.pop()
        if current is None:
            continue
        foreign = [frame for frame in current.stack if not _is_ours(frame.filename, ours)]
        users = [frame for frame in foreign if not frame.filename.startswith(libraries)]
        current.stack = traceback.StackSummary.from_list(users or foreign)
        pending += [current.__cause__, current.__context__, *(current.exceptions or ())]
    return "".join(formatted.format())


def users_part(error: BaseException) -> TracebackType | None:
    """The traceback of `error` from the first frame of the user on; all of it where there is none."""
    foreign = (*_directories(_OURS), *_directories(_LIBRARIES))
    part = error.__traceback__
    while part is not None:
        filename = part.tb_frame.f_code.co_filename
        if not _is_ours(filename, foreign):
            return part
        part = part.tb_next
    return error.__traceback__


def _directories(names: tuple[str, ...]) -> tuple[str, ...]:
    paths = (path for name in names for path in getattr(sys.modules.get(name), "__path__", ()))
    return tuple(os.path.join(path, "") for path in paths)


def _is_ours(filename: str, directories: tuple[str, ...]) -> bool:
    if filename.startswith("<frozen importlib"):
        return True
    return filename.startswith(directories) and not any(part in filename for part in _NOT_OURS)
