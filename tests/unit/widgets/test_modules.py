"""The modules of the views under Node's own test runner; `tests/js/unit` holds the tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lgnb.widgets import assets

_TESTS = sorted((Path(__file__).parents[2] / "js" / "unit").glob("*.test.mjs"))


@pytest.mark.node
@pytest.mark.parametrize("path", _TESTS, ids=lambda path: path.name)
def test_the_modules_pass_their_own_tests(node: str, path: Path) -> None:
    done = subprocess.run([node, "--test", path], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in assets.files() if name.endswith(".js")])
def test_a_module_asks_for_nothing_but_its_neighbours(name: str) -> None:
    text = assets.files()[name]
    imported = re.findall(r'(?:from|import) "([^"]+)"', text)

    assert [one for one in imported if one.removeprefix("./") not in assets.files()] == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text) == []
    assert re.findall(r"[\"'`]https?://(?!www\.w3\.org/2000/svg)[^\"'`/]", text) == []


def test_no_module_is_imported_in_a_circle() -> None:
    # A kernel sends the modules one by one, each pointing at the others' addresses.
    imports = {
        name: [one.removeprefix("./") for one in re.findall(r'from "([^"]+)"', text)]
        for name, text in assets.files().items()
    }

    def below(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path, name])
        for other in imports[name]:
            below(other, (*path, name))

    below("cell.js", ())
    below("page.js", ())


def test_every_view_of_python_exists_in_the_browser() -> None:
    from lgnb import widgets

    names = {getattr(widgets, name).view_name for name in widgets.__all__}
    known = re.search(r"export const VIEWS = \{(.*?)\n\};", assets.files()["views.js"], re.DOTALL)

    assert known
    assert names == set(re.findall(r"^  (\w+):", known[1], re.MULTILINE))
