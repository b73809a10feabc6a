"""Loops that are as long as a net is deep: the body makes modules, or picks them by the number of the iteration.

Such a loop over a short range is run as often as it says. Any other loop stands for one over data, of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import modules
from flake8_detach.flow.memo import per_file
from flake8_detach.flow.values import UNKNOWN, Class, External, Function, Layer, Ref, Sequence, Tuple, Value
from flake8_detach.imports import canonical
from flake8_detach.knowledge import layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

PARAMETER = "torch.nn.Parameter"
FAR = 3
"""Calls within calls that are looked into for one that makes a module."""


def as_deep(m: Machine, node: cst.For) -> bool:
    """Is the loop as long as a net is deep?"""
    return _plain(m, node.body, FAR) and (
        any(_makes(m, call.func, FAR) for call in _calls(node.body)) or by_number(m, node)
    )


def visits(m: Machine, node: cst.For | cst.While) -> bool:
    """Does the loop visit modules: `for layer in self.layers`, or `self.layers[i]`?"""
    if not isinstance(node, cst.For):
        return False
    parts = [e.value for e in node.target.elements] if isinstance(node.target, (cst.Tuple, cst.List)) else [node.target]
    found = [m.lookup(part.value) for part in parts if isinstance(part, cst.Name)]
    return any(value is not None and modules.is_module(m, value) for value in found) or by_number(m, node)


def by_number(m: Machine, node: cst.For) -> bool:
    """Does the body pick modules by the number of the iteration?"""
    counters = {part.value for part in trees.run_by(node.target) if isinstance(part, cst.Name)}
    return any(_picks(m, call, counters) for call in _calls(node.body)) or any(
        _indexes(m, picked, counters) for picked in _subscripts(node.body)
    )


@per_file
def _plain(m: Machine, body: cst.CSTNode, depth: int) -> bool:
    """Are loops in it, too, such that make modules? One that does not may be one over data: then this one trains a net
    after the other."""
    loops = [part for part in trees.run_by(body) if isinstance(part, (cst.For, cst.While))]
    return all(
        isinstance(loop, cst.For) and any(_makes(m, call.func, depth) for call in _calls(loop.body)) for loop in loops
    )


def _makes(m: Machine, function: cst.BaseExpression, depth: int) -> bool:
    """Does a call of the function make a module or a parameter?"""
    called = glance(m, function)
    if isinstance(called, External):
        return called.name == PARAMETER or layers.layer(called.name) is not None
    if isinstance(called, Class):
        return modules.is_module_class(called)
    return isinstance(called, Function) and depth > 0 and _makes_inside(m, called.definition, depth - 1)


@per_file
def _makes_inside(m: Machine, definition: cst.CSTNode, depth: int) -> bool:
    body = definition.body if isinstance(definition, (cst.FunctionDef, cst.Lambda)) else definition
    if not _plain(m, body, depth):
        return False
    return any(_makes(m, call.func, depth) for call in _calls(body))


def _picks(m: Machine, node: cst.Call, counters: set[str]) -> bool:
    """`getattr(self, f"layer{i}")`."""
    if not (isinstance(node.func, cst.Name) and node.func.value == "getattr" and len(node.args) > 1):
        return False
    return _counted(node.args[1].value, counters) and modules.is_module(m, glance(m, node.args[0].value))


def _indexes(m: Machine, node: cst.Subscript, counters: set[str]) -> bool:
    """`self.layers[i]`."""
    if not any(_counted(element.slice, counters) for element in node.slice):
        return False
    cell = m.cell(glance(m, node.value))
    held = cell.items[:1] if isinstance(cell, Sequence) and cell.items else ()
    return isinstance(cell, Layer) or any(modules.is_module(m, one) for one in held)


@per_file
def _calls(body: cst.CSTNode) -> tuple[cst.Call, ...]:
    return tuple(part for part in trees.run_by(body) if isinstance(part, cst.Call))


@per_file
def _subscripts(body: cst.CSTNode) -> tuple[cst.Subscript, ...]:
    return tuple(part for part in trees.run_by(body) if isinstance(part, cst.Subscript))


def _counted(node: cst.CSTNode, counters: set[str]) -> bool:
    return any(isinstance(part, cst.Name) and part.value in counters for part in trees.run_by(node))


def glance(m: Machine, node: cst.BaseExpression) -> Value:
    """What a name or an attribute is, without running anything."""
    if isinstance(node, cst.Name):
        return m.lookup(node.value) or UNKNOWN
    if not isinstance(node, cst.Attribute):
        return UNKNOWN
    owner = glance(m, node.value)
    if isinstance(owner, Tuple) and node.attr.value in owner.names:
        return owner.items[owner.names.index(node.attr.value)]
    if isinstance(owner, External):
        return External(canonical(f"{owner.name}.{node.attr.value}"))
    if isinstance(owner, Ref) and len(owner.addresses) == 1:
        held: Value | None = m.state.get((owner.addresses[0], node.attr.value))
        return held or modules.find(m, owner, node.attr.value) or UNKNOWN
    return UNKNOWN
