"""What a callable keeps alive: its defaults, the arguments it was given beforehand, the variables it has caught."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import memo
from flake8_detach.flow.values import Function, Method, Partial, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

DEPTH = 3
"""Callables and tuples that hold each other are looked through so far."""


def parts(m: Machine, value: Value, since: int) -> Iterator[Value]:
    """The values that a tuple or callable holds. since: of the variables of calls that are older, all closures share
    one; they are left out."""
    if isinstance(value, Tuple):
        yield from value.items
    elif isinstance(value, Method):
        yield value.receiver
    elif isinstance(value, Partial):
        yield from (value.function, *value.args, *(v for _, v in value.kwargs))
    elif isinstance(value, Function):
        yield from (v for _, v in value.defaults)
        for name in caught(value.definition):
            frame = next((f for f in value.scope if (f, name) in m.state.slots), None)
            if frame is not None and frame >= since and frame != m.frames[0].id:
                yield m.state.get((frame, name))


def inside(m: Machine, value: Value) -> Iterator[Value]:
    """The value, and what it holds through tuples and callables."""
    todo = [(value, 0)]
    while todo:
        current, depth = todo.pop()
        yield current
        if depth < DEPTH:
            todo.extend((part, depth + 1) for part in parts(m, current, 0))


def calls(value: Value) -> bool:
    """Is it a callable, or a tuple with one?"""
    if isinstance(value, Tuple):
        return any(map(calls, value.items))
    return isinstance(value, (Function, Partial, Method))


def place(value: Value, site: cst.CSTNode) -> cst.CSTNode:
    """What keeps the tensors: the lambda that holds them, else what puts the value into a container."""
    return value.definition if isinstance(value, Function) and isinstance(value.definition, cst.Lambda) else site


@memo.per_file
def caught(definition: cst.FunctionDef | cst.Lambda) -> frozenset[str]:
    """The names that the body of a function reads and that nothing in it binds."""
    inside = list(trees.walk(definition.body))
    own = {part.name.value for part in (*inside, *trees.walk(definition.params)) if isinstance(part, cst.Param)}
    targets = (part.target for part in inside if isinstance(part, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign)))
    own |= {name.value for target in targets for name in trees.walk(target) if isinstance(name, cst.Name)}
    fields = {id(part.attr) for part in inside if isinstance(part, cst.Attribute)}
    return frozenset(part.value for part in inside if isinstance(part, cst.Name) and id(part) not in fields) - own
