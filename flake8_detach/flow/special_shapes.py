"""Ops whose shape follows from more than a class: each has a function of its own here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flake8_detach.flow.shapes import (
    Bound,
    _loss,
    axes,
    broadcast,
    number,
    reduced,
    several,
    sizes,
)
from flake8_detach.flow.values import NONE, Const, Scalar, Sequence, Shape, Tensor, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


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


def _pair(m: Machine, bound: Bound, one: str, other: str) -> tuple[Shape, Shape] | None:
    """The shapes of two tensors of at least two dimensions."""
    cells = [m.cell(bound.get(name, NONE)) for name in (one, other)]
    shapes = [c.shape for c in cells if isinstance(c, Tensor) and c.shape is not None and len(c.shape) > 1]
    return (shapes[0], shapes[1]) if len(shapes) == 2 else None


def _distances(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    pair = _pair(m, bound, "x1", "x2")
    if pair is None:
        return None
    batch = broadcast([pair[0][:-2], pair[1][:-2]])
    return None if batch is None else (*batch, pair[0][-2], pair[1][-2])


def _attended(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    pair = _pair(m, bound, "query", "value")
    return None if pair is None else (*((None,) * (len(pair[0]) - 2)), pair[0][-2], pair[1][-1])


def _product_added(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    pair = _pair(m, bound, *(("batch1", "batch2") if "batch1" in bound else ("mat1", "mat2")))
    return None if pair is None else (*pair[0][:-1], pair[1][-1])


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


def _moved(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """movedim(source, destination): the other dimensions keep their order."""
    if first is None:
        return None
    source, target = (axes(m, bound.get(n, NONE), len(first)) for n in ("source", "destination"))
    if not source or not target or len(source) != len(target):
        return (None,) * len(first)
    moved = dict(zip(target, source, strict=True))
    rest = iter(d for d in range(len(first)) if d not in source)
    return tuple(first[moved[d] if d in moved else next(rest)] for d in range(len(first)))


def _einsum(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """einsum("ij,jk->ik", a, b): each letter stands for a size."""
    equation, given = bound.get("equation", NONE), bound.get("*operands", NONE)
    text = equation.value if isinstance(equation, Const) else None
    if not isinstance(text, str) or "->" not in text or "." in text or not isinstance(given, Tuple):
        return None
    terms, _, result = text.replace(" ", "").partition("->")
    cells = [m.cell(item) for item in given.items]
    found: dict[str, int | None] = {}
    for letters, cell in zip(terms.split(","), cells, strict=False):
        if not isinstance(cell, Tensor) or cell.shape is None or len(cell.shape) != len(letters):
            return (None,) * len(result)
        for letter, size in zip(letters, cell.shape, strict=True):
            found[letter] = size if found.get(letter) in (None, 1) else found[letter]
    return tuple(found.get(letter) for letter in result)


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
    if over is None:
        return (None,) * len(first)
    parts, size = number(bound.get("chunks", NONE)), number(bound.get("split_size", NONE))

    def part(whole: int | None) -> int | None:  # only where all parts are equally long
        if whole is None or not (parts or size):
            return None
        long = size or -(-whole // (parts or 1))
        return long if whole % long == 0 else None

    return tuple(part(d) if i in over else d for i, d in enumerate(first))


def _unsqueezed(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    dim = bound.get("dim")
    if first is None or not (isinstance(dim, Const) and isinstance(dim.value, int)):
        return None
    at = dim.value % (len(first) + 1)
    return (*first[:at], 1, *first[at:])


def _squeezed(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    dim = bound.get("dim", bound.get("*dim"))  # the method takes several
    if first is None or (dim is None and None in first):
        return None
    if dim is None:
        return tuple(d for d in first if d != 1)
    over = axes(m, dim, len(first))
    if over is None or any(i < len(first) and first[i] is None for i in over):
        return None
    return tuple(d for i, d in enumerate(first) if i not in over or d != 1)


def _flattened(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    ends = [bound.get("start_dim", Const(0)), bound.get("end_dim", Const(-1))]
    bounds = [end.value for end in ends if isinstance(end, Const) and isinstance(end.value, int)]
    if first is None or len(bounds) != 2:
        return None
    start, stop = (bound % len(first) if first else 0 for bound in bounds)
    before, middle, behind = first[:start], first[start : stop + 1], first[stop + 1 :]
    total: int | None = 1
    for d in middle:
        total = None if total is None or d is None else total * d
    if total is None and several(middle) and not before and not behind:
        return None
    return (*before, total, *behind)


def _joined(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """cat: as long as all together in one dimension."""
    if not first:
        return first
    over = axes(m, bound.get("dim", Const(0)), len(first))
    cells = [m.cell(item) for item in _items(m, bound.get("tensors", NONE)) or ()]
    shapes = [c.shape for c in cells if isinstance(c, Tensor) and c.shape is not None]
    if over is None or not cells or len(shapes) != len(cells) or any(len(s) != len(first) for s in shapes):
        return (None,) * len(first)
    lengths = [d for s in shapes if (d := s[over[0]]) is not None]
    whole = sum(lengths) if len(lengths) == len(shapes) else None
    return tuple(whole if i in over else d for i, d in enumerate(first))


def _items(m: Machine, given: Value) -> tuple[Value, ...] | None:
    """The members of a list or tuple, if all are known."""
    cell = m.cell(given)
    return given.items if isinstance(given, Tuple) else cell.items if isinstance(cell, Sequence) else None


def _stacked(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    items = _items(m, bound.get("tensors", NONE))
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
    if first is None or len(first) == 1:
        return first and ()  # one sample, without a dimension for batches
    return (*first[:1], *first[2:])


def _embedding(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    index, weight = m.cell(bound.get("input", NONE)), m.cell(bound.get("weight", NONE))
    if not isinstance(index, Tensor) or index.shape is None:
        return None
    return (*index.shape, weight.shape[-1] if isinstance(weight, Tensor) and weight.shape else None)


def _convolved(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    weight = m.cell(bound.get("weight", NONE))
    if first is None or len(first) < 2:
        return None
    if not isinstance(weight, Tensor) or not weight.shape:
        return (None,) * len(first)
    batch = first[: len(first) + 1 - len(weight.shape)]  # none, if it is one image
    return (*batch, weight.shape[0], *(None,) * (len(weight.shape) - 2))


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


def _reshaped(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """view, reshape: -1 is what remains."""
    wanted = sizes(m, bound) if "dtype" not in bound else None
    if wanted is None or wanted.count(None) != 1 or first is None or None in first:
        return wanted
    whole, rest = math.prod(d or 0 for d in first), math.prod(d for d in wanted if d is not None)
    return tuple(whole // rest if d is None else d for d in wanted) if rest and whole % rest == 0 else wanted


def _repeated(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """repeat: each dimension so many times."""
    times = sizes(m, {"size": bound["*repeats"]}) if "*repeats" in bound else None
    if times is None or first is None or len(times) < len(first):
        return None
    old = (1,) * (len(times) - len(first)) + first
    return tuple(None if None in (n, size) else (n or 0) * (size or 0) for n, size in zip(times, old, strict=True))


def _diagonal(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """diag: of a vector a matrix, of a matrix a vector."""
    if first is None or "diagonal" in bound or not 1 <= len(first) <= 2:
        return None
    known = [size for size in first if size is not None]
    shortest = min(known) if len(known) == len(first) else None
    return (first[0], first[0]) if len(first) == 1 else (shortest,)


def _like(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    other = m.cell(bound.get("other", NONE))
    return other.shape if isinstance(other, Tensor) else None


def _selected(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """index_select: as long as the index in one dimension."""
    if not first:
        return None
    over, index = axes(m, bound.get("dim", NONE), len(first)), m.cell(bound.get("index", NONE))
    if over is None:
        return (None,) * len(first)
    length = index.shape[0] if isinstance(index, Tensor) and index.shape else None
    return tuple(length if i in over else d for i, d in enumerate(first))


def _topped(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    """topk: k long in one dimension."""
    over = axes(m, bound.get("dim", Const(-1)), len(first)) if first else None
    if not first or over is None:
        return first and (None,) * len(first)
    return tuple(number(bound.get("k", NONE)) if i in over else d for i, d in enumerate(first))


def _unbound(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return reduced(m, {"dim": bound.get("dim", Const(0))}, first)


def _eye(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    rows = number(bound.get("n", NONE))
    return (rows, number(bound["m"]) if "m" in bound else rows)


def _outer(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    other = m.cell(bound.get("vec2", NONE))
    rows, columns = first, other.shape if isinstance(other, Tensor) else None
    return (rows[0] if rows else None, columns[0] if columns else None)


def _unknown(m: Machine, bound: Bound, first: Shape | None) -> Shape | None:
    return None


SPECIAL: Mapping[str, Callable[[Machine, Bound, Shape | None], Shape | None]] = {
    "linear": _linear,
    **dict.fromkeys(["matmul", "mm", "bmm", "mv", "__matmul__", "__rmatmul__"], _matmul),
    **dict.fromkeys(["t", "T", "mT"], _transposed),
    **dict.fromkeys(["transpose", "swapaxes", "swapdims"], _swapped),
    "permute": _permuted,
    **dict.fromkeys(["movedim", "moveaxis"], _moved),
    "einsum": _einsum,
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
    **dict.fromkeys(["view", "reshape"], _reshaped),
    **dict.fromkeys(["view_as", "expand_as", "reshape_as"], _like),
    "index_select": _selected,
    "topk": _topped,
    "unbind": _unbound,
    "eye": _eye,
    "outer": _outer,
    "repeat": _repeated,
    "diag": _diagonal,
    "cdist": _distances,
    "scaled_dot_product_attention": _attended,
    **dict.fromkeys(["addmm", "baddbmm"], _product_added),
    **dict.fromkeys(["tensordot", "tile", "repeat_interleave", "kron", "embedding_bag"], _unknown),
}
