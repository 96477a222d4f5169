"""`%lg`, thin over `lgnb.client`: parse a line, call one function, return an object that shows itself."""

from __future__ import annotations

from typing import Any


def load(shell: Any) -> None:
    """Register the magic, its completion, and the reading of lines that end with a question mark."""
    from .completion import complete_event
    from .lines import keep_question_marks
    from .magic import LgMagics

    if "lg" in shell.magics_manager.magics["line"]:
        return
    shell.register_magics(LgMagics)
    for key in ("%lg", "%%lg"):
        shell.set_hook("complete_command", complete_event, str_key=key)
    if keep_question_marks not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(keep_question_marks)


def unload(shell: Any) -> None:
    """Take the magic away and forget the server."""
    from ..client.session import replace_session
    from .lines import keep_question_marks

    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("lg", None)
    if keep_question_marks in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(keep_question_marks)
    session = replace_session(None)
    if session is not None:
        session.close()
