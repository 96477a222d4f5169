"""What all widgets share: the loader of the views, the name of the view and its options, and the bridge to the server.

No trait holds a key or a token, since the state of widgets may be saved in the notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import anywidget
from traitlets import Dict, Unicode

from ..client.render import is_live
from ..client.session import Session, current_session
from . import assets
from .bridge import Bridge


class View(anywidget.AnyWidget):
    """A view of the server. Where nobody watches, only its text remains."""

    _esm = assets.loader()
    view_name: ClassVar[str]

    view = Unicode().tag(sync=True)
    options = Dict().tag(sync=True)
    server = Dict().tag(sync=True)

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        *,
        text: str,
        forms: Mapping[str, str] | None = None,
        session: Session | None = None,
    ) -> None:
        """
        Args:
            options: what the view shows, as JSON.
            text: the same in words, for terminals and saved notebooks.
            forms: richer forms of the text, by MIME type.
        """
        connection = (session or current_session()).connection()
        info: Any = connection.call(lambda sdk: sdk.http.get("/info"))
        self._text = text
        self._forms = dict(forms or {})
        given = {key: value for key, value in (options or {}).items() if value is not None}
        super().__init__(view=self.view_name, options=given, server={"instance": _instance(info)})
        self._bridge = Bridge(connection, self.send)
        self.on_msg(lambda _, content, __: self._bridge.take(content))

    def close(self) -> None:
        """End the view, and its streams through the kernel."""
        if hasattr(self, "_bridge"):
            self._bridge.close()
        super().close()

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        fallback = {"text/plain": self._text, **self._forms}
        if not is_live():
            return fallback
        found: Any = super()._repr_mimebundle_(**kwargs)
        if found is None:
            return fallback
        if isinstance(found, tuple):
            bundle, metadata = found
            return {**bundle, **fallback}, metadata
        return {**found, **fallback}


def _instance(info: Any) -> str | None:
    own: Any = info.get("lgnb") if isinstance(info, dict) else None
    return str(own["instance"]) if isinstance(own, dict) and own.get("instance") else None
