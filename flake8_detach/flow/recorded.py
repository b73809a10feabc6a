"""Gradients with a graph of their own, which `backward(create_graph=True)` leaves in `.grad`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import graph_walk
from flake8_detach.flow.events import NeedlesslyKept
from flake8_detach.flow.values import Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def recorded(m: Machine, node: cst.CSTNode, root: Value, owner: cst.CSTNode) -> None:
    """`root.backward(create_graph=True)` in a loop: a gradient has a graph, and the next one is added to it."""
    found = [t.node for _, t in m.tensors(root) if t.node is not None and t.grad.yes]
    if m.quiet or not found or not any(frame.loops for frame in m.frames):
        return
    leaves = graph_walk.leaves(m, found)
    event = m.event(NeedlesslyKept, node, subject=m.text(owner), created=True)

    def ask() -> None:
        if leaves and m.accumulation.cleared.isdisjoint(leaves) and m.escaped.isdisjoint(leaves):
            m.sink(event)

    m.ledger.at_end.append(ask)
