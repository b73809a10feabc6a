"""What is wrong with the arguments of `backward` and `autograd.grad`, apart from the tensor that they start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import events, iteration, shapes
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    Array,
    Const,
    Function,
    Layer,
    Mapping_,
    Scalar,
    Sequence,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def gradient_problem(m: Machine, root: Tensor, gradient: Value | None) -> str:
    """Why `gradient` cannot be the gradient of `root`, or "". Shapes must be equal, not only broadcast."""
    if gradient is None or gradient == NONE:
        return ""
    if isinstance(gradient, (Const, Scalar, Array, Function)):
        return "the gradient that is given is no tensor"
    cell = m.cell(gradient)
    if isinstance(cell, Sequence) and cell.kind == "generator":
        return "the gradient that is given is a generator; parameters go to `inputs=`"
    if isinstance(cell, (Mapping_, Layer)):
        return "the gradient that is given is no tensor"
    if not isinstance(cell, Tensor):
        return ""
    if root.shape is not None and cell.shape is not None:
        pairs = list(zip(root.shape, cell.shape, strict=False))
        if len(root.shape) != len(cell.shape) or any(a != b and None not in (a, b) for a, b in pairs):
            given, wanted = shapes.spelled(cell.shape), shapes.spelled(root.shape)
            return f"the gradient has the shape {given}, which differs from {wanted}"
    if {root.dtype, cell.dtype} == {"float", "complex"}:
        return f"the gradient is {cell.dtype}, and it should be {root.dtype}"
    return ""


def inputs_problem(m: Machine, inputs: Value | None) -> str:
    """Why nothing can be differentiated with respect to `inputs`, or ""."""
    if inputs is None or inputs == NONE or m.is_tensor(inputs):
        return ""
    found = iteration.exact(m, inputs) if not isinstance(m.cell(inputs), (Mapping_, Layer)) else None
    cell = m.cell(inputs)
    if isinstance(cell, Mapping_) and cell.kind == "OrderedDict":
        return "`inputs` is an OrderedDict; of mappings it takes only a plain dict"
    if found == []:
        used_up = isinstance(cell, Sequence) and cell.kind == "generator"
        return "`inputs` is a generator with nothing left in it: make a list" if used_up else "`inputs` is empty"
    if any(isinstance(value, (Const, Scalar, Array)) for value in found or ()):
        return "`inputs` holds something that is no tensor"
    return ""


def tell(m: Machine, node: cst.CSTNode, problem: str) -> None:
    """Tell the rules that the call raises before anything is differentiated."""
    m.raises()
    facts = {"subject": m.text(node), "reached": MAYBE, "unused": MAYBE}
    m.emit(events.GradOf, node, tensor=Tensor(), problem=problem, **facts)


def tell_number(m: Machine, node: cst.Call, number: Const) -> None:
    """Tell the rules of `loss.backward()` where `loss` is a tensor, or that number if the function returned early."""
    assert isinstance(node.func, cst.Attribute)
    owner = node.func.value
    m.emit(
        events.Backward,
        node,
        api="backward",
        subject=m.text(owner),
        root=None,
        value=number,
        freed=NO,
        freed_at=None,
        gradient=False,
        subject_node=owner,
        written=None,
        kind="sometimes",
    )
