"""`for p in net.parameters(): p = p - rate * p.grad`: a new tensor takes the name of the loop, and nobody reads it.

What the loop went through stays as it was. That the name is read nowhere else is seen in the text of its scope.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import forgotten
from flake8_detach.flow.events import Dropped
from flake8_detach.flow.values import Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def bound(m: Machine, node: cst.Assign, value: Value) -> None:
    """`name = value`, before the name is bound: does it stand for a leaf that the loop goes through until then?"""
    target, loop = node.targets[0].target, m.frame.loops[-1].node if m.frame.loops else None
    if m.quiet or loop is None or len(node.targets) != 1 or not isinstance(target, cst.Name):
        return
    before = m.state.get((m.frame.id, target.value))
    held = m.tensors(before) if before is not None and before != value and m.is_tensor(value) else []
    leaves = bool(held) and all(t.leaf.yes and t.grad.yes for _, t in held)
    own = leaves and target.value in _names(loop.target) and target.value in _names(node.value) and _pure(node.value)
    if own and _last(loop, node, target.value) and not _elsewhere(m, loop, target.value):
        m.emit(Dropped, node, what="rebound", owner="tensor", subject=target.value, name="=")


def _pure(value: cst.BaseExpression) -> bool:
    """Is it arithmetic, which does nothing but compute? A function of the file or a method in place may do more."""
    if not isinstance(value, cst.BinaryOperation):
        return False
    calls = [part for part in trees.walk(value) if isinstance(part, cst.Call)]
    return all(isinstance(c.func, cst.Attribute) and c.func.attr.value in PURE for c in calls)


PURE = frozenset({"sign", "abs", "sqrt", "mean", "sum", "norm", "clamp", "clip", "detach", "clone", "pow", "square"})
"""Methods and functions that such arithmetic may call."""


def _names(node: cst.CSTNode) -> list[str]:
    """The names in the node, in the order of the text, without those of attributes and keywords."""
    apart = {id(n.attr) for n in trees.walk(node) if isinstance(n, cst.Attribute)}
    apart |= {id(n.keyword) for n in trees.walk(node) if isinstance(n, cst.Arg) and n.keyword is not None}
    return [n.value for n in trees.walk(node) if isinstance(n, cst.Name) and id(n) not in apart]


def _last(loop: cst.For, node: cst.Assign, name: str) -> bool:
    """Does nothing behind the assignment read it in the body of the loop, but for a gradient that it never has?"""
    behind = False
    idle = _idle(loop, name)
    for part in trees.walk(loop.body):
        if part is node:
            behind = True
            inside = {id(n) for n in trees.walk(node)}
        elif behind and isinstance(part, cst.Name) and part.value == name and id(part) not in inside | idle:
            return False
    return behind


def _idle(loop: cst.For, name: str) -> set[int]:
    """Where `name.grad` is asked for under the question whether there is one, or assigned: the result of arithmetic
    has none, so that nothing comes of it."""
    found: set[int] = set()
    for part in trees.walk(loop.body):
        test = part.test if isinstance(part, cst.If) else None
        if isinstance(part, cst.AssignTarget) or (test is not None and _gradients(test, name)):
            found |= _gradients(part, name)
    return found


def _gradients(node: cst.CSTNode, name: str) -> set[int]:
    """The names in `name.grad`, there."""
    read = [part for part in trees.walk(node) if isinstance(part, cst.Attribute) and part.attr.value == "grad"]
    return {id(part.value) for part in read if isinstance(part.value, cst.Name) and part.value.value == name}


def _elsewhere(m: Machine, loop: cst.For, name: str) -> bool:
    """Is it named in the scope outside of the loop, or may a part of the loop that runs later read it?"""
    if any(isinstance(part, (cst.Lambda, cst.FunctionDef)) for part in trees.walk(loop)):
        return True
    here = _names(loop).count(name)
    scope = loop if m.frame.function is None else m.frame.function.definition
    if not forgotten.DYNAMIC.isdisjoint(_names(scope)):
        return True
    if m.frame.function is not None:
        return _names(m.frame.function.definition).count(name) > here
    tree = m.tree
    named = sum(isinstance(part, ast.Name) and part.id == name for part in ast.walk(tree)) if tree is not None else 0
    return named != here
