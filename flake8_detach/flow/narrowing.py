"""What a test tells about the values that it tested, where it came out one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import alternatives, gradients, graph_walk
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    External,
    Mode,
    Ref,
    Value,
    truth,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def narrow(m: Machine, test: cst.BaseExpression, outcome: bool) -> None:
    """Learn on this path that `test` came out as `outcome`."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        narrow(m, test.expression, not outcome)
    elif isinstance(test, cst.BooleanOperation):
        if isinstance(test.operator, cst.And) == outcome:
            narrow(m, test.left, outcome)
            narrow(m, test.right, outcome)
    elif isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        if isinstance(target.operator, (cst.Is, cst.IsNot)) and _is_none(target.comparator):
            _narrow_none(m, test.left, outcome == isinstance(target.operator, cst.Is))
        else:
            alternatives.compared(m, test.left, target, outcome)
    elif isinstance(test, cst.Attribute) and test.attr.value == "requires_grad":
        for address, tensor in m.tensors(quiet(m, test.value)):
            if not tensor.grad.proved:
                m.change(address, grad=YES if outcome else NO, leaf=tensor.leaf if outcome else YES)
    elif isinstance(test, cst.Attribute) and test.attr.value == "is_leaf":
        for address, tensor in m.tensors(quiet(m, test.value)):
            if not tensor.leaf.proved:
                m.change(address, leaf=truth(outcome))
    elif isinstance(test, (cst.Name, cst.Attribute)):
        alternatives.tested(m, test, lambda value: alternatives.true(m, value, outcome))
    elif isinstance(test, cst.Call):
        _narrow_call(m, test, outcome)


def _is_none(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Name) and node.value == "None"


def quiet(m: Machine, node: cst.BaseExpression) -> Value:
    """The value of a name or a chain of plain attributes, looked up without any effect."""
    if isinstance(node, cst.Name):
        return m.lookup(node.value) or UNKNOWN
    if isinstance(node, cst.Attribute):
        owner = quiet(m, node.value)
        if isinstance(owner, Ref) and len(owner.addresses) == 1:
            value: Value = m.state.get((owner.addresses[0], node.attr.value), UNKNOWN)
            return value
    return UNKNOWN


def _narrow_none(m: Machine, node: cst.BaseExpression, is_none: bool) -> None:
    alternatives.tested(m, node, lambda value: alternatives.narrowed(value, is_none))
    if isinstance(node, cst.Attribute) and node.attr.value == "grad":
        owner = quiet(m, node.value)
        found = m.tensors(owner)
        if len(found) > 1 and isinstance(node.value, cst.Name):
            # some of the tensors have a gradient, some not: go on with those that fit
            fitting = tuple(a for a, _ in found if not _contradicts(m, a, is_none))
            m.bind(node.value.value, Ref(fitting))
            found = [(a, t) for a, t in found if a in fitting]
        for address, tensor in found:
            if is_none:
                m.state.set((address, "grad"), NONE)
            elif m.state.get((address, "grad"), NONE) in (NONE, UNKNOWN):
                held = [t for _, t in m.tensors(Ref(tuple(m.state.lost.get((address, "grad"), ()))))]
                own = MAYBE if m.state.get(graph_walk.CREATED) or not all(t.grad.no for t in held) else NO
                mode = MAYBE if m.state.get(graph_walk.INFERRED) else NO
                facts = {"shape": tensor.shape, "dtype": tensor.dtype, "made": "grad", "inference": mode}
                gradient = m.tensor(grad=own, leaf=~own, **facts)
                m.state.set((address, "grad"), gradient)
                gradients.belongs(m, gradient, address)
    elif isinstance(node, cst.Name):
        value = m.lookup(node.value)
        if is_none and value == UNKNOWN:
            m.bind(node.value, NONE)
        elif not is_none and value == NONE:
            m.bind(node.value, UNKNOWN)
    elif isinstance(node, cst.Attribute):
        owner = quiet(m, node.value)
        if isinstance(owner, Ref) and len(owner.addresses) == 1:
            slot = (owner.addresses[0], node.attr.value)
            value = m.state.get(slot)
            if is_none and value == UNKNOWN:
                m.state.set(slot, NONE)
            elif not is_none and value == NONE:
                m.state.set(slot, UNKNOWN)


def _contradicts(m: Machine, address: int, is_none: bool) -> bool:
    gradient = m.state.get((address, "grad"), NONE)
    return bool(gradient != UNKNOWN and (gradient == NONE) != is_none)


def _narrow_call(m: Machine, test: cst.Call, outcome: bool) -> None:
    from flake8_detach.flow.evaluate import evaluate

    if not isinstance(test.func, (cst.Name, cst.Attribute)):
        return
    function = evaluate(m, test.func) if isinstance(test.func, cst.Name) else quiet_external(m, test.func)
    if not isinstance(function, External):
        return
    if function.name == "torch.is_grad_enabled" and not test.args:
        builds = truth(outcome) & ~m.mode.inference  # inference mode builds no graph, whatever the switch says
        m.set_mode(Mode(builds, m.mode.inference, m.mode.why))
    elif function.name in ("builtins.isinstance", "torch.is_tensor") and test.args:
        subject = test.args[0].value
        kinds = evaluate(m, test.args[1].value) if len(test.args) > 1 else External("torch.Tensor")
        alternatives.tested(m, subject, lambda value: alternatives.instance(m, value, kinds, outcome))
        if not outcome:
            return
        if function.name == "builtins.isinstance":
            kind = evaluate(m, test.args[1].value) if len(test.args) > 1 else UNKNOWN
            if kind != External("torch.Tensor"):
                return
        if isinstance(subject, cst.Name) and m.lookup(subject.value) == UNKNOWN:
            m.bind(subject.value, m.tensor(storage=0))


def quiet_external(m: Machine, node: cst.BaseExpression) -> Value:
    """The External that a dotted name stands for."""
    from flake8_detach.imports import canonical

    if isinstance(node, cst.Name):
        return m.lookup(node.value) or UNKNOWN
    if isinstance(node, cst.Attribute):
        owner = quiet_external(m, node.value)
        if isinstance(owner, External):
            return External(canonical(f"{owner.name}.{node.attr.value}"))
    return UNKNOWN
