"""Runs: creating, following, waiting for, cancelling and deleting them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, get_args
from uuid import UUID

from tornado.web import authenticated

from lgnb.errors import InvalidRequest, LgnbError
from lgnb.json_encoding import encode
from lgnb.models.ids import new_id
from lgnb.models.runs import Run, RunStatus
from lgnb.models.streams import StreamEvent

from .. import parsing, sse
from ..bodies import RunColumn, RunCreate, RunsCancel, cancel_action
from ..projection import project, row_of
from ..streaming import ClientGone, logger, relay_events, relay_result
from .base import LgnbHandler
from .long_answers import LongAnswerHandler

_EVENT_ID = re.compile(r"-1|-|\d{1,20}(?:-\d{1,20})?")


class RunHandlerBase(LongAnswerHandler):
    """What several run handlers need: creating a run, and the two kinds of long answers."""

    # Whether the caller follows a run that may be somebody else's.
    joins = False

    async def create_run(
        self, thread_id: UUID | None, *, waits: bool = False, run_id: UUID | None = None
    ) -> tuple[Run, RunCreate]:
        """A new run; `waits` says that its caller stays until it has ended."""
        body = self.body(RunCreate)
        if waits and thread_id and self.calling_run and body.multitask_strategy == "enqueue":
            await self.resources.runs.refuse_waiting_for_itself(self.calling_run, thread_id)
        run = await self.resources.runs.create(
            thread_id,
            body.as_request(),
            request_id=self.request_id,
            headers_configurable=self.configurables(),
            run_id=run_id,
        )
        return run, body

    async def send_events(
        self, run: Run, pages: AsyncIterator[Sequence[StreamEvent]], *, stateless: bool, cancel_on_disconnect: bool
    ) -> None:
        """Answer with the events of a run until it has ended or the client has gone."""
        self._set_locations(run, "stream", stateless=stateless)
        await self.relay(run, pages, cancel_on_disconnect=cancel_on_disconnect)

    async def relay(self, run: Run, pages: AsyncIterator[Sequence[StreamEvent]], *, cancel_on_disconnect: bool) -> None:
        """Answer with events about a run, whatever their words are."""
        for name, value in sse.HEADERS.items():
            self.set_header(name, value)
        relayed = relay_events(
            pages, send=self.send, gone=self.gone, heartbeat_seconds=self.host.settings.heartbeat_seconds
        )
        if await self._complete(run, relayed, cancel_on_disconnect=cancel_on_disconnect):
            self.finish(set_content_type=sse.HEADERS["Content-Type"])

    async def send_result(
        self, run: Run, result: Awaitable[bytes], *, stateless: bool, cancel_on_disconnect: bool = False
    ) -> None:
        """Answer with what a waiting caller of the API is told."""
        self._set_locations(run, "join", stateless=stateless)
        await self.send_when_there(run, result, cancel_on_disconnect=cancel_on_disconnect)

    async def send_when_there(
        self, run: Run, result: Awaitable[bytes | dict[str, Any]], *, cancel_on_disconnect: bool
    ) -> None:
        """Answer with what `result` gives once it is there; bytes are JSON already."""
        self.set_header("Content-Type", "application/json")
        body: list[bytes | dict[str, Any]] = []

        async def wait() -> None:
            body.append(
                await relay_result(
                    result, send=self.send, gone=self.gone, heartbeat_seconds=self.host.settings.heartbeat_seconds
                )
            )

        if await self._complete(run, wait(), cancel_on_disconnect=cancel_on_disconnect):
            self.finish(body[0] if isinstance(body[0], bytes) else encode(body[0]))

    async def _complete(self, run: Run, sending: Awaitable[None], *, cancel_on_disconnect: bool) -> bool:
        """Whether the long answer was sent whole. Its status went out already, so failures end the connection."""
        try:
            with self.long_answer():
                self.send_at_once()
                await sending
        except ClientGone:
            self.drop_connection()
            if cancel_on_disconnect and self.host.is_open:
                await self.resources.runs.disconnected(run, joined=self.joins)
            return False
        except LgnbError as error:
            # A clean end would tell the client that the run is over; a broken one makes it come back and resume.
            logger.warning("The answer about run %s was cut: %s", run.run_id, error)
            self.drop_connection()
            return False
        # Whatever else goes wrong must not look like a clean end either.
        except Exception:  # noqa: BLE001  it is logged
            logger.exception("The answer about run %s was cut by a mistake of the server.", run.run_id)
            self.drop_connection()
            return False
        return True

    def _set_locations(self, run: Run, kind: str, *, stateless: bool) -> None:
        # Clients join these paths to the root of the API, so they carry no mount prefix.
        of_thread = f"/threads/{run.thread_id}/runs/{run.run_id}"
        only_run = stateless and kind == "stream"
        self.set_header("Content-Location", f"/runs/{run.run_id}" if only_run else of_thread)
        self.set_header("Location", f"{of_thread}/{kind}")


class RunsHandler(RunHandlerBase):
    @authenticated
    async def post(self, thread_id: UUID | None = None) -> None:
        run, _ = await self.create_run(thread_id)
        of_thread = f"/threads/{run.thread_id}" if thread_id else ""
        self.set_header("Content-Location", f"{of_thread}/runs/{run.run_id}")
        self.answer(run)

    @authenticated
    async def get(self, thread_id: UUID) -> None:
        select = self.query_list("select", choices=get_args(RunColumn))
        runs = await self.resources.runs.list(
            thread_id,
            limit=self.query_number("limit", default=10, least=1, most=1000),
            offset=self.query_number("offset", default=0, least=0, most=2**31 - 1),
            status=self._status(),
        )
        self.answer([project(row_of(run), select) for run in runs])

    def _status(self) -> str | None:
        statuses = self.query_list("status", choices=get_args(RunStatus))
        if statuses and len(statuses) > 1:
            raise InvalidRequest("status names one status.")
        return statuses[0] if statuses else None


class RunStreamHandler(RunHandlerBase):
    """Create a run and follow it."""

    @authenticated
    async def post(self, thread_id: UUID | None = None) -> None:
        with self.long_answer():
            run, body = await self.create_run(thread_id, waits=True)
            await self.send_events(
                run,
                self.resources.runs.pages(run, after="0", modes=None),
                stateless=thread_id is None,
                cancel_on_disconnect=body.on_disconnect == "cancel",
            )


class RunWaitHandler(RunHandlerBase):
    """Create a run and wait for its end."""

    @authenticated
    async def post(self, thread_id: UUID | None = None) -> None:
        run_id = new_id()
        with self.long_answer():
            async with self.resources.runs.expected(run_id) as expected:
                run, body = await self.create_run(thread_id, waits=True, run_id=run_id)
                await self.send_result(
                    run,
                    self.resources.runs.encoded_result(run, expected=expected),
                    stateless=thread_id is None,
                    cancel_on_disconnect=body.on_disconnect == "cancel",
                )


class RunBatchHandler(RunHandlerBase):
    @authenticated
    async def post(self) -> None:
        bodies, ignored = parsing.read_models(RunCreate, self.request.body)
        self.name_ignored(ignored)
        runs = await self.resources.runs.create_batch(
            [body.as_request() for body in bodies],
            request_id=self.request_id,
            headers_configurable=self.configurables(),
        )
        self.answer(runs)


class RunsCancelHandler(LgnbHandler):
    @authenticated
    async def post(self) -> None:
        body = self.body(RunsCancel)
        await self.resources.runs.cancel_many(
            status=body.status,
            thread_id=body.thread_id,
            run_ids=body.run_ids,
            action=cancel_action(self.get_query_argument("action", None)),
        )
        self.answer_empty()


class RunHandler(LgnbHandler):
    @authenticated
    async def get(self, thread_id: UUID, run_id: UUID) -> None:
        self.answer(await self.resources.runs.get(thread_id, run_id))

    @authenticated
    async def delete(self, thread_id: UUID, run_id: UUID) -> None:
        await self.resources.runs.delete(thread_id, run_id)
        self.answer_empty()


class RunWebhooksHandler(LgnbHandler):
    """What the webhook of a run was told."""

    @authenticated
    async def get(self, thread_id: UUID, run_id: UUID) -> None:
        self.answer(await self.resources.webhooks.of_run(thread_id, run_id))


class RunWebhooksAgainHandler(LgnbHandler):
    """Tell the webhook of a run once more."""

    @authenticated
    async def post(self, thread_id: UUID, run_id: UUID) -> None:
        self.answer(await self.resources.webhooks.send_again(thread_id, run_id))


class RunCancelHandler(RunHandlerBase):
    @authenticated
    async def post(self, thread_id: UUID, run_id: UUID) -> None:
        action = cancel_action(self.get_query_argument("action", None))
        runs = self.resources.runs
        if not self.query_flag("wait"):
            await runs.cancel(thread_id, run_id, action=action)
            self.answer_empty(status=202)
            return
        with self.long_answer():
            run = await runs.cancel(thread_id, run_id, action=action)
            await self.send_result(run, self._ended(run), stateless=False)

    async def _ended(self, run: Run) -> bytes:
        await self.resources.runs.encoded_result(run)
        return b"{}"


class JoinHandlerBase(RunHandlerBase):
    """The run of a path, with or without its thread."""

    joins = True

    async def named_run(self, thread_id: UUID | None, run_id: UUID) -> Run:
        if thread_id is None:
            return await self.resources.runs.find(run_id)
        return await self.resources.runs.get(thread_id, run_id)


class RunJoinHandler(JoinHandlerBase):
    """Wait for the end of a run that exists."""

    @authenticated
    async def get(self, run_id: UUID, thread_id: UUID | None = None) -> None:
        run = await self.named_run(thread_id, run_id)
        if self.request.method == "HEAD":
            return
        with self.long_answer():
            await self.send_result(
                run,
                self.resources.runs.encoded_result(run),
                stateless=False,
                cancel_on_disconnect=self.query_flag("cancel_on_disconnect"),
            )


class RunJoinStreamHandler(JoinHandlerBase):
    """Follow a run that exists, from the event after `Last-Event-ID`."""

    @authenticated
    async def get(self, run_id: UUID, thread_id: UUID | None = None) -> None:
        after = event_id_of(self.request.headers.get("Last-Event-ID", "").strip())
        modes = self.query_list("stream_mode")
        run = await self.named_run(thread_id, run_id)
        if self.request.method == "HEAD":
            return
        with self.long_answer():
            await self.send_events(
                run,
                self.resources.runs.pages(run, after=after, modes=modes),
                stateless=thread_id is None,
                cancel_on_disconnect=self.query_flag("cancel_on_disconnect"),
            )


def event_id_of(text: str) -> str | None:
    """What a `Last-Event-ID` names: an event, "-1" for the place before the first one, None for nothing."""
    if text and not _EVENT_ID.fullmatch(text):
        raise InvalidRequest("Last-Event-ID is not the id of an event.")
    return "-1" if text == "-" else text or None
