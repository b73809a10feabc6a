"""Calls of torch, sent to where they are known: ops by their table, layers, optimizers, grad modes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    contexts,
    conversions,
    gradients,
    hidden,
    hook_losses,
    layer_made,
    methods,
    module_tree,
    optimizer_made,
    out_argument,
    sampling,
    tensors,
    writes,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.machine import fact
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Function,
    Method,
    Mode,
    Ref,
    Scalar,
    Thing,
    Value,
)
from flake8_detach.knowledge import layers, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def call_torch(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    if name.startswith("torch.Tensor."):  # unbound: torch.Tensor.add(x, y)
        if args.pos and m.is_tensor(args.pos[0]):
            return methods.call(m, node, Method(args.pos[0], name.rpartition(".")[2]), Args(args.pos[1:], args.kw))
        escape(m, args.values())
        return UNKNOWN
    if name.startswith("torch.nn.init.") and name.endswith("_"):
        for address, tensor in m.tensors(args.get(0, "tensor") or UNKNOWN):
            gradients.rewritten(m, tensor.storage)
            if tensor.storage and tensor.node is not None:  # a leaf is initialised before it is used
                m.wrote(tensor.storage, node)
            if tensor.inference.yes:  # else nothing is refused: these functions write under no_grad
                writes.tell_write(m, node, Ref((address,)), m.text(args.node(0, "tensor", node)))
    if name.startswith("torch.nn.init.") or name in ("torch.manual_seed",):
        return args.get(0, "tensor") or UNKNOWN
    if name.startswith("torch.optim.lr_scheduler."):
        return optimizer_made.make_scheduler(m, name, args, node)
    if name.startswith("torch.optim.") and name.count(".") == 2:
        return optimizer_made.make_optimizer(m, name, args, node)
    if layers.layer(name) is not None:
        return layer_made.make_layer(m, name, args, node)
    if name.startswith("torch.distributions."):
        return sampling.make_distribution(m, name, args)
    if name.startswith("torch._foreach_") and name.endswith("_"):
        for address in module_tree.parameters_in(m, args.get(0, "self") or UNKNOWN) or ():
            writes.tell_write(m, node, Ref((address,)), m.text(args.node(0, "self", node)))
        escape(m, args.values())
        return NONE
    op = ops.function(name)
    if op is not None:
        bound = args.bind(op.params)
        if name in JOINING and args.get(0, "tensors") is not None:
            conversions.joined(m, node, name, args.get(0, "tensors") or UNKNOWN, args.node(0, "tensors", node))
        subject = m.text(args.nodes[0]) if 0 in args.nodes else ""
        if m.is_tensor(bound.get("out", UNKNOWN)):
            return out_argument.written(m, node, op, args, bound, subject)
        return tensors.apply(m, node, op, bound, subject)
    escape(m, args.values())
    return UNKNOWN


JOINING = ("torch.stack", "torch.cat", "torch.concat", "torch.concatenate")
"""Functions of a list of tensors."""


@model("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled")
def _grad_mode(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(0, "mode")
    kind = args.called
    if isinstance(given, (Function,)):  # torch.no_grad(f): the decorator without parentheses
        return replace(given, wrappers=(kind, *given.wrappers))
    if args.open:
        given = UNKNOWN
    elif kind == "torch.set_grad_enabled":
        contexts.flag(m, node, given)
    m.ledger.enables = m.ledger.enables or (kind == "torch.set_grad_enabled" and given != Const(False))
    parts: tuple[tuple[str, Value], ...] = () if given is None else (("mode", given),)
    return m.new(Thing(kind, parts))


@model("torch._C._set_grad_enabled")
def _set_grad_mode(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    m.set_mode(Mode(fact(args.get(0, "enabled")) & ~m.mode.inference, m.mode.inference, m.mode.why))
    return NONE


@model("torch.is_grad_enabled")
def _is_grad_enabled(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    told = m.mode.grad.proved and m.mode.inference is NO  # in inference mode, `enable_grad` makes it say yes
    return Const(m.mode.grad is YES) if told else Scalar("bool")


@model("torch.autograd.detect_anomaly")
def _detect_anomaly(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing(args.called))


@model("torch.autograd.set_detect_anomaly")
def _set_detect_anomaly(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """It takes effect at once; as a context manager it goes back in the end."""
    return m.new(Thing(args.called, (("mode", args.get(0, "mode") or UNKNOWN),)))


@model("torch.conj")
def _conj(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.get(0, "input") or UNKNOWN
    return methods.call(m, node, Method(value, "conj"), Args([])) if m.is_tensor(value) else UNKNOWN


@model("torch.nn.utils.vector_to_parameters", "torch.nn.utils.convert_parameters.vector_to_parameters")
def _vector_to_parameters(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    vector = args.get(0, "vec") or UNKNOWN
    hidden.dropped(m, node, "`vector_to_parameters()`", m.tensors(vector), m.text(args.node(0, "vec", node)))
    escape(m, args.pos[1:])
    return NONE


@model("torch.jit.script", "torch.compile", "torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel")
def _same(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.get(0, "module") or args.get(0, "model") or UNKNOWN
    if args.called == "torch.nn.parallel.DistributedDataParallel":
        hook_losses.replicated(m, value, node)
    return value if isinstance(value, (Ref, Function)) else UNKNOWN
