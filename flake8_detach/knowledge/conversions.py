"""What torch refuses to turn tensors into, as data. Source: what torch 2.13 and Python 3.11 do when they are asked.

tests/truth/test_conversions.py calls everything that stands here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Formatter

ITERATING = frozenset({"fsum", "prod", "dist", "sumprod", "nextafter", "comb", "perm", "gcd", "lcm", "factorial"})
"""Functions of `math` whose arguments are not each turned into one float; all others want one-element tensors."""

REFUSING: Mapping[str, str] = {
    "json.dumps": "JSON knows no tensors; use `.item()` or `.tolist()`",
    "json.dump": "JSON knows no tensors; use `.item()` or `.tolist()`",
    "statistics.mean": "it wants exact numbers; use `.item()`",
    "statistics.stdev": "it wants exact numbers; use `.item()`",
    "statistics.pstdev": "it wants exact numbers; use `.item()`",
    "statistics.variance": "it wants exact numbers; use `.item()`",
    "statistics.pvariance": "it wants exact numbers; use `.item()`",
    "decimal.Decimal": "a tensor is no number to it; use `.item()`",
    "fractions.Fraction": "a tensor is no number to it; use `.item()`",
}
"""Functions of the standard library that raise TypeError for any tensor, also inside of lists and dicts -> why."""

FORMS: Mapping[str, str] = {
    "bfloat16": "numpy has no bfloat16; insert `.float()`",
    "sparse": "it is sparse; insert `.to_dense()`",
    "quantized": "it is quantized; insert `.dequantize()`",
    "conjugated": "it is a lazy conjugate; insert `.resolve_conj()`",
}
"""How a tensor is stored that numpy has nothing for -> why `.numpy()` raises."""

FORMING: Mapping[str, str] = {
    "torch.sparse_coo_tensor": "sparse",
    "Tensor.to_sparse": "sparse",
    "Tensor.to_sparse_coo": "sparse",
    "Tensor.bfloat16": "bfloat16",
}
"""Ops whose result is stored so."""

_VIEWS = {"__getitem__", "reshape", "t", "transpose", "permute", "squeeze", "unsqueeze", "flatten", "T", "mT", "expand"}
KEEPING: Mapping[str, frozenset[str]] = {
    "bfloat16": frozenset({*_VIEWS, "clone", "cpu", "cuda", "contiguous"}),
    "conjugated": frozenset({*_VIEWS, "cpu", "cuda"}),
    "sparse": frozenset({"clone", "cpu", "cuda"}),
    "quantized": frozenset({"clone", "cpu"}),
}
"""Form -> names of ops whose result is stored in the same way; of others it is not known."""

FLOATING = frozenset(
    {"div", "true_divide", "atan2", "hypot", "addcdiv", "sqrt", "exp", "log", "sigmoid", "tanh", "sin", "cos"}
    | {"reciprocal", "rsqrt", "log1p", "expm1"}
)
"""In-place methods (without the underscore) whose result is never an integer."""
IN_PLACE = FLOATING | {"add", "sub", "mul", "floor_divide", "pow", "remainder", "fmod", "addcmul"}
"""In-place methods that raise when their result is of a higher kind than the tensor that they write to."""

OPERATORS: Mapping[str, str] = {"truediv": "div", "floordiv": "floor_divide", "mod": "remainder"}
"""Operators that go by another name than the method."""


_PERCENT = re.compile(r"%(?:\((\w+)\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?[hlL]?([a-zA-Z%])")


def percent(text: str) -> Iterator[tuple[int | str, bool]]:
    """The conversions of a `%` format in order: (position or name, does it want a number?). Nothing if some are `*`."""
    found = [match for match in _PERCENT.finditer(text) if match[4] != "%"]
    if any("*" in (match[2], match[3]) for match in found):
        return
    for position, match in enumerate(found):
        yield match[1] or position, match[4] in "diouxXeEfFgG"


def braces(text: str) -> Iterator[tuple[int | str, str]]:
    """The plain fields of a `str.format` template that have a format spec: (position or name, spec)."""
    try:
        fields = [(n, spec or "", how) for _, n, spec, how in Formatter().parse(text) if n is not None]
    except ValueError:
        return
    automatic = 0
    for field, spec, how in fields:
        key: int | str = automatic if not field else int(field) if field.isdigit() else field
        automatic += not field
        if spec and "{" not in spec and how is None and (isinstance(key, int) or key.isidentifier()):
            yield key, spec
        if "{" in spec:  # nested fields count, too
            return
