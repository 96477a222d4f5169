"""The page `{base_url}lgnb/studio` and the files of the views, which notebooks load from here as well."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError, authenticated

from lgnb.widgets import assets

# No inline script, no inline style, no eval, nothing of another origin.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
# Not from the system's table, which programs on Windows are known to break.
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


class StudioHandler(JupyterHandler):
    """Behind the login like every page of Jupyter; what it shows comes through the API with the same cookie."""

    @property
    def content_security_policy(self) -> str:
        return f"{_PAGE_POLICY}; {super().content_security_policy}"

    @authenticated
    async def get(self) -> None:
        # Reading it sets the cookie that the page sends back as a header.
        _ = self.xsrf_token
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.finish(assets.page())


class StaticHandler(JupyterHandler):
    """Files under the digest of them all: they may be kept for ever, and versions never mix."""

    @allow_unauthenticated
    async def get(self, digest: str, name: str) -> None:
        text = assets.files().get(name)
        if text is None or digest != assets.digest():
            raise HTTPError(404, "There is no such file in this version.")
        self.set_header("Content-Type", f"{_TYPES[PurePath(name).suffix]}; charset=utf-8")
        self.set_header("Cache-Control", _FOR_EVER)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(text)


def studio_patterns(mount: str) -> list[tuple[str, type[Any]]]:
    """What Jupyter is given beside the routes of the API."""
    return [
        (rf"/{mount}/studio", StudioHandler),
        (rf"/{mount}/static/(?P<digest>[0-9a-f]+)/(?P<name>[\w.-]+)", StaticHandler),
    ]
