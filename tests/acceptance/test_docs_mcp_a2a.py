"""What docs/mcp-a2a.md shows does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_DOCUMENT = Path(__file__).parents[2] / "docs" / "mcp-a2a.md"
_EXAMPLES = re.findall(r"^```python\n(.*?)^```", _DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", _EXAMPLES, ids=["mcp", "a2a"])
def test_an_example_of_the_document_works(lgnb_server: Any, example: str) -> None:
    """Each is a whole program, told of the server by two variables."""
    server = {"LGNB_URL": lgnb_server.url, "LGNB_API_KEY": lgnb_server.api_key}

    done = subprocess.run(
        [sys.executable, "-c", example],
        env=os.environ | server,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "17 * 23 = 391" in done.stdout
