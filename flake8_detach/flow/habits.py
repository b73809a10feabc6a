"""What works and is not how PyTorch is meant to be used: `.data`, a module's `forward` called by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import modules
from flake8_detach.flow.events import DataRead, ForwardCalled
from flake8_detach.flow.values import Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def data(m: Machine, node: cst.CSTNode, owner_node: cst.CSTNode, tensor: Tensor) -> None:
    """`x.data` is read; a write through it reads it first."""
    m.emit(DataRead, node, tensor=tensor, subject=m.text(owner_node))


def forward(m: Machine, node: cst.Call, receiver: Value) -> None:
    """`receiver.forward(...)`: what `__call__` does around it, the hooks first of all, is left out."""
    if not isinstance(node.func, cst.Attribute) or not modules.is_module(m, receiver):
        return
    if modules.find(m, receiver, "__call__") is not None:  # calling it is something else
        return
    if any(f.function is not None and f.function.name == "__call__" for f in m.frames):
        return
    m.emit(ForwardCalled, node, subject=m.text(node.func.value))
