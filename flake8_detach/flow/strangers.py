"""What the callers of a function that nobody in the file calls may have done before: they are in other files.

They set switches, fill what is empty, and put objects where None stands. So says a file itself that keeps such a thing
and never uses it otherwise. Whatever else it keeps is taken for what the file made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from flake8_detach.flow import forgetting, module_groups, module_tree, modules
from flake8_detach.flow.comparison import Comparison
from flake8_detach.flow.slots import CELL, Delta, Slot
from flake8_detach.flow.values import (
    MAYBE,
    UNKNOWN,
    Cell,
    Class,
    Const,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Tuple,
    Value,
)
from flake8_detach.knowledge import layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

KINDS: dict[type, Literal["int", "float", "bool", "str"]] = {int: "int", float: "float", bool: "bool", str: "str"}
_CHANGED = re.compile(
    r"\b(\w+)[ \t]*(?:\.(?:append|appendleft|add|extend|insert|update|setdefault)\(|\[[^\n]*\][ \t]*[-+*/|]?=(?!=))"
)
"""Where a list or dict may be changed that a variable leads to: a search of the text, which is much cheaper than one of
the tree, and may find too many."""


def of_module(m: Machine, text: str) -> None:
    """Variables of the module."""
    frame = m.frames[0].id
    changed: set[str] | None = None
    for (owner, name), value in list(m.state.slots.items()):
        if owner != frame or name.startswith("*"):
            continue
        cell = m.cell(value) if isinstance(value, Ref) else None
        if _choice(value):
            m.state.set((frame, name), _any_like(value))
        elif isinstance(value, Class):
            of_class(m, value)
        elif isinstance(value, Ref) and isinstance(cell, (Sequence, Mapping_)):
            changed = set(_CHANGED.findall(text)) if changed is None else changed
            _fill(m, value, name in changed)
        elif isinstance(value, Ref) and cell is not None and _has_attributes(cell):
            forgetting.attributes(m, [value])
            of_instance(m, value)
            in_instance(m, value)


def of_class(m: Machine, cls: Class) -> None:
    """Attributes of a class, and of the classes in it."""
    written = _written(cls)
    for name in m.state.names(cls.frame):
        value = m.state.get((cls.frame, name))
        if isinstance(value, Class):
            of_class(m, value)
        elif isinstance(value, Ref):
            of_instance(m, value)
            in_instance(m, value)
        elif name not in written and _choice(value):
            m.state.put(cls.frame, name, _any_like(value))


def of_instance(m: Machine, instance: Ref) -> None:
    """Constants that an object, or one that it keeps, has from `__init__` or its class: those that no method sets."""
    for address, cell in _objects(m, instance):
        if not _has_attributes(cell):
            continue
        written = _written(cell.cls) if isinstance(cell, Instance) else ()
        own = m.state.names(address)
        kept = [(name, m.state.get((address, name))) for name in own]
        for base in modules.lineage(cell.cls) if isinstance(cell, Instance) else ():
            kept += [(n, m.state.get((base.frame, n))) for n in m.state.names(base.frame) if n not in own]
        for name, value in kept:
            if name not in written and isinstance(value, (Const, Tuple)):
                m.state.put(address, name, _unsettled(value))


def in_instance(m: Machine, instance: Ref) -> None:
    """Lists, dicts and containers in an object that are still empty when all of its methods have been run."""
    for address, _ in list(_objects(m, instance)):
        _fill(m, Ref((address,)))


def _objects(m: Machine, value: Value) -> Iterator[tuple[int, Cell]]:
    """What is there at each address that the value leads to."""
    seen, todo = set[int](), [value]
    while todo:
        current = todo.pop()
        if isinstance(current, Tuple):
            todo += current.items
        for address in current.addresses if isinstance(current, Ref) else ():
            cell = m.state.get((address, CELL))
            if address in seen or cell is None:
                continue
            seen.add(address)
            m.step()
            yield address, cell
            if isinstance(cell, (Sequence, Mapping_)):
                todo += cell.held
            elif _has_attributes(cell):
                todo += [m.state.get((address, name)) for name in m.state.names(address)]


def thaw(m: Machine, instance: Ref) -> None:
    """Frozen parameters of a module: whoever holds it may train them later, as `requires_grad_()` of it says."""
    if modules.is_module(m, instance):
        for address in module_tree.tree(m, instance).parameters:
            cell = m.state.cell(address)
            if isinstance(cell, Tensor) and cell.grad.no:
                m.state.set((address, CELL), replace(cell, grad=MAYBE))


def touched(m: Machine, instance: Ref, delta: Delta) -> list[Slot]:
    """Where these changes change an object, or what it keeps."""
    owners = {address for address, _ in _objects(m, instance)}
    return [slot for slot in delta if slot[0] in owners and (slot[1] == CELL or not slot[1].startswith("*"))]


def adds(m: Machine, delta: Delta, slots: list[Slot]) -> bool:
    """Does a change of these slots add anything to what they may hold already?"""
    comparison = Comparison(m.state, {}, delta, covers=True)
    return not all(comparison.contents(m.state.get(slot), delta[slot]) for slot in slots)


def _written(cls: Class) -> frozenset[str]:
    lineage = modules.lineage(cls)
    return frozenset[str]().union(*(forgetting.written(c.definition) for c in lineage if c.definition is not None))


def _choice(value: Value | None) -> bool:
    """Yes or no, one word or another, or nothing where something may be."""
    return isinstance(value, Const) and (value.value is None or isinstance(value.value, (bool, str)))


def _any_like(value: Value) -> Value:
    """What may stand in place of a constant. A sum of tensors begins with 0."""
    constant = value.value if isinstance(value, Const) else None
    kind = KINDS.get(type(constant))
    return UNKNOWN if kind is None or (constant == 0 and kind != "bool") else Scalar(kind)


def _fill(m: Machine, value: Ref, changed: bool = False) -> None:
    """Others may have put things into what is empty, or is `changed` somewhere, and other constants into the rest."""
    for address in value.addresses:
        cell = m.state.get((address, CELL))
        if isinstance(cell, Sequence):
            if changed or cell.items == ():
                m.state.set((address, CELL), Sequence(cell.kind, None, UNKNOWN))
            elif cell.items is not None and any(isinstance(v, Const) for v in cell.items):
                m.state.set((address, CELL), replace(cell, items=tuple(map(_unsettled, cell.items))))
        elif isinstance(cell, Mapping_):
            if changed or (not cell.items and cell.rest is None):
                m.state.set((address, CELL), replace(cell, items=(), rest=UNKNOWN))
            elif any(isinstance(v, Const) for _, v in cell.items):
                m.state.set((address, CELL), replace(cell, items=tuple((k, _unsettled(v)) for k, v in cell.items)))
        elif isinstance(cell, Layer) and _container(cell) and not m.state.names(address):
            module_groups.forget(m, address, cell)


def _unsettled(value: Value) -> Value:
    """What may stand in place of a value that was put somewhere; a tuple of numbers is a shape, most likely."""
    if isinstance(value, Tuple):
        return replace(value, items=tuple(_any_like(item) if _choice(item) else item for item in value.items))
    return _any_like(value) if isinstance(value, Const) else value


def _has_attributes(cell: Cell) -> bool:
    """Is it an object of a class of the file, or one that is its attributes?"""
    return isinstance(cell, Instance) or (isinstance(cell, Thing) and cell.kind == "types.SimpleNamespace")


def _container(cell: Layer) -> bool:
    spec = layers.layer(cell.kind)
    return spec is not None and bool(spec.container)


__all__ = ["adds", "in_instance", "of_class", "of_instance", "of_module", "thaw", "touched"]
