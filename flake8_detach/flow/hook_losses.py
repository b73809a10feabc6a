"""Hooks that are passed by: those of a tensor that is pickled, those of DistributedDataParallel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, hooks, module_tree, tensors
from flake8_detach.flow.calls import Args
from flake8_detach.flow.events import HookIdle
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import NONE, UNKNOWN, Const, Ref, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

PLAIN = (None, NONE, Const(False))


@model("pickle.dumps", "pickle.dump", "torch.save")
def _pickled(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """A tensor is pickled without its hooks, of which torch warns; a Parameter without a word."""
    inputs = tensors.Inputs()
    inputs.add(m, args.get(0, "obj") or UNKNOWN, "obj")
    for address, tensor, _ in inputs.tensors:
        owner = address if tensor.node is None else tensor.node
        hook = next((h for h in hooks.on(m, owner).of("tensor") if h.sure), None)
        if hook is not None and not tensor.parameter:
            m.emit(HookIdle, node, what="pickled", subject=m.text(args.node(0, "obj", node)), at=hook.site)
            break
    if args.called.startswith("pickle."):
        calls.escape(m, args.values())
    return UNKNOWN


def differentiated(m: Machine, args: Args, node: cst.CSTNode, chosen: list[int] | None) -> None:
    """`autograd.grad` with respect to all parameters of a module that DistributedDataParallel was given.

    Not if the graph is kept for another pass: then this one is no training step, but a measurement.
    """
    if (
        chosen is None
        or args.open
        or args.get(3, "retain_graph") not in PLAIN
        or args.get(4, "create_graph") not in PLAIN
    ):
        return
    for module, site in m.ledger.replicated:
        found = module_tree.tree(m, module)
        if found.complete and found.parameters and set(found.parameters).issubset(chosen):
            m.emit(HookIdle, node, what="replicated", subject=m.text(node), at=site)


def replicated(m: Machine, module: Value, node: cst.CSTNode) -> None:
    """`DistributedDataParallel(module)`"""
    if isinstance(module, Ref) and not m.quiet:
        m.ledger.replicated.append((module, node))
