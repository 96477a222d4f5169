"""A run while it works and after: tokens, tools, nodes, cancel, and the form of its questions."""

from __future__ import annotations

from ..client.render import run_bundle
from ..client.runs import Run as ClientRun
from ..errors import InvalidRequest
from .base import View


class Run(View):
    """Follows a run from its first event, also one that was started in the background or elsewhere."""

    view_name = "run"

    def __init__(self, run: ClientRun) -> None:
        """
        Args:
            run: what `lgnb.start` or `lgnb.run` gave.

        Raises:
            InvalidRequest: the server has not accepted the run.
        """
        if run.run_id is None:
            raise InvalidRequest("The server has not accepted this run, so there is nothing to follow.")
        forms = run_bundle(run, run.session.aliases)
        text = forms.pop("text/plain")
        options = {"thread": run.thread_id, "run": run.run_id, "name": run.assistant, "focus": False}
        super().__init__(options, text=text, forms=forms, session=run.session)
