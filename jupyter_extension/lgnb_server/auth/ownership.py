"""Owners by their names: on a server of several people, everybody reaches what is his own and nothing else.

The same conditions and stamps that an auth module would give, for servers that know their users by themselves.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.auth import IdentityProvider

from lgnb.errors import AccessDenied, SettingsError
from lgnb.models.access import Condition, ResourceName
from lgnb.models.identity import Caller
from lgnb.resources.assistants import SYSTEM_METADATA
from lgnb.settings import Settings

from ..hub import is_service, is_under_hub, user_of_server

OWNER = "owner"
"""The key of metadata that holds the name."""

_STAMPED = frozenset(("create", "create_run", "update"))
_NOBODY = (
    "This server keeps its users' work apart, and these credentials name no user. "
    "Log in, or send a token of your own; a key or token of the server will not do."
)


def keeps_owners(settings: Settings) -> bool:
    """Whether owners are kept apart; by default where a JupyterHub says who somebody is and several could meet."""
    if settings.ownership == "auto":
        return is_under_hub() and not (user_of_server() and settings.postgres_uri is None)
    return settings.ownership == "always"


def names_users(provider: IdentityProvider) -> bool:
    """Whether a provider knows its users; Jupyter's own make up a name for whoever has the token."""
    return type(provider).get_user is not IdentityProvider.get_user


def refuse_what_owners_cannot_be_kept_with(settings: Settings) -> None:
    """Say so at the start where owners would not be kept apart, or nobody could own anything.

    Raises:
        SettingsError: what is wrong, and what to do.
    """
    if user_of_server() and settings.postgres_uri and settings.workers:
        raise SettingsError(
            f"This is the server of {user_of_server()} alone, and LGNB_POSTGRES_URI may be shared with others, whose "
            "runs its workers would execute. Set LGNB_WORKERS=0 and run `lgnb worker` apart from the users' servers; "
            "or, where nobody else uses the database, set LGNB_OWNERSHIP=never."
        )
    if is_service() and settings.api_keys:
        raise SettingsError(
            "LGNB_API_KEYS opens nothing in a service of a JupyterHub, where everybody sends a token of his own: "
            "leave it out, and give programs a service of the Hub, or a user, of their own."
        )


class Owners:
    """Knows callers by the users of Jupyter.

    A key or token of the server stands for its one user, where JupyterHub started it for one; otherwise for nobody.
    """

    def __init__(self) -> None:
        self._of_server = user_of_server()

    def access_of(self, user: Any, *, provider: IdentityProvider, by_key: bool) -> OwnerAccess:
        """The rights of whoever Jupyter let in.

        Raises:
            AccessDenied: the user has no name that lasts. Jupyter itself makes one up for whoever has the token.
        """
        if by_key or not names_users(provider) or user.username in ("", "anonymous"):
            if not self._of_server:
                raise AccessDenied(_NOBODY)
            return OwnerAccess(Caller(self._of_server))
        # A service of the Hub may bear the name of a user.
        is_service = getattr(user, "hub_user", {}).get("kind") == "service"
        identity = f"service:{user.username}" if is_service else user.username
        return OwnerAccess(Caller(identity, display_name=user.display_name))


class OwnerAccess:
    """The rights of one owner."""

    restricts = True

    def __init__(self, caller: Caller) -> None:
        self.caller: Caller | None = caller
        self._name = caller.identity
        self._own = Condition({OWNER: caller.identity})
        self._own_or_system = Condition({"$or": [{OWNER: caller.identity}, SYSTEM_METADATA]})

    async def ask(self, resource: ResourceName, action: str, value: dict[str, Any]) -> Condition | None:
        if resource == "store":
            self._confine(value)
            return None
        if action in _STAMPED:
            metadata = {**(value.get("metadata") or {}), OWNER: self._name}
            if resource == "assistants":
                # Those of the system are everybody's, so nobody can make one.
                metadata = {key: text for key, text in metadata.items() if SYSTEM_METADATA.get(key) != text}
            value["metadata"] = metadata
        if resource == "assistants" and action in ("read", "search"):
            return self._own_or_system
        return self._own

    def _confine(self, value: dict[str, Any]) -> None:
        """Keep a caller of the store in the namespace of his name."""
        own = own_label(self._name)
        namespace = tuple(value.get("namespace") or ())
        if not namespace and "key" not in value:
            value["namespace"] = (own,)
        elif namespace[:1] != (own,):
            raise AccessDenied(f"Your items are in namespaces that begin with {own!r}.")


def own_label(name: str) -> str:
    """The first label of an owner's namespaces: no two names have the same one, none holds a dot or is a wildcard."""
    return name.replace("%", "%25").replace(".", "%2E").replace("*", "%2A")
