"""`state_dict()` gives the parameters themselves, detached: what keeps it has not kept their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import alternatives, module_tree, writes
from flake8_detach.flow.events import Dropped
from flake8_detach.flow.values import Mapping_, Ref, Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def restored(m: Machine, node: cst.CSTNode, module: Ref, given: Value, subject: object) -> None:
    """`module.load_state_dict(given)`: does it copy parameters that are stepped onto themselves (Module.state_dict in
    torch/nn/modules/module.py)?"""
    held = m.cell(alternatives.one(given))
    tensor = m.cell(held.rest) if isinstance(held, Mapping_) and not held.items and held.rest is not None else None
    if m.guards or not isinstance(tensor, Tensor) or tensor.made != "state_dict" or tensor.why is None:
        return
    taken = {edge.leaf for edge in tensor.why.source.edges} if tensor.why.source is not None else set()
    own = set(module_tree.parameters(m, module).addresses) & m.owned
    if taken and taken <= own and own.isdisjoint(m.escaped) and m.state.get(writes.REWRITTEN) is None:
        m.emit(
            Dropped, node, what="restored", owner="module", subject=subject, name="load_state_dict", at=tensor.why.site
        )
