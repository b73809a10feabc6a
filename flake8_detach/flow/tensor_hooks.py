"""Hooks on tensors and on graph nodes: what can be registered where."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import autograd, calls, gradients, hook_effects, hooks, iteration
from flake8_detach.flow.calls import Args
from flake8_detach.flow.events import HookMisuse
from flake8_detach.flow.hooks import Hook
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import UNKNOWN, YES, Const, Ref, Tensor, Thing, Value
from flake8_detach.knowledge.hooks import MULTI_MODES, NODE_INPUTS, ON_NODE, ON_TENSOR

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

NODE = "torch.autograd.graph.Node"
"""Kind of a `grad_fn`: its part "number" is that of its node in the graph."""


def register(m: Machine, node: cst.CSTNode, receiver: Ref, method: str, args: Args, owner: cst.CSTNode) -> Value:
    """`x.register_hook(...)`, `p.register_post_accumulate_grad_hook(...)`."""
    kind = ON_TENSOR.get(method, "tensor")
    function = args.get(0, "hook") or UNKNOWN
    for address, tensor in m.tensors(receiver):
        autograd.tell_hook(m, node, tensor, m.text(owner), method or "register_hook")
        if len(receiver.addresses) == 1:
            hook_effects.late(m, node, address, tensor, method)
        if kind == "post" and tensor.leaf.no and tensor.grad.yes:
            m.raises()
            m.emit(HookMisuse, node, kind="no leaf", hook=kind, what=m.text(owner), at=None, sure=tensor.leaf)
    if kind == "post":
        m.state.set(gradients.HOOKED, YES)
    if function == UNKNOWN or not receiver.addresses:
        m.escaped.update(receiver.addresses)
        calls.escape(m, args.values())
        return UNKNOWN
    return _put(m, node, receiver, Hook(kind, node, function))


def _put(m: Machine, node: cst.CSTNode, receiver: Ref, hook: Hook) -> Value:
    """A hook on a computed tensor sits on its graph node."""
    handle: Value = UNKNOWN
    for address, tensor in m.tensors(receiver):
        owner = address if tensor.node is None else tensor.node
        if address in m.state.merged:
            calls.escape(m, [hook.function])
        handle = hooks.register(m, node, (owner,), replace(hook, like=tensor))
    if len(receiver.addresses) == 1:
        return handle
    owners = tuple(a if t.node is None else t.node for a, t in m.tensors(receiver))
    handle = m.new(Thing(hooks.HANDLE))
    m.state.set((handle.addresses[0], hooks.OWNERS), (node, owners))
    return handle


@model("torch.autograd.graph.register_multi_grad_hook")
def _multi(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """`register_multi_grad_hook(tensors, fn, mode=...)`."""
    mode = args.kw.get("mode", Const(MULTI_MODES[0]))
    if isinstance(mode, Const) and mode.value not in MULTI_MODES:
        m.raises()
        m.emit(HookMisuse, node, kind="mode", hook="multi", what=repr(mode.value), at=None, sure=YES)
        return UNKNOWN
    given = iteration.exact(m, args.get(0, "tensors") or UNKNOWN)
    function = args.get(1, "fn")
    if args.open or given is None or function is None or not all(m.is_tensor(v) for v in given):
        calls.escape(m, args.values())
        return UNKNOWN
    owners = []
    for value in given:
        for address, tensor in m.tensors(value):
            if mode == Const("all"):
                autograd.tell_hook(m, node, tensor, m.text(args.node(0, "tensors", node)), "register_multi_grad_hook")
            owners.append(address if tensor.node is None else tensor.node)
    return hooks.register(m, node, tuple(owners), Hook("multi", node, function))


def grad_fn(m: Machine, address: int, tensor: Tensor) -> Value:
    """`x.grad_fn` of a tensor that may be computed."""
    if tensor.node is None or not (tensor.grad.yes and tensor.leaf.no) or address in m.escaped:
        return UNKNOWN
    return m.new(Thing(NODE, (("number", Const(tensor.node)),)))


def on_node(m: Machine, node: cst.CSTNode, cell: Thing, name: str, args: Args) -> Value | None:
    """A method of a graph node; None if it is none that registers a hook."""
    number = cell.part("number")
    function = args.get(0, "fn")
    if name not in ON_NODE or not isinstance(number, Const) or function is None:
        return None
    made = m.state.graph[number.value]
    count = NODE_INPUTS.get(made.op.rpartition(".")[2]) if ON_NODE[name] == "node" else None
    return hooks.register(m, node, (number.value,), Hook(ON_NODE[name], node, function, inputs=count))
