"""Parameters that are made of tensors: by `nn.Parameter`, and by the containers that make one of each plain tensor.

`nn.ParameterList([torch.zeros(3)])` holds no `torch.zeros(3)`, but a new leaf that requires grad. A Parameter that is
given stays the one it is, frozen or not (torch/nn/modules/container.py, `__setitem__` of both, which all else goes by).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import autograd, hidden, tensors
from flake8_detach.flow.values import MAYBE, UNKNOWN, YES, Label, Ref, Tensor, Truth, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

CONVERTING = {"torch.nn.ParameterList": "`nn.ParameterList(...)`", "torch.nn.ParameterDict": "`nn.ParameterDict(...)`"}
"""Containers that make a Parameter of every plain tensor, as messages call them."""


def made_of(
    m: Machine, node: cst.CSTNode, data: Value, subject: Label, how: str, grad: Truth = YES, forward: bool = False
) -> Ref:
    """A new Parameter with the values of `data`, whose memory it shares. forward: is it lost with its forward?"""
    from flake8_detach.flow import methods

    source = m.cell(data)
    tensor = source if isinstance(source, Tensor) else Tensor()
    if grad.yes:
        tensors.tell_requires(m, node, replace(tensor, leaf=YES), YES, subject, m.text(node))
        grad = MAYBE if tensor.dtype in ("int", "bool") else grad
    made = autograd.copy_of(m, node, data, subject, how, grad)
    assert isinstance(made, Ref)
    hidden.dropped(m, node, how, m.tensors(data), subject, made.addresses[0] if forward else None)
    if tensor.node is not None:
        m.ledger.computed.update(made.addresses)
    dtype = None if tensor.dtype in ("int", "bool") else tensor.dtype or "float"
    why = None if grad.yes else tensor.why
    made_by = "parameter" if tensor.made in methods.FLOAT32 else ""  # whatever else may have any dtype
    m.change(made.addresses[0], parameter=True, dtype=dtype, made=made_by, why=why)
    if isinstance(source, Tensor):
        place = source.device if source.device != "cpu" else None  # it may be moved with its module, unseen
        m.refine(made.addresses[0], precision=source.precision, device=place)
    if isinstance(source, Tensor) and source.storage:
        m.refine(made.addresses[0], storage=source.storage)  # a write to either changes both
    return made


def succeeded(m: Machine, before: Value | None, after: Value) -> None:
    """A Parameter takes the place of another in its module. If its values were computed, as those of a moving average
    are, then that place is trained by hand."""
    if isinstance(after, Ref) and not m.ledger.computed.isdisjoint(after.addresses) and isinstance(before, Ref):
        m.steered.update(t.storage for _, t in m.tensors(before) if t.parameter and t.storage)


def held(m: Machine, kind: str, value: Value, node: cst.CSTNode) -> Value:
    """What a container of that kind holds where it is given `value`."""
    if kind not in CONVERTING or not m.tensors(value):
        return value
    assert isinstance(value, Ref)
    tensor = m.cell(value)
    if not isinstance(tensor, Tensor):
        return value if all(t.parameter for _, t in m.tensors(value)) else UNKNOWN
    if tensor.parameter:
        return value
    if tensor.node is None and not tensor.made:
        return UNKNOWN  # it may as well be a Parameter, and then stays the same one
    address = value.addresses[0]
    subject = f"{tensor.made}()" if tensor.dtype in ("int", "bool") else m.text(node)
    made = made_of(m, node, value, subject, CONVERTING[kind])
    if address in m.state.several or value.some:
        m.state.several.update(made.addresses)  # a Parameter of each of them
    return made
