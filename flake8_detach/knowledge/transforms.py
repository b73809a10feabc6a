"""What functions that differentiate functions take: torch.func, torch.autograd.functional, gradcheck, forward-mode AD.

Source: the signatures and the checks of torch 2.13 (torch/_functorch/eager_transforms.py, vmap.py, functional_call.py,
torch/autograd/functional.py, gradcheck.py, forward_ad.py); tests/truth/test_transforms.py tries every line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MAKERS: Mapping[str, tuple[str, ...]] = {
    "torch.func.grad": ("func", "argnums", "has_aux"),
    "torch.func.grad_and_value": ("func", "argnums", "has_aux"),
    "torch.func.jacrev": ("func", "argnums", "has_aux", "chunk_size"),
    "torch.func.jacfwd": ("func", "argnums", "has_aux", "randomness"),
    "torch.func.hessian": ("func", "argnums"),
    "torch.vmap": ("func", "in_dims", "out_dims", "randomness", "chunk_size"),
    "torch.func.functionalize": ("func", "remove"),
}
"""They return a function, and run the one that they are given when that is called. Their parameters."""

RUNNERS: Mapping[str, tuple[str, ...]] = {
    "torch.func.vjp": ("func",),
    "torch.func.jvp": ("func", "primals", "tangents", "strict", "has_aux"),
    "torch.func.linearize": ("func",),
}
"""They run the function at once. `vjp` and `linearize` take all other arguments for those of the function."""

EAGER: Mapping[str, tuple[str, ...]] = {
    "torch.autograd.functional.vjp": ("func", "inputs", "v", "create_graph", "strict"),
    "torch.autograd.functional.jvp": ("func", "inputs", "v", "create_graph", "strict"),
    "torch.autograd.functional.vhp": ("func", "inputs", "v", "create_graph", "strict"),
    "torch.autograd.functional.hvp": ("func", "inputs", "v", "create_graph", "strict"),
    "torch.autograd.functional.jacobian": ("func", "inputs", "create_graph", "strict", "vectorize", "strategy"),
    "torch.autograd.functional.hessian": (
        "func",
        "inputs",
        "create_graph",
        "strict",
        "vectorize",
        "outer_jacobian_strategy",
    ),
    "torch.autograd.gradcheck": ("func", "inputs", "eps", "atol"),
    "torch.autograd.gradgradcheck": ("func", "inputs", "grad_outputs", "eps", "atol"),
}
"""They call the function with leaves of their own, and use plain autograd."""

_STRATEGIES = ("reverse-mode", "forward-mode")
_RANDOMNESS = ("error", "different", "same")

CHOICES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("torch.autograd.functional.jacobian", "strategy"): _STRATEGIES,
    ("torch.autograd.functional.hessian", "outer_jacobian_strategy"): _STRATEGIES,
    ("torch.vmap", "randomness"): _RANDOMNESS,
    ("torch.func.jacfwd", "randomness"): _RANDOMNESS,
    ("torch.func.functionalize", "remove"): ("mutations", "mutations_and_views"),
}
"""Options that are one of a few words."""

POSITIVE = frozenset({("torch.func.jacrev", "chunk_size"), ("torch.vmap", "chunk_size")})
"""Options that are a positive number, or None."""


class Conflict(NamedTuple):
    """Options that exclude each other. when: these values, where an option that is not given has its default."""

    function: str
    when: Mapping[str, Any]
    problem: str
    remedy: str


DEFAULTS: Mapping[str, Any] = {
    "create_graph": False,
    "strict": False,
    "vectorize": False,
    "strategy": "reverse-mode",
    "outer_jacobian_strategy": "reverse-mode",
}

_JACOBIAN = "torch.autograd.functional.jacobian"
_HESSIAN = "torch.autograd.functional.hessian"


def _forward(function: str, option: str) -> tuple[Conflict, ...]:
    """What forward mode, which `option` asks for, excludes."""
    asked = {option: "forward-mode"}
    return (
        Conflict(function, {**asked, "create_graph": True}, "forward mode takes no `create_graph`", "use reverse mode"),
        Conflict(function, {**asked, "strict": True}, "forward mode takes no `strict`", "use reverse mode"),
        Conflict(function, {**asked, "vectorize": False}, "forward mode is only there vectorized", "vectorize=True"),
    )


CONFLICTS: tuple[Conflict, ...] = (
    *_forward(_JACOBIAN, "strategy"),
    *_forward(_HESSIAN, "outer_jacobian_strategy"),
    Conflict(_JACOBIAN, {"strict": True, "vectorize": True}, "`strict` excludes `vectorize`", "drop one of them"),
    Conflict(_HESSIAN, {"strict": True, "vectorize": True}, "`strict` excludes `vectorize`", "drop one of them"),
)

RANDOM = frozenset(
    {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli", "multinomial"}
    | {"normal", "uniform_", "normal_", "bernoulli_", "random_", "exponential_", "geometric_", "cauchy_"}
    | {"log_normal_", "gumbel_softmax"}
)
"""Ops, by the last part of their name, that draw random numbers whatever their arguments."""

DROPOUTS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"})
"""Ops that draw random numbers in training, unless `p` is 0; their layers are called the same, in capitals."""

DYNAMIC: Mapping[str, str] = {
    "nonzero": "",
    "unique": "",
    "unique_consecutive": "",
    "masked_select": "mask",
}
"""Ops whose result is larger for one sample than for another. The parameter that this hangs on; "": the first."""

NO_FORWARD = frozenset(
    {"torch.igamma", "torch.igammac", "Tensor.igamma", "Tensor.igammac", "torch.special.gammainc"}
    | {"torch.special.gammaincc"}
)
"""Ops that a backward knows and forward mode does not."""


def choices(function: str, option: str) -> tuple[str, ...]:
    """The words that may be given for an option; () if it is no such option."""
    return CHOICES.get((function, option), ())
