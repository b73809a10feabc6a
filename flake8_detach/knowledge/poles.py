"""Where the slope of an operation is infinite or NaN, and which operations hand a gradient of NaN on to their operands.

tests/truth/test_poles.py asks torch about each.
"""

from __future__ import annotations

ANY = frozenset({">", ">=", "!="})
"""Conditions on `x` against 0 behind which zero or what is negative is left out."""

ZERO: dict[str, frozenset[str]] = {
    "sqrt": ANY,
    "rsqrt": ANY,
    "log": frozenset({"!="}),
    "log2": frozenset({"!="}),
    "log10": frozenset({"!="}),
    "reciprocal": frozenset({"!="}),
    "__rtruediv__": frozenset({"!="}),
}
"""Functions with a pole at 0, and the conditions `x > 0` and so on that leave nothing but such points out: of `sqrt`
all that is negative, too. Where `x > 0` leaves out only what is negative, the slope of `log` is finite."""

NOT = {">": "<=", ">=": "<", "!=": "==", "<": ">=", "<=": ">", "==": "!="}
TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}

MAKING = frozenset({"sub", "__sub__", "linear"})
"""Ops whose result may well be 0, or negative, whatever goes in."""
FACTORS = frozenset({"mul", "__mul__"})
FOLLOWING = FACTORS | frozenset({"square", "pow", "__pow__", "abs"})
"""Ops whose result may be 0 if an operand may."""
GATHERING = frozenset(
    {"sum", "mean", "view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "t"}
)
"""Ops whose result is 0 where that of which it is made is 0."""

PASSING = GATHERING | frozenset(
    {
        *("square", "pow", "__pow__", "mul", "__mul__", "__rmul__", "sub", "__sub__", "__rsub__", "add", "__add__"),
        *("__radd__", "__neg__", "neg", "div", "__truediv__", "linear", "__matmul__", "matmul", "mm", "bmm"),
        *("conv1d", "conv2d", "conv3d", "tanh", "sigmoid", "exp", "sin", "cos", "softmax", "float", "double"),
        *("expand", "clone", "contiguous", "__getitem__"),
    }
)
"""Ops whose backward hands NaN on. (`relu` and `clamp` stop it where they cut off, `where` what it does not choose.)"""
