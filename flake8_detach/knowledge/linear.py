"""Operations that are linear in what requires grad: their derivative does not depend on it.

The gradient of a chain of them has no graph of its own, not even with `create_graph=True`. Products and quotients are
linear only where no tensor is saved for backward (the factor is a number), which the graph node tells. And those that
are not linear: tests/truth/test_curved.py asks torch.
"""

from __future__ import annotations

LINEAR = frozenset(
    {
        "__add__",
        "__radd__",
        "__sub__",
        "__rsub__",
        "__neg__",
        "__pos__",
        "__mul__",
        "__rmul__",
        "__truediv__",
        "__getitem__",
        "__iadd__",
        "__isub__",
        "add",
        "sub",
        "rsub",
        "subtract",
        "neg",
        "negative",
        "mul",
        "multiply",
        "div",
        "divide",
        "true_divide",
        "sum",
        "mean",
        "nansum",
        "trace",
        "diagonal",
        "diag",
        "view",
        "view_as",
        "reshape",
        "reshape_as",
        "flatten",
        "unflatten",
        "ravel",
        "squeeze",
        "unsqueeze",
        "transpose",
        "swapaxes",
        "permute",
        "movedim",
        "t",
        "expand",
        "expand_as",
        "repeat",
        "tile",
        "broadcast_to",
        "clone",
        "contiguous",
        "narrow",
        "select",
        "split",
        "chunk",
        "unbind",
        "cat",
        "concat",
        "stack",
        "hstack",
        "vstack",
        "roll",
        "flip",
        "alias",
        "detach_copy",
        "BackwardHookFunction",
    }
)
"""Names of functions and methods, without the module."""

CURVED = frozenset(
    {
        "abs",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "celu",
        "cos",
        "cosh",
        "digamma",
        "elu",
        "erf",
        "erfc",
        "exp",
        "exp2",
        "expit",
        "expm1",
        "gelu",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "lgamma",
        "log",
        "log10",
        "log1p",
        "log2",
        "log_softmax",
        "logsigmoid",
        "logsumexp",
        "mish",
        "mse_loss",
        "norm",
        "reciprocal",
        "relu",
        "relu6",
        "rsqrt",
        "selu",
        "sigmoid",
        "silu",
        "sin",
        "sinh",
        "softmax",
        "softplus",
        "softsign",
        "sqrt",
        "square",
        "std",
        "tan",
        "tanh",
        "tanhshrink",
    }
)
"""Those whose gradient requires grad with `create_graph=True`, as their derivative is computed from the one operand."""

PRODUCTS = frozenset(
    {
        "__mul__",
        "__rmul__",
        "__truediv__",
        "__rtruediv__",
        "__matmul__",
        "mul",
        "multiply",
        "div",
        "divide",
        "true_divide",
        "matmul",
        "mm",
        "mv",
        "dot",
    }
)
"""Likewise where both operands require grad."""

POWERS = frozenset({"pow", "__pow__"})
"""Likewise if the exponent is a number other than 0 and 1."""

FACTORS = {
    "linear": ("input", "weight"),
    "conv1d": ("input", "weight"),
    "conv2d": ("input", "weight"),
    "conv3d": ("input", "weight"),
    "conv_transpose1d": ("input", "weight"),
    "conv_transpose2d": ("input", "weight"),
    "conv_transpose3d": ("input", "weight"),
}
"""Products to which a bias is added: the gradient of each of the two depends on the other one, and not on the bias."""

ONCE = frozenset({"cdist", "ctc_loss", "hardsigmoid", "multi_margin_loss", "multilabel_margin_loss", "pdist"})
"""Those whose derivative has none itself: what comes out with `create_graph=True` raises when it is differentiated.
`cdist` may also compute by a matrix product, which has one: see ROWS."""

ROWS = 25
"""`cdist` of more rows than these computes euclidean distances as a matrix product, which has a second derivative."""
