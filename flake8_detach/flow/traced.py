"""torch.jit.trace: the function runs once and is recorded; what it captures becomes a constant of the record.

Source: torch/csrc/jit/frontend/tracer.cpp (getValue) of torch 2.13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import modules, pytrees, transforms
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.levels import Level
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import UNKNOWN, Const, Function, Ref, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@model("torch.jit.trace")
def _trace(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    function, inputs = args.get(0, "func") or UNKNOWN, args.get(1, "example_inputs")
    plain = isinstance(function, Function) and function.bound is None
    if not plain or inputs is None or args.open:
        if modules.is_module(m, function) and isinstance(function, Ref):
            return function
        escape(m, args.values())
        return UNKNOWN
    inside = [pytrees.copied(m, v, lambda _, t: transforms.other(m, t)) for v in _items(inputs)]
    level = Level("trace", "torch.jit.trace", m.state.address(), node, given=_themselves(m, inputs, args))
    result = transforms.run(m, function, Args(inside), node, level)
    transforms.used(m, result)
    return UNKNOWN


def _themselves(m: Machine, inputs: Value, args: Args) -> frozenset[int] | None:
    """The tensors that are inputs, which the function may name from outside as well; None if one is not known.

    The tracer knows a tensor by its identity. Only the check of what was recorded runs the function on copies.
    """
    if (args.get(3, "check_trace") or Const(True)) == Const(True):
        return frozenset()
    found: set[int] = set()
    for value in pytrees.leaves(m, inputs):
        if not m.is_tensor(value) and not isinstance(value, Const):
            return None
        found |= {address for address, _ in m.tensors(value)}
    return frozenset(found)


def _items(value: Value) -> tuple[Value, ...]:
    return value.items if isinstance(value, Tuple) else (value,)
