"""`torch.add(x, y, out=z)`: the result is written into `z`, without a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, events, tensors, writes
from flake8_detach.flow.values import NO, Label, Ref, Tensor, Value
from flake8_detach.knowledge import ops, out

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine


def written(m: Machine, node: cst.CSTNode, op: ops.Op, args: Args, bound: dict[str, Value], subject: Label) -> Value:
    """The call of `op` that is given a tensor as `out`."""
    target = bound["out"]
    assert isinstance(target, Ref)
    where = m.text(args.nodes.get("out", node))
    writes.tell_write(m, node, target, where)
    if not out.refuses(op.name) or len(target.addresses) != 1 or "*open" in bound:
        calls.escape(m, [target])
        return tensors.apply(m, node, op, bound, subject)
    (address,) = target.addresses
    cell = m.state.cell(address)
    assert isinstance(cell, Tensor)
    inputs = tensors.gather(m, {name: value for name, value in bound.items() if name != "out"})
    guilty = next((t.grad for _, t, _ in inputs.tensors if t.grad.yes), cell.grad)
    if m.mode.grad.yes and guilty.yes:
        m.raises()
        if not (cell.grad.yes and cell.leaf.yes):  # a leaf has been told of
            facts = {"tensor": cell, "subject": where, "base": None, "how": m.text(node), "refusing": NO}
            m.emit(events.InPlace, node, mode=m.mode, out=guilty, **facts)
        return target  # go on as if the write had been put under no_grad
    result = m.cell(tensors.apply(m, node, op, bound, subject))
    writes.write(m, node, target, NO, None, op, inputs)
    m.change(address, shape=result.shape if isinstance(result, Tensor) else None)
    return target
