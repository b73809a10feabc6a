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


def spelled(shape: Shape | None) -> str:
    """The shape as messages show it."""
    return "(" + ", ".join("?" if d is None else str(d) for d in shape or ()) + ")"


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


# Ops whose shape follows from more than a class


def _linear(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    weight = m.cell(bound.get("weight", NONE))
    if first is None:
        return None
    out = weight.shape[0] if isinstance(weight, Tensor) and weight.shape else None
    return (*first[:-1], out)


def _matmul(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    cells = [m.cell(v) for v in list(bound.values())[:2]]
    shapes = [c.shape if isinstance(c, Tensor) else None for c in cells]
    a, b = (*shapes, None)[:2] if len(shapes) > 1 else (None, None)
    if a is None or b is None or not a or not b:
        return None
    if len(b) == 1:
        return a[:-1]
    if len(a) == 1:
        return (*b[:-2], b[-1])
    batch = broadcast([a[:-2], b[:-2]]) or ()
    return (*batch, a[-2], b[-1])


def _transposed(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return None if first is None else (None,) * len(first) if len(first) > 2 else tuple(reversed(first))


def _swapped(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """transpose(dim0, dim1), in whatever names."""
    given = [axes(m, v, len(first)) for n, v in bound.items() if n not in ("self", "input")] if first else []
    dims = [d for found in given for d in found or ()]
    if first is None or len(dims) != 2 or len(given) != 2:
        return first and (None,) * len(first)
    result = list(first)
    result[dims[0]], result[dims[1]] = result[dims[1]], result[dims[0]]
    return tuple(result)


def _permuted(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    given = next((bound[n] for n in ("*dims", "dims") if n in bound), None)
    if isinstance(given, Tuple) and len(given.items) == 1 and not isinstance(given.items[0], (Const, Scalar)):
        given = given.items[0]
    dims = axes(m, given, len(first)) if first else None
    if not first or not dims or len(dims) != len(first):
        return first and (None,) * len(first)
    return tuple(first[d] for d in dims)


def _divided(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """chunk, split: parts that are as long as the whole in all dimensions but one."""
    if not first:
        return None
    over = axes(m, bound.get("dim", Const(0)), len(first))
    return (None,) * len(first) if over is None else tuple(None if i in over else d for i, d in enumerate(first))


def _unsqueezed(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    dim = bound.get("dim")
    if first is None or not (isinstance(dim, Const) and isinstance(dim.value, int)):
        return None
    at = dim.value % (len(first) + 1)
    return (*first[:at], 1, *first[at:])


def _squeezed(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    dim = bound.get("dim")
    if first is None or (dim is None and None in first):
        return None
    if dim is None:
        return tuple(d for d in first if d != 1)
    over = axes(m, dim, len(first))
    if over is None or any(i < len(first) and first[i] is None for i in over):
        return None
    return tuple(d for i, d in enumerate(first) if i not in over or d != 1)


def _flattened(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    start = bound.get("start_dim", Const(0))
    if first is None or not (isinstance(start, Const) and isinstance(start.value, int)) or "end_dim" in bound:
        return None
    keep = start.value % len(first) if first else 0
    tail = first[keep:]
    total: int | None = 1
    for d in tail:
        total = None if total is None or d is None else total * d
    if total is None and several(tail):
        return None if not first[:keep] else (*first[:keep], None)
    return (*first[:keep], total)


def _joined(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return None if first is None else (None,) * len(first)


def _stacked(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    given = bound.get("tensors", NONE)
    cell = m.cell(given)
    items = given.items if isinstance(given, Tuple) else cell.items if isinstance(cell, Sequence) else None
    dim = bound.get("dim", Const(0))
    if first is None:
        return None
    if not (isinstance(dim, Const) and isinstance(dim.value, int)):
        return (None,) * (len(first) + 1)
    at = dim.value % (len(first) + 1)
    return (*first[:at], None if items is None else len(items), *first[at:])


def _cross_entropy(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    if bound.get("reduction") != Const("none"):
        return _loss(bound, [])
    return None if first is None else (*first[:1], *first[2:])


def _embedding(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    index, weight = m.cell(bound.get("input", NONE)), m.cell(bound.get("weight", NONE))
    if not isinstance(index, Tensor) or index.shape is None:
        return None
    return (*index.shape, weight.shape[-1] if isinstance(weight, Tensor) and weight.shape else None)


def _convolved(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    weight = m.cell(bound.get("weight", NONE))
    if first is None or len(first) < 2:
        return None
    out = weight.shape[0] if isinstance(weight, Tensor) and weight.shape else None
    return (first[0], out, *(None,) * (len(first) - 2))


def _one_hot(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return None if first is None else (*first, None)


def _gathered(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    index = m.cell(bound.get("index", NONE))
    return index.shape if isinstance(index, Tensor) else None


def _linspace(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return (number(bound.get("steps", NONE)),)


def _arange(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    given = [bound[n] for n in ("start", "end", "step") if n in bound]
    numbers = [v.value for v in given if isinstance(v, Const) and isinstance(v.value, (int, float))]
    if len(numbers) != len(given) or not numbers or (len(numbers) == 3 and not numbers[2]):
        return (None,)
    start, end, step = (0, *numbers, 1) if len(numbers) == 1 else (*numbers, 1)[:3]
    return (max(0, math.ceil((end - start) / step)),)


def _randint(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    given = bound.get("size", bound.get("high"))  # randint(high, size) or randint(low, high, size)
    return sizes(m, {"size": given}) if given is not None and not isinstance(given, (Const, Scalar)) else None


def _cosine(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return reduced(m, {"dim": bound.get("dim", Const(1))}, first)


def _expanded(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    wanted = sizes(m, bound)
    if wanted is None or first is None or len(wanted) < len(first):
        return None
    old = (None,) * (len(wanted) - len(first)) + first  # -1, and what is not known, may keep the size
    return tuple(size if size is not None else was for size, was in zip(wanted, old, strict=True))


def _unknown(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return None


SPECIAL: Mapping[str, Callable[[Machine, Bound, Shape | None], Shape | None]] = {
    "linear": _linear,
    **dict.fromkeys(["matmul", "mm", "bmm", "mv", "__matmul__", "__rmatmul__"], _matmul),
    **dict.fromkeys(["t", "T", "mT"], _transposed),
    **dict.fromkeys(["transpose", "swapaxes", "swapdims"], _swapped),
    "permute": _permuted,
    **dict.fromkeys(["chunk", "split"], _divided),
    "unsqueeze": _unsqueezed,
    "squeeze": _squeezed,
    "flatten": _flattened,
    **dict.fromkeys(["cat", "concat", "concatenate"], _joined),
    "stack": _stacked,
    **dict.fromkeys(["cross_entropy", "nll_loss"], _cross_entropy),
    "embedding": _embedding,
    **dict.fromkeys(["conv1d", "conv2d", "conv3d"], _convolved),
    "one_hot": _one_hot,
    "linspace": _linspace,
    "randint": _randint,
    "cosine_similarity": _cosine,
    "arange": _arange,
    "gather": _gathered,
    "expand": _expanded,
    **dict.fromkeys(["einsum", "tensordot", "repeat", "tile", "expand_as", "repeat_interleave"], _unknown),
}

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
