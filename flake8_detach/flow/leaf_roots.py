"""Backward that starts from a leaf: a loss that was rebuilt from numbers, so that nothing is behind it.

A constant that is backwarded stands in for a loss that a batch does not have. A number that was computed is meant to
train what it was computed from. What cannot be told at once is told when the file has been followed: that nobody wants
the gradient of the leaf itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.events import LeafBackwarded
from flake8_detach.flow.values import Const, Tensor, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

COMPUTED = "*computed"
"""Slot of a tensor: the call that made it of numbers that do not stand in the text, in a tuple."""


def made(m: Machine, address: int, data: Value, node: cst.CSTNode) -> None:
    """`torch.tensor(data)`, where `data` leads to no tensor that is known."""
    listed = data.items if isinstance(data, Tuple) else getattr(m.cell(data), "items", (data,))
    if listed and not any(isinstance(one, Const) for one in listed):
        m.state.set((address, COMPUTED), (node,))


def backwarded(m: Machine, node: cst.CSTNode, root: cst.CSTNode, address: int, tensor: Tensor) -> None:
    """A backward starts from `tensor`."""
    at = m.state.get((address, COMPUTED))
    if m.quiet or m.guards or not isinstance(at, tuple) or not (tensor.leaf.yes and tensor.grad.yes):
        return
    event = m.event(LeafBackwarded, at[0], root=m.text(root), backward=node)
    m.afterwards.blind = True  # what it was meant to come by is not known

    def at_end() -> None:
        used = address in m.wanted or address in m.owned or address in m.escaped or address in m.hooked
        if m.ledger.optimized and not used:
            m.sink(event)

    m.ledger.at_end.append(at_end)
