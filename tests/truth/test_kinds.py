"""Ops that are given the wrong kind of numbers or options: does the linter report them exactly where torch raises?"""

from __future__ import annotations

import re
import warnings

import pytest

from flake8_detach.knowledge import kinds
from flake8_detach.rules import check
from flake8_detach.source import Source

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.truth, pytest.mark.filterwarnings("ignore")]

PRELUDE = """\
import collections

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import backward

x = torch.ones(3, requires_grad=True)
y = x * 2
s = y.sum()
d = torch.ones(3)
i = torch.arange(3)
b = torch.ones(3) > 0
v = torch.ones(2, 3)
w = torch.ones(2, 3, dtype=torch.long)
z = torch.ones(3, dtype=torch.cfloat)
m = nn.Linear(3, 1)
"""
STATEMENTS = """\
i.mean(); b.mean(); d.mean(); i.float().mean(); i.mean(dtype=torch.float); d.mean(dtype=torch.int64)
torch.mean(i, 0); z.mean()
i.nanmean(); d.nanmean(); i.std(); d.std(); i.var(); b.norm(); d.norm(); torch.linalg.norm(i)
torch.linalg.vector_norm(i)
i.softmax(0); F.softmax(d, 0); F.log_softmax(i, 0); torch.softmax(i, 0, dtype=torch.float)
torch.softmax(d, 0, dtype=torch.int64)
F.gelu(i); F.elu(i); F.silu(i); F.leaky_relu(i); F.relu(i); F.layer_norm(w, (3,)); F.normalize(w); F.normalize(v)
i.quantile(0.5)
torch.bitwise_and(d, d); torch.bitwise_and(i, i); torch.bitwise_or(d, d); torch.bitwise_xor(d, d)
torch.bitwise_not(d)
torch.gcd(d, d); torch.gcd(i, i); torch.lcm(d, d); d & d; d | b; b & b; b & i; d ^ d; ~d; ~b; ~i; (d > 0) & (d < 2)
b & d
d.gather(0, d); d.gather(0, i); d.index_select(0, d); d.index_select(0, i); d.scatter(0, d, 1.0); d.scatter(0, i, 1.0)
d.index_add(0, d, d); d.index_add(0, i, d); d.index_fill(0, d, 1.0); torch.take(d, d); torch.take(d, i)
d.scatter_add(0, d, d)
d.scatter_add_(0, i, v[0]); d.masked_fill(d, 0.0); d.masked_fill(b, 0.0); torch.masked_select(d, d); d.masked_select(b)
d.masked_fill_(d, 0.0)
torch.where(d, d, d); torch.where(d); torch.where(b, d, d); torch.where(d > 0, d, 0.0); F.one_hot(d); F.one_hot(i)
torch.bincount(d); torch.bincount(i)
F.embedding(d, v); F.embedding(i[:2], v); nn.Embedding(3, 2)(d); nn.Embedding(3, 2)(i)
F.nll_loss(v, torch.zeros(2)); F.nll_loss(v, w[:, 0])
d.repeat_interleave(d); d.repeat_interleave(i); d.repeat_interleave(2); d[d]; v[:, d]; d[i]; d[b]; v[0, d]; v[b[:2]]
F.embedding_bag(w, v, per_sample_weights=v); F.embedding_bag(w, v, per_sample_weights=v, mode="sum")
F.embedding_bag(w, v)
torch.linalg.qr(torch.randn(3, 3, requires_grad=True), mode="r")[1].sum().backward()
torch.linalg.qr(torch.randn(3, 2, requires_grad=True), mode="complete")[0].sum().backward()
torch.linalg.qr(torch.randn(3, 2, requires_grad=True))[0].sum().backward()
torch.linalg.qr(torch.randn(2, 2, requires_grad=True), mode="complete")[0].sum().backward()
nn.CrossEntropyLoss(v, w); nn.CrossEntropyLoss(v[0])(v, w[:, 0]); nn.MSELoss(d, d); nn.MSELoss()(d, d)
x.grad = 0
x.grad = 1.0
x.grad = None
x.grad = np.ones(3)
x.grad = [1.0]
x.grad = x
x.grad = i
x.grad = torch.ones(2)
x.grad = torch.ones(())
x.grad = torch.ones(3)
y.grad = torch.ones(2)
y.grad = torch.ones(3)
i.grad = i.clone()
x.grad = x.detach()
y.grad_dtype; x.grad_dtype; d.grad_dtype
y.grad_dtype = torch.float64
x.grad_dtype = torch.float64
x.data = 3.0
x.data = None
x.data = np.ones(3)
x.data = i
x.data = torch.ones(5)
d.data = i
del y.grad_fn
del x.is_leaf
del x.grad
del x.requires_grad
del y.data
y.__setstate__((torch.FloatStorage(3), 0, (3,), (1,)))
d.__setstate__((torch.FloatStorage(3), 0, (3,), (1,)))
torch.autograd.graph.get_gradient_edge(d); torch.autograd.graph.get_gradient_edge(y)
torch.autograd.graph.get_gradient_edge(x)
torch.autograd.grad(m(d).sum(), m.state_dict()); torch.autograd.grad(m(d).sum(), dict(m.named_parameters()))
m(d).sum().backward(inputs=collections.OrderedDict(m.named_parameters()))
m(d).sum().backward(inputs=dict(m.named_parameters()))
torch.autograd.backward(y, d, grad_variables=d); torch.autograd.backward(y, d)
torch.quantize_per_tensor(d, 0.1, 0, torch.qint8).requires_grad_()
torch.quantize_per_tensor(d, 0.1, 0, torch.qint8).dequantize().requires_grad_()
"""


def statements() -> list[str]:
    """One a line, or several expressions with semicolons between them."""
    return [part.strip() for line in STATEMENTS.splitlines() for part in line.split(";")]


@pytest.mark.parametrize("statement", statements())
def test_the_linter_reports_what_torch_refuses(statement: str) -> None:
    space: dict[str, object] = {}
    refused = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(PRELUDE, space)
        try:
            exec(statement, space)
        except Exception as error:
            refused = str(error)
    found = [f for f in check(Source(f"{PRELUDE}{statement}\n")) if f.code < "AGD200"]
    assert bool(found) == bool(refused), (found, refused)


def test_every_op_of_the_table_is_tried() -> None:
    operators = {"__and__": " & ", "__or__": " | ", "__xor__": " ^ ", "__invert__": "~"}
    missing = [
        n for n in kinds.NEEDS if not re.search(rf"\b{n}_?\(", STATEMENTS) and operators.get(n, "?") not in STATEMENTS
    ]
    assert missing == []
