"""A Jupyter server with nothing but this extension: what `lgnb serve` runs."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from typing import Any

from jupyter_core.utils import ensure_dir_exists
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from .extension import LgnbServer
from .traits import trait_config

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to serve, and the token that lets clients in; `generated` means that nobody knows it yet."""

    host: str
    port: int
    token: str
    generated: bool


class HeadlessServer(ServerApp):
    """Reads no Jupyter configuration of the user, so that every start is the same."""

    name = "lgnb serve"
    # Whoever holds the token may call the API; kernels, files and terminals are not part of it.
    default_services = ("auth", "security", "api", "shutdown")

    def load_config_file(self, suppress_errors: bool = True) -> None:
        """Nothing to load."""

    def init_signal(self) -> None:
        """Both ways to stop are orderly, also where nobody can be asked whether to."""
        signal.signal(signal.SIGINT, self._signal_stop)
        signal.signal(signal.SIGTERM, self._signal_stop)


def serve(address: Address, *, settings: dict[str, Any], reloads: bool = False) -> int:
    """Serve until stopped; the exit code is 1 when the start failed.

    Args:
        reloads: new workers take over when a file of the project changes.
        settings: fields of Settings that were given, the rest comes from the environment.
    """
    config: dict[str, Any] = {
        "ServerApp": {
            "ip": address.host,
            "port": address.port,
            # Another port than the one that was asked for would be a surprise.
            "port_retries": 0,
            "open_browser": False,
            "allow_root": True,
            "jpserver_extensions": {"lgnb_server": True},
        },
        "IdentityProvider": {"token": address.token},
        "LgnbServer": {"stops_on_failure": True, "reloads": reloads},
        **trait_config(settings),
    }
    server = HeadlessServer.instance(config=Config(config))
    server.no_browser_open_file = True
    ensure_dir_exists(server.runtime_dir, mode=0o700)
    server.initialize(argv=[], find_extensions=False)
    extension = _extension_of(server)
    if address.generated:
        server.io_loop.add_callback(  # pyright: ignore[reportUnknownMemberType]
            _say_how_to_connect, extension, address.token
        )
    server.start()
    return 1 if extension.failed else 0


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
