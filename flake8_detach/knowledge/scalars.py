"""Parameters of torch functions that take a Python number, so that a tensor which requires grad is refused there.

A 0-dim tensor without requires_grad is accepted in its place and read as a number. Source: what torch 2.13 does when it
is called so (tests/truth/test_scalars.py calls every one).
"""

from __future__ import annotations

from collections.abc import Mapping

NUMBERS: Mapping[str, str] = {
    "torch.full": "fill_value",
    "torch.full_like": "fill_value",
    "Tensor.new_full": "fill_value",
    "torch.arange": "start end step",
    "torch.add": "alpha",
    "torch.sub": "alpha",
    "Tensor.add": "alpha",
    "Tensor.sub": "alpha",
    "Tensor.add_": "alpha",
    "Tensor.sub_": "alpha",
    "torch.addcmul": "value",
    "torch.addcdiv": "value",
    "torch.addmm": "beta alpha",
    "torch.baddbmm": "beta",
    "torch.nan_to_num": "nan posinf neginf",
    "torch.index_add": "alpha",
    "torch.cdist": "p",
    "torch.logit": "eps",
    "torch.dist": "p",
    "torch.renorm": "p maxnorm",
    "torch.linalg.vector_norm": "ord",
    "Tensor.normal_": "mean std",
    "Tensor.exponential_": "lambd",
    "torch.nn.functional.leaky_relu": "negative_slope",
    "torch.nn.functional.elu": "alpha",
    "torch.nn.functional.celu": "alpha",
    "torch.nn.functional.softplus": "beta threshold",
    "torch.nn.functional.hardtanh": "min_val max_val",
    "torch.nn.functional.threshold": "threshold value",
    "torch.nn.functional.softshrink": "lambd",
    "torch.nn.functional.hardshrink": "lambd",
    "torch.nn.functional.dropout": "p",
    "torch.nn.functional.smooth_l1_loss": "beta",
    "torch.nn.functional.huber_loss": "delta",
    "torch.nn.functional.margin_ranking_loss": "margin",
    "torch.nn.functional.triplet_margin_loss": "margin",
    "torch.nn.functional.cosine_embedding_loss": "margin",
    "torch.nn.functional.cross_entropy": "label_smoothing",
    "torch.nn.functional.layer_norm": "eps",
    "torch.nn.functional.group_norm": "eps",
    "torch.nn.functional.pad": "value",
    "torch.nn.functional.pairwise_distance": "p eps",
    "torch.nn.functional.normalize": "p",
    "torch.nn.functional.scaled_dot_product_attention": "scale",
}


def numbers(op: str) -> frozenset[str]:
    """The parameters of the op with that full name that must be Python numbers."""
    return frozenset(NUMBERS.get(op, "").split())
