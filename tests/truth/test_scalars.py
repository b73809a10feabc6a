"""Does torch refuse a tensor that requires grad wherever knowledge/scalars.py says so, take one that does not, and does
the linter see it?"""

from __future__ import annotations

import pytest

from flake8_detach.knowledge import scalars
from flake8_detach.rules import check
from flake8_detach.source import Source

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.truth

PRELUDE = """\
import torch
import torch.nn.functional as F
from torch.autograd import backward

x = torch.rand(3, 3)
s = torch.tensor(1.0{})
"""
CALLS = {
    "torch.full": ["torch.full((2,), s)"],
    "torch.full_like": ["torch.full_like(x, s)"],
    "Tensor.new_full": ["x.new_full((2,), s)"],
    "torch.arange": ["torch.arange(s, 3, 1)", "torch.arange(0, s, 1)", "torch.arange(0, 3, s)"],
    "torch.add": ["torch.add(x, x, alpha=s)"],
    "torch.sub": ["torch.sub(x, x, alpha=s)"],
    "Tensor.add": ["x.add(x, alpha=s)"],
    "Tensor.sub": ["x.sub(x, alpha=s)"],
    "Tensor.add_": ["x.add_(x, alpha=s)"],
    "Tensor.sub_": ["x.sub_(x, alpha=s)"],
    "torch.addcmul": ["torch.addcmul(x, x, x, value=s)"],
    "torch.addcdiv": ["torch.addcdiv(x, x, x, value=s)"],
    "torch.addmm": ["torch.addmm(x, x, x, beta=s)", "torch.addmm(x, x, x, alpha=s)"],
    "torch.baddbmm": ["torch.baddbmm(x[None], x[None], x[None], beta=s)"],
    "torch.nan_to_num": ["torch.nan_to_num(x, s)", "torch.nan_to_num(x, posinf=s)", "torch.nan_to_num(x, neginf=s)"],
    "torch.index_add": ["torch.index_add(x, 0, torch.arange(3), x, alpha=s)"],
    "torch.cdist": ["torch.cdist(x, x, s)"],
    "torch.logit": ["torch.logit(x, s)"],
    "torch.dist": ["torch.dist(x, x, s)"],
    "torch.renorm": ["torch.renorm(x, s, 0, 1.0)", "torch.renorm(x, 2.0, 0, s)"],
    "torch.linalg.vector_norm": ["torch.linalg.vector_norm(x, s)"],
    "Tensor.normal_": ["x.normal_(s, 1.0)", "x.normal_(0.0, s)"],
    "Tensor.exponential_": ["x.exponential_(s)"],
    "torch.nn.functional.leaky_relu": ["F.leaky_relu(x, s)"],
    "torch.nn.functional.elu": ["F.elu(x, s)"],
    "torch.nn.functional.celu": ["F.celu(x, alpha=s)"],
    "torch.nn.functional.softplus": ["F.softplus(x, s)", "F.softplus(x, threshold=s)"],
    "torch.nn.functional.hardtanh": ["F.hardtanh(x, s, 2.0)", "F.hardtanh(x, 0.0, s)"],
    "torch.nn.functional.threshold": ["F.threshold(x, s, 0.0)", "F.threshold(x, 0.5, s)"],
    "torch.nn.functional.softshrink": ["F.softshrink(x, s)"],
    "torch.nn.functional.hardshrink": ["F.hardshrink(x, s)"],
    "torch.nn.functional.dropout": ["F.dropout(x, s)"],
    "torch.nn.functional.smooth_l1_loss": ["F.smooth_l1_loss(x, x, beta=s)"],
    "torch.nn.functional.huber_loss": ["F.huber_loss(x, x, delta=s)"],
    "torch.nn.functional.margin_ranking_loss": ["F.margin_ranking_loss(x, x, x, margin=s)"],
    "torch.nn.functional.triplet_margin_loss": ["F.triplet_margin_loss(x, x, x, margin=s)"],
    "torch.nn.functional.cosine_embedding_loss": ["F.cosine_embedding_loss(x, x, torch.ones(3), margin=s)"],
    "torch.nn.functional.cross_entropy": ["F.cross_entropy(x, torch.arange(3), label_smoothing=s)"],
    "torch.nn.functional.layer_norm": ["F.layer_norm(x, (3,), eps=s)"],
    "torch.nn.functional.group_norm": ["F.group_norm(x, 3, eps=s)"],
    "torch.nn.functional.pad": ["F.pad(x, (1, 1), value=s)"],
    "torch.nn.functional.pairwise_distance": ["F.pairwise_distance(x, x, s)", "F.pairwise_distance(x, x, eps=s)"],
    "torch.nn.functional.normalize": ["F.normalize(x, s)"],
    "torch.nn.functional.scaled_dot_product_attention": ["F.scaled_dot_product_attention(x, x, x, scale=s)"],
}


def test_every_parameter_has_a_call() -> None:
    assert {name: len(scalars.numbers(name)) for name in scalars.NUMBERS} == {n: len(c) for n, c in CALLS.items()}


@pytest.mark.parametrize("call", [call for calls in CALLS.values() for call in calls])
def test_a_number_may_not_require_grad(call: str) -> None:
    exec(PRELUDE.format("") + call, {})
    program = PRELUDE.format(", requires_grad=True") + call + "\n"
    with pytest.raises(TypeError, match=r"must be (Number|float)|invalid combination"):
        exec(program, {})
    assert [(f.code, f.span.line) for f in check(Source(program))] == [("AGD118", 7)]
    assert check(Source(PRELUDE.format("") + call + "\n")) == []
