"""Backward through reentrant checkpoints, which refuse to be differentiated for chosen inputs."""

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


def differentiate(
    m: Machine, node: cst.CSTNode, root_node: cst.CSTNode, root: Tensor, only: frozenset[int] | None
) -> None:
    """`autograd.grad` or `backward(inputs=...)` from `root`; only: the nodes that it runs (None: all)."""
    todo = [] if root.node is None or not root.grad.yes else [root.node]
    seen = set(todo)
    while todo:
        number = todo.pop()
        m.step()
        if only is not None and number not in only:
            continue
        made = m.state.graph[number]
        if made.op == OP:
            m.raises()
            m.emit(Checkpointed, node, what="grad", at=made.site, subject=m.text(root_node), sure=root.grad)
            return
        new = {e.node for e in made.edges if e.node is not None and e.sure} - seen
        seen |= new
        todo.extend(new)
