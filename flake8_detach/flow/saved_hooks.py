"""Hooks on saved tensors: `with saved_tensors_hooks(pack, unpack):`.

`pack` is called for each tensor that an operation saves within the block, `unpack` with what it gave when backward
needs it. Source: torch/autograd/graph.py and torch/csrc/autograd/saved_variable.cpp of torch 2.13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import hooks
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.events import HookMisuse
from flake8_detach.flow.hooks import Hook
from flake8_detach.flow.machine import PACKED, Block
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import NO, UNKNOWN, YES, Const, Node, Tensor, Thing, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

PACKING = "torch.autograd.graph.saved_tensors_hooks"
DISABLING = "torch.autograd.graph.disable_saved_tensors_hooks"
HELD = "packed"
"""Slot of the hooks: what `pack` has made of a tensor."""


@model(PACKING, "torch.autograd.graph.save_on_cpu")
def _packing(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    m.state.set(PACKED, YES)
    pack, unpack = args.get(0, "pack_hook"), args.get(1, "unpack_hook")
    if args.called != PACKING or args.open or pack is None or unpack is None:
        escape(m, args.values())
        return m.new(Thing(PACKING))
    made = m.new(Thing(PACKING, (("pack", pack), ("unpack", unpack))))
    m.state.set((made.addresses[0], "*made"), node)
    return made


@model(DISABLING)
def _disabling(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    message = args.get(0, "error_message") or UNKNOWN
    return m.new(Thing(DISABLING, (("message", message),)))


def entered(m: Machine, node: cst.CSTNode, address: int, cell: Thing) -> None:
    """`with` these hooks, or without any; the interpreter goes back to the block around it."""
    if cell.kind == DISABLING:
        message = cell.part("message")
        m.block = Block(0, message.value if isinstance(message, Const) else "")
    elif cell.kind == PACKING:
        if m.block.disabled is not None:
            m.raises()
            m.emit(HookMisuse, node, kind="disabled", hook="", what=m.block.disabled, at=None, sure=YES)
        m.block = Block(address if cell.part("pack") is not None else 0, m.block.disabled)


def packed(m: Machine, tensor: Tensor, site: cst.CSTNode) -> None:
    """An operation at `site` saves the tensor: pack it."""
    address = m.block.hooks
    block, m.block = m.block, Block()  # what pack computes is not packed
    hook = _hook(m, address, "pack")
    if hook is not None:
        given = m.tensor(grad=NO, leaf=YES, shape=tensor.shape, dtype=tensor.dtype, made="saved")
        seen = m.cell(given)
        held = hooks.run(m, hook, [given], site)
        if isinstance(seen, Tensor) and m.written_since(seen.storage, (seen.storage,)):
            hooks.tell(m, m.state.get((seen.storage, "written at")) or site, "pack writes", hook)
            m.raises()
        m.state.set((address, HELD), held)
    m.block = block


def unpack(m: Machine, node: Node, site: cst.CSTNode) -> None:
    """A backward at `site` surely needs what this node has saved."""
    for address in dict.fromkeys(s.packed for s in node.saved if s.packed):
        hook = _hook(m, address, "unpack")
        if hook is not None:
            held: Value = m.state.get((address, HELD), UNKNOWN)
            if not hooks.judge(m, hook, hooks.run(m, hook, [held], site), site):
                return


def _hook(m: Machine, address: int, kind: str) -> Hook | None:
    cell = m.state.cell(address) if address else None
    function = cell.part(kind) if isinstance(cell, Thing) else None
    return None if function is None else Hook(kind, m.state.get((address, "*made")), function)
