"""`torch.where(x > 0, x.sqrt(), 0)`: the slope of what is not chosen counts as well, times zero.

Where the condition fails, backward hands a gradient of 0 to `x.sqrt()`, which multiplies it by a slope that is infinite
or NaN: the gradient of x is NaN, though the value is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.events import Poisoned
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import UNKNOWN, Const, Edge, Node, Ref, Scalar, Tensor, Value
from flake8_detach.knowledge.poles import (
    ANY,
    FACTORS,
    FOLLOWING,
    GATHERING,
    MAKING,
    NOT,
    PASSING,
    TURNED,
    ZERO,
)
from flake8_detach.source import code

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

COMPARED = ("gt", "ge", "lt", "le", "eq", "ne")


def chosen(m: Machine, number: int, node: Node) -> None:
    """A call of `where` has made the graph node: is what it does not choose at a pole?"""
    condition = _condition(m, node.given.get("condition", UNKNOWN))
    if condition is None or m.quiet:
        return
    sign, tested = condition
    first = node.given.get("input", node.given.get("self", UNKNOWN))
    for value, asked in ((first, sign), (node.given.get("other", UNKNOWN), NOT[sign])):
        pole = _pole(m, value, tested, asked)
        if pole is not None:
            _tell(m, number, m.event(Poisoned, node.site, what=m.text(pole.site), at=pole.site))


def _tell(m: Machine, number: int, event: Poisoned) -> None:
    m.afterwards.ask(lambda reached: m.sink(event) if reached.inside(number) else None)


def _condition(m: Machine, value: Value) -> tuple[str, Edge] | None:
    """How a mask was made, if it compares a tensor that requires grad with 0, as `x > 0` does: the sign, and x."""
    cell = m.cell(value)
    if not isinstance(cell, Tensor) or cell.made.rpartition(".")[2].strip("_") not in COMPARED or cell.why is None:
        return None
    site, source = cell.why.site, cell.why.source
    if not isinstance(site, cst.Comparison) or len(site.comparisons) != 1 or m.version(cell.storage) != (cell.storage,):
        return None
    if source is None or len(source.edges) != 1 or source.behind or not source.edges[0].sure:
        return None
    left, right = site.left, site.comparisons[0].comparator
    sign = code(site.comparisons[0].operator).strip()
    zero = [isinstance(side, (cst.Integer, cst.Float)) and side.evaluated_value == 0 for side in (left, right)]
    if zero[0] == zero[1] or sign not in NOT:
        return None
    return (TURNED[sign] if zero[0] else sign), source.edges[0]


def _pole(m: Machine, value: Value, tested: Edge, sign: str) -> Node | None:
    """The op on the way to `value` that has a pole where x is left out, if NaN comes through to what requires grad."""
    cell = m.cell(value)
    start = cell.node if isinstance(value, Ref) and isinstance(cell, Tensor) and cell.grad.yes else None
    todo, seen = [start], {start}
    while todo:
        number = todo.pop()
        node = None if number is None else m.state.graph[number]
        if node is None or node.op == "join" or number in m.hooked:
            continue
        m.step()
        if node.edges == (tested,) and sign in _poles(node) and _vanishes(m, tested, sign) and _passes(m, tested):
            return node
        for edge in node.edges:
            if edge.sure and edge.node not in seen:
                seen.add(edge.node)
                todo.append(edge.node)
    return None


def _poles(node: Node) -> frozenset[str]:
    """Behind which conditions on its operand has the op a pole wherever they fail?"""
    name = node.op.rpartition(".")[2].strip("_")
    if name == "pow":
        power = next((v.value for n, v in node.given.items() if n in ("exponent", "other") and isinstance(v, Const)), 1)
        return ANY if power in (0.5, -0.5) else frozenset()
    return ZERO.get(node.op.rpartition(".")[2], frozenset())


def _vanishes(m: Machine, start: Edge, sign: str) -> bool:
    """May x well be where the pole is: at 0 or, if `sign` leaves out what is negative, below? A difference may be 0, as
    of a point and itself, and so may what is made of it; the output of a layer may be negative. Random weights are
    neither, and nothing is said of what is shifted by a number."""
    todo, seen = [start], {start}
    while todo:
        edge = todo.pop()
        m.step()
        if edge.node is None:
            leaf = m.state.get((edge.leaf, CELL)) if edge.leaf is not None else None
            if isinstance(leaf, Tensor) and not leaf.parameter:
                return True
            continue
        node = m.state.graph[edge.node]
        name = node.op.rpartition(".")[2]
        numbers = any(isinstance(value, (Const, Scalar)) for value in node.given.values())
        if node.open or (name in MAKING and numbers) or name not in MAKING | FOLLOWING | GATHERING:
            continue
        masked = name in FACTORS and any(t.grad.no for value in node.given.values() for _, t in m.tensors(value))
        if masked or (name in MAKING and (name != "linear" or sign != "!=")):
            return True
        new = [e for e in node.edges if e not in seen]
        seen.update(new)
        todo.extend(new)
    return False


def _passes(m: Machine, start: Edge) -> bool:
    """Does NaN that arrives there surely come to a leaf?"""
    verdicts: dict[int, bool] = {}

    def through(edge: Edge) -> bool:
        if edge.node is None:
            return edge.leaf is not None and edge.leaf not in m.hooked
        return verdicts.get(edge.node, False)

    todo = [] if start.node is None else [start.node]
    while todo:
        number = todo[-1]
        node = m.state.graph[number]
        stops = number in m.hooked or node.derivative != "yes"
        stops = stops or (node.op != "join" and node.op.rpartition(".")[2] not in PASSING)
        ahead = [] if stops or number in verdicts else [e.node for e in node.edges if e.node is not None]
        left = [n for n in ahead if n not in verdicts]
        if left:
            m.step()
            todo.extend(left)
            continue
        if number not in verdicts:
            joined = node.op == "join"
            ways = [through(e) and (e.sure or joined) for e in node.edges]
            verdicts[number] = not stops and bool(ways) and (all(ways) if joined else any(ways))
        todo.pop()
    return start.sure and through(start)
