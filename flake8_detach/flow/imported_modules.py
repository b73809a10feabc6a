"""Modules that other files make. An unknown object says nothing of itself, but an optimizer of torch takes parameters:
whose `.parameters()` it is given is a module. If only code of the file has it, nobody else clears its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import modules, narrowing, sharing
from flake8_detach.flow.slots import CELL, Slot
from flake8_detach.flow.values import UNKNOWN, Layer, Ref, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

KIND = "?"
"""The kind of a layer of which nothing is known but that it is a module."""


def given(m: Machine, value: Value, node: cst.CSTNode) -> Value:
    """What the expression `node` is, of which an optimizer takes parameters: unknown objects in it that have
    `.parameters()` are found to be modules."""
    found = [owner for owner in map(_whose, trees.walk(node)) if owner is not None and _found(m, owner)]
    if not found:
        return value
    m.quiet += 1
    try:
        return m.evaluate(node)  # once more, with what is known now
    finally:
        m.quiet -= 1


def _whose(node: cst.CSTNode) -> cst.BaseExpression | None:
    """The `net` of `net.parameters()`."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and not node.args:
        return node.func.value if node.func.attr.value in ("parameters", "named_parameters") else None
    return None


def _found(m: Machine, owner: cst.BaseExpression) -> bool:
    """Does a variable or attribute hold something unknown, of which only code of the file knows? From here on it holds
    a module."""
    if isinstance(owner, cst.Name) and m.lookup(owner.value) == UNKNOWN and not sharing.handed_on(m, owner.value):
        m.bind(owner.value, m.new(Layer(KIND, (), None)))
        return True
    slot = _slot(m, owner)
    if slot is not None and m.state.get(slot) == UNKNOWN and not sharing.handed_on(m, slot[1]):
        m.state.set(slot, m.new(Layer(KIND, (), None)))
        return True
    return False


def _slot(m: Machine, owner: cst.BaseExpression) -> Slot | None:
    """Where the attribute is that the expression names."""
    holder = narrowing.quiet(m, owner.value) if isinstance(owner, cst.Attribute) else UNKNOWN
    if isinstance(owner, cst.Attribute) and isinstance(holder, Ref) and len(holder.addresses) == 1:
        return holder.addresses[0], owner.attr.value
    return None


def trained(m: Machine) -> list[int]:
    """The leaves that stand for unseen parameters of the one optimizer that there is: a backward of which not all is
    seen comes to them. With several optimizers it is not known whose it comes to."""
    made = [optimizer for optimizer in m.ledger.optimizers if (optimizer, CELL) in m.state.slots]
    owned = m.ledger.optimizers[made[0]] if len(made) == 1 else None
    return [a for a in owned or () if isinstance(of := m.state.get((a, modules.UNSEEN)), int) and of not in m.escaped]


__all__ = ["given", "trained"]
