"""Optimizers and schedulers of torch.optim: what they can be called with, and what they ask of their callers.

Sources: the signatures and the checks of torch/optim/*.py and torch/optim/lr_scheduler.py;
tests/knowledge/test_optimizers.py holds this table against an installed torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Optimizer(NamedTuple):
    """options: the parameters of its constructor, in order. closure: `step` needs one, and uses what it returns.

    sparse, dense: the gradients that `step` takes. groups: takes it groups of parameters with options of their own?
    """

    options: tuple[str, ...]
    closure: bool = False
    sparse: bool = False
    dense: bool = True
    groups: bool = True


def _optimizer(options: str, **facts: bool) -> Optimizer:
    return Optimizer(("params", *options.split()), **facts)


OPTIMIZERS: Mapping[str, Optimizer] = {
    "ASGD": _optimizer("lr lambd alpha t0 weight_decay foreach maximize differentiable capturable"),
    "Adadelta": _optimizer("lr rho eps weight_decay foreach capturable maximize differentiable"),
    "Adafactor": _optimizer("lr beta2_decay eps d weight_decay foreach maximize"),
    "Adagrad": _optimizer(
        "lr lr_decay weight_decay initial_accumulator_value eps foreach maximize differentiable fused", sparse=True
    ),
    "Adam": _optimizer(
        "lr betas eps weight_decay amsgrad foreach maximize capturable differentiable fused decoupled_weight_decay"
    ),
    "AdamW": _optimizer("lr betas eps weight_decay amsgrad maximize foreach capturable differentiable fused"),
    "Adamax": _optimizer("lr betas eps weight_decay foreach maximize differentiable capturable"),
    "LBFGS": _optimizer(
        "lr max_iter max_eval tolerance_grad tolerance_change history_size line_search_fn",
        closure=True,
        sparse=True,
        groups=False,
    ),
    "Muon": _optimizer("lr weight_decay momentum nesterov ns_coefficients eps ns_steps adjust_lr_fn"),
    "NAdam": _optimizer(
        "lr betas eps weight_decay momentum_decay decoupled_weight_decay foreach maximize capturable differentiable"
    ),
    "RAdam": _optimizer("lr betas eps weight_decay decoupled_weight_decay foreach maximize capturable differentiable"),
    "RMSprop": _optimizer("lr alpha eps weight_decay momentum centered capturable foreach maximize differentiable"),
    "Rprop": _optimizer("lr etas step_sizes capturable foreach maximize differentiable"),
    "SGD": _optimizer("lr momentum dampening weight_decay nesterov maximize foreach differentiable fused", sparse=True),
    "SparseAdam": _optimizer("lr betas eps maximize", sparse=True, dense=False),
}
"""Class of torch.optim -> its contract."""

OPTIONS = frozenset(option for optimizer in OPTIMIZERS.values() for option in optimizer.options)
"""An option that one optimizer has and another has not is a mistake; one that none has may be newer than this table."""

EXCLUSIVE = (("fused", "foreach"), ("fused", "differentiable"))
"""Options that may not both be True."""

NOT_NEGATIVE = frozenset({"lr", "weight_decay", "momentum", "lr_decay", "momentum_decay"})
"""Options that no optimizer takes a negative number for."""


class Scheduler(NamedTuple):
    """options: the parameters of its constructor. rate: has it a `get_lr` of its own?

    argument: what `step` does with one: "" (it raises), "epoch" (it warns), "quiet", "metrics" (it needs it).
    """

    options: tuple[str, ...]
    argument: str = "epoch"
    rate: bool = True


def _scheduler(options: str, argument: str = "epoch", rate: bool = True) -> Scheduler:
    return Scheduler(tuple(options.split()), argument, rate)


SCHEDULERS: Mapping[str, Scheduler] = {
    "ChainedScheduler": _scheduler("schedulers optimizer", "", rate=False),
    "ConstantLR": _scheduler("optimizer factor total_iters last_epoch"),
    "CosineAnnealingLR": _scheduler("optimizer T_max eta_min last_epoch"),
    "CosineAnnealingWarmRestarts": _scheduler("optimizer T_0 T_mult eta_min last_epoch", "quiet"),
    "CyclicLR": _scheduler(
        "optimizer base_lr max_lr step_size_up step_size_down mode gamma scale_fn scale_mode cycle_momentum "
        "base_momentum max_momentum last_epoch"
    ),
    "ExponentialLR": _scheduler("optimizer gamma last_epoch"),
    "LRScheduler": _scheduler("optimizer last_epoch"),
    "LambdaLR": _scheduler("optimizer lr_lambda last_epoch"),
    "LinearLR": _scheduler("optimizer start_factor end_factor total_iters last_epoch"),
    "MultiStepLR": _scheduler("optimizer milestones gamma last_epoch"),
    "MultiplicativeLR": _scheduler("optimizer lr_lambda last_epoch"),
    "OneCycleLR": _scheduler(
        "optimizer max_lr total_steps epochs steps_per_epoch pct_start anneal_strategy cycle_momentum base_momentum "
        "max_momentum div_factor final_div_factor three_phase last_epoch"
    ),
    "PolynomialLR": _scheduler("optimizer total_iters power last_epoch"),
    "ReduceLROnPlateau": _scheduler(
        "optimizer mode factor patience threshold threshold_mode cooldown min_lr eps", "metrics", rate=False
    ),
    "SequentialLR": _scheduler("optimizer schedulers milestones last_epoch", "", rate=False),
    "StepLR": _scheduler("optimizer step_size gamma last_epoch"),
}
"""Class of torch.optim.lr_scheduler -> its contract."""

UNCHECKED = frozenset({"CosineAnnealingWarmRestarts", "ReduceLROnPlateau"})
"""Schedulers whose `step` does not look whether the optimizer has stepped."""

CALLABLE = frozenset({"lr_lambda"})
"""Arguments of schedulers that must be functions, or lists of them."""

ITERABLE = frozenset({"milestones", "schedulers"})
"""Arguments of schedulers that must be lists."""

SCALER = "torch.amp.GradScaler"
"""The one class that all the names of GradScaler stand for."""

SCALERS = ("torch.cuda.amp.GradScaler", "torch.amp.GradScaler", "torch.GradScaler")

CLIPPING: Mapping[str, tuple[str, ...]] = {
    "torch.nn.utils.clip_grad_norm_": ("parameters", "max_norm", "norm_type", "error_if_nonfinite", "foreach"),
    "torch.nn.utils.clip_grad_norm": ("parameters", "max_norm", "norm_type", "error_if_nonfinite", "foreach"),
    "torch.nn.utils.clip_grad_value_": ("parameters", "clip_value", "foreach"),
}
"""Function that clips gradients -> its parameters; the first two are needed."""

UNBOUND = 1e5
"""Clipping to a norm beyond this only measures it."""

CLEARING = frozenset({"zero_grad", "zero_", "fill_", "mul_", "copy_", "step", "unscale_"})
"""Methods that, of an unknown object, may clear or use gradients."""
