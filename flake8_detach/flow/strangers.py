"""What the callers of a function that nobody in the file calls may have done before: they are in other files.

They set switches, fill what is empty, and put objects where None stands. So says a file itself that keeps such a thing
and never uses it otherwise. Whatever else it keeps is taken for what the file made it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from flake8_detach.flow import forgetting, module_groups, modules
from flake8_detach.flow.slots import CELL, Delta
from flake8_detach.flow.values import (
    NONE,
    UNKNOWN,
    Class,
    Const,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Value,
)
from flake8_detach.knowledge import layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

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
        if _switch(value):
            m.state.set((frame, name), _any_like(value))
        elif isinstance(value, Ref) and isinstance(m.cell(value), (Sequence, Mapping_)):
            changed = set(_CHANGED.findall(text)) if changed is None else changed
            _fill(m, value, name in changed)


def of_instance(m: Machine, instance: Ref, cls: Class) -> None:
    """Switches of an object of the class, be they set by `__init__` or in a class: those that no method sets."""
    address = instance.addresses[0]
    lineage = modules.lineage(cls)
    written = frozenset[str]().union(*(forgetting.written(c.definition) for c in lineage if c.definition is not None))
    own = m.state.names(address)
    for name in own:
        value = m.state.get((address, name))
        if name not in written and _switch(value):
            m.state.put(address, name, _any_like(value))
    for base in lineage:
        for name in m.state.names(base.frame):
            value = m.state.get((base.frame, name))
            if name not in written and name not in own and _switch(value):
                m.state.put(address, name, _any_like(value))


def in_instance(m: Machine, instance: Ref) -> None:
    """Lists, dicts and containers of an object that are still empty when all of its methods have been run."""
    address = instance.addresses[0]
    for name in m.state.names(address):
        value = m.state.get((address, name))
        if isinstance(value, Ref):
            _fill(m, value)


def touches(m: Machine, instance: Ref, delta: Delta) -> bool:
    """Do these changes change an object, or a list or object that it keeps?"""
    owners, todo = set[int](), [instance]
    while todo:
        for address in todo.pop().addresses:
            if address in owners:
                continue
            owners.add(address)
            if isinstance(m.state.get((address, CELL)), Instance):
                kept = (m.state.get((address, name)) for name in m.state.names(address))
                todo += [value for value in kept if isinstance(value, Ref)]
    return any(owner in owners and (name == CELL or not name.startswith("*")) for owner, name in delta)


def _switch(value: Value | None) -> bool:
    return isinstance(value, Const) and (value.value is None or isinstance(value.value, bool))


def _any_like(value: Value) -> Value:
    return UNKNOWN if value == NONE else Scalar("bool")


def _fill(m: Machine, value: Ref, changed: bool = False) -> None:
    """Others may have put things into what is empty, or is `changed` somewhere, and may have set switches in a dict."""
    for address in value.addresses:
        cell = m.state.get((address, CELL))
        if isinstance(cell, Sequence) and (changed or cell.items == ()):
            m.state.set((address, CELL), Sequence(cell.kind, None, UNKNOWN))
        elif isinstance(cell, Mapping_) and (changed or (not cell.items and cell.rest is None)):
            m.state.set((address, CELL), replace(cell, items=(), rest=UNKNOWN))
        elif isinstance(cell, Mapping_) and any(_switch(v) for _, v in cell.items):
            items = tuple((k, _any_like(v) if _switch(v) else v) for k, v in cell.items)
            m.state.set((address, CELL), replace(cell, items=items))
        elif isinstance(cell, Layer) and _container(cell) and not m.state.names(address):
            module_groups.forget(m, address, cell)


def _container(cell: Layer) -> bool:
    spec = layers.layer(cell.kind)
    return spec is not None and bool(spec.container)


__all__ = ["in_instance", "of_instance", "of_module", "touches"]
