"""Whatever the file, no exception reaches flake8; and the analysis fails on nothing that libcst can parse.

The gate would keep the analysis away from nearly all of these files, so it is off here. AGD_ALL_FILES=1 takes all of
CPython's test files instead of a sample.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import random
import subprocess
import sys
import tokenize
import warnings
from pathlib import Path

import libcst as cst
import pytest
from conftest import Command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flake8_detach.config import Settings
from flake8_detach.plugin import AnalysisError, Plugin, lint
from flake8_detach.rules._base import Finding

ROOT = Path(__file__).parent.parent
UNGATED = Settings(gate=False)


def cpython_test_files() -> list[Path]:
    """60 of the larger files of the interpreter's own `test` package, the largest one among them; [] without it."""
    found = importlib.util.find_spec("test")
    roots = found.submodule_search_locations if found else None
    files = sorted(Path(next(iter(roots))).rglob("test_*.py"), key=lambda path: -path.stat().st_size) if roots else []
    return files if os.environ.get("AGD_ALL_FILES") else files[:300:5]


def parse(text: str) -> ast.Module | None:
    """The tree as flake8 would hand it over; None where flake8 would report E999."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError):
            return None


def analysed(text: str, tree: ast.Module) -> list[Finding]:
    """The findings; fails the test if the analysis fails on something that libcst can parse."""
    try:
        return lint(text, tree, UNGATED)
    except AnalysisError:
        try:
            cst.parse_module(text)
        except (cst.ParserSyntaxError, cst.CSTValidationError):
            return []
        raise


@pytest.mark.parametrize("path", cpython_test_files(), ids=lambda path: path.name)
def test_cpythons_own_test_files(path: Path) -> None:
    try:
        with tokenize.open(path) as stream:
            text = stream.read()
    except (SyntaxError, UnicodeError):
        pytest.skip("it is not meant to be readable")
    tree = parse(text)
    if tree is None:
        pytest.skip("it is not meant to be parsable")
    assert analysed(text, tree) == [], "there is no torch in it"


def test_cpythons_test_files_are_there() -> None:
    if not cpython_test_files():
        pytest.skip("this interpreter comes without its `test` package")


# --- what libcst does not take


@pytest.mark.parametrize(
    "text",
    [
        "assert.5",
        "if.5:pass",
        "while.5:pass",
        "x=.5if.5else.5",
        "x=.5or.5",
        "def f():return.5\nf()",
        "for x in.5,:pass",
    ],
)
def test_what_python_takes_and_libcst_calls_invalid_is_silence(text: str) -> None:
    with pytest.raises(cst.CSTValidationError):
        cst.parse_module(text)
    tree = parse(text)
    assert tree is not None
    with pytest.raises(AnalysisError, match="at least one space"):
        lint(text, tree, UNGATED)
    plugin = Plugin(tree, [text], "a.py")
    plugin.settings = UNGATED  # type: ignore[misc]
    assert list(plugin.run()) == []


# --- deep and long

DEEP = {
    "parentheses": lambda n: "x = " + "(" * n + "t" + ")" * n,
    "lists": lambda n: "x = " + "[" * n + "t" + "]" * n,
    "calls": lambda n: "x = " + "f(" * n + "t" + ")" * n,
    "subscripts": lambda n: "x = t" + "[0]" * n,
    "methods": lambda n: "x = t" + ".detach()" * n,
    "sum": lambda n: "x = " + " + ".join(["t"] * n),
    "powers": lambda n: "x = " + " ** ".join(["t"] * n),
    "and": lambda n: "x = " + " and ".join(["t"] * n),
    "or over lines": lambda n: "x = (\n" + " or\n".join(["t"] * n) + ")",
    "comparisons": lambda n: "x = " + " < ".join(["t"] * n),
    "minus": lambda n: "x = " + "-" * n + "t",
    "not": lambda n: "x = " + "not " * n + "t",
    "conditionals": lambda n: "x = " + " if t else ".join(["t"] * n),
    "lambdas": lambda n: "x = " + "lambda: " * n + "t",
    "strings": lambda n: "x = (\n" + "\n".join(["'s'"] * n) + ")",
    "assignments": lambda n: "x = " * n + "t",
    "elifs": lambda n: "if t: pass\n" + "elif t: x = t.detach()\n" * n,
    "ifs": lambda n: "\n".join("    " * i + "if t:" for i in range(n)) + "\n" + "    " * n + "x = t",
    "functions": lambda n: "\n".join("  " * i + f"def f{i}(t):" for i in range(n)) + "\n" + "  " * n + "x = t",
    "loops": lambda n: "\n".join("  " * i + "for x in t:" for i in range(n)) + "\n" + "  " * n + "x = t",
    "arguments": lambda n: "f(" + ", ".join(f"a{i}=t" for i in range(n)) + ")",
    "wide list": lambda n: "x = [" + ", ".join(["t"] * n) + "]",
}


@pytest.mark.parametrize("form", DEEP.values(), ids=DEEP)
def test_no_depth_kills_the_process(form: object, tmp_path: Path) -> None:
    """In a process of its own: libcst's parser recurses on the C stack, and its overflow cannot be caught."""
    assert callable(form)
    for number in (50, 95, 500, 2000, 20000):
        text = f"import torch\nt = torch.ones(1, requires_grad=True)\n{form(number)}\nprint(x.grad, x.backward())\n"
        (tmp_path / f"{number}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, *sorted(map(str, tmp_path.glob("*.py")), key=len)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"after {done.stdout.split()[-1:]}"


ONE_BY_ONE = """
import ast, sys
from flake8_detach.plugin import Plugin
for name in sys.argv[1:]:
    text = open(name).read()
    try:
        tree = ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError):
        continue
    list(Plugin(tree, [text], name).run())
    print(name, flush=True)
"""


def test_a_class_whose_call_is_one_of_its_objects() -> None:
    text = "class A: pass\nA.__call__ = A()\nA()()\n"
    assert analysed(text, ast.parse(text)) == []


def test_ten_thousand_lines() -> None:
    block = """
class Net{0}(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x).relu()


def train_{0}(data):
    net = Net{0}()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in data:
        optimizer.zero_grad()
        loss = (net(x) - y).pow(2).mean()
        loss.backward()
        optimizer.step()
    return loss.numpy()
"""
    text = "import torch\nfrom torch import nn\n" + "".join(block.format(n) for n in range(500))
    assert text.count("\n") > 9_500
    found = analysed(text, ast.parse(text))
    assert [(finding.code, finding.span.line) for finding in found[:2]] == [("AGD102", 21), ("AGD102", 40)]


# --- mutants of real programs


def programs() -> list[str]:
    """The fixtures' programs, in a fixed order."""
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "fixtures").rglob("*.py"))]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_mutants_of_the_fixtures(seed: int) -> None:
    """Lines dropped, doubled, swapped and mixed from two programs: legal Python that nobody thought of."""
    chance = random.Random(seed)
    lines = chance.choice(programs()).splitlines()
    others = chance.choice(programs()).splitlines()
    for _ in range(chance.randint(1, 6)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0 if len(lines) > 2:
                del lines[at]
            case 1:
                lines.insert(other, lines[at])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines.insert(at, chance.choice(others))
    text = "\n".join(lines) + "\n"
    tree = parse(text)
    if tree is not None:
        analysed(text, tree)


# --- real rules, odd files, from end to end

PROGRAM = """\
import torch
from torch import nn

net = nn.Linear(4, 1)
if net:
    scores = net(torch.randn(8, 4))  # größer
    print('ß', scores.numpy())
"""

VARIANTS = {
    "plain": PROGRAM.encode(),
    "byte order mark": b"\xef\xbb\xbf" + PROGRAM.encode(),
    "CRLF": PROGRAM.replace("\n", "\r\n").encode(),
    "CR": PROGRAM.replace("\n", "\r").encode(),
    "mixed newlines": PROGRAM.replace("\n", "\r\n", 3).encode(),
    "no final newline": PROGRAM.rstrip().encode(),
    "tabs": PROGRAM.replace("    ", "\t").encode(),
    "form feed": PROGRAM.replace("\nnet", "\n\x0c\nnet", 1).encode(),
    "form feed before the indentation": PROGRAM.replace("\n    print", "\n\x0c    print").encode(),
    "latin-1": b"# coding: latin-1\n" + PROGRAM.encode("latin-1"),
    "latin-1, undeclared": PROGRAM.encode("latin-1"),
    "utf-8 with a coding line": b"# -*- coding: utf-8 -*-\n" + PROGRAM.encode(),
    "notebook cell separators": b"# %%\n" + PROGRAM.encode() + b"# %%\n",
}


@pytest.mark.parametrize("data", VARIANTS.values(), ids=VARIANTS)
def test_the_finding_is_reported_in_place_and_the_fix_changes_nothing_else(
    place: Path, run: Command, data: bytes
) -> None:
    (place / "a.py").write_bytes(data)
    before = data.split(b"scores.numpy")[0].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line = before.count(b"\n") + 1
    result = run("flake8", "--select=AGD", "--agd-debug", "a.py")
    assert result.out.startswith(f"a.py:{line}:"), result
    assert result.out.count("AGD102") == 1
    run("fix", "a.py")
    fixed = data.replace(b"scores.numpy", b"scores.detach().numpy")
    if b"\x0c    print" in data:
        fixed = data  # libcst loses the form feed, so the columns are off: better no fix than a wrong one
    assert (place / "a.py").read_bytes() == fixed


@pytest.mark.parametrize("data", [VARIANTS["plain"], VARIANTS["byte order mark"], VARIANTS["CRLF"]])
def test_flake8_reading_from_stdin(place: Path, run: Command, data: bytes) -> None:
    assert run("flake8", "--select=AGD", "-", stdin=data).out.startswith("stdin:7:16: AGD102 ")


def test_flake8_in_several_processes(place: Path) -> None:
    for name in "abc":
        (place / f"{name}.py").write_bytes(VARIANTS["plain"])
    done = subprocess.run(
        [sys.executable, "-m", "flake8", "-j2", "--select=AGD", "--agd-debug", "."], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert [line.split(" `")[0] for line in done.stdout.splitlines()] == [f"./{n}.py:7:16: AGD102" for n in "abc"]


def test_what_other_plugins_hang_on_the_tree_is_not_followed() -> None:
    """pyflakes gives each node its parent; it may run first."""
    tree = ast.parse("import torch\n\n\ndef f(x):\n    return x.backward()\n")
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child._pyflakes_parent = node  # type: ignore[attr-defined]
    assert lint("import torch\n\n\ndef f(x):\n    return x.backward()\n", tree, Settings()) == []
