"""Does a gradient have a graph of its own? What `create_graph=True` gives depends on the way that backward takes.

Along linear operations a gradient does not depend on what it is taken with respect to: torch gives a tensor that does
not require grad. A custom Function gives what its backward computes with grad mode on, or nothing that can be
differentiated if that is `once_differentiable`. Along an operation whose derivative depends on its operand, it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import calls, functions, graph_walk, hooks
from flake8_detach.flow.custom_ctx import find_method
from flake8_detach.flow.machine import MAX_CONTEXTS, PACKED
from flake8_detach.flow.values import (
    DERIVATIVE,
    MAYBE,
    NO,
    TWICE,
    UNKNOWN,
    YES,
    Class,
    Const,
    Edge,
    Mode,
    Node,
    Ref,
    Saved,
    Tensor,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge.linear import CURVED, FACTORS, LINEAR, ONCE, POWERS, PRODUCTS, ROWS

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

APPLIED = "applied"
"""Slot of the graph node of a custom Function: the `Applied` that made it."""
MARKED = "torch.autograd.function.once_differentiable"


@dataclass(frozen=True, slots=True)
class Applied:
    """An `apply`: the class, the address of its ctx, and the outputs."""

    cls: Class
    ctx: int
    outputs: tuple[Value, ...]
    node: Any


def gradient(
    m: Machine, address: int, tensor: Tensor, roots: list[tuple[int, Tensor]], site: cst.CSTNode
) -> tuple[Truth, int | None]:
    """Does the gradient of the one root with respect to the tensor require grad? If so, its address, too. What comes
    out of a Function that is once_differentiable has a graph that raises when it is used."""
    if [a for a, _ in roots] == [address] and tensor.grad.yes:
        return NO, None  # the gradient of a tensor with respect to itself is 1
    if not address or len(roots) != 1 or roots[0][1].node is None or not roots[0][1].grad.yes:
        return MAYBE, None
    only = graph_walk.between(m, roots[0][1].node, (address,))
    if not only or not tensor.grad.yes or m.state.get(PACKED) is not None:
        return MAYBE, None
    root = roots[0][1].node
    verdict = _graph(m, root, only)
    if verdict is not NO and graph_walk.one_of_several(m, address):
        return MAYBE, None  # what lies between may lead to the other outputs alone
    bent = _bent(m, root, only, address, tensor) if verdict is MAYBE else Bent()
    if not bent.operands and bent.once is None:
        return verdict, None
    # what the gradient was computed from is somewhere in the graph of the root, and its own graph saves some of that
    edges = (m.edge(*roots[0])._replace(sure=bent.once is not None),)
    if bent.once is not None:
        graph = m.graph_node(Node(TWICE, edges, (), bent.once, derivative="raises"))
    else:
        graph = m.graph_node(Node(DERIVATIVE, (*bent.operands, *edges), (Saved(0, (0,), "gradient", site),), site))
    made = m.tensor(grad=YES, leaf=NO, node=graph, shape=tensor.shape, dtype=tensor.dtype, made="grad")
    return YES, made.addresses[0]


def _graph(m: Machine, start: int, only: frozenset[int]) -> Truth:
    """Does the gradient that comes out of the nodes `only`, from `start` on, require grad? NO if none of them bends."""
    for number in only:
        m.step()
        node = m.state.graph[number]
        applied = m.state.get((number, APPLIED))
        if isinstance(applied, Applied):
            if not _once(m, applied.cls) and not _constant(m, applied):
                return MAYBE
        elif not _linear(node) or number in m.hooked:
            return MAYBE
    return NO


def _linear(node: Node) -> bool:
    return not node.tensors and not node.open and node.derivative == "yes" and node.op.rpartition(".")[2] in LINEAR


def _operands(m: Machine, node: Node, towards: Edge) -> tuple[Edge, ...]:
    """The operands that require grad on which the gradient that goes this way surely depends."""
    if node.open or node.derivative != "yes" or not all(e.sure for e in node.edges):
        return ()
    name = node.op.rpartition(".")[2]
    if name in FACTORS:
        pair = [m.edge(a, t) for n in FACTORS[name] for a, t in m.tensors(node.given.get(n, UNKNOWN))]
        return tuple(e for e in pair if e != towards and e in node.edges) if towards in pair and len(pair) == 2 else ()
    # of a product each factor is saved for the other one: both are if both require grad
    if name in PRODUCTS:
        others = tuple(edge for edge in node.edges if edge != towards)
        return (others or node.edges) if len(node.tensors) == 2 else ()
    if name in POWERS:
        bends = any(isinstance(v, Const) and v.value not in (0, 1) for v in node.given.values())
        return node.edges if bends and len(node.edges) == 1 else ()
    return node.edges if name in CURVED else ()


@dataclass(frozen=True, slots=True)
class Bent:
    """Why a gradient has a graph: the operands on which it depends. once: the call of what can be differentiated once
    (a Function, if a gradient with a graph arrives there): to differentiate what it gives raises."""

    operands: tuple[Edge, ...] = ()
    once: Any = None


def _bent(m: Machine, start: int, only: frozenset[int], address: int, tensor: Tensor) -> Bent:
    """If backward surely goes from `start` to the tensor, by an op that is curved: what the gradient depends on."""
    seen: set[tuple[int, bool, bool]] = set()
    todo: list[tuple[int, Bent]] = [(start, Bent())]
    found = Bent()
    while todo:
        number, before = todo.pop()
        node = m.state.graph[number]
        key = (number, bool(before.operands), before.once is not None)
        if key in seen or number not in only or number in m.hooked or node.derivative != "yes" or node.op == "join":
            continue
        applied = m.state.get((number, APPLIED))
        if isinstance(applied, Applied):
            if not _once(m, applied.cls):
                continue
            # it computes without grad mode: what comes out has no graph but the one that raises
            before = Bent((), before.once or (node.site if before.operands else None))
        elif _once_only(m, node):
            before = Bent((), before.once or node.site)
        seen.add(key)
        m.step()
        for edge in node.edges:
            bent = before
            if applied is None and before.once is None and not before.operands:
                bent = Bent(_operands(m, node, edge))
            if edge.sure and (edge.leaf == address if edge.node is None else edge.node == tensor.node):
                if bent.once is not None:
                    return bent
                found = found if found.operands else bent
            elif edge.sure and edge.node is not None:
                todo.append((edge.node, bent))
    return found


def _once_only(m: Machine, node: Node) -> bool:
    """Is it an op of torch whose derivative has none?"""
    name = node.op.rpartition(".")[2]
    if name != "cdist" or not all(e.sure for e in node.edges):
        return name in ONCE and all(e.sure for e in node.edges)
    power, how = node.given.get("p", Const(2.0)), node.given.get("compute_mode", Const(None))
    if not isinstance(power, Const) or not isinstance(how, Const) or power.value != 2:
        return isinstance(power, Const)
    if how.value is not None:
        return bool(how.value == "donot_use_mm_for_euclid_dist")
    cells = [m.cell(node.given.get(name, UNKNOWN)) for name in ("x1", "x2")]
    rows = [c.shape[-2] if isinstance(c, Tensor) and c.shape and len(c.shape) > 1 else None for c in cells]
    return all(count is not None and 0 < count <= ROWS for count in rows)


def _once(m: Machine, cls: Class) -> bool:
    backward = find_method(m, cls, "backward")
    return backward is not None and MARKED in backward.wrappers


def _constant(m: Machine, applied: Applied) -> bool:
    """Does backward, given gradients without a graph, surely compute gradients without one?"""
    backward = find_method(m, applied.cls, "backward")
    if backward is None or m.contexts.get(id(backward.definition), 0) > MAX_CONTEXTS // 2 or applied.ctx in m.escaped:
        return False
    mark, fatal, mode = m.state.mark(), m.fatal, m.mode
    m.quiet += 1
    try:
        m.set_mode(Mode(YES, NO, None))
        given = [hooks.gradient(m, c if isinstance(c := m.cell(v), Tensor) else None) for v in applied.outputs]
        result = functions.call(m, backward, calls.Args([Ref((applied.ctx,)), *given]), applied.node)
        values = result.items if isinstance(result, Tuple) else (result,)
        return all(v != UNKNOWN and all(t.grad is NO for _, t in m.tensors(v)) and _seen(m, v) for v in values)
    finally:
        m.quiet -= 1
        m.fatal = fatal
        m.set_mode(mode)
        m.state.undo(mark)


def _seen(m: Machine, value: Value) -> bool:
    """Is it one tensor, or None?"""
    return m.is_tensor(value) or getattr(value, "value", 0) is None
