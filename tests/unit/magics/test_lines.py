"""Lines that end with a question mark, as IPython itself would transform them."""

from __future__ import annotations

import ast

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from lgnb.magics.lines import keep_question_marks


def _transformed(cell: str) -> str:
    manager = TransformerManager()
    manager.cleanup_transforms.append(keep_question_marks)
    return manager.transform_cell(cell)


@pytest.mark.parametrize("text", ["agent Why is the sky blue?", "agent it's \"odd\" isn't it?", "agent really??"])
def test_a_question_to_a_model_reaches_the_magic_whole(text: str) -> None:
    source = _transformed(f"%lg run {text}\n")

    [call] = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    assert ast.literal_eval(call.args[0]) == "lg"
    assert ast.literal_eval(call.args[1]) == f"run {text}"


def test_its_result_can_be_assigned() -> None:
    assert _transformed("x = %lg run agent Why?\n") == "x = get_ipython().run_line_magic('lg', 'run agent Why?')\n"


@pytest.mark.parametrize("line", ["%lg run?", "%lg run??"])
def test_a_subcommand_with_a_question_mark_asks_for_its_help(line: str) -> None:
    assert _transformed(line) == "get_ipython().run_line_magic('lg', 'help run')\n"


def test_a_subcommand_of_two_words_asks_for_its_help_too_but_an_answer_stays_one() -> None:
    assert "'help thread copy'" in _transformed("%lg thread copy?")
    assert "'resume really?'" in _transformed("%lg resume really?")


@pytest.mark.parametrize("line", ["%lg?", "len?", "%run?", "x = 1"])
def test_other_lines_are_left_to_ipython(line: str) -> None:
    assert _transformed(line) == TransformerManager().transform_cell(line)


def test_the_body_of_a_cell_magic_is_left_alone() -> None:
    cell = "%%writefile x\n%lg run agent Why?\n"

    assert keep_question_marks(cell.splitlines(keepends=True)) == cell.splitlines(keepends=True)
