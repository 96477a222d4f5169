"""A Jupyter server in the test's own process and loop, with a real Postgres and Redis, and no worker."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_server.serverapp import ServerApp
from lgnb_server.extension import LgnbServer
from traitlets.config import Config

TOKEN = "the-token-of-this-test"
# A path that shows every address glued together by hand.
BASE_URL = "/a%40b/"


@dataclass(frozen=True)
class Jupyter:
    """A running server. `api` sends a key of ours, `anonymous` nothing at all."""

    app: ServerApp
    extension: LgnbServer
    url: str
    api: httpx.AsyncClient
    anonymous: httpx.AsyncClient


@pytest.fixture
def jupyter_config() -> dict[str, dict[str, Any]]:
    """What a test wants configured differently; override it or change it before asking for `jupyter`."""
    return {}


@pytest.fixture
def lgnb_config(database_uri: str, redis_uri: str, redis_prefix: str) -> dict[str, Any]:
    return {
        "postgres_uri": database_uri,
        "redis_uri": redis_uri,
        "redis_key_prefix": redis_prefix,
        "workers": 0,
        "postgres_pool_size": 4,
        "heartbeat_seconds": 0.1,
    }


@pytest.fixture
async def jupyter(
    tmp_path: Path, lgnb_config: dict[str, Any], jupyter_config: dict[str, dict[str, Any]]
) -> AsyncIterator[Jupyter]:
    ServerApp.clear_instance()
    config = Config(
        {
            "ServerApp": {
                "allow_root": True,
                "base_url": BASE_URL,
                "ip": "127.0.0.1",
                "jpserver_extensions": {"lgnb_server": True},
                "open_browser": False,
                "port": 0,
                "root_dir": str(tmp_path),
            },
            "IdentityProvider": {"token": TOKEN},
            "Lgnb": lgnb_config,
        }
    )
    config.merge(Config(jupyter_config))
    app = ServerApp.instance(config=config, log_level=logging.DEBUG)
    app.init_signal = lambda: None  # signals belong to pytest
    app.initialize(argv=[], find_extensions=False)
    app.log.propagate = True  # so that caplog sees it
    app.start_app()
    await app._post_start()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it belongs to pytest
    point: Any = app.extension_manager.extension_points["lgnb_server"]
    extension: LgnbServer = point.app
    url = f"http://127.0.0.1:{app.port}{BASE_URL}lgnb"
    key = {"x-api-key": extension.host.keys.own}
    try:
        async with (
            httpx.AsyncClient(base_url=url, headers=key, timeout=20) as api,
            httpx.AsyncClient(base_url=url, timeout=20, event_hooks={"request": [_without_cookies]}) as anonymous,
        ):
            yield Jupyter(app, extension, url, api, anonymous)
    finally:
        await app._cleanup()
        await app.http_server.close_all_connections()
        ServerApp.clear_instance()
        await asyncio.sleep(0)


async def _without_cookies(request: httpx.Request) -> None:
    """Jupyter answers a good token with a cookie, which would let the next request in."""
    request.headers.pop("cookie", None)
