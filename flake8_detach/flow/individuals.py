"""One of several objects for which one object stands.

The elements of a list that a loop has made are not known one by one: one object stands for all of them. A loop over the
list does to it what it does to each. Who takes a single one (`states[0]`, `by_name[key]`, `stack.pop()`) gets an object
of its own that may be the one or another: what is done to it is done to those that it may be, or not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flake8_detach.flow import modules
from flake8_detach.flow.values import Edge, Either, Instance, Layer, Mapping_, Node, Ref, Sequence, Tensor, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

DEPTH = 3
"""Objects in objects are told apart so far."""


def mark(m: Machine, value: Value, since: int) -> None:
    """What was made since that address, and is led to by the value, stands for several objects."""
    todo = [value]
    while todo:
        current = todo.pop()
        if isinstance(current, Tuple):
            todo.extend(current.items)
        for address in current.addresses if isinstance(current, Ref) else ():
            if address < since or address in m.state.several:
                continue
            m.step()
            m.state.several.add(address)
            cell = m.state.cell(address)
            if isinstance(cell, (Sequence, Mapping_)):
                todo.extend(cell.held)
            elif isinstance(cell, (Instance, Layer)):
                todo.extend(m.state.get((address, name)) for name in m.state.names(address))


def one(m: Machine, value: Value, depth: int = 0) -> Value:
    """One of those that it stands for; the value itself if it stands for itself."""
    if isinstance(value, Tuple):
        return replace(value, items=tuple(one(m, item, depth) for item in value.items))
    if isinstance(value, Either):
        return replace(value, object=one(m, value.object, depth))  # type: ignore[arg-type]
    if not isinstance(value, Ref) or len(value.addresses) != 1 or depth > DEPTH:
        return value
    address = value.addresses[0]
    if address not in m.state.several and address not in m.state.merged:
        return value
    cell = m.state.cell(address)
    if isinstance(cell, Tensor):
        return _tensor(m, value, address, cell)
    if isinstance(cell, (Sequence, Mapping_)):
        made = m.new(cell)
    elif isinstance(cell, Instance) and not modules.is_module(m, value):
        made = m.new(cell)
        for name in m.state.names(address):
            m.state.put(made.addresses[0], name, one(m, m.state.get((address, name)), depth + 1))
    else:
        return value
    m.state.couple(made.addresses[0], address)
    return made


def placed(m: Machine, value: Value) -> Value:
    """A tensor that is put where it is not known, beside others: what stands for it and for those."""
    cell = m.cell(value)
    if not isinstance(value, Ref) or not isinstance(cell, Tensor):
        return value
    made = _tensor(m, value, value.addresses[0], cell)
    if made != value:
        m.state.several.update(made.addresses)
    return made


def many(m: Machine, oldest: int, value: Value) -> None:
    """A tensor made since the address `oldest` stands for the elements of a list, each with a graph of its own: a
    backward from one of them does not free the graph of the next. Between the tensor and its graph comes a node "join"
    that says so, and whose one edge is sure."""
    if isinstance(value, Tuple):
        for item in value.items:
            many(m, oldest, item)
    for address, tensor in m.tensors(value):
        if tensor.node is not None and address >= oldest and tensor.node >= oldest:
            graph, node = m.state.graph, m.state.address()
            made = graph[tensor.node]
            graph[node] = Node("join", (Edge(tensor.node, None, True),), (), made.site, path=made.path, many=True)
            m.refine(address, node=node)


def given(m: Machine, owner: int, value: Value) -> Value:
    """What is stored in the object `owner`. If that stands for several, each of them is given a tensor of its own."""
    cell = m.cell(value)
    if owner not in m.state.several or not isinstance(value, Ref) or not isinstance(cell, Tensor) or cell.node is None:
        return value
    made = m.new(cell)
    m.state.pair(made.addresses[0], value.addresses[0])
    m.state.several.update(made.addresses)
    many(m, 0, made)
    return made


def _tensor(m: Machine, value: Ref, address: int, cell: Tensor) -> Ref:
    """A leaf that requires grad stays what stands for all: it is that one that an optimizer was given."""
    if cell.base is not None or not (cell.grad.no or cell.leaf.no):
        return value
    node = cell.node
    if node is not None and m.state.graph[node].many:  # backward need not come to what the others came from
        node = m.graph_node(Node("join", (Edge(node, None, False),), (), None))
    made = m.new(replace(cell, storage=m.state.address(), node=node))
    m.state.pair(made.addresses[0], address)
    for slot in ("grad", "kept"):
        if (address, slot) in m.state.slots:
            m.state.set((made.addresses[0], slot), m.state.get((address, slot)))
    return replace(made, some=value.some)
