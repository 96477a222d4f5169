"""The private server's life, with small programs in its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lgnb.client.discovery import find_server
from lgnb.client.headless import _serve_command, start_private_server
from lgnb.errors import ConnectError


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; print('no room left'); sys.exit(3)")

    with pytest.raises(ConnectError, match=r"ended with code 3(.|\n)*lgnb doctor(.|\n)*no room left"):
        start_private_server(directory=tmp_path, runtime_dir=tmp_path, command=command)


def test_a_server_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    with pytest.raises(ConnectError, match="not ready after"):
        start_private_server(
            directory=tmp_path, runtime_dir=tmp_path, command=(sys.executable, "-c", code), timeout=1.5
        )

    # Our child: waiting for it here proves that it was told to end.
    os.waitpid(int(pid_file.read_text()), 0)


def test_the_child_knows_its_kernel_and_its_log_is_private(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import os; print('parent', os.environ['LGNB_PARENT_PID'])")

    with pytest.raises(ConnectError, match=f"parent {os.getpid()}"):
        start_private_server(directory=tmp_path, runtime_dir=tmp_path, command=command)

    [log] = tmp_path.glob("lgnb-private-*/log")
    assert log.stat().st_mode & 0o077 == 0
    assert log.parent.stat().st_mode & 0o077 == 0


def test_other_kernels_do_not_find_the_private_server(tmp_path: Path) -> None:
    code = (
        "import json, os, pathlib; facts = {'url': 'http://h/lgnb', 'root_dir': os.getcwd(), 'pid': os.getpid()};"
        "place = pathlib.Path(os.environ['JUPYTER_RUNTIME_DIR']);"
        "place.joinpath(f'lgnb-{os.getpid()}.json').write_text(json.dumps(facts))"
    )
    with pytest.raises(ConnectError):
        start_private_server(directory=tmp_path, runtime_dir=tmp_path, command=(sys.executable, "-c", code))

    assert len(list(tmp_path.glob("lgnb-private-*/lgnb-*.json"))) == 1
    found = find_server(environment={}, cwd=tmp_path, runtime_dir=tmp_path, is_alive=lambda _: True)
    assert found.server is None


def test_what_a_gone_kernel_left_behind_is_removed(tmp_path: Path) -> None:
    gone = tmp_path / f"lgnb-private-{2**22 + 1}"
    gone.mkdir()

    with pytest.raises(ConnectError):
        start_private_server(directory=tmp_path, runtime_dir=tmp_path, command=(sys.executable, "-c", ""))

    assert not gone.exists()


def test_a_langgraph_json_of_the_directory_is_served(tmp_path: Path) -> None:
    assert "-c" not in _serve_command(tmp_path)
    (tmp_path / "langgraph.json").write_text("{}")

    assert _serve_command(tmp_path)[-2:] == ("-c", str(tmp_path / "langgraph.json"))
