"""Which ops average over their batch, and which hand a mean on as it is. Source: the documentation of torch 2.13."""

from __future__ import annotations

MEANS = frozenset(
    {"mean", "nanmean", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "nll_loss"}
    | {"binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "gaussian_nll_loss", "poisson_nll_loss"}
    | {"cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss"}
    | {"multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss", "ctc_loss"}
)
"""Ops whose result is a mean over the batch, unless `reduction` says otherwise."""

PASSING = frozenset(
    {"__add__", "__radd__", "__iadd__", "add", "add_", "__sub__", "__isub__", "sub", "sub_", "__neg__", "neg"}
    | {"__pos__", "clone", "float", "double", "to", "squeeze", "join"}
)
"""Ops that neither divide nor weigh."""
