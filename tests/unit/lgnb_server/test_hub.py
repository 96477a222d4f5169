"""Under a JupyterHub: whose server this is, how a service is configured, and what is refused at the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jupyter_server.serverapp import ServerApp
from lgnb_server.headless import HeadlessServer, HubServer
from lgnb_server.hub import (
    HubService,
    claim_data_dir,
    refuse_other_services,
    token_of_server,
    user_of_server,
)

from lgnb.errors import SettingsError
from lgnb.settings import Settings

_OF_A_SERVICE = {
    "JUPYTERHUB_SERVICE_NAME": "agents",
    "JUPYTERHUB_SERVICE_URL": "http://10.0.0.7:10101/services/agents/",
    "JUPYTERHUB_SERVICE_PREFIX": "/services/agents/",
    "JUPYTERHUB_API_TOKEN": "t",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
}


@pytest.fixture
def of_alice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
    monkeypatch.setenv("JUPYTERHUB_USER", "alice")


@pytest.mark.usefixtures("of_alice")
def test_a_service_is_nobodys_server_though_the_hub_names_the_account_it_runs_as(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (user_of_server(), token_of_server()) == ("alice", "t")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "agents")
    assert (user_of_server(), token_of_server()) == ("", "")


def test_a_service_listens_where_the_hub_says() -> None:
    service = HubService.of(_OF_A_SERVICE)

    assert service == HubService(name="agents", host="10.0.0.7", port=10101, base_url="/services/agents/")
    assert service.config()["ServerApp"]["base_url"] == "/services/agents/"
    assert service.config()["HubOAuth"] == {"oauth_client_id": "service-agents"}
    assert HubService.of({}) is None
    assert HubService.of({"JUPYTERHUB_API_TOKEN": "t", "JUPYTERHUB_USER": "alice"}) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"JUPYTERHUB_API_TOKEN": ""}, "JUPYTERHUB_API_TOKEN is not set"),
        ({"JUPYTERHUB_API_URL": ""}, "JUPYTERHUB_API_URL is not set"),
        # What the Hub says to a service without a url.
        ({"JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/", "JUPYTERHUB_SERVICE_PREFIX": ""}, "give it a url"),
        ({"JUPYTERHUB_SERVICE_URL": "https://127.0.0.1:10101/"}, "internal_ssl is not supported"),
    ],
)
def test_what_a_service_lacks_is_said(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        HubService.of(_OF_A_SERVICE | changes)


def test_a_service_without_the_package_of_the_hub_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jupyterhub.singleuser.extension", None)

    with pytest.raises(SettingsError, match=r"pip install 'jupyter-lgnb\[hub\]'"):
        HubService.of(_OF_A_SERVICE)


def test_only_lgnb_serve_is_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_other_services(ServerApp())

    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "agents")
    for server in (ServerApp(), HeadlessServer()):
        with pytest.raises(SettingsError, match=r"run code as its account, .* Let the service run `lgnb serve`"):
            refuse_other_services(server)
    refuse_other_services(HubServer())


@pytest.mark.usefixtures("of_alice")
def test_a_data_directory_is_one_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    claim_data_dir(settings)
    claim_data_dir(settings)

    monkeypatch.setenv("JUPYTERHUB_USER", "bob")
    with pytest.raises(SettingsError, match="is alice's, and this server is bob's"):
        claim_data_dir(settings)
    claim_data_dir(settings.with_values(ownership="never"))
