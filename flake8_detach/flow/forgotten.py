"""Terms of a loss that nobody uses: bound to a name that is not read again, or added after the backward; and results
of layers that nobody uses, so that an optimizer steps them in vain.

What is read is decided by the text of the scope; whether it matters, by the graph: a scalar that carries a gradient of
leaves that are trained, and that no backward of the file ever comes by.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import linear
from flake8_detach.flow.events import LossForgotten
from flake8_detach.flow.values import UNKNOWN, Ref, Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

ARITHMETIC = linear.SUMS | linear.DIFFERENCES | linear.SCALED
"""What makes a new loss of an old one."""
DYNAMIC = frozenset({"locals", "globals", "vars", "exec", "eval"})
"""With one of these in a scope, names may be read that the text does not spell."""


def bound(m: Machine, node: cst.Assign, value: Value) -> None:
    """`name = value`: will the name be read?"""
    target = node.targets[0].target
    if m.quiet or len(node.targets) != 1 or not isinstance(target, cst.Name) or isinstance(node.value, cst.Name):
        return
    found = _term(m, value)
    if found is None:
        _result(m, node, target.value, value)
        return
    old = node.value.left if isinstance(node.value, cst.BinaryOperation) else None
    before = (
        m.cell(m.lookup(target.value) or UNKNOWN) if isinstance(old, cst.Name) and old.value == target.value else None
    )
    if isinstance(before, Tensor) and m.afterwards.begun(before.node):
        for edge in m.state.graph[found].edges:
            if edge.node is not None and edge.node != before.node:
                _ask(m, node.value, edge.node, "late", m.text(target))
        return
    how = _unread(m, node, target.value)
    if how:
        _ask(m, node.value, found, how, m.text(target))


def thrown(m: Machine, node: cst.BaseExpression, value: Value) -> None:
    """`loss + term` or `loss.add(term)` as a statement, which was to be `loss += term`. At the top of a file it may be
    there to be shown, as the last line of a cell, and what is no scalar to be timed."""
    found = _term(m, value) if m.frame.function is not None or m.frame.loops else None
    if found is None or m.quiet:
        return
    made = m.state.graph[found]  # made elsewhere: the value of a function, or of somebody's own `__add__`
    fresh = isinstance(value, Ref) and min(value.addresses) > found  # else it was written: `add_`, `iadd`, `out=`
    if made.site is node and linear.key(made) in ARITHMETIC and fresh:
        _ask(m, node, found, "thrown", m.text(node))


def _result(m: Machine, node: cst.Assign, name: str, value: Value) -> None:
    """A tensor that is no scalar: is it all that is made of parameters which an optimizer steps, and never read?"""
    tensor = m.cell(value)
    if not isinstance(tensor, Tensor) or tensor.node is None or not tensor.grad.yes or tensor.shape == ():
        return
    if name.startswith("_"):
        return  # not to be used, says who named it
    number, how = tensor.node, _unread(m, node, name)
    if not how:
        return
    storages = {a: t.storage for a, t in m.tensors(Ref(tuple(leaves(m, number))))}
    event = m.event(LossForgotten, node.value, how=f"{how} result", subject=m.text(node.targets[0].target))

    def answer(reached: Reached) -> None:
        mine = {
            a for a, storage in storages.items() if a in m.owned and a not in m.escaped and storage not in m.steered
        }
        dead = {a for a in mine if not reached.leaf(a)} - m.mourned
        alive = m.births.of(a for a in m.owned if reached.leaf(a))
        if dead and alive.isdisjoint(m.births.of(dead)) and not reached.unclear and not reached.node(number):
            m.mourned |= dead
            m.sink(event)

    m.afterwards.ask_last(answer)


def added(m: Machine, node: cst.CSTNode, target: cst.CSTNode, old: Value, more: Value) -> None:
    """`loss += more`: has `loss` been backwarded already, and `more` not?"""
    first, second = m.cell(old), _term(m, more)
    if m.quiet or second is None or not isinstance(first, Tensor) or not m.afterwards.begun(first.node):
        return
    _ask(m, node, second, "late", m.text(target))


def _term(m: Machine, value: Value) -> int | None:
    """The graph node of a scalar that certainly carries a gradient."""
    cell = m.cell(value)
    if not isinstance(cell, Tensor) or cell.node is None or cell.shape != () or not cell.grad.yes:
        return None
    return cell.node


def _ask(m: Machine, site: cst.CSTNode, number: int, how: str, subject: object) -> None:
    behind = leaves(m, number)
    event = m.event(LossForgotten, site, how=how, subject=subject)

    def answer(reached: Reached) -> None:
        if not reached.node(number) and any(reached.trained(leaf) and leaf in m.owned for leaf in behind):
            m.sink(event)

    m.afterwards.ask_last(answer)


def leaves(m: Machine, start: int) -> set[int]:
    """The leaves that backward from the node may come to."""
    found: set[int] = set()
    seen: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        for edge in m.state.graph[number].edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf is not None:
                found.add(edge.leaf)
    return found


def _unread(m: Machine, node: cst.Assign, name: str) -> str:
    """ "unread" if nothing in the scope reads the name, "overwritten" if it is stored before it is read."""
    function = m.frame.function
    if function is None:
        tree = m.tree
        if tree is None or not isinstance(tree, ast.Module):
            return ""
        names = m.read_names
        if names is None:
            names = m.read_names = set()
            for part in ast.walk(tree):
                if isinstance(part, ast.Name):
                    names.update(() if isinstance(part.ctx, ast.Store) else (part.id,))
                elif isinstance(part, (ast.Global, ast.Nonlocal)):
                    names.update(part.names)
        return "unread" if name not in names and DYNAMIC.isdisjoint(names) and m.frame is m.frames[0] else ""
    definition = function.definition
    known = m.scopes.get(id(definition))
    if known is None:
        known = m.scopes[id(definition)] = (set(read(definition)), _overwritten(definition))
    reads, overwritten = known
    if not DYNAMIC.isdisjoint(reads):
        return ""
    return "unread" if name not in reads else "overwritten" if id(node) in overwritten else ""


def read(node: cst.CSTNode) -> Iterator[str]:
    """Every name in the text below `node` that may be read: all but plain targets, attributes and keywords."""
    todo: list[cst.CSTNode] = [node]
    while todo:
        one = todo.pop()
        if isinstance(one, cst.Name):
            yield one.value
        elif isinstance(one, (cst.Attribute, cst.Arg)):
            todo.append(one.value)
        elif isinstance(one, cst.AssignTarget) and isinstance(one.target, cst.Name):
            continue
        else:
            todo += trees.children(one)


def _overwritten(definition: cst.CSTNode) -> set[int]:
    """Assignments to a name that is stored again, in the same block and on every path, before anything reads it."""
    found: set[int] = set()
    for one in trees.walk(definition):
        if not isinstance(one, cst.IndentedBlock):
            continue
        last: dict[str, cst.Assign] = {}
        for statement in one.body:
            small = statement.body if isinstance(statement, cst.SimpleStatementLine) else None
            if small is None:
                last.clear()
                continue
            for part in small:
                for name in read(part):
                    last.pop(name, None)
                if not isinstance(part, cst.Assign) or len(part.targets) != 1:
                    continue
                target = part.targets[0].target
                if isinstance(target, cst.Name):
                    if target.value in last:
                        found.add(id(last[target.value]))
                    last[target.value] = part
    return found
