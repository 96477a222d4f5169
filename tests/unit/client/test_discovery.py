"""The search for the server of a kernel, on runtime directories made for it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from lgnb.client.discovery import Server, answers, find_server, runtime_file
from lgnb.errors import ConnectError


def _write(directory: Path, pid: int, **facts: object) -> None:
    content = {"pid": pid, "url": f"http://127.0.0.1:{pid}/a/lgnb/", "key": "secret", "root_dir": str(directory)}
    runtime_file(directory, pid).write_text(json.dumps(content | facts))


def _find(directory: Path, *, cwd: Path | None = None, alive: bool = True, **environment: str) -> Server | None:
    search = find_server(environment=environment, cwd=cwd or directory, runtime_dir=directory, is_alive=lambda _: alive)
    return search.server


def test_a_named_server_comes_before_any_other(tmp_path: Path) -> None:
    _write(tmp_path, 11)

    found = _find(tmp_path, LGNB_URL="http://h:1/lgnb/", LGNB_API_KEY="k", JPY_PARENT_PID="11")

    assert found is not None
    assert (found.url, found.api_key) == ("http://h:1/lgnb", "k")


def test_the_parent_server_is_read_from_its_runtime_file(tmp_path: Path) -> None:
    _write(tmp_path, 11)
    _write(tmp_path, 12)

    found = _find(tmp_path, JPY_PARENT_PID="11")

    assert found is not None
    assert (found.url, found.api_key, found.pid) == ("http://127.0.0.1:11/a/lgnb", "secret", 11)


def test_under_jupyterhub_the_single_user_server_is_used_with_its_token(tmp_path: Path) -> None:
    found = _find(
        tmp_path, JUPYTERHUB_SERVICE_URL="http://0.0.0.0:8888/user/ann/", JUPYTERHUB_API_TOKEN="t", JPY_PARENT_PID="9"
    )

    assert found is not None
    assert (found.url, found.api_key) == ("http://127.0.0.1:8888/user/ann/lgnb", "t")


def test_the_nearest_server_above_the_directory_is_used(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "notebooks"
    inner.mkdir(parents=True)
    _write(tmp_path, 11)
    _write(tmp_path, 12, root_dir=str(tmp_path / "project"))
    _write(tmp_path, 13, root_dir=str(tmp_path / "other"))

    found = _find(tmp_path, cwd=inner)

    assert found is not None
    assert found.pid == 12


def test_two_servers_of_one_directory_are_named_and_neither_is_chosen(tmp_path: Path) -> None:
    _write(tmp_path, 11)
    _write(tmp_path, 12)

    with pytest.raises(ConnectError, match=r":11/a/lgnb and .*:12/a/lgnb.*%lg connect"):
        _find(tmp_path)


def test_dead_servers_and_broken_files_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path, 11)
    runtime_file(tmp_path, 12).write_text('{"pid": 12, "u')

    assert _find(tmp_path, alive=False) is None
    assert _find(tmp_path, JPY_PARENT_PID="12", alive=False) is None


def test_every_place_looked_at_leaves_a_sentence(tmp_path: Path) -> None:
    steps = find_server(environment={}, cwd=tmp_path, runtime_dir=tmp_path).steps

    assert [step.outcome for step in steps] == ["not set", "JPY_PARENT_PID is not set", "not under JupyterHub", "none"]


def test_the_key_does_not_show_in_the_repr() -> None:
    server = Server(url="http://h", api_key="secret", found_by="x")

    assert "secret" not in repr(server)


def test_a_closed_port_and_a_dead_process_do_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        assert not answers(Server(url=url, found_by="x", pid=os.getpid()))
        assert not answers(Server(url=url, found_by="x", pid=2**22 + 1))
