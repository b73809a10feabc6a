"""Ops that are linear in what is differentiated: a constant that goes in comes out as a constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.values import Node

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SUMS = frozenset({"add", "radd", "iadd"})
DIFFERENCES = frozenset({"sub", "rsub", "isub", "subtract"})
GATHERED = frozenset({"stack", "cat", "concat", "concatenate", "hstack", "vstack"})
SCALED = frozenset({"mul", "rmul", "imul", "multiply", "div", "truediv", "itruediv", "divide"})
"""Linear in one operand; in both together they are not."""
PLAIN = frozenset(
    {"neg", "negative", "sum", "nansum", "mean", "clone", "contiguous", "to", "float", "double", "half", "cuda", "cpu"}
    | {"view", "reshape", "flatten", "squeeze", "unsqueeze", "expand", "getitem", "unbind", "join"}
)
"""Ops, by the last part of their name, that are linear: a constant that goes in comes out as a constant."""
ELEMENTWISE = SUMS | DIFFERENCES | SCALED | {"neg", "negative", "clone", "contiguous", "to", "float", "double", "join"}
"""Their result has one element only if every operand has."""


def key(node: Node) -> str:
    """The name of the op without its namespace and underscores: "add" for `Tensor.__iadd__`'s sibling `torch.add`."""
    return node.op.rpartition(".")[2].strip("_")


def adds(node: Node) -> bool:
    """Is the derivative of the op a number that stands in the text?"""
    name = key(node)
    if name in SCALED:
        site = node.site
        return isinstance(site, cst.BinaryOperation) and any(
            isinstance(side, cst.BaseNumber) for side in (site.left, site.right)
        )
    return name in SUMS | DIFFERENCES | PLAIN | GATHERED


def lets_through(m: Machine, start: int, known: dict[int, bool]) -> bool:
    """Can anything but zeros come to a leaf through the node?"""
    seen: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number in seen or known.get(number) is False:
            continue
        seen.add(number)
        node = m.state.graph[number]
        if node.derivative == "zero":
            continue
        if node.open or node.derivative == "raises" or any(e.node is None for e in node.edges):
            known[start] = True
            return True
        todo.extend(e.node for e in node.edges if e.node is not None)
    known.update(dict.fromkeys(seen, False))
    return False
