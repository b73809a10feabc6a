"""What the attributes of a tensor refuse to be assigned: `.grad`, `.data`, `.grad_dtype`; and to be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import autograd, shapes, training
from flake8_detach.flow.values import (
    NONE,
    Array,
    Const,
    Function,
    Layer,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

PERMANENT = frozenset({"grad_fn", "is_leaf", "retains_grad", "requires_grad", "data", "shape", "dtype", "device"})
"""Attributes of a tensor that cannot be deleted; `del x.grad` is fine."""


def no_tensor(m: Machine, value: Value) -> bool:
    """Is it certainly something else than a tensor?"""
    plain = isinstance(value, (Const, Scalar, Array, Tuple, Function))
    return plain or isinstance(m.cell(value), (Sequence, Mapping_, Layer))


def refused(m: Machine, address: int, tensor: Tensor, name: str, value: Value, alone: bool = True) -> str:
    """Why torch does not let `value` be assigned to the attribute, or "". alone: it is given to this tensor, not to
    several one after the other, each of which may get another value."""
    if name in ("grad", "_grad") and value != NONE:
        return _gradient(m, address, tensor, value, alone)
    if name == "data":
        if no_tensor(m, value):
            return "it must be a tensor"
        cell = m.cell(value)
        whole = isinstance(cell, Tensor) and cell.dtype in ("int", "bool")
        return "data that requires grad must be float" if whole and tensor.grad.yes else ""
    if name == "grad_dtype" and tensor.leaf.no:
        return "only leaves have it"
    return ""


def _gradient(m: Machine, address: int, tensor: Tensor, value: Value, alone: bool) -> str:
    if no_tensor(m, value):
        return "a gradient is a tensor or None"
    if not alone:
        return ""
    if value == Ref((address,)):
        return "a tensor cannot be its own gradient"
    cell = m.cell(value)
    if not isinstance(cell, Tensor):
        return ""
    if tensor.shape is not None and cell.shape is not None:
        pairs = list(zip(tensor.shape, cell.shape, strict=False))
        if len(tensor.shape) != len(cell.shape) or any(a != b and None not in (a, b) for a, b in pairs):
            return f"the gradient has the shape {shapes.spelled(cell.shape)}, the tensor {shapes.spelled(tensor.shape)}"
    if tensor.dtype is not None and cell.dtype is not None and tensor.dtype != cell.dtype:
        return f"the gradient is {cell.dtype}, the tensor {tensor.dtype}"
    return ""


def deleted(m: Machine, node: cst.Attribute, owner: Value, name: str) -> None:
    """`del y.grad_fn`, or `del x.grad`, which clears it."""
    if name == "grad":
        training.cleared(m, [address for address, _ in m.tensors(owner)], node)
    for _, tensor in m.tensors(owner) if name in PERMANENT else ():
        autograd.refuse(m, node, tensor, m.text(node.value), "it cannot be deleted")


def read(m: Machine, node: cst.CSTNode, owner_node: cst.CSTNode, tensor: Tensor, name: str) -> None:
    """`y.grad_dtype`, which only leaves have."""
    if name == "grad_dtype" and tensor.leaf.no:
        autograd.refuse(m, node, tensor, m.text(owner_node), "only leaves have it")
