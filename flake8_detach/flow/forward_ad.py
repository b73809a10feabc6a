"""torch.autograd.forward_ad: dual tensors, which carry a tangent while a level is entered.

Source: torch/autograd/forward_ad.py and VariableTypeManual.cpp of torch 2.13. There is one level; it cannot be nested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import levels, pytrees
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import NO, NONE, UNKNOWN, YES, Node, Ref, Scalar, Tensor, Thing, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

HOME = "torch.autograd.forward_ad."
LEVEL = HOME + "dual_level"


@model(LEVEL)
def _level(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing(LEVEL))


@model(HOME + "enter_dual_level")
def _enter(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    enter(m, node)
    return Scalar("int")


def enter(m: Machine, node: cst.CSTNode) -> None:
    """A level is entered, by the function or by `with`."""
    if levels.entered(m) is YES:
        levels.refuse(m, node, "forward mode", "a dual level is entered already, and they cannot be nested")
    m.state.set(levels.DUAL, YES)


@model(HOME + "exit_dual_level")
def _exit(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if levels.entered(m) is NO and not args.kw:
        levels.refuse(m, node, "forward mode", "no dual level is entered that could be left")
    m.state.set(levels.DUAL, NO)
    return NONE


@model(HOME + "make_dual")
def _make(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    primal, tangent = args.get(0, "tensor") or UNKNOWN, args.get(1, "tangent") or UNKNOWN
    if args.open or "level" in args.kw:
        escape(m, args.values())
        return UNKNOWN
    problem = _problem(m, primal, tangent)
    if problem:
        levels.refuse(m, node, "make_dual", *problem)
        return UNKNOWN
    cell = m.cell(primal)
    if not isinstance(cell, Tensor) or not isinstance(primal, Ref):
        return UNKNOWN
    graph = (
        None if cell.grad.no else m.graph_node(Node(HOME + "make_dual", (m.edge(primal.addresses[0], cell),), (), node))
    )
    facts = {"shape": cell.shape, "dtype": cell.dtype, "storage": cell.storage, "why": cell.why}
    return m.tensor(grad=cell.grad, leaf=~cell.grad, node=graph, dual=True, batched=cell.batched, **facts)


def _problem(m: Machine, primal: Value, tangent: Value) -> tuple[str, str] | None:
    """Why they make no dual tensor, and what to do."""
    if levels.entered(m) is NO and not m.levels:
        return "no dual level is entered", "put it into `with forward_ad.dual_level():`"
    for what, value in (("primal", primal), ("tangent", tangent)):
        kind, cell = kind_of(m, value), m.cell(value)
        if kind not in ("?", "tensor"):
            return f"the {what} is {pytrees.article(kind)}, not a tensor", ""
        if isinstance(cell, Tensor) and cell.dtype in ("int", "bool"):
            return f"the {what} is of dtype {cell.dtype}", "use a float tensor"
    if any(t.dual for _, t in m.tensors(primal)) and not m.levels:
        return "the tensor carries a tangent already", "take its primal: `unpack_dual(t).primal`"
    if pytrees.unlike(m, primal, tangent):
        return "the tangent has another shape than the tensor", ""
    return None


@model(HOME + "unpack_dual")
def _unpack(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(0, "tensor") or UNKNOWN
    cell = m.cell(given)
    if not isinstance(cell, Tensor) or not isinstance(given, Ref):
        return UNKNOWN
    graph = (
        None
        if cell.grad.no
        else m.graph_node(Node(HOME + "unpack_dual", (m.edge(given.addresses[0], cell),), (), node))
    )
    facts = {"shape": cell.shape, "dtype": cell.dtype, "storage": cell.storage, "why": cell.why}
    primal = m.tensor(grad=cell.grad, leaf=~cell.grad, node=graph, batched=cell.batched, **facts)
    return Tuple((primal, UNKNOWN), ("primal", "tangent"))
