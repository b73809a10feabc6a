"""Imported names: what they stand for, and that one thing has one name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from types import ModuleType

import libcst as cst
import pytest

from flake8_detach.imports import _EXACT, bindings, canonical


def bound(statement: str) -> dict[str, str]:
    line = cst.parse_module(statement).body[0]
    assert isinstance(line, cst.SimpleStatementLine)
    node = line.body[0]
    assert isinstance(node, (cst.Import, cst.ImportFrom))
    return bindings(node)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import torch", {"torch": "torch"}),
        ("import torch.nn", {"torch": "torch"}),
        ("import torch.nn as nn", {"nn": "torch.nn"}),
        ("import torch.nn.functional as F, numpy as np, os", {"F": "torch.nn.functional", "np": "numpy", "os": "os"}),
        ("from torch import nn", {"nn": "torch.nn"}),
        ("from torch import nn as layers, no_grad", {"layers": "torch.nn", "no_grad": "torch.no_grad"}),
        ("from torch.nn.modules.linear import (\n    Linear,\n)", {"Linear": "torch.nn.modules.linear.Linear"}),
        ("from torch.nn import *", {"*": "torch.nn"}),
        ("from . import layers", {"layers": ".layers"}),
        ("from .layers import Block as B", {"B": ".layers.Block"}),
        ("from ... import a", {"a": "...a"}),
        ("from ..nn.utils import a", {"a": "..nn.utils.a"}),
        ("from .layers import *", {"*": ".layers"}),
        ("from . import *", {"*": "."}),
    ],
)
def test_an_import_binds(statement: str, expected: dict[str, str]) -> None:
    assert bound(statement) == expected


@pytest.mark.parametrize(
    ("qualified", "expected"),
    [
        ("torch.nn.modules.linear.Linear", "torch.nn.Linear"),
        ("torch.nn.modules.Linear", "torch.nn.Linear"),
        ("torch.nn.parameter.Parameter", "torch.nn.Parameter"),
        ("torch.autograd.grad_mode.no_grad", "torch.no_grad"),
        ("torch.autograd.no_grad", "torch.no_grad"),
        ("torch.optim.adam.Adam", "torch.optim.Adam"),
        ("torch.utils.data.dataloader.DataLoader", "torch.utils.data.DataLoader"),
        ("torch.distributions.studentT.StudentT", "torch.distributions.StudentT"),
        ("torch.functional.einsum", "torch.einsum"),
        ("torch.autocast", "torch.amp.autocast"),
        ("numpy.core.numeric.asarray", "numpy.asarray"),
        ("numpy.concat", "numpy.concatenate"),
        ("pytorch_lightning.LightningModule", "lightning.pytorch.LightningModule"),
    ],
)
def test_an_alias_leads_to_the_usual_name(qualified: str, expected: str) -> None:
    assert canonical(qualified) == expected


@pytest.mark.parametrize(
    "qualified",
    [
        "torch",
        "torch.nn.functional",
        "torch.nn.functional.relu",
        "torch.nn.modules.linear",
        "torch.nn.modules.conv._ConvNd",
        "torch.nn.modules.linear.NonDynamicallyQuantizableLinear",
        "torch.optim.lr_scheduler.StepLR",
        "torch.optim.adam.adam",
        "torch.optim.Adam.step",
        "torch.optim.Adam.Adam",
        "torch.cuda.amp.autocast",
        "numpy.linalg.norm",
        ".modules.linear.Linear",
        "mylib.optim.adam.Adam",
    ],
)
def test_other_names_stay(qualified: str) -> None:
    assert canonical(qualified) == qualified


def test_canonical_names_are_canonical() -> None:
    assert [name for name in _EXACT.values() if canonical(name) != name] == []


# Ask torch.

PACKAGES = (
    "torch",
    "torch.nn",
    "torch.nn.modules",
    "torch.nn.parallel",
    "torch.nn.utils",
    "torch.optim",
    "torch.autograd",
    "torch.amp",
    "torch.cuda.amp",
    "torch.distributions",
    "torch.func",
    "torch.functional",
    "torch.utils.data",
    "numpy",
)


def modules(package: str) -> Iterator[ModuleType]:
    """The package and the public modules directly in it."""
    root = importlib.import_module(package)
    yield root
    if package in ("torch", "numpy"):  # their other modules are in the list above, or have nothing to do with it
        return
    for module in pkgutil.iter_modules(getattr(root, "__path__", [])):
        if not module.name.startswith("_"):
            yield importlib.import_module(f"{package}.{module.name}")


def resolve(qualified: str, *default: None) -> object:
    module, _, name = qualified.rpartition(".")
    return getattr(importlib.import_module(module), name, *default)


@pytest.mark.truth
@pytest.mark.parametrize("package", PACKAGES)
def test_canonical_names_the_same_object(package: str) -> None:
    pytest.importorskip("torch")
    wrong, moved = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # modules that are deprecated are still imported by somebody
        for module in modules(package):
            for name, thing in vars(module).items():
                qualified = f"{module.__name__}.{name}"
                if name.startswith("_") or inspect.ismodule(thing) or canonical(qualified) == qualified:
                    continue
                # A name that a module only borrows (torch.optim.adam.Tensor) is nobody's way to import it.
                home = str(getattr(thing, "__module__", ""))
                if not home.startswith(module.__name__) and qualified not in _EXACT:
                    continue
                moved += 1
                if resolve(canonical(qualified), None) is not thing:
                    wrong.append(qualified)
    assert wrong == []
    assert moved or package == "torch.nn"  # torch.nn is where most others lead


@pytest.mark.truth
def test_the_listed_aliases_exist() -> None:
    pytest.importorskip("torch")
    gone = []
    for name in _EXACT:
        if name.split(".")[0] in ("lightning", "pytorch_lightning"):  # not needed to run the tests
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                resolve(name)
            except (ImportError, AttributeError):
                gone.append(name)
    assert gone == []
