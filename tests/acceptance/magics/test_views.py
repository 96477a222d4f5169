"""Widgets under `%lg`: where nobody watches there is one output of text, else a view whose state holds no key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .conftest import Notebook, Seen


def bundles(seen: Seen) -> list[dict[str, Any]]:
    return [content["data"] for _, kind, content in seen.outputs if kind in ("display_data", "execute_result")]


def test_the_studio_and_a_drawing_are_widgets_with_a_text(notebook: Notebook) -> None:
    """The text stands in for the view in a terminal, and in a saved notebook."""
    for line, text in (("%lg studio", "The studio"), ("%lg graph steps", "steps\n  start → plan")):
        [bundle] = bundles(notebook.run(line))
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert bundle["text/plain"].startswith(text)


def test_a_widgets_state_is_small_and_holds_no_key(notebook: Notebook, lgnb_server: Any) -> None:
    """Front ends may save it in the notebook."""
    seen = notebook.run("%lg studio")
    states = [json.dumps(content) for _, kind, content in seen.outputs if kind == "comm_open"]

    assert states
    assert [state for state in states if lgnb_server.own_key in state or "secret" in state] == []
    assert max(map(len, states)) < 10_000


def test_a_run_that_waits_is_followed_by_its_form(notebook: Notebook) -> None:
    """The run's own output stays; the form is one more, which says how to answer without it."""
    *_, run, form = bundles(notebook.run("%lg run approval --new We meet at noon"))

    assert "waits for an answer" in run["text/plain"] or "starting" in run["text/plain"]
    assert form["text/plain"] == "1 question waits for an answer: here while the notebook is open, or with %lg resume."
    assert "application/vnd.jupyter.widget-view+json" in form


def test_without_a_watcher_there_is_one_output_of_text(
    lgnb_server: Any, open_notebook: Callable[..., Notebook]
) -> None:
    """LGNB_LIVE=0, as for comparing notebooks: no widget, and the same text each time."""
    notebook = open_notebook(LGNB_URL=lgnb_server.url, LGNB_API_KEY=lgnb_server.api_key, LGNB_LIVE="0")
    notebook.run("%load_ext lgnb")
    for line in ("%lg studio", "%lg graph steps --xray", "%lg run approval --new We meet at noon"):
        first, second = notebook.run(line), notebook.run(line)
        [bundle] = bundles(first)
        assert "application/vnd.jupyter.widget-view+json" not in bundle
        if "run" not in line:
            assert bundles(second) == [bundle]
