"""vmap: the function runs once, with one sample of each argument. Source: torch/_functorch/vmap.py of torch 2.13."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import pytrees, transforms
from flake8_detach.flow.calls import Args
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.levels import Level, refuse
from flake8_detach.flow.values import MAYBE, NONE, UNKNOWN, Const, Ref, Scalar, Shape, Tensor, Thing, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

NAME = "torch.vmap"


class _Refused(Exception):
    """Torch raises, and the rules have been told."""


def apply(m: Machine, thing: Thing, function: Value, args: Args, node: cst.CSTNode) -> Value:
    """`torch.vmap(f)(x)`."""
    try:
        return _apply(m, thing, function, args, node)
    except _Refused:
        return UNKNOWN


def _no(m: Machine, node: cst.CSTNode, problem: str, remedy: str = "") -> _Refused:
    refuse(m, node, NAME, problem, remedy)
    return _Refused()


def _apply(m: Machine, thing: Thing, function: Value, args: Args, node: cst.CSTNode) -> Value:
    asked = thing.part("in_dims") or Const(0)
    outs = thing.part("out_dims") or Const(0)
    _check_dims(m, asked, outs, node)
    if not args.pos:
        raise _no(m, node, "it is called without a positional argument", "pass what is mapped over by position")
    level = transforms.level(m, "vmap", NAME, node, (thing.part("randomness") or Const("error")) == Const("error"))
    sizes: list[int | None] = []
    dims = _spread(m, asked, args.pos, node)
    inside = [_sample(m, value, dim, level, sizes, node) for value, dim in zip(args.pos, dims, strict=True)]
    known = {s for s in sizes if s is not None}
    if len(known) > 1:
        many = " and ".join(str(s) for s in sorted(known))
        raise _no(m, node, f"the mapped dimensions have the sizes {many}", "map over equal dimensions; see in_dims")
    before = m.fatal
    result = transforms.run(m, function, Args(inside, dict(args.kw)), node, level)
    transforms.used(m, result)
    if m.fatal != before:
        return UNKNOWN
    return _gather(m, result, outs, level, known.pop() if known else None, node)


def _check_dims(m: Machine, asked: Value, outs: Value, node: cst.CSTNode) -> None:
    """Are in_dims and out_dims of the right type?"""
    kind = kind_of(m, asked)
    if kind in ("list", "dict", "tensor", "set") or (isinstance(asked, Const) and not isinstance(asked.value, int)):
        raise _no(
            m, node, f"`in_dims` is {pytrees.article(kind)}", "it is an int, or a tuple with an entry for each argument"
        )
    for item in pytrees.leaves(m, outs):
        if isinstance(item, Const) and item != NONE and not isinstance(item.value, int):
            raise _no(
                m,
                node,
                f"`out_dims` holds {pytrees.article(kind_of(m, item))}",
                "it is an int, None, or a tuple of these",
            )


def _spread(m: Machine, asked: Value, values: list[Value], node: cst.CSTNode) -> list[Value]:
    """The dims for each of several values."""
    if isinstance(asked, (Const, Scalar)):
        return [asked] * len(values)
    found = pytrees.inner(m, asked)
    if found is None:
        return [UNKNOWN] * len(values)
    if len(found[1]) != len(values):
        entries, given = _many(len(found[1]), "entry", "entries"), _many(len(values), "argument", "arguments")
        raise _no(m, node, f"`in_dims` has {entries} for {given}", "give one entry for each positional argument")
    return found[1]


def _many(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _sample(
    m: Machine, value: Value, dim: Value, level: Level, sizes: list[int | None], node: cst.CSTNode, depth: int = 0
) -> Value:
    """One sample of an argument."""
    if depth > pytrees.DEEP:
        return UNKNOWN
    kind = kind_of(m, value)
    if dim == NONE:
        return pytrees.copied(m, value, lambda _, t: transforms.other(m, t))
    given = pytrees.inner(m, dim)
    if given is not None:
        if pytrees.leaf(m, value):
            raise _no(m, node, f"`in_dims` has a {given[0][0]} for {pytrees.article(kind)}")  # type: ignore[index]
        held = pytrees.inner(m, value)
        if held is None:
            return UNKNOWN
        if held[0] != given[0]:
            raise _no(m, node, "`in_dims` does not have the structure of the arguments")
        parts = [_sample(m, v, d, level, sizes, node, depth + 1) for v, d in zip(held[1], given[1], strict=True)]
        made = iter(parts)
        return Tuple(tuple(made)) if isinstance(value, Tuple) else UNKNOWN
    if isinstance(dim, Const) and not isinstance(dim.value, int):
        raise _no(m, node, f"`in_dims` holds {pytrees.article(kind_of(m, dim))}", "each entry is an int or None")

    def one(_: int, tensor: Tensor) -> Ref:
        return _one(m, tensor, dim, level, sizes, node)

    for item in pytrees.leaves(m, value):
        kind = kind_of(m, item)
        if kind not in ("?", "tensor", "tuple", "list", "dict") and isinstance(dim, Const):
            raise _no(m, node, f"it maps over {pytrees.article(kind)}", "give None in `in_dims` for what is no tensor")
    return pytrees.copied(m, value, one)


def _one(m: Machine, tensor: Tensor, dim: Value, level: Level, sizes: list[int | None], node: cst.CSTNode) -> Ref:
    shape: Shape | None = None
    if tensor.shape is not None:
        rank = len(tensor.shape)
        if isinstance(dim, Const):
            if not -rank <= dim.value < rank:
                dims = _many(rank, "dimension", "dimensions")
                raise _no(m, node, f"it maps over dimension {dim.value} of a tensor with {dims}")
            at = dim.value % rank
            sizes.append(tensor.shape[at])
            shape = tensor.shape[:at] + tensor.shape[at + 1 :]
        elif rank:
            shape = (None,) * (rank - 1)
    batched = tensor.batched | {level.number} if isinstance(dim, Const) else tensor.batched
    grad = tensor.grad if tensor.grad.no else MAYBE
    facts = {"dtype": tensor.dtype, "parameter": tensor.parameter, "why": tensor.why, "dual": tensor.dual}
    return m.tensor(grad=grad, leaf=MAYBE, shape=shape, batched=batched, **facts)


def _gather(m: Machine, result: Value, outs: Value, level: Level, size: int | None, node: cst.CSTNode) -> Value:
    """What comes out: a dimension more, where out_dims says."""
    if m.is_tensor(result):
        given = pytrees.inner(m, outs)
        if given is not None and len(given[1]) != 1:
            entries = _many(len(given[1]), "entry", "entries")
            raise _no(m, node, f"`out_dims` has {entries}, and the function returns one tensor")
        return _stacked(m, result, given[1][0] if given else outs, level, size, node)
    held = pytrees.inner(m, result)
    if held is None:
        return _stacked(m, result, outs, level, size, node)
    given = pytrees.inner(m, outs)
    if given is not None and len(given[1]) != len(held[1]):
        entries = _many(len(given[1]), "entry", "entries")
        raise _no(m, node, f"`out_dims` has {entries}, and the function returns {len(held[1])} values")
    each = given[1] if given else [outs] * len(held[1])
    items = [_gather(m, v, d, level, size, node) for v, d in zip(held[1], each, strict=True)]
    return Tuple(tuple(items)) if isinstance(result, Tuple) else UNKNOWN


def _stacked(m: Machine, value: Value, dim: Value, level: Level, size: int | None, node: cst.CSTNode) -> Value:
    kind = kind_of(m, value)
    if kind not in transforms.AUX and isinstance(dim, Const):
        if dim == NONE:
            return value
        hint = "return tensors only, or give None in `out_dims` for it"
        raise _no(m, node, f"the function returns {pytrees.article(kind)}, not a tensor", hint)
    cell = m.cell(value)
    if not isinstance(cell, Tensor):
        return UNKNOWN
    if dim == NONE and level.number in cell.batched:
        raise _no(m, node, "`out_dims` is None for a tensor that differs by sample")
    shape: Shape | None = None
    if cell.shape is not None and isinstance(dim, Const) and isinstance(dim.value, int):
        rank = len(cell.shape)
        if not -rank - 1 <= dim.value <= rank:
            raise _no(
                m, node, f"`out_dims` is {dim.value}, and the results have {_many(rank + 1, 'dimension', 'dimensions')}"
            )
        at = dim.value % (rank + 1)
        shape = (*cell.shape[:at], size, *cell.shape[at:])
    return pytrees.derived(m, shape, cell.dtype, cell.batched - {level.number})
