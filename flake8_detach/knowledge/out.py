"""Functions of torch that refuse `out=` where grad mode is on and an argument, or `out` itself, requires grad.

Source: what torch 2.13 does when it is called so (tests/truth/test_out.py calls every one). Functions that are
composed of others, as torch.softmax, and those without a derivative, as torch.gt, take it.
"""

from __future__ import annotations

UNARY = frozenset(
    """abs acos asin atan ceil cos cosh erf exp expm1 floor log log10 log1p log2 neg reciprocal round rsqrt sigmoid sign
    sin sinh sqrt square tan tanh trunc""".split()  # noqa: SIM905
)
BINARY = frozenset("add atan2 div dot fmod hypot matmul maximum minimum mul pow sub".split())  # noqa: SIM905
JOINING = frozenset({"cat", "stack"})
REDUCING = frozenset({"cumsum", "mean", "prod", "sum"})


def refuses(name: str) -> bool:
    """Does the function with that full name refuse `out=` with gradients?"""
    place, _, short = name.rpartition(".")
    return place == "torch" and any(short in group for group in (UNARY, BINARY, JOINING, REDUCING))
