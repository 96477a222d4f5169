"""The statements of a notebook's cells that define a variable, and everything they use in turn.

Told from the source alone, from the newest statement to the oldest; nothing is executed.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager
from langgraph.graph import StateGraph

# A call on one of these, such as builder.add_node(…), is part of what it is; a call on others is a use.
_BUILT_UP = (StateGraph, list, dict, set)
_OWN = ("lgnb", "get_ipython")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Lines of a module, and the names they need that no cell defines."""

    text: str
    missing: tuple[str, ...]


def source_of(variable: str, cells: Sequence[str], values: Mapping[str, Any]) -> Source:
    """What defines a variable, in the order in which it was executed.

    Args:
        cells: the cells of the session as they were typed, oldest first.
        values: the variables of the notebook.
    """
    statements = [one for cell in cells for one in _statements(cell)]
    futures = [
        one.text for one in statements if isinstance(one.node, ast.ImportFrom) and one.node.module == "__future__"
    ]
    needed, kept = {variable}, list[_Statement]()
    for one in reversed(statements):
        if one.is_own:
            continue
        defined = one.defines & needed
        changed = {name for name in one.changes & needed if isinstance(values.get(name), _BUILT_UP)}
        if not defined and not changed:
            continue
        needed -= defined
        needed |= one.uses
        kept.append(one)
    missing = sorted(name for name in needed if not hasattr(builtins, name))
    lines = [*dict.fromkeys(futures), *_spaced(kept[::-1])]
    return Source(text="\n".join(lines) + "\n", missing=tuple(missing))


@dataclass(frozen=True, slots=True)
class _Statement:
    node: ast.stmt
    text: str

    @property
    def is_own(self) -> bool:
        """Whether it serves or runs something: an exported module must do neither."""
        calls = (one for one in ast.walk(self.node) if isinstance(one, ast.Call))
        is_definition = isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        return not is_definition and any(_root(call.func) in _OWN for call in calls)

    @property
    def defines(self) -> set[str]:
        return set(_defined(self.node))

    @property
    def uses(self) -> set[str]:
        loads = (one for one in ast.walk(self.node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load))
        local = _local_names(self.node)
        return {one.id for one in loads} - local

    @property
    def changes(self) -> set[str]:
        """Names whose values it changes without giving them new ones."""
        return set(_changed(self.node))


def _changed(node: ast.stmt) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        targets = [node.value.func]
    elif isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    elif isinstance(node, ast.For | ast.While | ast.If | ast.With):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _changed(child)
    yield from (root for one in targets if not isinstance(one, ast.Name) and (root := _root(one)))


def _statements(cell: str) -> Iterator[_Statement]:
    source = TransformerManager().transform_cell(cell)
    try:
        tree = ast.parse(source) if "await" not in source else _with_await(source)
    except SyntaxError:
        return
    lines = source.splitlines()
    for node in tree.body:
        start = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        while start > 1 and lines[start - 2].startswith("#"):
            start -= 1
        yield _Statement(node, "\n".join(lines[start - 1 : node.end_lineno]))


def _with_await(source: str) -> ast.Module:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(source, "<cell>", "exec", flags, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    return tree


def _defined(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (one.asname or one.name.partition(".")[0] for one in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from _defined(child)


def _local_names(statement: ast.stmt) -> set[str]:
    """What the functions, classes and comprehensions of a statement bind for themselves."""
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.comprehension):
            found.update(_defined(node.target))
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.update(name for inner in node.body for name in _defined(inner))
    return found


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _spaced(statements: Sequence[_Statement]) -> Iterator[str]:
    """Functions and classes apart, as in any module."""
    wide = False
    for position, one in enumerate(statements):
        is_wide = isinstance(one.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if position:
            yield from ["", ""] if wide or is_wide else []
        yield one.text
        wide = is_wide
