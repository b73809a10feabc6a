"""Forms of the gate that take more than one node to tell, and definitions that a decorator takes over."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from flake8_detach import rules
from flake8_detach.config import Settings
from flake8_detach.gate import Gate, gate
from flake8_detach.rules._base import DIFFERENTIABLE, Rule
from flake8_detach.source import Source


def meets(text: str, *sets: frozenset[str] | set[str]) -> bool:
    """Does anything in the text meet a rule with these triggers?"""

    class Fake(Rule):
        triggers = tuple(frozenset(words) for words in sets)

    return bool(gate(Source(text), [Fake()]))


def kept(text: str) -> set[str]:
    """The functions and classes that can do anything."""
    source = Source(text)
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    bodies = [source.chunks[index].tree.body[0] for index in Gate(source).everything]
    return {node.name for node in bodies if isinstance(node, definitions)}


# Decorators that take a function over


def test_a_decorator_of_an_unknown_package_takes_a_function_over() -> None:
    text = """
import pytest, registry
from . import build
@build
def a(x=1, *, y=-1, z=(1, None)): x.backward()
@registry.register("b", [1, 2])
async def b(x): x.backward()
@pytest.mark.parametrize("x", [1, 2])
def test_c(x): x.backward()
def d(x): x.backward()
"""
    assert kept(text) == {"d"}


@pytest.mark.parametrize(
    "definition",
    [
        "@torch.no_grad()\ndef f(x): pass",
        "@own\ndef f(x): pass",
        "@functools.wraps(own)\ndef f(x): pass",
        "@jaxtyped\ndef f(x): pass",
        "@build\n@own\ndef f(x): pass",
        "@build(own)\ndef f(x): pass",
        "@build(x=own)(1)\ndef f(x): pass",
        "@build\ndef f(x=own()): pass",
        "@build\ndef f(*, x=own.y): pass",
        "@build\nclass f: pass",
        "@build\ndef f(x): pass\nf = own(f)",
        "@build\ndef f(x): pass\ndef g():\n    global f\n    f = 1",
    ],
)
def test_but_not_where_the_decorator_is_known_or_the_definition_does_more(definition: str) -> None:
    text = "import functools, torch\nfrom jaxtyping import jaxtyped\nfrom .x import build\ndef own(f): return f\n"
    assert "f" in kept(text + definition)


def test_a_function_that_hides_a_builtin_is_kept() -> None:
    assert kept("from .x import build\n@build\ndef sum(x): pass\n@build\ndef total(x): pass") == {"sum"}


def test_what_a_decorator_takes_over_is_never_run() -> None:
    text = "import torch\nfrom .x import build\n@build\ndef f():\n    torch.ones(1).sum().backward()\n"
    assert rules.check(Source(text), Settings(gate=False)) == []
    assert rules.check(Source(text.replace("@build\n", "")), Settings(gate=False)) != []


# Classes that may be modules

MODULE = {"class Module"}


@pytest.mark.parametrize(
    "text",
    [
        "from torch import nn\nclass A(nn.Module): pass",
        "import torch.nn\nclass A(torch.nn.Module): pass",
        "from torch.nn import *\nclass A(Module): pass",
        "import lightning\nclass A(lightning.LightningModule): pass",
        "from torch import nn\nBase = nn.Module\nclass A(Base): pass",
        "from torch import nn\nclass B(nn.Linear): pass\nclass A(B): pass",
        "from torch import nn\nfrom .x import Mixin\nclass A(Mixin, nn.Module): pass",
        "def f(Base):\n    class A(Base): pass",
        "class A(make()): pass",
        "from torch import nn\nfrom typing import Generic, T\nclass A(nn.Module, Generic[T]): pass",
        "try:\n    from torch.nn import Base\nexcept ImportError:\n    from .x import Base\nclass A(Base): pass",
        "from .x import Base\nif y: Base = z\nclass A(Base): pass",
    ],
)
def test_a_class_may_be_a_module(text: str) -> None:
    assert meets(text, {"A"}, MODULE)


@pytest.mark.parametrize(
    "text",
    [
        "class A: pass",
        "class A(object): pass",
        "class A(Exception): pass",
        "from .x import Base\nclass A(Base): pass",
        "from torch.utils.data import Dataset\nclass A(Dataset): pass",
        "import torch\nclass A(torch.optim.Optimizer): pass",
        "from typing import Generic, T\nclass A(Generic[T]): pass",
        "import abc\nclass B(abc.ABC): pass\nclass A(B): pass",
    ],
)
def test_a_class_that_extends_what_is_none_is_no_module(text: str) -> None:
    assert not meets(text, {"A"}, MODULE)


# Containers of layers


def filled(statements: str) -> bool:
    """Can `self.x` be a container of layers, if the constructor does this with it?"""
    lines = "\n".join(f"        {line}" for line in statements.splitlines())
    text = f"from torch import nn\nclass A(nn.Module):\n    def __init__(self, y):\n        self.x = []\n{lines}\n"
    return meets(text, {"=["})


@pytest.mark.parametrize(
    "statements",
    [
        "self.x.append(nn.Linear(1, 1))",
        "self.x.append(y)",
        "z = make()\nself.x.append(z)",
        "z = 1\nz = make()\nself.x.append(z)",
        "for z in y: self.x.append(z)",
        "for i, z in enumerate(y): self.x.append(z)",
        "z = 1\nself.x.extend(z)",
        "z = [y] * 2\nself.x.append(z)",
        "z = y\nself.x.append(z)",
        "self.x.append(LAYER)",
        "self.x += [make()]",
        "with y as z: self.x.append(z)",
        "z = 1\nglobal z\nself.x.append(z)",
    ],
)
def test_a_container_may_hold_layers(statements: str) -> None:
    assert filled(statements)


@pytest.mark.parametrize(
    "statements",
    [
        "self.x.append(1)",
        "z = len(y) - 1\nself.x.append(z)",
        "z = 0\nfor w in y: z += 1\nself.x.append(z)",
        "for i in range(9): self.x.append(i)",
        "for i, z in enumerate(y): self.x.append(i)",
        "self.x.append(dict(a=1))",
    ],
)
def test_a_container_of_numbers_holds_none(statements: str) -> None:
    assert not filled(statements)


# What can require grad


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ndeepcopy(torch.ones(1))",
        "from torch import ones as one\ndef f(): deepcopy(one(1))",
        "def f():\n    import torch.nn as nn\n    deepcopy(nn.Linear(1, 1))",
        "from torch import *\ndeepcopy(ones(1))",
        "def f(x): deepcopy(x.detach().requires_grad_() * 2)",
        "import torch\ndef f(x: torch.Tensor): deepcopy(x)",
    ],
)
def test_something_can_require_grad(text: str) -> None:
    assert meets(text, {"deepcopy"}, DIFFERENTIABLE)


@pytest.mark.parametrize(
    "text",
    ["import torch\ndeepcopy({})", "import torch\ndef f(x): deepcopy(x)\ndef g(): torch.ones(1)", "deepcopy(y)"],
)
def test_an_import_that_nothing_here_uses_makes_nothing_require_grad(text: str) -> None:
    assert not meets(text, {"deepcopy"}, DIFFERENTIABLE)


@pytest.mark.parametrize(("value", "found"), [("f(x).T.contiguous()", False), ("g(x).T", True), ("x", True)])
def test_a_parameter_of_what_an_unknown_function_returns_is_none_that_may_be_an_integer(
    value: str, found: bool
) -> None:
    text = f"from torch import nn\nfrom .x import f\ndef g(x): return x\ndef h(x): return nn.Parameter({value})"
    assert meets(text, {"Parameter(?)"}) is found


@pytest.mark.parametrize(
    ("decorator", "found"),
    [
        ("@dataclass", False),
        ("@dataclass(frozen=True)", False),
        ("@build", False),
        ("@no_grad()", True),
        ("@own", True),
    ],
)
def test_a_grad_mode_may_decorate_a_class(decorator: str, found: bool) -> None:
    text = "from dataclasses import dataclass\nfrom torch import no_grad\nfrom .x import build\nown = no_grad()\n"
    assert meets(f"{text}{decorator}\nclass A: pass", {"A"}, {"@class"}) is found


# Files without anything that the engine knows


def test_a_file_that_mentions_nothing_known_does_not_load_the_rules() -> None:
    script = """
import sys
from flake8_detach.rules import check
from flake8_detach.source import Source
check(Source("import numpy\\nx = numpy.ones(1)\\nx.step()\\n"))
sys.exit("libcst" in sys.modules or "flake8_detach.flow.events" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("on", [True, False])
def test_a_tensor_may_be_known_without_any_import(on: bool) -> None:
    text = "import copy\ndef f(x):\n    y = x.detach().requires_grad_()\n    copy.deepcopy(y * 2)\n"
    assert [f.code for f in rules.check(Source(text), Settings(gate=on))] == ["AGD113"]
