"""The private server's life, with small programs in its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

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

    [log] = tmp_path.glob("lgnb-private-*.log")
    assert log.stat().st_mode & 0o077 == 0


def test_a_langgraph_json_of_the_directory_is_served(tmp_path: Path) -> None:
    assert "-c" not in _serve_command(tmp_path)
    (tmp_path / "langgraph.json").write_text("{}")

    assert _serve_command(tmp_path)[-2:] == ("-c", str(tmp_path / "langgraph.json"))
