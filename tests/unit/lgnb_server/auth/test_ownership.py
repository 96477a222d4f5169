"""Owners by their names: who has one, what is stamped, and which part of the store is whose."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_server.auth import IdentityProvider, User
from jupyter_server.auth.identity import PasswordIdentityProvider
from lgnb_server.auth.ownership import (
    OwnerAccess,
    Owners,
    keeps_owners,
    own_label,
    refuse_what_owners_cannot_be_kept_with,
)

from lgnb.errors import AccessDenied, SettingsError
from lgnb.models.access import Condition
from lgnb.models.identity import Caller
from lgnb.settings import Settings


class Named(IdentityProvider):
    def get_user(self, handler: Any) -> User | None:
        return None


@pytest.fixture(autouse=True)
def _outside_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER", "JUPYTERHUB_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def keeping(**settings: Any) -> list[bool]:
    return [keeps_owners(Settings(ownership=choice, **settings)) for choice in ("auto", "always", "never")]


def test_owners_are_kept_apart_by_themselves_only_where_users_of_a_hub_could_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = {"postgres_uri": "postgresql://db/lgnb", "workers": 0}
    assert keeping() == keeping(**shared) == [False, True, False]

    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
    monkeypatch.setenv("JUPYTERHUB_USER", "alice")
    assert keeping() == [False, True, False]
    assert keeping(**shared) == [True, True, False]

    # The Hub tells a service the account that it runs as by the same name.
    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "lgnb")
    assert keeping() == keeping(**shared) == [True, True, False]


def test_workers_of_one_user_do_not_start_on_a_database_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "alice")
    shared = Settings(postgres_uri="postgresql://db/lgnb")

    with pytest.raises(SettingsError, match=r"the server of alice alone, .* Set LGNB_WORKERS=0"):
        refuse_what_owners_cannot_be_kept_with(shared)
    refuse_what_owners_cannot_be_kept_with(shared.with_values(workers=0))
    refuse_what_owners_cannot_be_kept_with(Settings())


def test_a_service_of_the_hub_has_no_keys_that_name_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "lgnb")

    with pytest.raises(SettingsError, match="LGNB_API_KEYS opens nothing"):
        refuse_what_owners_cannot_be_kept_with(Settings(api_keys="k"))
    refuse_what_owners_cannot_be_kept_with(Settings())


def test_a_user_with_a_name_owns_and_one_of_a_plain_token_does_not() -> None:
    owners = Owners()

    assert owners.access_of(User("alice"), provider=Named(), by_key=False).caller == Caller("alice")
    for provider in (IdentityProvider(), PasswordIdentityProvider()):
        with pytest.raises(AccessDenied, match="name no user"):
            owners.access_of(User("1f3a"), provider=provider, by_key=False)


def test_a_key_of_the_server_stands_for_its_one_user_or_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessDenied):
        Owners().access_of(User("lgnb"), provider=Named(), by_key=True)

    monkeypatch.setenv("JUPYTERHUB_USER", "alice")
    assert Owners().access_of(User("lgnb"), provider=Named(), by_key=True).caller == Caller("alice")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "lgnb")
    with pytest.raises(AccessDenied):
        Owners().access_of(User("lgnb"), provider=Named(), by_key=True)


def test_a_service_of_the_hub_is_not_the_user_of_the_same_name() -> None:
    service = User("alice")
    service.hub_user = {"name": "alice", "kind": "service"}  # pyright: ignore[reportAttributeAccessIssue]

    access = Owners().access_of(service, provider=Named(), by_key=False)

    assert access.caller is not None
    assert access.caller.identity == "service:alice"


async def test_what_is_made_is_stamped_and_what_is_read_is_limited() -> None:
    access = OwnerAccess(Caller("alice"))
    value: dict[str, Any] = {"metadata": {"owner": "bob", "k": 1}}

    assert await access.ask("threads", "create", value) == Condition({"owner": "alice"})
    assert value["metadata"] == {"owner": "alice", "k": 1}
    assert await access.ask("threads", "read", {}) == Condition({"owner": "alice"})


async def test_everybody_reads_the_systems_assistants_and_nobody_makes_or_changes_one() -> None:
    access = OwnerAccess(Caller("alice"))
    value: dict[str, Any] = {"metadata": {"created_by": "system"}}

    either = Condition({"$or": [{"owner": "alice"}, {"created_by": "system"}]})
    assert await access.ask("assistants", "read", {}) == either
    assert await access.ask("assistants", "update", value) == Condition({"owner": "alice"})
    assert value["metadata"] == {"owner": "alice"}


async def test_the_store_of_an_owner_is_under_his_name() -> None:
    access = OwnerAccess(Caller("a.b"))
    own = own_label("a.b")
    listing: dict[str, Any] = {"namespace": ()}

    await access.ask("store", "put", {"namespace": (own, "x"), "key": "k"})
    await access.ask("store", "search", listing)
    assert listing["namespace"] == (own,)
    for namespace in ((), ("bob",), ("*",), ("a",)):
        with pytest.raises(AccessDenied, match="begin with 'a%2Eb'"):
            await access.ask("store", "get", {"namespace": namespace, "key": "k"})


def test_no_two_names_have_the_same_label() -> None:
    names = ["a.b", "a%2Eb", "a%b", "a%25b", "*", "%2A", "ab"]

    labels = [own_label(name) for name in names]

    assert len(set(labels)) == len(names)
    assert not [label for label in labels if "." in label or label == "*"]
