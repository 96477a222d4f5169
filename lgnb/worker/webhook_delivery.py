"""Delivers webhooks: takes from the outbox what is due, calls, and notes what came of it.

It runs in the host and not in workers, so that no graph's code is near the key and the secret headers.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Mapping
from datetime import UTC
from urllib.parse import urlunsplit

import httpx

from ..errors import DatabaseUnavailable, InvalidRequest
from ..json_encoding import encode
from ..models.webhooks import Answer, DueDelivery
from ..resources.addresses import Target
from ..resources.webhooks import Webhooks

logger = logging.getLogger(__name__)

SIGNATURE_HEADER = "X-Lgnb-Signature"
DELIVERY_HEADER = "X-Lgnb-Delivery"

_AT_ONCE = 20
_CONNECT_SECONDS = 5.0
_WHOLE_SECONDS = 30.0
_PERIOD_SECONDS = 1.0
_KEPT_SECONDS = 7 * 86400.0
_PURGE_EVERY = 3600


class WebhookDelivery:
    """Any number may deliver at once: each delivery is claimed by one of them.

    Args:
        headers: sent with every call; those of the configuration, their variables filled in.
        secret: the key of the signatures; without one, calls are not signed.
    """

    def __init__(self, webhooks: Webhooks, *, headers: Mapping[str, str], secret: str | None) -> None:
        self._webhooks = webhooks
        self._headers = headers
        self._secret = secret.encode() if secret else None

    async def run(self) -> None:
        """Deliver until cancelled. What was not noted by then is tried again by whoever comes next."""
        # No proxies of the environment: the connection goes to the address that was checked.
        async with httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(_WHOLE_SECONDS, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client:
            rounds = 0
            while True:
                try:
                    await self._round(client, purge=rounds % _PURGE_EVERY == 0)
                    due = await self._webhooks.next_due_seconds()
                    wait_seconds = _PERIOD_SECONDS if due is None else min(_PERIOD_SECONDS, max(due, 0.01))
                except DatabaseUnavailable:
                    logger.warning("Webhooks could not be delivered: Postgres does not answer.")
                    wait_seconds = _PERIOD_SECONDS
                except Exception:  # whatever one delivery brings about, the loop has to survive
                    logger.exception("Webhooks could not be delivered.")
                    wait_seconds = _PERIOD_SECONDS
                rounds += 1
                await asyncio.sleep(wait_seconds)

    async def _round(self, client: httpx.AsyncClient, *, purge: bool) -> None:
        if purge:
            await self._webhooks.purge(age_seconds=_KEPT_SECONDS)
        while claimed := await self._webhooks.claim(limit=_AT_ONCE):
            async with asyncio.TaskGroup() as trying:
                for due in claimed:
                    trying.create_task(self._try(client, due))

    async def _try(self, client: httpx.AsyncClient, due: DueDelivery) -> None:
        answer = await self._call(client, due)
        if not answer.is_success:
            logger.info("Webhook of run %s: %s", due.run_id, answer.error or answer.status)
        await self._webhooks.finish(due, answer)

    async def _call(self, client: httpx.AsyncClient, due: DueDelivery) -> Answer:
        began = time.monotonic()
        if due.unopened is not None:
            return Answer(seconds=0.0, error=due.unopened)
        status: int | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                status = await self._post(client, await self._webhooks.target(due.url), due)
                if 300 <= status < 400:
                    error = "The receiver redirected; webhooks follow no redirects."
        except InvalidRequest as refusal:
            error = str(refusal)
        except TimeoutError:
            error = f"The receiver took longer than {_WHOLE_SECONDS:g} s."
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        return Answer(seconds=time.monotonic() - began, status=status, error=error)

    async def _post(self, client: httpx.AsyncClient, target: Target, due: DueDelivery) -> int:
        """Connect to the first address that answers, of those that were checked."""
        config = self._webhooks.config
        payload = {**due.payload, "webhook_sent_at": due.now}
        if config.allowed_fields is not None:
            payload = {name: payload[name] for name in config.allowed_fields if name in payload}
        body = encode(payload)
        host = target.url.hostname or ""
        headers = {
            **self._headers,
            "Host": target.url.netloc,
            "Content-Type": "application/json",
            "User-Agent": "lgnb-webhooks",
            DELIVERY_HEADER: str(due.delivery_id),
            **signature(self._secret, body, timestamp=int(due.now.astimezone(UTC).timestamp())),
        }
        failure: httpx.HTTPError | None = None
        for address in target.addresses:
            numeric = f"[{address}]" if address.version == 6 else str(address)
            url = urlunsplit(target.url._replace(netloc=f"{numeric}:{target.port}", fragment=""))
            try:
                # The certificate is still checked against the name.
                async with client.stream(
                    "POST", url, content=body, headers=headers, extensions={"sni_hostname": host}
                ) as response:
                    return response.status_code
            except httpx.ConnectError as error:
                failure = error
        raise failure or httpx.ConnectError("there is no address to connect to")


def signature(secret: bytes | None, body: bytes, *, timestamp: int) -> Mapping[str, str]:
    """The header that shows who sent a body and when: HMAC-SHA256 over `timestamp.body`."""
    if secret is None:
        return {}
    digest = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {SIGNATURE_HEADER: f"t={timestamp},v1={digest}"}
