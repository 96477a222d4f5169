"""Two builds work on one database at once, with migrations in between, as they do while an installation is upgraded."""

from __future__ import annotations

import asyncio
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

_ROOT = Path(__file__).parents[3]
# A build whose schema is older: three migrations.
_OLD_BUILD = "38efcae87b6bd4a8f4f9bf1520b314921c084e75"
_STEPS = 30
_REQUEST: dict[str, Any] = {"input": {"step": 0}, "context": {"steps": _STEPS, "delay": 0.5}}
_COUNTED = {"step": _STEPS, "seen": list(range(1, _STEPS + 1))}


@pytest.fixture
def old_build(tmp_path: Path) -> Path:
    """The sources of the older build."""
    archive = subprocess.run(
        ["git", "-C", str(_ROOT), "archive", _OLD_BUILD, "lgnb", "jupyter_extension"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"the older build is not in this checkout: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old"


@pytest.fixture
def empty_database(installation: Any, database_uri: str) -> Iterator[None]:
    """Gives `installation` a database without tables; those of the other tests are migrated already."""
    name = f"lgnb_upgrade_{uuid4().hex}"
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        uri = urlunsplit(urlsplit(database_uri)._replace(path=f"/{name}"))
        installation.database_uri = installation.environment["LGNB_POSTGRES_URI"] = uri
        yield
        for process in installation.processes:
            process.clean_up()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.usefixtures("empty_database")
async def test_a_new_build_takes_over_from_an_old_one_on_the_same_database(
    installation: Any, old_build: Path, until: Any
) -> None:
    """The new build migrates beneath the old one and takes its runs over; the old host goes on serving them."""
    old = {
        "program": ("-P", "-m", "lgnb"),  # without -P, the checkout would come before the older build
        "config": old_build / "lgnb" / "testing" / "langgraph.json",
        "environment": {"PYTHONPATH": f"{old_build}:{old_build / 'jupyter_extension'}"},
        "lease_seconds": 2,
    }
    old_host = await installation.host(workers=0, **old)
    old_worker = await installation.worker(**old)
    assert _migrations(installation) == 3
    host = await installation.host(workers=0, lease_seconds=2)
    assert _migrations(installation) == len([*(_ROOT / "lgnb" / "db" / "migrations").glob("*.sql")])

    runs = [await _begin(client) for client in (old_host.client, host.client) * 2]
    await until(lambda: min(installation.saved(run["thread_id"]) for run in runs) > 3, what="the old build works")
    worker = await installation.worker(lease_seconds=2)
    old_worker.kill()
    await until(lambda: _all_held_by(installation, runs, worker), what="the new build took over")

    results = await asyncio.gather(*(host.client.runs.join(run["thread_id"], run["run_id"]) for run in runs))
    assert results == [_COUNTED] * 4
    for client in (old_host.client, host.client):
        for run in runs:
            assert (await client.threads.get_state(run["thread_id"]))["values"] == _COUNTED


def _migrations(installation: Any) -> int:
    return installation.rows("SELECT count(*) AS n FROM lgnb_migrations")[0]["n"]


def _all_held_by(installation: Any, runs: list[Any], worker: Any) -> bool:
    rows = [installation.run(run["run_id"]) for run in runs]
    return all(row["status"] == "running" and row["pid"] == worker.pid for row in rows)


async def _begin(client: Any) -> Any:
    thread = await client.threads.create()
    return await client.runs.create(thread["thread_id"], "counter", **_REQUEST)
