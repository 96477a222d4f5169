"""The server itself: is it up, how busy is it, what changes, and its reference. Most need no credentials."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado.web import authenticated

from lgnb.errors import InvalidRequest, NotReady

from .. import sse
from ..metrics import as_text, requests_total
from ..reference import html_page, merged, openapi
from .base import LgnbHandler
from .long_answers import LongAnswerHandler

_APART = "What all workers do is shown only where one person uses the server."


class OkHandler(LgnbHandler):
    @allow_unauthenticated
    async def get(self) -> None:
        try:
            system = self.resources.system
            ready = await system.is_ready()
            services = await system.health() if self.query_flag("check_db") else {}
        except NotReady as error:
            self._refuse({}, reason=str(error))
            return
        if ready and "unhealthy" not in services.values():
            self.answer({"ok": True} if "meta" in self.host.http.disabled else {"ok": True, "services": services})
        else:
            self._refuse(services, reason=self.host.why_not_ready())

    def _refuse(self, services: dict[str, str], *, reason: str) -> None:
        self.set_header("Retry-After", "1")
        self.answer({"ok": False, "services": services, "detail": reason, "message": reason}, status=503)

    def _log(self) -> None:
        # Whoever waits for a start asks many times a second; their 503s are answers, not errors of the log.
        if self.get_status() != 503:
            super()._log()


class InfoHandler(LgnbHandler):
    @allow_unauthenticated
    async def get(self) -> None:
        info = await self.resources.system.info()
        info["lgnb"] = {**info.get("lgnb", {}), "instance": self.host.instance}
        self.answer(info)


class WorkersHandler(LgnbHandler):
    @authenticated
    async def get(self) -> None:
        self.refuse_where_callers_are_kept_apart(_APART)
        self.answer(await self.resources.system.workers())


class ChangesHandler(LongAnswerHandler):
    @authenticated
    async def get(self) -> None:
        self.refuse_where_callers_are_kept_apart(_APART)
        if self.request.method == "HEAD":
            self.set_header("Content-Type", sse.HEADERS["Content-Type"])
            return
        async with self.resources.changes.following() as events:
            await self.send_endless(events)


class MetricsHandler(LgnbHandler):
    @allow_unauthenticated
    async def get(self) -> None:
        form = self.get_query_argument("format", "prometheus")
        if form not in ("prometheus", "json"):
            raise InvalidRequest("format must be prometheus or json.")
        metrics = await self.resources.system.metrics_json()
        metrics["api"] = {"http_requests_total": requests_total(), "streams_open": len(self.host.streams)}
        monitoring = self.host.monitoring
        if form == "json":
            self.answer(metrics | ({"runs": monitoring.as_json()} if monitoring else {}))
        else:
            text = as_text(metrics) + (monitoring.as_text() if monitoring else "")
            self.finish(text, set_content_type="text/plain; version=0.0.4; charset=utf-8")


class OpenApiHandler(LgnbHandler):
    @allow_unauthenticated
    def get(self) -> None:
        module, application = self.host.module, self.host.application
        ours = openapi(self._table(), module.section.openapi if module else None)
        self.answer(merged(ours, application.openapi() if application else None))

    def _table(self) -> Any:
        from ..routes import enabled_routes  # deferred: the table names this handler

        return enabled_routes(self.host.http)


class DocsHandler(OpenApiHandler):
    @property
    def content_security_policy(self) -> str:
        return super().content_security_policy + "; style-src 'unsafe-inline'"

    @allow_unauthenticated
    def get(self) -> None:
        self.finish(html_page(self._table()), set_content_type="text/html; charset=utf-8")
