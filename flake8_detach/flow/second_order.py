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
    MAYBE,
    NO,
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
from flake8_detach.knowledge.linear import CURVED, LINEAR, POWERS, PRODUCTS

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

APPLIED = "applied"
"""Slot of the graph node of a custom Function: the `Applied` that made it."""
ONCE = "torch.autograd.function.once_differentiable"


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
    verdict, once = _graph(m, root, only)
    if verdict is not NO and graph_walk.one_of_several(m, address):
        return MAYBE, None  # what lies between may lead to the other outputs alone
    raises = once is not None
    bent = _bent(m, root, only, address, tensor) if once is None and verdict is MAYBE else ()
    if once is None and not bent:
        return verdict, None
    # what the gradient was computed from is somewhere in the graph of the root, and its own graph saves some of that
    edges = (m.edge(*roots[0])._replace(sure=raises),)
    if once is not None:
        graph = m.graph_node(Node("once_differentiable", edges, (), once, derivative="raises"))
    else:
        graph = m.graph_node(Node("grad", (*bent, *edges), (Saved(0, (0,), "gradient", site),), site))
    made = m.tensor(grad=YES, leaf=NO, node=graph, shape=tensor.shape, dtype=tensor.dtype, made="grad")
    return YES, made.addresses[0]


def _graph(m: Machine, start: int, only: frozenset[int]) -> tuple[Truth, cst.CSTNode | None]:
    """Does the gradient that comes out of the nodes `only`, from `start` on, require grad?

    The second result is a call of a Function that is once_differentiable, if what arrives there has a graph: to
    differentiate what it gives once more raises.
    """
    once: list[int] = []
    verdict = NO
    for number in only:
        m.step()
        node = m.state.graph[number]
        applied = m.state.get((number, APPLIED))
        if isinstance(applied, Applied):
            if _once(m, applied.cls):
                once.append(number)
            elif not _constant(m, applied):
                verdict = MAYBE
        elif not _linear(node) or number in m.hooked:
            verdict = MAYBE
    if len(once) == 1 and verdict is MAYBE and _bent_above(m, start, once[0]):
        return YES, m.state.graph[once[0]].site
    return (MAYBE, None) if once and verdict is MAYBE else (verdict, None)


def _linear(node: Node) -> bool:
    return not node.tensors and not node.open and node.derivative == "yes" and node.op.rpartition(".")[2] in LINEAR


def _curved(node: Node) -> bool:
    """Does its derivative depend on an operand that requires grad, so that it requires grad itself?"""
    if node.open or node.derivative != "yes" or not all(e.sure for e in node.edges):
        return False
    name = node.op.rpartition(".")[2]
    # of a product each factor is saved for the other one: both are if both require grad
    if name in PRODUCTS:
        return len(node.tensors) == 2
    if name in POWERS:
        return len(node.edges) == 1 and any(isinstance(v, Const) and v.value not in (0, 1) for v in node.given.values())
    return name in CURVED


def _operands(node: Node, towards: Edge) -> tuple[Edge, ...]:
    """What the gradient depends on that goes this way: of a product, the other factor."""
    others = tuple(edge for edge in node.edges if edge != towards)
    return others if others and node.op.rpartition(".")[2] in PRODUCTS else node.edges


def _bent(m: Machine, start: int, only: frozenset[int], address: int, tensor: Tensor) -> tuple[Edge, ...]:
    """If backward surely goes from `start` to the tensor, by an op that is curved: the operands of that op, on which
    the gradient depends."""
    seen: set[tuple[int, bool]] = set()
    todo: list[tuple[int, tuple[Edge, ...]]] = [(start, ())]
    while todo:
        number, bent = todo.pop()
        node = m.state.graph[number]
        if (number, bool(bent)) in seen or number not in only or number in m.hooked or node.derivative != "yes":
            continue
        if node.op == "join" or m.state.get((number, APPLIED)) is not None:
            continue
        seen.add((number, bool(bent)))
        m.step()
        curved = not bent and _curved(node)
        before = bent
        for edge in node.edges:
            bent = _operands(node, edge) if curved else before
            if edge.sure and (edge.leaf == address if edge.node is None else edge.node == tensor.node):
                if bent:
                    return bent
            elif edge.sure and edge.node is not None:
                todo.append((edge.node, bent))
    return ()


def _once(m: Machine, cls: Class) -> bool:
    backward = find_method(m, cls, "backward")
    return backward is not None and ONCE in backward.wrappers


def _bent_above(m: Machine, start: int, end: int) -> bool:
    """Is there only one way from `start` to `end`, and on it an op whose derivative depends on its one operand?"""
    number, bent = start, False
    while number != end:
        node = m.state.graph[number]
        if len(node.edges) != 1 or not node.edges[0].sure or node.edges[0].node is None or node.open:
            return False
        bent = bent or _curved(node)
        number = node.edges[0].node
    return bent


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
