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
from flake8_detach.flow.values import UNKNOWN, Function, Ref, Tuple, Value

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
    result = transforms.run(m, function, Args(inside), node, Level("trace", "torch.jit.trace", m.state.address(), node))
    transforms.used(m, result)
    return UNKNOWN


def _items(value: Value) -> tuple[Value, ...]:
    return value.items if isinstance(value, Tuple) else (value,)
