"""Where the graph of one network was handed to another that it should not have been connected to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.values import Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def handed(m: Machine, values: Iterable[Value], site: cst.CSTNode) -> None:
    """A module is called with these values."""
    for value in values:
        for _, tensor in m.tensors(value):
            if tensor.node is not None:
                m.handed.setdefault(tensor.node, (site, place(m)))


def place(m: Machine) -> int:
    """The class or function whose text is being run."""
    frame = m.frame
    return id(frame.owner.definition) if frame.owner is not None else id(frame.function and frame.function.definition)


def entrance(m: Machine, backward: cst.CSTNode, crossed: set[int]) -> cst.CSTNode:
    """Where what the crossed parameters made was handed to the module that it should not have been connected to."""
    start, here = m.starts.get(id(backward), ((), 0))
    todo = [edge.node for edge in start if edge.node is not None]
    seen: set[int] = set()
    while todo:
        number = todo.pop(0)
        if number in seen:
            continue
        seen.add(number)
        m.step()
        if number in m.handed and _made_of(m, number, crossed):
            site, place = m.handed[number]
            return site if place == here else backward
        todo.extend(e.node for e in m.state.graph[number].edges if e.node is not None)
    return backward


def _made_of(m: Machine, start: int, leaves: set[int]) -> bool:
    """Are these the only parameters with a gradient that the node is made of?"""
    seen: set[int] = set()
    todo = [start]
    some = False
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        for edge in m.state.graph[number].edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf in leaves:
                some = True
            elif edge.leaf is not None and edge.leaf in m.owned:
                return False
    return some
