"""Does torch lack what knowledge/api.py says it lacks, has it the rest, and does the linter agree?"""

from __future__ import annotations

import inspect
import warnings

import pytest

from flake8_detach.knowledge import api, layers
from flake8_detach.rules import check
from flake8_detach.source import Source

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.truth, pytest.mark.filterwarnings("ignore")]

PRELUDE = """\
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable, backward

x = torch.ones(3, requires_grad=True)
d = torch.ones(3)
s = (x * 2).sum()
m = nn.Linear(3, 1)
"""
STATEMENTS = """\
s.creator; s.grad_fn; s.previous_functions; d.reinforce(1); torch.eye(2).symeig(); torch.eye(2).solve(d)
torch.autograd.variable(d); torch.symeig(torch.eye(2)); torch.matrix_rank(torch.eye(2))
torch.linalg.matrix_rank(torch.eye(2))
x.requires_grad(); x.is_leaf(); x.grad(); x.data(); x.shape(); x.T(); x.size(); x.dim(); x.requires_grad_()
s.grad_fn()
x.detach.numpy(); x.detach().numpy(); s.item.real; x.mean.backward(); x.sum.__name__; m.parameters.grad; m.weight.grad
m.grad; m.data; m.detach(); m.item(); m.numpy(); m.is_leaf; getattr(m, "grad", None); hasattr(m, "grad")
m.weight.data
list(m.parameters); list(m.parameters()); sum(p.sum() for p in m.parameters()); tuple(m.children)
len(list(m.modules()))
torch.ones(3, requires_grads=True); torch.ones(3, requires_grad=True); nn.Parameter(d, require_grad=False)
nn.Parameter(d, False)
torch.tensor(1.0, required_grad=True); torch.from_numpy(np.ones(3), requires_grad=True); torch.from_numpy(np.ones(3))
torch.as_tensor([1.0], requires_grad=True); torch.as_tensor([1.0]); torch.stack([d], requires_grad=True)
F.relu(d, requires_grad=True)
nn.Linear(3, 1, requires_grad=False); nn.Linear(3, 1, bias=False); torch.Tensor([1.0], requires_grad=True)
torch.Tensor([1.0])
torch.zeros_like(d, requires_grad=True); d.new_zeros(3, requires_grad=True)
torch.linspace(0, 1, 3, requires_grad=True)
torch.rand(3, require_grad=True); torch.arange(3.0, requires_grad=True); torch.full((2,), 1.0, requires_grad=True)
s.backward(retain_variables=True); s.backward(retain_graph=True); s.backward(retain_grad=True)
torch.autograd.grad(s, x, retain=True)
torch.autograd.grad(s, x, retain_graph=True); torch.autograd.grad(s, x, allow_unused=True)
torch.autograd.backward(s, inputs=[x])
x.detach(requires_grad=True); x.clone(requires_grad=True); x.requires_grad_(mode=False)
d.requires_grad_(requires_grad=True)
m.requires_grad_(requires_grad=False); m.requires_grad_(mode=False); m.zero_grad(set_to_none=False)
m.zero_grad(to_none=True)
torch.set_grad_enabled(enabled=True); torch.set_grad_enabled(mode=True); torch.inference_mode(enabled=True)
torch.inference_mode(mode=True)
Variable(3.0); Variable([1.0]); Variable(np.ones(3)); Variable(d); Variable(d, requires_grad=True)
Variable(d, require_grad=True)
nn.Parameter(3.0); nn.Parameter(np.ones(3)); nn.Parameter([1.0]); nn.Parameter(d); nn.Parameter(torch.tensor(3.0))
for p in m.parameters: pass
for p in m.parameters(): pass
"""


def statements() -> list[str]:
    """One a line, or several expressions with semicolons between them."""
    lines = STATEMENTS.splitlines()
    return [part.strip() for line in lines for part in (line.split(";") if not line.endswith(": pass") else [line])]


@pytest.mark.parametrize("statement", statements())
def test_the_linter_reports_what_python_refuses(statement: str) -> None:
    space: dict[str, object] = {}
    refused = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(PRELUDE, space)
        try:
            exec(statement, space)
        except Exception as error:
            refused = str(error)
    found = check(Source(f"{PRELUDE}{statement}\n"))
    assert bool({f.code for f in found} & {"AGD124"}) == bool(refused), (found, refused)


def test_what_is_removed_is_removed() -> None:
    tensor = torch.eye(2)
    assert [name for name in api.REMOVED_ATTRIBUTES if hasattr(tensor, name)] == []
    for name in api.REMOVED_METHODS:
        with pytest.raises(RuntimeError, match="removed"):
            getattr(tensor, name)(tensor) if name not in ("symeig", "eig") else getattr(tensor, name)()


def test_properties_cannot_be_called() -> None:
    assert [name for name in api.PROPERTIES if callable(getattr(torch.eye(2), name))] == []


def test_no_layer_has_what_only_tensors_have() -> None:
    kinds = [getattr(torch.nn, name) for name in layers._table() if hasattr(torch.nn, name)]
    assert len(kinds) > 100
    assert [(k, n) for k in kinds for n in api.TENSOR_ONLY if hasattr(k, n)] == []
    assert [n for n in api.MODULE_METHODS if not callable(getattr(torch.nn.Module, n))] == []


def signature(name: str) -> list[str] | None:
    """The parameters that Python itself knows of; None for what is written in C."""
    owner, _, last = name.rpartition(".")
    places = {"Tensor": torch.Tensor, "Module": torch.nn.Module, "torch.nn": torch.nn, "torch": torch}
    try:
        given = inspect.signature(getattr(places.get(owner, torch.autograd), last)).parameters
    except (ValueError, TypeError):
        return None
    return None if list(given) == ["args", "kwargs"] else [name for name in given if name != "self"]


@pytest.mark.parametrize("name", [name for name in api.SIGNATURES if signature(name) is not None])
def test_a_signature_is_complete(name: str) -> None:
    assert signature(name) == api.SIGNATURES[name].split()


def test_most_signatures_can_be_looked_up() -> None:
    assert sum(signature(name) is not None for name in api.SIGNATURES) >= 8
