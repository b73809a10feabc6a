"""Calls of numpy and of what works on its arrays: tensors that require grad are refused there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import iteration, op_arguments, operators, tensors
from flake8_detach.flow.calls import Args
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    YES,
    Array,
    Cause,
    Const,
    Foreign,
    Label,
    Method,
    Scalar,
    Sequence,
    Tuple,
    Value,
)
from flake8_detach.knowledge import numpy_api

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def convert_arguments(m: Machine, name: str, args: Args, node: cst.CSTNode) -> None:
    """A function of a library that makes arrays of its arguments: tensors that require grad cannot go there."""
    if not numpy_api.converts(name):
        return
    convert(m, args, node, m.text(node.func) if isinstance(node, cst.Call) else name)


def convert(m: Machine, args: Args, node: cst.CSTNode, via: Label) -> None:
    given: list[tuple[int | str, Value]] = [*enumerate(args.pos), *args.kw.items()]
    for key, value in given:
        value_node = args.nodes.get(key) or node
        if m.is_tensor(value):
            operators.to_numpy(m, node, value, value_node, via, element=False)
            continue
        cell = m.cell(value)
        if isinstance(cell, Sequence) or isinstance(value, Tuple):
            items = iteration.exact(m, value) or [iteration.element(m, value)]
            inside = [item for item in items if m.is_tensor(item)]
            refused = [item for item in inside if any(t.grad.yes for _, t in m.tensors(item))]
            for item in (refused or inside)[:1]:
                operators.to_numpy(m, node, item, value_node, via, element=True)


def call_array_library(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    convert_arguments(m, name, args, node)
    root = name.partition(".")[0]
    if root == "numpy":
        inputs = tensors.gather(m, {str(i): v for i, v in enumerate(args.pos)})
        lost = inputs.grad()
        why = inputs.why()
        if lost.yes and m.mode.grad.yes and numpy_api.converts(name):
            return UNKNOWN  # torch raises
        if lost.yes:
            of = inputs.pairs()
            why = m.cause("cut", f"turned into a numpy array by `{m.text(node)}`", node, "", lost, why, of)
        last = name.removeprefix("numpy.")
        perhaps = any(m.is_tensor(v) or v == UNKNOWN or isinstance(v, Method) for v in args.pos)
        if perhaps and last not in numpy_api.CREATING and not last.startswith("random."):
            return UNKNOWN  # np.sqrt(t) gives a tensor
        return numpy_result(m, name, args, why)
    return Foreign(name)


def numpy_result(m: Machine, name: str, args: Args, why: Cause | None) -> Value:
    """What a numpy function returns: an array for sure, a numpy scalar for sure, or one of the two."""
    last = name.removeprefix("numpy.")
    if last in numpy_api.SCALAR_TYPES:
        return Array(None, YES if args.pos and isinstance(args.pos[0], (Const, Scalar)) else MAYBE, why)
    if last in numpy_api.CREATING:
        kind: str | None = "float" if last in ("ones", "zeros", "linspace", "eye") else None
        if last in ("arange", "array", "asarray"):
            kinds = [op_arguments.literal_kind(m, v) for v in args.pos]
            kind = kinds[0] if kinds and all(k == kinds[0] for k in kinds) else None
        return Array(kind if "dtype" not in args.kw and len(args.pos) < 4 else None, NO, why)
    if last.startswith("random.") and args.pos and last.removeprefix("random.") in ("rand", "randn"):
        return Array("float", NO, why)
    return Array(None, MAYBE, why)
