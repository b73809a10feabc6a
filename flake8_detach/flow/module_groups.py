"""Modules that are not known one by one: containers that a loop fills, and attributes that it names.

`setattr(self, f"layer{i}", nn.Linear(8, 8))`: all that are named after one pattern are known by a summary that stands
for each of them, in a slot of its own. `nn.Sequential(*layers)`: the layers are known by what stands for the elements
of the list. What is called in a loop that is run through a few rounds is called for each of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flake8_detach.flow import strings, subscripts
from flake8_detach.flow.meeting import EITHER
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    UNKNOWN,
    YES,
    Const,
    Layer,
    Ref,
    Scalar,
    Sequence,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge import api

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine

NAMED = "*named "
"""Slot of a module, followed by a pattern: what stands for the attributes that are named after it."""
ELEMENT = "*element"
"""Slot of a container whose modules are not known one by one: what stands for each of them."""
FILLED = "*filled"
"""Slot of such a container: has it at least one?"""
PART = "*part "
"""Slot of a Sequential, followed by a number: one of its modules, or what stands for several in a row."""
SURE = "*sure"
"""Slot of a Sequential: the kinds of layers that are surely in it."""


# By name


def name_one(m: Machine, address: int, name: Value | None, value: Value) -> bool:
    """The object at `address` has got an attribute; False if that may be one that has a name of its own."""
    if not (isinstance(name, Scalar) and name.form):
        return False
    slot = NAMED + name.form
    for known in m.state.names(address):
        if known.startswith(NAMED):
            if known != slot and not strings.apart(known.removeprefix(NAMED), name.form):
                return False
        elif known[0] != "*" and strings.matches(name.form, known):
            return False
    have: Value | None = m.state.get((address, slot))
    m.state.put(address, slot, value if have is None or have == value else subscripts.one_of(m, [have, value]))
    return True


def named(m: Machine, address: int, name: Value) -> Value | None:
    """The attribute that has that name, which may be known in part; None if none is known to have one like it."""
    text = name.value if isinstance(name, Const) else None
    form = name.form if isinstance(name, Scalar) else ""
    found: list[Value] = []
    for known in m.state.names(address):
        pattern = known.removeprefix(NAMED) if known.startswith(NAMED) else ""
        if isinstance(text, str):
            hit = bool(pattern) and text not in api.MODULE_NAMES and strings.matches(pattern, text)
        elif form and pattern:
            hit = not strings.apart(pattern, form)
        else:
            hit = form != "" and known[0] != "*" and strings.matches(form, known)
        if hit:
            found.append(m.state.get((address, known), UNKNOWN))
    return None if not found else one(found[0]) if len(found) == 1 else UNKNOWN


def one(value: Value) -> Value:
    """One of the objects that `value` stands for, or some of them."""
    if isinstance(value, Tuple):
        return replace(value, items=tuple(one(item) for item in value.items))
    return replace(value, some=True) if isinstance(value, Ref) else value


def told_apart(m: Machine, address: int) -> bool:
    """Is each attribute of the module one module at most?"""
    return not any(name.startswith((NAMED, PART, ELEMENT)) for name in m.state.names(address))


# By place


def complete(m: Machine, address: int) -> bool:
    """Is everything in a container, whose modules are not known one by one, like what stands for it?"""
    return any(m.state.get((address, slot), UNKNOWN) != UNKNOWN for slot in (ELEMENT, PART + "0"))


def growing(m: Machine, address: int) -> bool:
    """Is a loop being run that has begun after the object was made, and may be run any number of times?"""
    return any(loop.since > address for frame in m.frames for loop in frame.loops)


def grow(m: Machine, address: int, cell: Layer, value: Value) -> None:
    """The container has got one more module, under a key or at a place that is not known."""
    have: list[Value] = [m.state.get((address, key), UNKNOWN) for key in cell.children or ()]
    if cell.children is None:
        have = [m.state.get((address, ELEMENT), UNKNOWN)]
    each = value if all(h == value for h in have) else subscripts.one_of(m, [*have, value])
    m.state.put(address, ELEMENT, each)
    m.state.set((address, FILLED), YES)
    m.state.set((address, CELL), replace(cell, children=None))
    m.ledger.registered.update(value.addresses if isinstance(value, Ref) else ())


def forget(m: Machine, address: int, cell: Layer) -> None:
    """Something was done to the container that may leave anything in it."""
    m.state.put(address, ELEMENT, UNKNOWN)
    m.state.set((address, CELL), replace(cell, children=None))


def sliced(m: Machine, address: int, cell: Layer, key: Tuple) -> Value:
    """`layers[1:]`: a new container of some of the modules."""
    if cell.children is None:
        made = m.new(Layer(cell.kind, (), None))
        m.state.put(made.addresses[0], ELEMENT, one(m.state.get((address, ELEMENT), UNKNOWN)))
        m.state.set((made.addresses[0], FILLED), MAYBE)
        return made
    bounds = [b.value for b in key.items if isinstance(b, Const) and (b.value is None or isinstance(b.value, int))]
    if len(bounds) != 3 or bounds[2] == 0:
        return UNKNOWN
    chosen = cell.children[slice(*bounds)]
    made = m.new(Layer(cell.kind, (), tuple(str(i) for i in range(len(chosen)))))
    for i, name in enumerate(chosen):
        m.state.put(made.addresses[0], str(i), m.state.get((address, name), UNKNOWN))
    return made


def spread(m: Machine, address: int, args: Args) -> None:
    """`nn.Sequential(first, *rest)`: what is in the container, where the length of `rest` is not known."""
    sure: list[str] = []
    for at, value in enumerate(args.pos):
        cell = m.cell(args.stars.get(at, UNKNOWN))
        for member in cell.members if isinstance(cell, Sequence) else () if at in args.stars else (value,):
            layer = m.cell(member)
            sure += [layer.kind] if isinstance(layer, Layer) else []
        m.state.put(address, f"{PART}{at}", value)
        m.ledger.registered.update(value.addresses if isinstance(value, Ref) else ())
    m.state.set((address, SURE), tuple(dict.fromkeys(sure)))
    if len(args.pos) == 1:
        cell = m.cell(args.stars.get(0, UNKNOWN))
        filled: Truth = cell.filled if isinstance(cell, Sequence) else MAYBE
        m.state.put(address, ELEMENT, args.pos[0])
        m.state.set((address, FILLED), filled)


def in_order(m: Machine, address: int) -> list[Value]:
    """The modules of a Sequential, one for several in a row where those are not told apart."""
    return [m.state.get((address, name), UNKNOWN) for name in m.state.names(address) if name.startswith(PART)]


def kinds(cell: Layer) -> tuple[str, ...]:
    """The kinds of layers of which it is one."""
    return tuple(cell.kind.split(EITHER)) if EITHER in cell.kind else ()
