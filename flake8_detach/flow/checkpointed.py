"""Backward through reentrant checkpoints, which refuse to be differentiated for chosen inputs, or for none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.events import Checkpointed
from flake8_detach.flow.values import Tensor

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

OP = "CheckpointFunction"
"""The graph node of a reentrant checkpoint."""
USED = (0, "reentrant")
"""Slot that is set once the file has made one."""
GRAPHLESS = "graphless"
"""Slot of its node: what the function returns does not depend on anything that requires grad."""


def differentiate(
    m: Machine, node: cst.CSTNode, root_node: cst.CSTNode, root: Tensor, only: frozenset[int] | None, chosen: bool
) -> None:
    """Backward from `root`; only: the nodes that it runs (None: all); chosen: is it for chosen inputs (`autograd.grad`,
    `backward(inputs=...)`)?"""
    todo = [] if root.node is None or not root.grad.yes else [root.node]
    seen = set(todo)
    while todo:
        number = todo.pop()
        m.step()
        if only is not None and number not in only:
            continue
        made = m.state.graph[number]
        graphless = m.state.get((number, GRAPHLESS)) is not None
        if made.op == OP and (chosen or graphless):
            m.raises()
            what = "grad" if chosen else "graphless"
            m.emit(Checkpointed, node, what=what, at=made.site, subject=m.text(root_node), sure=root.grad)
            return
        new = {e.node for e in made.edges if e.node is not None and e.sure} - seen
        seen |= new
        todo.extend(new)
