"""The parts of the fuzzer that need no torch: writing, mending and shrinking programs."""

from __future__ import annotations

import ast

import pytest

from fuzz.author import Program, program
from fuzz.mend import mend
from fuzz.shrink import shrink

SEEDS = range(150)


def test_a_seed_always_gives_the_same_program() -> None:
    assert program(11).text == program(11).text
    assert len({program(seed).text for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", [0, 50, 100])
def test_every_statement_has_a_line_of_its_own(seed: int) -> None:
    for number in range(seed, seed + 50):
        tree = ast.parse(program(number).text)
        lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.stmt)]
        assert len(lines) == len(set(lines)), number


def test_programs_use_the_whole_language() -> None:
    """If the weights are changed so that a construct dies out, the fuzzer goes blind there."""
    wanted = {
        *(ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match, ast.FunctionDef, ast.ClassDef, ast.Lambda),
        *(ast.IfExp, ast.Return, ast.Yield, ast.AugAssign, ast.Global, ast.Nonlocal, ast.ListComp, ast.GeneratorExp),
        *(ast.Dict, ast.List, ast.Tuple, ast.Starred, ast.NamedExpr, ast.Delete, ast.Break, ast.Continue, ast.Assert),
        *(ast.JoinedStr, ast.BoolOp),
    }
    texts = [program(seed).text for seed in range(600)]
    seen = {type(node) for text in texts for node in ast.walk(ast.parse(text))}
    assert wanted <= seen
    everything = "\n".join(texts)
    words = """backward( autograd.grad( no_grad inference_mode set_grad_enabled detach() .data .numpy() retain_grad
        requires_grad_ zero_grad .step() nn.Module nn.Sequential LSTM BatchNorm1d retain_graph=True create_graph=True
        deepcopy register_hook .grad DataLoader rng.random() rsample"""
    for word in words.split():
        assert word in everything, word


def test_the_mender_puts_a_harmless_value_in_the_place_of_the_failing_one() -> None:
    text = "import torch\nx = torch.zeros(3)\ny = x.nonsense()\nprint(y)\n"
    mended = mend(Program(text, {"y": "torch.ones(3)"}), 3)
    assert mended is not None
    assert mended.text == "import torch\nx = torch.zeros(3)\ny = torch.ones(3)\nprint(y)\n"


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("f(1)\ng(2)\n", 2, "f(1)\npass\n"),
        ("if a:\n    f(1)\nelse:\n    g(2)\n", 4, "if a:\n    f(1)\nelse:\n    pass\n"),
        ("def f(a):\n    return a.b\n", 2, "def f(a):\n    return torch.ones(4)\n"),
        ("try:\n    f(1)\nexcept ValueError:\n    g(2)\n", 4, "try:\n    f(1)\nexcept ValueError:\n    pass\n"),
    ],
    ids=["a statement", "in a branch", "a result", "in a handler"],
)
def test_the_mender_finds_the_smallest_statement(text: str, line: int, expected: str) -> None:
    mended = mend(Program(text, {"f()": "torch.ones(4)"}), line)
    assert mended is not None
    assert mended.text == expected


def test_shrinking_leaves_what_matters() -> None:
    text = (
        program(3).text
        + "loss = (torch.ones(3) * 2).sum()\nfor i in range(3):\n    if i > 1:\n        loss.backward()\n"
    )

    def holds(text: str) -> bool:
        return any(isinstance(n, ast.Attribute) and n.attr == "backward" for n in ast.walk(ast.parse(text)))

    small = shrink(text, holds, attempts=3000)
    assert small.replace("import torch\n", "").strip() in (
        "loss.backward()",
        "loss.backward",
        "1.0.backward()",
        "1.0.backward",
    )


def test_shrinking_keeps_the_program_when_nothing_can_go() -> None:
    text = "x = f(1)\n"
    assert shrink(text, lambda smaller: smaller == text) == text
