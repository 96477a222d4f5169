"""What every tier shares: a run apart from the user's own settings and data, servers, and what pip cannot bring."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import api_coverage
import psycopg
import pytest
from psycopg import sql
from redis_topologies import Cluster, client_of

from lgnb.db.migrate import migrate
from lgnb.settings import Settings
from lgnb.testing.servers import running_servers

_HOME = pytest.StashKey[Path]()

# Variables of the user that would lead a test to their servers, keys or notebooks.
_FOREIGN = ("LGNB_", "JUPYTER", "JPY_", "IPYTHON", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_", "OPENAI_", "ANTHROPIC_")
_OURS = ("LGNB_TEST_",)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(api_coverage)
    second_names = {name for spec in fields(Settings) for name in spec.metadata["also"]}
    for name in list(os.environ):
        if name in second_names or (name.startswith(_FOREIGN) and not name.startswith(_OURS)):
            del os.environ[name]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # In the background of a shell; servers of the tests would inherit that, and some are stopped by an interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = Path(tempfile.mkdtemp(prefix="lgnb-test-"))
    # As root, the embedded Postgres runs as another user, which has to get through.
    home.chmod(0o711)
    config.stash[_HOME] = home
    os.environ |= {
        "LGNB_DATA_DIR": str(home / "data"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(home / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(home / "jupyter-runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "LANGSMITH_TRACING": "false",
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    if home := config.stash.get(_HOME, None):
        shutil.rmtree(home, ignore_errors=True)


# -- What the machine may lack ----------------------------------------------------------------------------------------


def find_node() -> str | None:
    return shutil.which("node")


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("LGNB_TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def _missing(marker: str) -> str | None:
    if marker == "node":
        if find_node() is None:
            return "there is no Node on this machine"
        installed = Path(__file__).with_name("js") / "node_modules"
        if not all((installed / name).is_dir() for name in ("@langchain", "configurable-http-proxy")):
            return "the packages of tests/js are not installed: npm ci --prefix tests/js"
    if marker == "chromium" and find_chromium() is None:
        return "there is no Chromium on this machine"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in ("node", "chromium"):
        if item.get_closest_marker(marker) and (reason := _missing(marker)):
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}, and CI must not skip this test", pytrace=False)
            pytest.skip(reason)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Few tests and long ones come first, so that at the end no process works on them while the others are idle."""
    items.sort(key=lambda item: (item.path.name != "test_faults_chaos.py", item.path.parent.name != "faults"))


@pytest.fixture(scope="session")
def node() -> str:
    """Path of Node; a test which asks for it carries the marker `node`."""
    path = find_node()
    assert path is not None
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; a test which asks for it carries the marker `chromium`."""
    path = find_chromium()
    assert path is not None
    return path


@pytest.fixture(scope="session")
def make_data_dir(pytestconfig: pytest.Config) -> Callable[[], Path]:
    """Makes data directories for hosts of a test; they are deleted with the session."""

    def make() -> Path:
        folder = Path(tempfile.mkdtemp(prefix="data-", dir=pytestconfig.stash[_HOME]))
        folder.chmod(0o711)
        return folder

    return make


@pytest.fixture
def data_dir(make_data_dir: Callable[[], Path]) -> Path:
    """A data directory for a host of this test alone."""
    return make_data_dir()


# -- Postgres and Redis -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[str, str]]:
    """The URIs of a Postgres and a Redis: those of the environment, or a private embedded pair."""
    given = os.environ.get("LGNB_TEST_POSTGRES_URI"), os.environ.get("LGNB_TEST_REDIS_URI")
    if given[0] and given[1]:
        yield given[0], given[1]
        return
    with running_servers() as pair:
        yield given[0] or pair.postgres_uri, given[1] or pair.redis_uri


@pytest.fixture(scope="session")
def postgres_uri(servers: tuple[str, str]) -> str:
    """A Postgres whose user may create databases; see `database_uri` for one of the test's own."""
    return servers[0]


@pytest.fixture(scope="session")
def redis_uri(servers: tuple[str, str]) -> str:
    """A Redis shared by all tests; see `redis_prefix`."""
    return servers[1]


@pytest.fixture(scope="session")
def redis_cluster(make_data_dir: Callable[[], Path]) -> Iterator[Cluster]:
    """A Redis Cluster of three nodes; who kills one starts it again."""
    cluster = Cluster(make_data_dir())
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres_uri: str) -> Iterator[str]:
    """Name of a database with the newest schema, to clone."""
    name = f"lgnb_template_{uuid.uuid4().hex}"
    _administer(postgres_uri, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        uri = _with_database(postgres_uri, name)
        # On a thread of its own, as the main thread's event loop belongs to the tests.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _migrate(uri)).result()
        yield name
    finally:
        _administer(postgres_uri, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_uri(postgres_uri: str, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database of this test alone."""
    with _clone(postgres_uri, migrated_template) as uri:
        yield uri


@pytest.fixture(scope="module")
def database_of_module(postgres_uri: str, migrated_template: str) -> Iterator[str]:
    """The same for servers that all tests of a module share."""
    with _clone(postgres_uri, migrated_template) as uri:
        yield uri


@pytest.fixture
def redis_prefix(redis_uri: str) -> Iterator[str]:
    """First part of this test's keys. They are deleted after it, and each must have had an expiry by then."""
    prefix = f"test-{uuid.uuid4().hex}"
    yield prefix
    with client_of(redis_uri) as connection:
        keys = list(connection.scan_iter(f"{prefix}*"))
        immortal = [key.decode() for key in keys if connection.ttl(key) == -1]
        if keys:
            connection.delete(*keys)
    assert not immortal, f"keys without expiry: {immortal}"


@contextmanager
def _clone(postgres_uri: str, template: str) -> Iterator[str]:
    name = f"lgnb_test_{uuid.uuid4().hex}"
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    _administer(postgres_uri, clone.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield _with_database(postgres_uri, name)
    finally:
        _administer(postgres_uri, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _with_database(uri: str, name: str) -> str:
    return urlunsplit(urlsplit(uri)._replace(path=f"/{name}"))


def _administer(uri: str, statement: sql.Composed) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement)


async def _migrate(uri: str) -> None:
    async with await psycopg.AsyncConnection.connect(uri) as connection:
        await migrate(connection)
