"""A Jupyter server with nothing but this extension: what `lgnb serve` runs."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from dataclasses import dataclass
from typing import Any

from jupyter_core.utils import ensure_dir_exists
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from lgnb.errors import SettingsError
from lgnb.log_format import JsonFormatter
from lgnb.settings import Settings

from .extension import LgnbServer
from .hub import HubService
from .traits import trait_config

_LOOK_SECONDS = 0.1
_HOST, _PORT = "127.0.0.1", 8123


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to serve, and the token that lets clients in; without one, a new one is made and told.

    Where host or port are not given, a JupyterHub says what they are, or they are the usual ones.
    """

    host: str | None
    port: int | None
    token: str | None


class HeadlessServer(ServerApp):
    """Reads no Jupyter configuration of the user, so that every start is the same."""

    name = "lgnb serve"
    # Whoever holds the token may call the API; kernels, files and terminals are not part of it.
    default_services: tuple[str, ...] = ("auth", "security", "api", "shutdown")

    def load_config_file(self, suppress_errors: bool = True) -> None:
        """Nothing to load."""

    def init_signal(self) -> None:
        """Both ways to stop are orderly, also where nobody can be asked whether to."""
        signal.signal(signal.SIGINT, self._signal_stop)
        signal.signal(signal.SIGTERM, self._signal_stop)


class HubServer(HeadlessServer):
    """The same for all users of a JupyterHub, so that none of them may stop it."""

    is_for_all_users = True
    default_services = ("security", "api")


def serve(address: Address, *, settings: dict[str, Any], reloads: bool = False) -> int:
    """Serve until stopped; the exit code is 1 when the start failed.

    Args:
        reloads: new workers take over when a file of the project changes.
        settings: fields of Settings that were given, the rest comes from the environment.

    Raises:
        SettingsError: this is to be a service of a JupyterHub, and cannot be one.
    """
    service = HubService.of(os.environ)
    token = _token(address, service)
    config = Config(
        {
            "ServerApp": {
                "ip": address.host or (service.host if service else _HOST),
                "port": address.port if address.port is not None else (service.port if service else _PORT),
                # Another port than the one that was asked for would be a surprise.
                "port_retries": 0,
                "open_browser": False,
                "allow_root": True,
                "jpserver_extensions": {"lgnb_server": True},
                **_logging(settings),
            },
            "LgnbServer": {"stops_on_failure": True, "reloads": reloads, **_logging(settings)},
            **trait_config(settings),
        }
    )
    config.merge(Config(service.config() if service else {"IdentityProvider": {"token": token}}))
    server = (HubServer if service else HeadlessServer).instance(config=config)
    server.no_browser_open_file = True
    ensure_dir_exists(server.runtime_dir, mode=0o700)
    server.initialize(argv=[], find_extensions=False)
    extension = _extension_of(server)
    if token and not address.token:
        server.io_loop.add_callback(  # pyright: ignore[reportUnknownMemberType]
            _say_how_to_connect, extension, token
        )
    server.start()
    return 1 if extension.failed else 0


def _token(address: Address, service: HubService | None) -> str | None:
    if service is None:
        return address.token or secrets.token_urlsafe(24)
    if address.token:
        raise SettingsError(
            f"The service {service.name!r} of a JupyterHub is opened by the tokens of its users; "
            "leave out --token and LGNB_TOKEN."
        )
    return None


def _logging(given: dict[str, Any]) -> dict[str, Any]:
    try:
        log_format = Settings.from_environment(overrides=given).log_format
    except SettingsError:
        return {}  # the extension says it when it starts
    if log_format == "text":
        return {}
    formatters = {"json": {"()": JsonFormatter}}
    return {"logging_config": {"formatters": formatters, "handlers": {"console": {"formatter": "json"}}}}


def _extension_of(server: ServerApp) -> LgnbServer:
    point: Any = server.extension_manager.extension_points[LgnbServer.name]
    return point.app


async def _say_how_to_connect(extension: LgnbServer, token: str) -> None:
    while not extension.host.is_open:
        if extension.failed:
            return
        await asyncio.sleep(_LOOK_SECONDS)
    sys.stdout.write(
        f"\n    {extension.api_url}\n\n"
        "    from langgraph_sdk import get_client\n"
        f'    client = get_client(url="{extension.api_url}", api_key="{token}")\n\n'
        "The key is new with every start; choose your own with --token or LGNB_TOKEN.\n\n"
    )
    sys.stdout.flush()
