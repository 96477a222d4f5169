"""A Hub on free ports of the loopback, with both configurations of docs/jupyterhub.md at once; anybody may log in."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from jupyterhub.services.service import Service
from traitlets.config import Config

told = json.loads(os.environ["LGNB_TEST_HUB"])
c: Any = get_config()  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

c.JupyterHub.bind_url = f"http://127.0.0.1:{told['port']}/jupyter/"
c.JupyterHub.hub_port = told["hub_port"]
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{told['proxy_port']}"
c.ConfigurableHTTPProxy.command = told["proxy"]
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"

# Servers start side by side.
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"admin"}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = f"{told['home']}/{{username}}"
c.Spawner.cmd = [sys.executable, "-P", "-m", "jupyterhub.singleuser"]
c.Spawner.http_timeout = c.Spawner.start_timeout = 90
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []


def documented() -> list[Config]:
    """What the page says, with the addresses and programs of this test."""
    page = Path(told["page"]).read_text(encoding="utf-8")
    for theirs, ours in (
        ('"command": ["lgnb", ', f'"command": [{sys.executable!r}, "-P", "-m", "lgnb", '),
        ('"user": "lgnb",', ""),
        ("127.0.0.1:10101", f"127.0.0.1:{told['service_port']}"),
        ('/services/lgnb/lgnb"', '/jupyter/services/lgnb/lgnb"'),
        ("/srv/agents/langgraph.json", told["graphs"]),
        ("postgresql://lgnb:secret@db.example.org/lgnb", told["postgres_uri"]),
        ("redis://redis.example.org", told["redis_uri"]),
    ):
        assert theirs in page, theirs
        page = page.replace(theirs, ours)
    configured: list[Config] = []
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        configured.append(Config())
        exec(block, {"c": configured[-1]})
    return configured


shared, per_user = documented()
places = {"LGNB_REDIS_KEY_PREFIX": told["redis_prefix"], "PYTHONUNBUFFERED": "1"}

c.JupyterHub.services = [*shared.JupyterHub.services, *per_user.JupyterHub.services]
for service in c.JupyterHub.services:
    home = Path(told["home"], service["name"])
    home.mkdir()
    service["cwd"] = str(home)
    if "timeout" in Service.class_trait_names():
        service["timeout"] = 90
    service["environment"] |= {**places, "JUPYTER_RUNTIME_DIR": str(home), "LGNB_DATA_DIR": str(home)}
c.JupyterHub.services += [
    {"name": "tests", "api_token": told["token"]},
    {"name": "robot", "api_token": told["robot"]},
]
c.JupyterHub.load_groups = shared.JupyterHub.load_groups
c.JupyterHub.load_roles = [
    *shared.JupyterHub.load_roles,
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "tokens"]},
    {"name": "robots", "services": ["robot"], "scopes": ["access:services!service=lgnb"]},
    # As after sharing a server.
    {"name": "guests", "users": ["guest"], "scopes": ["access:servers!server=alice/"]},
]

c.Spawner.server_token_scopes = shared.Spawner.server_token_scopes


def of_those_who_share(name: str, value: Any) -> Any:
    """Dora's server has a database of its own; its graphs are all live ones."""

    def chosen(spawner: Any) -> str:
        if spawner.user.name == "dora@home" and name != "LGNB_WORKERS":
            return ""
        return value(spawner) if callable(value) else value

    return chosen


environment = {**shared.Spawner.environment, **per_user.Spawner.environment}
c.Spawner.environment = {name: of_those_who_share(name, value) for name, value in environment.items()} | {
    **places,
    "JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp",
}
