from __future__ import annotations

from typing import Any

from langgraph.graph import StateGraph

from lgnb.kernel.cell_source import source_of


def _text(variable: str, *cells: str, **values: Any) -> str:
    source = source_of(variable, cells, values)
    assert source.missing == ()
    return source.text


_CLASS_AND_NODE = """
class C:
    a = 1
    b = a

    def m(self, x):
        y = x
        return [z for z in y]


def node(state):
    try:
        k = state
    except ValueError as problem:
        return problem
    return k, C
""".lstrip()


def test_only_what_the_variable_needs_is_kept_in_the_order_of_execution() -> None:
    text = _text(
        "graph",
        "import os\nimport re",
        "size = 2\nother = 3",
        "def f():\n    return re.sub('a', '', 'b') * size\n",
        "graph = f",
    )

    assert text == "import re\nsize = 2\n\n\ndef f():\n    return re.sub('a', '', 'b') * size\n\n\ngraph = f\n"


def test_of_two_definitions_the_one_that_was_used_counts() -> None:
    text = _text("graph", "def f(): return 1", "graph = f()", "def f(): return 2")

    assert "return 1" in text
    assert "return 2" not in text


def test_calls_that_build_the_graph_up_are_kept_and_those_that_use_it_are_not() -> None:
    builder = StateGraph(dict)
    text = _text(
        "graph",
        "builder = make()",
        "builder.add_node('a', f)",
        "graph = builder.compile()",
        "graph.invoke({})",
        "def make(): ...\ndef f(): ...",
        "builder = make()\nbuilder.add_node('a', f)\ngraph = builder.compile()",
        builder=builder,
        graph=builder,
    )

    assert text.count("add_node") == 1
    assert "invoke" not in text


def test_magics_and_calls_of_lgnb_are_left_out() -> None:
    text = _text(
        "graph",
        "%load_ext lgnb\nimport lgnb\ngraph = 1\nlgnb.serve(graph, 'x')\n%lg serve graph as x\n",
        "%%lg run x\nhello",
    )

    assert text == "graph = 1\n"


def test_a_percent_sign_in_a_text_is_no_magic() -> None:
    assert _text("graph", 'graph = """\n% sure\n"""') == 'graph = """\n% sure\n"""\n'


def test_comments_and_decorators_stay_with_what_they_belong_to() -> None:
    text = _text("node", "def mark(f): return f", "# why\n@mark\ndef node(): ...")

    assert text.endswith("# why\n@mark\ndef node(): ...\n")


def test_names_bound_inside_are_not_looked_for_outside() -> None:
    assert _text("node", _CLASS_AND_NODE) == _CLASS_AND_NODE


def test_a_cell_that_awaits_or_cannot_be_read_does_not_hide_the_others() -> None:
    assert _text("graph", "await something()", "this is no python", "graph = 1") == "graph = 1\n"


def test_future_imports_come_first() -> None:
    assert _text("b", "a = 1", "from __future__ import annotations\nb = a").startswith("from __future__")


def test_what_no_cell_defines_is_told() -> None:
    assert source_of("graph", ["graph = helper(model)"], {}).missing == ("helper", "model")
