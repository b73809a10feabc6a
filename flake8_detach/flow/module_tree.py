"""What is registered in a module, whole: children, parameters, buffers, and the parameter groups of an optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flake8_detach.flow import module_groups, modules
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Either,
    External,
    Instance,
    Layer,
    Mapping_,
    Optimizer,
    Ref,
    Sequence,
    Tensor,
    Tuple,
    Value,
)
from flake8_detach.knowledge import layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


DTYPE = "*dtype"
"""Slot of a module: the name of the dtype that it was last converted to; none: never, its tensors are float32."""
PERHAPS = "*perhaps a parameter"
"""Slot of what a cast of a Parameter gives that may change nothing: it may be that Parameter."""
BUFFER = "*buffer "
"""Slot of a module, followed by a name: is what has that name a buffer? Then it is no parameter of the module, even if
it is a Parameter."""


def children(m: Machine, address: int) -> Iterator[Value]:
    """The values of the attributes of a module, in the order of registration."""
    for name in m.state.names(address):
        value = m.state.get((address, name))
        if value is not None:
            yield value


@dataclass
class Tree:
    """What is found below a module: parameters and modules, by address, each with its name as torch gives it.

    complete: nothing is hidden. listed: no parameter is hidden, though inner modules of a layer of torch may be.
    counted: none stands for several. some: of what stands for several not all belong to it.
    """

    parameters: list[int]
    modules: list[int]
    names: list[str | None] = field(default_factory=list)
    paths: list[str | None] = field(default_factory=list)
    complete: bool = True
    listed: bool = True
    counted: bool = True
    some: bool = False


def tree(m: Machine, value: Value) -> Tree:
    """Walk a module and all of its submodules."""
    result = Tree([], [])
    todo: list[tuple[Ref, str | None]] = [(value, "")] if isinstance(value, Ref) else []
    while todo:
        current, path = todo.pop(0)
        result.some = result.some or current.some
        cell = m.cell(current)
        if cell is None:
            todo.extend((Ref((a,), current.some), None) for a in current.addresses if len(current.addresses) > 1)
            continue
        address = current.addresses[0]
        if address in result.modules:
            continue
        m.step()
        if isinstance(cell, Tensor):
            if cell.parameter and address not in result.parameters:
                result.parameters.append(address)
                result.names.append(path)
            elif m.state.get((address, PERHAPS)) is not None:
                result.complete = result.listed = False
            continue
        if not modules.is_module(m, current):
            continue
        result.modules.append(address)
        result.paths.append(path)
        result.counted = result.counted and module_groups.told_apart(m, address)
        if isinstance(cell, Layer) and cell.children is None and not module_groups.complete(m, address):
            result.complete = False
            result.listed = result.listed and _composed(m, address, cell)
        if isinstance(cell, Instance) and (modules.open_ended(cell.cls) or m.state.get((address, "*open"))):
            result.complete = result.listed = False
        inner = {name: v for name in m.state.names(address) if (v := m.state.get((address, name))) is not None}
        inner = {name: v for name, v in inner.items() if m.state.get((address, BUFFER + name)) is not YES}
        if any(v == UNKNOWN or isinstance(v, (External, Either)) for v in inner.values()):
            result.complete = result.listed = False
        held = [(v, _path(path, name)) for name, v in inner.items() if isinstance(v, Ref)]
        todo = sorted(held, key=lambda pair: not m.is_tensor(pair[0])) + todo  # its own parameters come first
    return result


def _composed(m: Machine, address: int, cell: Layer) -> bool:
    """Is it a layer of torch that is made of others, all of whose parameters are known by their dotted names?"""
    spec = layers.layer(cell.kind)
    if spec is None or spec.container or any("*" in name for name, _ in spec.parameters):
        return False
    held = (m.state.get((address, name)) for name in m.state.names(address))
    return bool(spec.parameters) and all(v is None or v == NONE or m.is_tensor(v) for v in held)


def _path(path: str | None, name: str) -> str | None:
    """The name of what is registered as `name` in the module at `path`; None where one stands for several."""
    return None if path is None or name[0] == "*" else f"{path}.{name}" if path else name


def parameters(m: Machine, value: Value, hidden: bool = True) -> Ref:
    """All parameters of a module, each in turn; hidden: with one that stands for those that are not seen."""
    found = tree(m, value)
    addresses = list(found.parameters)
    if hidden and not found.listed and isinstance(value, Ref):
        unseen: Value | None = m.state.get((value.addresses[0], modules.UNSEEN))
        if not isinstance(unseen, Ref):
            unseen = m.tensor(grad=MAYBE, leaf=YES, parameter=True, made="parameter")
            m.state.set((value.addresses[0], modules.UNSEEN), unseen)
            m.state.set((unseen.addresses[0], modules.UNSEEN), value.addresses[0])
            m.escaped.add(unseen.addresses[0])
        addresses.extend(unseen.addresses)
    return Ref(tuple(addresses), found.some)


def trainable(m: Machine, value: Value | None) -> list[int]:
    """The parameters that a module, or a parameter itself, brings along; none if they are not all known."""
    if value is None or not isinstance(value, Ref):
        return []
    if m.is_tensor(value):
        return [a for a, t in m.tensors(value) if t.parameter and t.grad.yes]
    if not modules.is_module(m, value):
        return []
    found = tree(m, value)
    return [a for a, t in m.tensors(Ref(tuple(found.parameters))) if t.grad.yes] if found.complete else []


def each(m: Machine, found: Ref, kind: str = "generator") -> Value:
    return m.new(Sequence(kind, None, found, each=True, filled=YES if found.addresses else NO))


def converted(m: Machine, value: Value, dtype: str) -> None:
    """All of the module becomes another dtype: a Parameter gets new memory, a buffer is another tensor from now on."""
    made = tree(m, value)
    before = {m.state.get((owner, DTYPE), Const("float32")) for owner in made.modules}
    for owner in made.modules:
        m.state.set((owner, DTYPE), Const(dtype))
    if before == {Const(dtype)}:
        return
    sure = all(isinstance(known, Const) and known.value != dtype for known in before)
    for address in made.parameters:
        m.refine(address, storage=m.state.address() if sure else 0)
        for gradient, _ in m.tensors(m.state.get((address, "grad"), NONE)):
            m.refine(gradient, storage=m.state.address() if sure else 0)
    for owner, name, _, cell in buffers(m, value):
        if cell.dtype in ("int", "bool"):
            continue
        if cell.dtype != "float" or not cell.grad.no or not sure:  # with a gradient, it is computed from the old one
            m.state.set((owner, name), UNKNOWN)
            continue
        inference = cell.inference if cell.inference is m.mode.inference else MAYBE  # one of that dtype stays as it was
        new = m.new(replace(cell, storage=m.state.address(), view="", base=None, inference=inference))
        m.state.set((owner, name), new)
        m.ledger.registered.update(new.addresses)


def buffers(m: Machine, value: Value) -> list[tuple[int, str, int, Tensor]]:
    """The registered buffers of the module: whose, its name, its address and the tensor."""
    found = []
    for owner in tree(m, value).modules:
        for name in m.state.names(owner):
            held = m.state.get((owner, name))
            cell = m.cell(held)
            if isinstance(cell, Tensor) and not cell.parameter and held.addresses[0] in m.ledger.registered:
                found.append((owner, name, held.addresses[0], cell))
    return found


def parameters_in(m: Machine, value: Value) -> list[int] | None:
    """The tensors that an optimizer or `inputs=` is given, or None if they are not all known."""
    if isinstance(value, Ref) and (m.is_tensor(value) or not value.addresses):
        return list(value.addresses)
    cell = m.cell(value)
    if isinstance(cell, Mapping_):
        items, exact = [cell.get("params") or UNKNOWN], True
    elif isinstance(cell, Sequence):
        exact = cell.items is not None
        items = list(cell.items) if cell.items is not None else [cell.element]
        if not exact and not cell.each and not m.is_tensor(cell.element):
            return None
    elif isinstance(value, Tuple):
        items, exact = list(value.items), True
    else:
        return None
    found: list[int] = []
    for item in items:
        if isinstance(item, Tuple) and len(item.items) == 2:  # named_parameters()
            item = item.items[1]
        inner = parameters_in(m, item)
        if inner is None or (exact and len(inner) > 1 and m.is_tensor(item)):
            return None  # a tensor that is one of several
        found.extend(a for a in inner if a not in found)
    return found


def param_groups(m: Machine, optimizer: Optimizer) -> Value:
    if optimizer.owned is None:
        return UNKNOWN
    group = Mapping_((("params", each(m, Ref(optimizer.owned), "list")),), UNKNOWN)
    return m.new(Sequence("list", None, m.new(group), each=True, filled=YES))
