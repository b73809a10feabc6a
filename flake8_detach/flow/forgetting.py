"""Methods that run where the engine does not look: beyond its bounds, or in a container whose layers it does not know.

What they write to the attributes of their objects is not known any more. Only what some method of the class assigns is
forgotten, and `__init__` has run long ago. An object whose own `__init__` was not run may have any attribute.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import memo
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    UNKNOWN,
    YES,
    Const,
    Function,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@memo.per_file
def written(definition: Any) -> frozenset[str]:
    """The names of the attributes that are assigned in a class, `__init__` aside, or in a function. Looks at statements
    only: a visitor would go through every expression and every space."""
    names: set[str] = set()
    todo: list[Any] = [definition.body]
    while todo:
        node = todo.pop()
        if isinstance(node, cst.FunctionDef) and node.name.value == "__init__":
            continue
        targets: list[cst.BaseExpression] = []
        if isinstance(node, cst.Assign):
            targets = [target.target for target in node.targets]
        elif isinstance(node, (cst.AugAssign, cst.AnnAssign, cst.For)):
            targets = [node.target]
        while targets:
            target = targets.pop()
            if isinstance(target, cst.Attribute):
                names.add(target.attr.value)
            elif isinstance(target, (cst.Tuple, cst.List)):
                targets += [element.value for element in target.elements]
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            inner = getattr(node, field, ())
            todo += inner if isinstance(inner, (list, tuple)) else [inner]
    return frozenset(names)


def attributes(m: Machine, values: Iterable[Value]) -> None:
    """Forget what the methods of these objects, and of all that they hold, may have assigned to their attributes."""
    from flake8_detach.flow import modules

    seen: set[int] = set()
    todo = list(values)
    while todo:
        value = todo.pop()
        if isinstance(value, Tuple):
            todo.extend(value.items)
        for address in value.addresses if isinstance(value, Ref) else ():
            if address in seen:
                continue
            seen.add(address)
            m.step()
            cell = m.state.get((address, CELL))  # None: made on a path that was given up
            if isinstance(cell, Sequence):
                todo.extend(cell.items if cell.items is not None else (cell.element,))
            elif isinstance(cell, Mapping_):
                todo.extend(v for _, v in cell.items)
            elif isinstance(cell, (Instance, Layer)):
                todo.extend(m.state.get((address, name)) for name in m.state.names(address))
            if isinstance(cell, Instance):
                for cls in modules.lineage(cell.cls):
                    for name in written(cls.definition) if cls.definition is not None else ():
                        _forget(m, address, name)


def unmade(m: Machine, function: Function) -> None:
    """A method that is not run: its object may have attributes, and layers registered, that nobody has seen.

    So if it is `__init__`, or runs while that does, or assigns an attribute that the object does not have.
    """
    making = any(f.function is not None and f.function.name == "__init__" for f in m.frames[-1:])
    for address, cell in m.cells(function.bound) if function.bound is not None else ():
        if isinstance(cell, Instance) and (
            making
            or function.name == "__init__"
            or any(m.state.get((address, name)) is None for name in written(function.definition))
        ):
            m.state.set((address, "*open"), YES)


def _forget(m: Machine, address: int, name: str) -> None:
    value = m.state.get((address, name))
    plain = [tensor for _, tensor in m.tensors(value) if not tensor.parameter] if value is not None else []
    if plain or isinstance(value, (Const, Scalar, Tuple)):
        m.state.put(address, name, UNKNOWN)


__all__ = ["attributes", "unmade", "written"]
