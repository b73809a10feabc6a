"""Softmax over a single number: it is 1 whatever the number is, and its logarithm 0, so nothing comes back through it.

The size of that axis must be a layer's or that of `topk(1)`: a sequence of length one is a matter of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flake8_detach.flow import linear, shapes
from flake8_detach.flow.values import NONE, Const, Node, Ref, Shape, Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SOFTMAX = frozenset({"softmax", "log_softmax", "softmin", "gumbel_softmax", "cross_entropy"})
LAST = frozenset({"linear", "bilinear"})
"""Ops whose output has as many entries in its last axis as they were made for."""
CHANNELS = {"conv1d": -2, "conv2d": -3, "conv3d": -4}
"""The same of the axis of channels, with a batch before it or without."""
KEEPING = frozenset({"relu", "leaky_relu", "gelu", "tanh", "dropout", "div", "truediv", "mul", "to", "sigmoid"})
"""Ops that leave the shape of their first operand as it is."""


def flat(m: Machine, op: str, given: Mapping[str, Value]) -> bool:
    """Is it a softmax, or a loss that takes one, over an axis of one entry (torch/nn/functional.py)?"""
    name = op.rpartition(".")[2].strip("_")
    if name not in SOFTMAX:
        return False
    operand = next(iter(given.values()), NONE)
    cell = m.cell(operand)
    if not isinstance(operand, Ref) or len(operand.addresses) != 1 or not isinstance(cell, Tensor) or not cell.shape:
        return False
    at = _axis(m, name, given.get("dim", given.get("axis")), cell.shape)
    return at is not None and cell.shape[at] == 1 and _by_design(m, cell.node, at, cell.shape)


def _axis(m: Machine, name: str, dim: Value | None, shape: Shape) -> int | None:
    rank = len(shape)
    if name == "cross_entropy":
        return min(1, rank - 1)
    if name == "gumbel_softmax" and dim is None:
        return rank - 1
    if dim is None or dim == NONE:  # torch warns, and chooses
        return 0 if rank in (0, 1, 3) else 1
    found = shapes.axes(m, dim, rank)
    return found[0] if found is not None and len(found) == 1 else None


def _by_design(m: Machine, number: int | None, at: int, shape: Shape) -> bool:
    """Is the axis one of a layer's outputs, or of the largest that were picked?"""
    while number is not None:
        node: Node = m.state.graph[number]
        name = linear.key(node)
        if name == "topk":
            return shapes.axes(m, node.given.get("dim", node.given.get("axis", Const(-1))), len(shape)) == [at]
        if name in LAST:
            return at == len(shape) - 1
        if name in CHANNELS:
            return at == len(shape) + CHANNELS[name]
        if name not in KEEPING:
            return False
        first = m.cell(next(iter(node.given.values()), NONE))
        number = first.node if isinstance(first, Tensor) and first.shape == shape else None
    return False


def evidence(m: Machine, node: Node) -> str:
    """What to say of such a node."""
    what = "the loss is 0" if linear.key(node) == "cross_entropy" else "it gives the same"
    return f"`{m.text(node.site)}` takes the softmax of a single number: {what} whatever that is (sigmoid is for one)"
