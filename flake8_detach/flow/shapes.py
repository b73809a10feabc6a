"""Shapes: the dimensions of a result as far as the arguments tell. None: not even their number is known.

A dimension that is not known is None. What matters to the rules is little: is it 0-dim, has it certainly not exactly
one element?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from flake8_detach.flow.values import NONE, Array, Const, Layer, Scalar, Sequence, Shape, Tensor, Tuple, Value
from flake8_detach.knowledge import meaning, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine
    from flake8_detach.flow.tensors import Inputs

Bound: TypeAlias = Mapping[str, Value]


def of_result(m: Machine, op: ops.Op, bound: Bound, inputs: Inputs) -> Shape | None:
    """The shape of what `op` returns for these arguments."""
    from flake8_detach.flow import op_arguments
    from flake8_detach.flow.special_shapes import SPECIAL

    if "*open" in bound:
        return None
    shapes = [t.shape for _, t, _ in inputs.tensors]
    # the tensor that the op is about; if that is not known, none of the others stands for it
    leading = op.params[0] if op.params and op.params[0] in bound else next(iter(bound), None)
    first = shapes[0] if shapes and inputs.tensors[0][2] == leading else None
    special = SPECIAL.get(op.name.rpartition(".")[2])
    if special is not None:
        return special(m, bound, first)
    if op.rank == "zero":
        return ()
    if op.rank == "same":
        keeps = op.name.rpartition(".")[2].strip("_") in ELEMENTWISE
        return first if keeps or first is None else (None,) * len(first)
    if op.rank == "broadcast":
        return None if inputs.unknown or inputs.presumed or inputs.arrays else broadcast(shapes)
    if op.rank in ("reduction", "reduction:broadcast"):
        return _loss(bound, shapes)
    if op.rank == "reduce":
        return reduced(m, bound, first)
    if op.rank == "args":
        return sizes(m, bound)
    rank = meaning.rank_of(op.rank, op_arguments.arguments(m, op, bound))
    return None if rank is None else (None,) * rank


def broadcast(shapes: list[Shape | None]) -> Shape | None:
    """The common shape of operands."""
    known = [s for s in shapes if s is not None]
    if not known or len(known) != len(shapes):
        return None
    result: list[int | None] = []
    for i in range(1, max(len(s) for s in known) + 1):
        dims = [s[-i] for s in known if len(s) >= i]
        wide = [d for d in dims if d is not None and d != 1]
        result.append(wide[0] if wide else None if None in dims else 1)
    return tuple(reversed(result))


def never_broadcasts(shape: Shape | None, target: Shape | None) -> bool:
    """Can a tensor of that shape certainly not be expanded to `target`?"""
    if shape is None or target is None:
        return False
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) > len(target) or any(None not in (a, b) and a not in (1, b) for a, b in pairs)


def _loss(bound: Bound, shapes: list[Shape | None]) -> Shape | None:
    how = bound.get("reduction")
    if bound.get("reduce") not in (None, NONE) or bound.get("size_average") not in (None, NONE):
        return None
    if how is None or how in (Const("mean"), Const("sum"), Const("batchmean")):
        return ()
    return broadcast(shapes[:2]) if how == Const("none") else None


def axes(m: Machine, value: Value | None, rank: int) -> list[int] | None:
    """Dimension numbers, counted from the front."""
    if isinstance(value, Const) and isinstance(value.value, int):
        given: tuple[Value, ...] = (value,)
    elif isinstance(value, Tuple):
        given = value.items
    else:
        cell = m.cell(value) if value is not None else None
        if not isinstance(cell, Sequence) or cell.items is None:
            return None
        given = cell.items
    if not all(isinstance(v, Const) and isinstance(v.value, int) for v in given):
        return None
    return [v.value % rank if rank else 0 for v in given if isinstance(v, Const)]


def reduced(m: Machine, bound: Bound, shape: Shape | None) -> Shape | None:
    """sum, mean, norm ...: over everything, or over `dim`."""
    dim = bound.get("dim", bound.get("axis"))
    keep = bound.get("keepdim")
    if dim is None or dim == NONE:
        if keep == Const(True):
            return None if shape is None else (1,) * len(shape)
        return () if keep in (None, Const(False)) else None
    if shape is None or keep not in (None, Const(False), Const(True)):
        return None
    over = axes(m, dim, len(shape))
    if over is None:
        return shape and (None,) * len(shape) if keep == Const(True) else None
    if keep == Const(True):
        return tuple(1 if i in over else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in over)


def number(value: Value) -> int | None:
    return value.value if isinstance(value, Const) and isinstance(value.value, int) and value.value >= 0 else None


def sizes(m: Machine, bound: Bound) -> Shape | None:
    """The shape that size arguments ask for: torch.zeros(2, 3), torch.zeros((2, 3)), x.view(-1, 4)."""
    given = next((bound[n] for n in ("*size", "size", "shape", "*shape", "*sizes", "sizes") if n in bound), None)
    if given is None:
        return None
    if isinstance(given, Tuple) and len(given.items) == 1 and not isinstance(given.items[0], (Const, Scalar)):
        given = given.items[0]
    if isinstance(given, Tuple):
        return tuple(number(i) for i in given.items)
    cell = m.cell(given)
    if isinstance(cell, Sequence) and cell.items is not None:
        return tuple(number(i) for i in cell.items)
    return (number(given),) if isinstance(given, (Const, Scalar)) else None


def numbers(m: Machine, shape: Shape | None) -> Value:
    """`x.shape` of a tensor of that shape: numbers, however many."""
    if shape is None:
        return m.new(Sequence("tuple", None, Scalar("int")))
    return Tuple(tuple(Scalar("int") if size is None else Const(size) for size in shape))


def spelled(shape: Shape | None) -> str:
    """The shape as messages show it."""
    return "(" + ", ".join("?" if d is None else str(d) for d in shape or ()) + ")"


def count(shape: Shape | None) -> int | None:
    """How many elements a tensor of that shape has; None: not known."""
    sizes = () if shape is None else tuple(size for size in shape if size is not None)
    return math.prod(sizes) if shape is not None and (len(sizes) == len(shape) or 0 in sizes) else None


def several(shape: Shape | None) -> bool:
    """Has a tensor of that shape certainly not exactly one element?"""
    return Tensor(shape=shape).several


def literal(m: Machine, value: Value, depth: int = 0) -> Shape | None:
    """The shape that torch.tensor gives to nested numbers."""
    if isinstance(value, (Const, Scalar)):
        return ()
    if isinstance(value, Array):
        return None
    cell = m.cell(value)
    if isinstance(cell, Tensor):
        return cell.shape
    items: tuple[Value, ...] | None = None
    if isinstance(cell, Sequence):
        items = cell.items
        if items is None:
            inner = literal(m, cell.element, depth + 1) if depth < 4 else None
            return None if inner is None else (None, *inner)
    elif isinstance(value, Tuple):
        items = value.items
    if items is None or depth > 4:
        return None
    if not items:
        return (0,)
    inner = literal(m, items[0], depth + 1)
    return None if inner is None else (len(items), *inner)


ELEMENTWISE = frozenset(
    [
        "abs",
        "neg",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "log2",
        "log10",
        "sqrt",
        "rsqrt",
        "square",
        "reciprocal",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "sigmoid",
        "logsigmoid",
        "relu",
        "relu6",
        "gelu",
        "silu",
        "mish",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "prelu",
        "rrelu",
        "hardtanh",
        "hardsigmoid",
        "hardswish",
        "softplus",
        "softsign",
        "tanhshrink",
        "softshrink",
        "threshold",
        "softmax",
        "log_softmax",
        "softmin",
        "gumbel_softmax",
        "dropout",
        "alpha_dropout",
        "feature_alpha_dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "layer_norm",
        "batch_norm",
        "group_norm",
        "instance_norm",
        "rms_norm",
        "normalize",
        "clamp",
        "clamp_min",
        "clamp_max",
        "clip",
        "clone",
        "detach",
        "contiguous",
        "round",
        "floor",
        "ceil",
        "trunc",
        "sign",
        "erf",
        "erfc",
        "sgn",
        "cumsum",
        "cumprod",
        "flip",
        "tril",
        "triu",
        "nan_to_num",
        "float",
        "double",
        "half",
        "bfloat16",
        "long",
        "int",
        "short",
        "bool",
        "to",
        "type",
        "cpu",
        "cuda",
        "type_as",
        "masked_fill",
        "zeros_like",
        "ones_like",
        "rand_like",
        "randn_like",
        "randint_like",
        "full_like",
        "empty_like",
        "bernoulli",
        "pos",
        "positive",
        "invert",
        "isnan",
        "isinf",
        "isfinite",
        "logical_not",
        "requires_grad",
        "fill",
        "zero",
        "normal",
        "uniform",
        "mul",
        "add",
        "sub",
        "div",
        "pow",
        "copy",
        "iadd",
        "isub",
        "imul",
        "itruediv",
        "ipow",
        "data",
        "real",
        "imag",
        "conj",
        "acosh",
        "atanh",
        "frac",
        "lgamma",
        "digamma",
        "expit",
        "hardshrink",
        "roll",
        "sort",
        "cummax",
        "cummin",
        "logcumsumexp",
        "index_fill",
        "erfinv",
        "msort",
        "asinh",
    ]
)
"""Ops of rank "same" whose result has the very shape of the first tensor; narrow, chunk, pooling have not."""

WEIGHTS: Mapping[str, Callable[[Mapping[str, Value]], dict[str, Shape]]] = {
    "torch.nn.Linear": lambda c: {
        "weight": (_size(c, "out_features"), _size(c, "in_features")),
        "bias": (_size(c, "out_features"),),
    },
    "torch.nn.Embedding": lambda c: {"weight": (_size(c, "num_embeddings"), _size(c, "embedding_dim"))},
    "torch.nn.Conv2d": lambda c: {
        "weight": (_size(c, "out_channels"), None, None, None),
        "bias": (_size(c, "out_channels"),),
    },
}
"""The shapes of the parameters of common layers, from their constructor arguments."""


def _size(config: Mapping[str, Value], name: str) -> int | None:
    return number(config.get(name, NONE))


__all__ = ["Layer", "broadcast", "literal", "of_result", "several", "sizes", "spelled"]
