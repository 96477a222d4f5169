"""Under a JupyterHub: whose server this is, and what makes a server the service of all its users."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.serverapp import ServerApp

from lgnb.errors import SettingsError
from lgnb.settings import Settings


def is_under_hub() -> bool:
    """Whether a JupyterHub knows this server."""
    return "JUPYTERHUB_API_TOKEN" in os.environ


def is_service() -> bool:
    """Whether this server is one service for all users of the Hub."""
    return bool(os.environ.get("JUPYTERHUB_SERVICE_NAME"))


def user_of_server() -> str:
    """The user for whom alone the Hub started this server, or nothing."""
    # For a service that the Hub starts, the variable names an account of the system.
    return "" if is_service() else os.environ.get("JUPYTERHUB_USER", "")


def token_of_server() -> str:
    """The token by which the Hub knows the user for whom it started this server, or nothing."""
    return os.environ.get("JUPYTERHUB_API_TOKEN", "") if user_of_server() else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubService:
    """How `lgnb serve` runs as a service."""

    name: str
    host: str
    port: int
    base_url: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> HubService | None:
        """What the Hub, or the operator of a service that it does not start, says in variables.

        Raises:
            SettingsError: something is missing, or jupyterhub is not installed.
        """
        name = environment.get("JUPYTERHUB_SERVICE_NAME", "")
        if not name:
            return None
        for variable in ("JUPYTERHUB_API_TOKEN", "JUPYTERHUB_API_URL"):
            if not environment.get(variable):
                raise SettingsError(f"This is the service {name!r} of a JupyterHub, but {variable} is not set.")
        url = urlsplit(environment.get("JUPYTERHUB_SERVICE_URL", ""))
        prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX", "")
        if not (url.hostname and url.port and prefix):
            raise SettingsError(
                f"The service {name!r} has no address: give it a url such as http://127.0.0.1:10101 in "
                "c.JupyterHub.services; where the Hub does not start it, also set JUPYTERHUB_SERVICE_URL and "
                "JUPYTERHUB_SERVICE_PREFIX."
            )
        if url.scheme != "http":
            raise SettingsError(
                f"The url of the service {name!r} must begin with http://; internal_ssl is not supported."
            )
        try:
            import jupyterhub.singleuser.extension  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError:
            raise SettingsError(
                f"The service {name!r} needs the package jupyterhub in the Hub's version: "
                "pip install 'jupyter-lgnb[hub]'."
            ) from None
        return cls(name=name, host=url.hostname, port=url.port, base_url=prefix)

    def config(self) -> dict[str, Any]:
        """What a server is configured with: the Hub says who calls, and who may."""
        return {
            "ServerApp": {
                "base_url": self.base_url,
                "identity_provider_class": "jupyterhub.singleuser.extension.JupyterHubIdentityProvider",
                # The Hub's proxy passes the name on that the browser knows, and says how it was reached.
                "allow_remote_access": True,
                "trust_xheaders": True,
            },
            "HubOAuth": {"oauth_client_id": os.environ.get("JUPYTERHUB_CLIENT_ID") or f"service-{self.name}"},
        }


def claim_data_dir(settings: Settings) -> None:
    """Keep the embedded database for the user of this server, whose workers execute whatever is in it.

    Raises:
        SettingsError: it is another user's.
    """
    user, mark = user_of_server(), settings.data_dir / "jupyterhub-user"
    if not user or settings.ownership == "never":
        return
    try:
        with mark.open("x", encoding="utf-8") as file:
            file.write(user)
    except FileExistsError:
        owner = mark.read_text(encoding="utf-8")
        if owner != user:
            raise SettingsError(
                f"The data in {mark.parent} is {owner}'s, and this server is {user}'s: give each user a directory "
                f"of his own with LGNB_DATA_DIR. If {owner} is only the old name of {user}, delete {mark}."
            ) from None


def refuse_other_services(server: ServerApp) -> None:
    """Make sure that nobody gets past the owners on a server of all users.

    Raises:
        SettingsError: it is a Jupyter server that may serve more than the API.
    """
    if is_service() and not getattr(server, "is_for_all_users", False):
        raise SettingsError(
            "This Jupyter server is a service for all users of a JupyterHub: with its kernels, terminals, files or "
            "extensions each of them could run code as its account, and so read everybody's work. Let the service run "
            "`lgnb serve`, which serves the API alone."
        )
