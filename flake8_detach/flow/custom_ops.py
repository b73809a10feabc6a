"""torch.library.custom_op: an operator of the file, and the derivative that register_autograd gives it.

Source: torch/_library/custom_ops.py and autograd.py of torch 2.13. The body runs below autograd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import functions, pytrees
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.levels import refuse
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Function,
    Mode,
    Node,
    Ref,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

KIND = "custom_op"
DERIVATIVE = "derivative"
"""Slot of an operator: the `backward` that was registered; UNKNOWN if it may have been."""


@model("torch.library.custom_op")
def _custom_op(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    name, mutates = args.get(0, "name") or UNKNOWN, args.kw.get("mutates_args", UNKNOWN)
    made = Thing(KIND, (("name", name), ("mutates", mutates)))
    body = args.get(1, "fn")
    return m.new(made) if body in (None, NONE) else _finished(m, made, body)


def _finished(m: Machine, thing: Thing, body: Value) -> Value:
    if not isinstance(body, Function):
        return UNKNOWN
    return m.new(Thing(KIND, (*thing.parts, ("func", body))))


def apply(m: Machine, thing: Thing, args: Args, node: cst.CSTNode) -> Value:
    """The decorator is applied."""
    return _finished(m, thing, args.pos[0]) if thing.part("func") is None and args.pos else UNKNOWN


def call(m: Machine, operator: Ref, thing: Thing, args: Args, node: cst.CSTNode) -> Value:
    """The operator is called."""
    body = thing.part("func")
    if body is None:
        return apply(m, thing, args, node)
    pure = writes(m, thing)
    if args.open or not isinstance(body, Function) or pure is not NO:
        escape(m, args.values())
        return UNKNOWN
    mode = m.mode
    m.set_mode(Mode(NO, mode.inference, m.cause("mode", "computed in a custom operator", body.definition)))
    inside = [pytrees.copied(m, v, lambda _, t: _plain(m, t)) for v in args.pos]
    named = {k: pytrees.copied(m, v, lambda _, t: _plain(m, t)) for k, v in args.kw.items()}
    result = functions.call(m, body, Args(inside, named), node)
    m.set_mode(mode)
    given = {t.storage for v in (*inside, *named.values()) for i in pytrees.leaves(m, v) for _, t in m.tensors(i)}
    if any(t.storage and t.storage in given for i in pytrees.leaves(m, result) for _, t in m.tensors(i)):
        refuse(m, node, KIND, f"`{body.name}` returns an input, or a view of one", "return a clone", body.definition)
        return UNKNOWN
    grad: Truth = NO
    inputs = [(a, t) for v in args.values() for i in pytrees.leaves(m, v) for a, t in m.tensors(i)]
    for _, tensor in inputs:
        grad = grad | tensor.grad
    if any(kind_of(m, i) == "?" for v in args.values() for i in pytrees.leaves(m, v)):
        grad = grad | MAYBE
    return _outputs(m, operator, body, result, grad & m.mode.grad, inputs, args, node)


def writes(m: Machine, thing: Thing) -> Truth:
    """Does it write to what it is handed?"""
    mutates = thing.part("mutates") or UNKNOWN
    if isinstance(mutates, Const):
        return YES if mutates.value else NO
    found = pytrees.inner(m, mutates)
    cell = m.cell(mutates)
    if found is not None:
        return YES if found[1] else NO
    return YES if getattr(cell, "items", None) else MAYBE


def _plain(m: Machine, tensor: Tensor) -> Ref:
    return m.tensor(grad=NO, leaf=YES, shape=tensor.shape, dtype=tensor.dtype)


def _outputs(
    m: Machine,
    operator: Ref,
    body: Function,
    result: Value,
    grad: Truth,
    inputs: list[tuple[int, Tensor]],
    args: Args,
    node: cst.CSTNode,
) -> Value:
    derivative: Value | None = m.state.get((operator.addresses[0], DERIVATIVE)) or m.state.get(_named(m, operator))
    wrong = False
    if grad.yes and isinstance(derivative, Function):
        wrong = _misfits(m, body, derivative, result, args, node)
    graph = None
    if not grad.no:
        edges = tuple(m.edge(a, t)._replace(sure=True) for a, t in inputs if not t.grad.no)
        sure = derivative is None and operator.addresses[0] not in m.escaped
        kind = "raises" if sure else "yes"
        graph = m.graph_node(Node(body.name, edges, (), node, derivative is None, kind))  # type: ignore[arg-type]

    def made(_: int, tensor: Tensor) -> Ref:
        on = NO if tensor.dtype in ("int", "bool") else MAYBE if wrong else grad
        facts = {"shape": tensor.shape, "dtype": tensor.dtype}
        return m.tensor(grad=on, leaf=~on, node=None if on.no else graph, why=None, made=body.name, **facts)

    return pytrees.copied(m, result, made)


def _misfits(m: Machine, body: Function, derivative: Function, result: Value, args: Args, node: cst.CSTNode) -> bool:
    """Does what the registered backward returns not match the inputs? Then the rules are told."""
    params = body.definition.params
    count = len(args.pos) + len(args.kw)
    if params.kwonly_params or isinstance(params.star_arg, cst.Param) or len(params.params) != count:
        return False
    mode = m.mode
    mark, fatal = m.state.mark(), m.fatal
    m.set_mode(Mode(MAYBE, NO, None))
    outputs = list(result.items) if isinstance(result, Tuple) else [result]
    seeds = [pytrees.copied(m, o, lambda _, t: m.tensor(grad=MAYBE, shape=t.shape, dtype=t.dtype)) for o in outputs]
    returned = functions.call(m, derivative, Args([UNKNOWN, *seeds]), node)
    kinds = [kind_of(m, r) for r in (returned.items if isinstance(returned, Tuple) else (returned,))]
    m.set_mode(mode)
    m.state.undo(mark)
    m.fatal = fatal
    if "?" in kinds and not isinstance(returned, Tuple):
        return False
    nested = [kind_of(m, v) in ("list", "tuple") for v in args.values()]
    problem = ""
    if len(kinds) != count:
        problem = f"returns {_many(len(kinds), 'gradient')} for {_many(count, 'input')}"
    elif any(deep and kind == "tensor" for deep, kind in zip(nested, kinds, strict=True)):
        problem = "returns a tensor for an input that is a list"
    if problem:
        remedy = "return one gradient for each input, None where it is no tensor"
        place = (
            derivative.definition.body if isinstance(derivative.definition, cst.Lambda) else derivative.definition.name
        )
        refuse(m, node, KIND, f"the backward of `{body.name}` {problem}", remedy, place)
    return bool(problem)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def method(m: Machine, node: cst.CSTNode, receiver: Value, thing: Thing, name: str, args: Args) -> Value:
    """A method of the operator."""
    if name == "register_autograd":
        if writes(m, thing) is YES:
            refuse(m, node, KIND, "an operator that writes to its arguments has no derivative", "return new tensors")
            return NONE
        for address, _ in m.cells(receiver):
            m.state.set((address, DERIVATIVE), args.get(0, "backward") or UNKNOWN)
        return NONE
    if name in ("register_fake", "register_kernel", "register_vmap", "register_torch_dispatch"):
        return UNKNOWN
    for address, _ in m.cells(receiver):
        m.state.set((address, DERIVATIVE), UNKNOWN)
    escape(m, args.values())
    return UNKNOWN


@model("torch.library.register_autograd")
def _register(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    target = args.get(0, "op") or UNKNOWN
    for address, cell in m.cells(target):
        if isinstance(cell, Thing) and cell.kind == KIND:
            m.state.set((address, DERIVATIVE), args.get(1, "backward") or UNKNOWN)
    if isinstance(target, Const):
        m.state.set((0, f"{DERIVATIVE} {target.value}"), args.get(1, "backward") or UNKNOWN)
    return NONE


def _named(m: Machine, operator: Ref) -> tuple[int, str]:
    """The slot of what was registered for the operator by its name."""
    cell = m.cell(operator)
    name = cell.part("name") if isinstance(cell, Thing) else None
    return 0, f"{DERIVATIVE} {name.value if isinstance(name, Const) else ''}"


__all__ = ["KIND", "Value", "apply", "call", "method"]
