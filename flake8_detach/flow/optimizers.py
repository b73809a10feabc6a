"""Optimizers, schedulers, GradScaler and gradient clipping: what their methods do to the gradients of parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    calls,
    clipping,
    gradients,
    iteration,
    module_tree,
    modules,
    optimizer_contracts,
    optimizer_made,
    scaling,
    schedules,
    steppers,
    tensors,
    training,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.machine import fact
from flake8_detach.flow.registry import model
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Const,
    Mapping_,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge import ops
from flake8_detach.knowledge.optimizers import CLIPPING, SCALER, SCALERS, UNBOUND

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

HOOKED = "*hooked"
"""Slot of an optimizer that has hooks on its steps."""


def owned(m: Machine, receiver: Value) -> tuple[int, ...] | None:
    """The parameters that an optimizer steps, or None."""
    cell = m.cell(receiver)
    if isinstance(cell, Optimizer):
        return cell.owned
    if not isinstance(receiver, Ref) or len(receiver.addresses) != 1:
        return None
    held = m.state.get((receiver.addresses[0], modules.OWNED))
    return held.addresses if isinstance(held, Ref) else None


def call(m: Machine, node: cst.CSTNode, receiver: Value, name: str, args: Args) -> Value:
    """A method of a torch.optim optimizer, or of a class of the file that inherits it."""
    cell = m.cell(receiver)
    kind = cell.kind if isinstance(cell, Optimizer) else ""
    mine = owned(m, receiver)
    if m.patched and (m.is_patched(f"torch.optim.Optimizer.{name}") or m.is_patched(f"{kind}.{name}")):
        escape(m, [receiver, Ref(mine or ()), *args.values()])
        return UNKNOWN
    if name == "zero_grad":
        if isinstance(receiver, Ref) and len(receiver.addresses) == 1:
            steppers.cleared(m, receiver.addresses[0], node)
        why = m.cause("constant", "cleared by `zero_grad()`", node)
        if mine is None:
            gradients.stir(m)
            perhaps = (
                m.state.get((receiver.addresses[0], optimizer_made.PERHAPS)) if isinstance(receiver, Ref) else None
            )
            autograd.lose(m, perhaps.addresses if isinstance(perhaps, Ref) else ())
        else:
            autograd.clear(m, mine, fact(args.get(0, "set_to_none"), None if args.open else True), why)
        return NONE
    if name.startswith("register_") and isinstance(receiver, Ref):
        m.state.set((receiver.addresses[0], HOOKED), YES)
        escape(m, [receiver, *args.values()])
        return UNKNOWN
    if name == "step":
        if optimizer_contracts.closure(m, node, kind, args):
            return UNKNOWN
        return _step(m, node, receiver, kind, mine, args.get(0, "closure"))
    if isinstance(cell, Optimizer) and isinstance(receiver, Ref):
        if name == "add_param_group":
            return _add_group(m, node, receiver, cell, args)
        if name == "state_dict":
            sizes = None if cell.groups is None else Tuple(tuple(Const(size) for size in cell.groups))
            return m.new(Thing(optimizer_contracts.STATE, () if sizes is None else (("*groups", sizes),)))
        if name == "load_state_dict":
            optimizer_contracts.state(m, node, cell, args.get(0, "state_dict"))
            gradients.note(m, receiver.addresses[0], optimizer_contracts.RESUMABLE, MAYBE)
    return UNKNOWN


def _add_group(m: Machine, node: cst.CSTNode, receiver: Ref, cell: Optimizer, args: Args) -> Value:
    """`optimizer.add_param_group({"params": ...})`."""
    given = args.get(0, "param_group") or UNKNOWN
    new = module_tree.parameters_in(m, given)
    group = m.cell(given)
    parted = optimizer_made.groups(m, m.new(Sequence("list", (given,)))) if isinstance(group, Mapping_) else None
    what = optimizer_made.no_group(m, given)
    again = set(new or ()).intersection(cell.owned or ()) - m.plural - m.escaped
    tensors_ = [t for a in new or () for _, t in m.tensors(Ref((a,)))]
    if what:
        optimizer_contracts.tell(m, node, f"the new group is {what}")
    elif again and parted is not None and not m.ledger.regroups:
        optimizer_contracts.tell(m, node, "a parameter of the new group is in the optimizer already")
    elif any(t.leaf.no and t.grad.yes for t in tensors_):
        optimizer_contracts.tell(m, node, "a tensor of the new group is not a leaf")
    m.owned.update(new or ())
    m.ledger.optimized.update(new or ())
    m.ledger.unseen_owned = m.ledger.unseen_owned or new is None
    both = None if new is None or cell.owned is None else (*cell.owned, *new)
    sizes = None if parted is None or cell.groups is None else (*cell.groups, len(parted[0]))
    steppers.made(m, receiver.addresses[0], both)
    m.state.set((receiver.addresses[0], CELL), replace(cell, owned=both, groups=sizes))
    return NONE


def _step(
    m: Machine, node: cst.CSTNode, receiver: Value, kind: str, mine: tuple[int, ...] | None, closure: Value | None
) -> Value:
    assert isinstance(receiver, Ref)
    result = _step_alone(m, node, receiver, kind, mine, closure)
    if (receiver.addresses[0], HOOKED) in m.state.slots:
        gradients.stir(m)
    return result


def _step_alone(
    m: Machine, node: cst.CSTNode, receiver: Value, kind: str, mine: tuple[int, ...] | None, closure: Value | None
) -> Value:
    assert isinstance(receiver, Ref)
    result: Value = NONE
    if closure is not None and closure != NONE:
        mode = m.mode
        autograd.enter(m, "torch.enable_grad", None, node)
        result = calls.call(m, closure, Args([]), node)
        optimizer_contracts.returned(m, node, kind, result)
        if kind.endswith("LBFGS"):  # it evaluates the closure several times a step
            training.stepped(m, node, receiver.addresses[0], mine)
            calls.call(m, closure, Args([]), node)
        m.set_mode(mode)
        training.stepped(m, node, receiver.addresses[0], mine)
        return result
    optimizer_contracts.gradients_taken(m, node, m.cell(receiver), mine)
    training.stepped(m, node, receiver.addresses[0], mine)
    for address in mine or ():
        tensor = m.state.cell(address)
        gradient = m.state.get((address, "grad"), NONE)
        if isinstance(tensor, Tensor) and tensor.storage and gradient != NONE:  # what has none is passed over
            m.wrote(tensor.storage, node, MAYBE if gradient == UNKNOWN else YES)
    return result


# Schedulers


def of_scheduler(m: Machine, node: cst.CSTNode, receiver: Value, cell: Thing, name: str, args: Args) -> Value:
    if not isinstance(receiver, Ref) or len(receiver.addresses) != 1:
        return UNKNOWN
    if name == "step":
        optimizer = cell.part("optimizer")
        whose = optimizer.addresses[0] if isinstance(optimizer, Ref) else None
        if not args.open:
            schedules.argument(m, node, cell, receiver.addresses[0], args)
        schedules.scheduled(m, node, cell.kind, receiver.addresses[0], whose, not (args.open or [*args.values()]))
        return NONE
    if name == "get_lr" and not args.pos:
        schedules.asked(m, node, cell.kind)
    if name == "load_state_dict":
        gradients.note(m, receiver.addresses[0], gradients.SCHEDULED, MAYBE)
    return UNKNOWN


# Clipping


@model(*CLIPPING)
def _clip(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(0, "parameters") or UNKNOWN
    cell = m.cell(given)
    bound = args.get(1, "max_norm") or args.get(1, "clip_value") or UNKNOWN
    finite = isinstance(bound, Const) and isinstance(bound.value, (int, float)) and bound.value < UNBOUND
    what = optimizer_contracts.clipped(m, args, given)
    if what:
        gradients.refuse(m, "clip-refused", node, YES, None, what)
    elif isinstance(cell, Sequence) and cell.kind == "generator" and cell.items == ():
        clipping.clip_nothing(m, node)
    else:
        clipping.clip(m, node, module_tree.parameters_in(m, given), finite, args.called.endswith("value_"))
    iteration.consume(m, given)
    return m.tensor(grad=NO, leaf=YES, shape=(), dtype="float")


# GradScaler


@model(*SCALERS)
def _scaler(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    enabled = args.kw.get("enabled")
    if enabled is None and args.called == "torch.cuda.amp.GradScaler" and len(args.pos) > 4:
        enabled = args.pos[4]
    return m.new(Thing(SCALER, (("*enabled", enabled or (UNKNOWN if args.open else Const(True))),)))


def of_scaler(m: Machine, node: cst.CSTNode, receiver: Value, cell: Thing, name: str, args: Args) -> Value:
    """A method of a GradScaler."""
    enabled = cell.part("*enabled") or UNKNOWN
    on = PRESUMED_YES if not isinstance(enabled, Const) else YES if enabled.value else NO
    target = args.get(0, "optimizer" if name != "scale" else "outputs") or UNKNOWN
    if not isinstance(receiver, Ref) or len(receiver.addresses) != 1:
        on = MAYBE
    scaler = receiver.addresses[0] if isinstance(receiver, Ref) else 0
    if name == "scale":
        return _scale(m, node, scaler, target, on)
    if name == "get_scale":
        gradients.stir(m)  # who reads the scale unscales by hand
        return UNKNOWN
    optimizer = target.addresses[0] if isinstance(target, Ref) and modules.is_optimizer(m, target) else None
    if name == "update":
        if not args.pos and not args.kw:
            scaling.scaler_updates(m, node, scaler, on)
        return NONE
    if name == "load_state_dict":
        gradients.stir(m)
    if optimizer is None:
        if name in ("step", "unscale_"):
            gradients.stir(m)
            m.ledger.steps[id(node)] = False
        return UNKNOWN
    mine = owned(m, target)
    if name == "unscale_":
        scaling.unscaled(m, node, scaler, optimizer, mine, on)
        return NONE
    if name == "step":
        closure = args.kw.get("closure")
        if closure is not None and on.yes:
            gradients.refuse(m, "step-closure", node, on)
        scaling.scaler_steps(m, node, scaler, optimizer, mine, on)
        from flake8_detach.flow import attributes

        return calls.call(m, attributes.get(m, target, "step", node, node), Args([closure] if closure else []), node)
    return UNKNOWN


def _scale(m: Machine, node: cst.CSTNode, scaler: int, target: Value, on: Truth) -> Value:
    gradients.note(m, scaler, gradients.SCALED, YES)
    listed = iteration.exact(m, target) or [target]
    if any(isinstance(v, (Scalar, Const)) for v in listed) and on.yes:
        gradients.refuse(m, "scale-number", node, on)
    op = ops.method("mul")
    if not m.is_tensor(target) or op is None:
        return UNKNOWN
    if on.no:
        return target
    result = tensors.apply(m, node, op, {"self": target})
    for _, tensor in m.tensors(result):
        if tensor.node is not None:
            m.scaled[tensor.node] = on
    return result


__all__ = ["Truth", "call", "of_scaler", "of_scheduler", "owned"]
