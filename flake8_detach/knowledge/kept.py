"""Ops of which backward needs a tensor that the program never sees, and uses it up.

`x * 2` keeps the 2, as a tensor; `F.l1_loss` keeps the difference. Of such ops a second backward raises, though nothing
of the program is saved. Source: torch 2.13 (tests/truth/test_kept.py runs backward twice for every one).
"""

from __future__ import annotations

FACTORS = frozenset({"mul", "multiply", "div", "divide", "true_divide", "truediv", "rmul", "imul", "itruediv", "xlogy"})
"""With a number as an operand."""

INNER = frozenset({"rtruediv", "tanhshrink", "l1_loss"})
"""Always."""


def short(op: str) -> str:
    """The name without module and underscores: "mul" of "Tensor.__mul__"."""
    return op.rpartition(".")[2].strip("_")


def inner(op: str, numbers: bool) -> bool:
    """Does backward of the op with that full name need such a tensor? numbers: is an operand a number?"""
    return short(op) in INNER or (numbers and short(op) in FACTORS)
