"""`x[k]` and `x[k] = v` of tensors, containers and layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import (
    conversions,
    gradients,
    hidden,
    individuals,
    iteration,
    levels,
    module_groups,
    operators,
    parameters,
    replaced,
    shapes,
    suspects,
    tensors,
    training,
    writes,
)
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    NUMBER,
    UNKNOWN,
    Array,
    Const,
    Foreign,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Saved,
    Scalar,
    Sequence,
    Shape,
    Tensor,
    Thing,
    Tuple,
    Value,
    truth,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


INDEX = ops.Op("Tensor.__getitem__", params=("self",), view="view")
"""`x[0]`, `x[1:]`: a view. `TAKE`: `x[mask]`, `x[[1, 2]]`: a copy. Both save no values (docs: Tensor views)."""
TAKE = ops.Op("Tensor.__getitem__", params=("self",))
KEYS = 64
"""So many keys of a dict that is filled item by item are known apart, like the elements of a list that grows."""


def get_item(m: Machine, node: cst.Subscript, owner: Value, key: Value) -> Value:
    """`owner[key]`."""
    found = _item(m, node, owner, key)
    if found == UNKNOWN and not isinstance(key, Const):
        suspects.chosen(m, owner)
    return found


def _item(m: Machine, node: cst.Subscript, owner: Value, key: Value) -> Value:
    operators.use_none(m, node, owner, node.value)
    if m.is_tensor(owner):
        return _index_tensor(m, node, owner, key)
    if isinstance(owner, Array):
        return replace(owner, scalar=owner.scalar if is_slice(key) else MAYBE)
    if isinstance(owner, Foreign):
        return owner
    if isinstance(owner, Tuple):
        place = key.value if isinstance(key, Const) and isinstance(key.value, int) else 0
        if owner.items and not -len(owner.items) <= place < len(owner.items):
            from flake8_detach.flow import custom_ctx

            custom_ctx.misfit(m, node, owner, place + 1)
        conversions.index(m, node, key, node)
        return _index_items(m, owner.items, key, "tuple")
    cell = m.cell(owner)
    if isinstance(cell, Sequence):
        conversions.index(m, node, key, node)
        if cell.items is not None:
            return _index_items(m, cell.items, key, cell.kind)
        if is_slice(key):
            members = _members(cell, key)
            element = cell.element if cell.element == UNKNOWN else module_groups.one(cell.element)
            whole = isinstance(key, Tuple) and key.items[:2] == (NONE, NONE)  # `[:]`, `[::-1]`
            filled = cell.filled if whole else truth(True) if members else MAYBE
            return m.new(replace(cell, element=element, each=False, filled=filled, members=members))
        return iteration.at(m, owner, key)
    if isinstance(cell, Mapping_):
        if isinstance(key, Const):
            found = cell.get(key.value)
            if found is not None:
                return found
        if cell.default is not None and cell.rest is None and isinstance(owner, Ref):
            return _default(m, node, owner.addresses[0], cell, key)
        candidates = [v for _, v in cell.items] if not isinstance(key, Const) else []
        if cell.rest is not None:
            rest = individuals.one(m, module_groups.one(cell.rest))
            if isinstance(key, Const) and rest != cell.rest and isinstance(owner, Ref) and len(cell.items) < KEYS:
                m.state.set((owner.addresses[0], CELL), cell.put(key.value, rest))  # the next time, it is this one
            candidates.append(rest)
        return _any_of(m, candidates)
    if isinstance(cell, Layer) and isinstance(owner, Ref):
        if is_slice(key) and isinstance(key, Tuple):
            return module_groups.sliced(m, owner.addresses[0], cell, key)
        if cell.children is None:
            return module_groups.one(m.state.get((owner.addresses[0], module_groups.ELEMENT), UNKNOWN))
        return _index_layer(m, owner.addresses[0], cell, key)
    if isinstance(cell, Instance):
        from flake8_detach.flow import calls, layer_calls, modules

        found_method = modules.find(m, owner, "__getitem__")
        if found_method is not None:
            return calls.call(m, found_method, calls.Args([key]), node)
        if isinstance(owner, Ref) and not is_slice(key):
            container = layer_calls.as_container(m, owner, cell, "__getitem__")
            if container is not None and container.children is not None:
                return _index_layer(m, owner.addresses[0], container, key)
    if isinstance(cell, Thing):
        return cell.part("element") or UNKNOWN
    return UNKNOWN


def _default(m: Machine, node: cst.CSTNode, address: int, cell: Mapping_, key: Value) -> Value:
    """What a defaultdict makes for a key that it does not have."""
    from flake8_detach.flow import calls

    made = calls.call(m, cell.default or UNKNOWN, calls.Args([]), node)
    now = m.state.cell(address)
    if not isinstance(now, Mapping_):
        return made
    if not isinstance(key, Const):
        return missing(m, address, now, made)
    m.state.set((address, CELL), now.put(key.value, made))
    return made


def missing(m: Machine, address: int, cell: Mapping_, default: Value) -> Value:
    """What a dict gives for a key that is not known, and which it has from then on, be it with this default.

    One list stands for the lists of all keys that are not known; nothing is known of what is in it. An object that was
    made for this key has not been through what the others have: it is one of the two.
    """
    made = m.cell(default)
    if isinstance(made, Sequence) and made.items == () and cell.rest is None:
        default = m.new(Sequence(made.kind, None, UNKNOWN))
    known = [default] if cell.rest is None else [default, cell.rest] if isinstance(made, Instance) else [cell.rest]
    rest = one_of(m, [*known, *(held for _, held in cell.items)])
    m.state.set((address, CELL), replace(cell, rest=rest))
    return rest


def _members(cell: Sequence, key: Value) -> tuple[Value, ...]:
    """What of a list's members, which stand in it in this order, is surely in `xs[:-1]`, `xs[1:]` or `xs[::-1]`."""
    bounds = [b.value if isinstance(b, Const) else ... for b in key.items] if isinstance(key, Tuple) else [...]
    match bounds:
        case [None, int(end), None] if end < 0:
            return cell.members[:end]
        case [int(start), None, None] if start >= 0:
            return cell.members[start:]
        case [None, None, None]:
            return cell.members
        case [None, None, -1]:
            return cell.members[::-1]
    return ()


def is_slice(key: Value) -> bool:
    return isinstance(key, Tuple) and key.names == ("slice",)


ALL = (Const(...), Tuple((NONE,) * 3, ("slice",)))
"""`x[...] = y` and `x[:] = y` write to x itself."""


def _whole(key: Value) -> bool:
    """Does the subscript name all of the tensor, or by a mask elements of it, and no part that would be a view?"""
    return key in ALL or not (is_slice(key) or isinstance(key, (Const, Scalar)))


def _index_items(m: Machine, items: tuple[Value, ...], key: Value, kind: str) -> Value:
    if isinstance(key, Const) and isinstance(key.value, int) and -len(items) <= key.value < len(items):
        return items[key.value]
    if is_slice(key):
        assert isinstance(key, Tuple)
        if all(isinstance(b, Const) and (b.value is None or isinstance(b.value, int)) for b in key.items):
            bounds = [b.value for b in key.items if isinstance(b, Const)]
            if bounds[2] != 0:
                part = items[slice(*bounds)]
                return Tuple(part) if kind == "tuple" else m.new(Sequence(kind, part, filled=truth(bool(part))))
        if kind != "tuple":
            element = items[0] if items and all(i == items[0] for i in items) else UNKNOWN
            return m.new(Sequence(kind, None, element))
        return UNKNOWN
    return _any_of(m, items)


def _index_layer(m: Machine, address: int, layer: Layer, key: Value) -> Value:
    children = layer.children or ()
    if isinstance(key, Const):
        name = key.value if isinstance(key.value, str) else None
        if isinstance(key.value, int) and -len(children) <= key.value < len(children):
            name = children[key.value]
        if name in children:
            found: Value = m.state.get((address, name), UNKNOWN)
            return found
        return UNKNOWN
    found_all: list[Value] = [m.state.get((address, c), UNKNOWN) for c in children]
    if found_all and all(f == found_all[0] for f in found_all):
        return found_all[0]
    return UNKNOWN


def _index_tensor(m: Machine, node: cst.Subscript, owner: Value, key: Value) -> Value:
    parts = key.items if isinstance(key, Tuple) and not is_slice(key) else (key,)
    basic = all(
        is_slice(p)
        or (isinstance(p, Const) and isinstance(p.value, int | None | type(...)))
        or (isinstance(p, Scalar) and p.kind == "int")
        for p in parts
    )
    if basic and conversions.take(m, node, owner, parts):
        return UNKNOWN
    for part in parts:
        conversions.index_of_tensor(m, node, part)
    for part in (p for p in parts if is_slice(p)):
        for bound in part.items if isinstance(part, Tuple) else ():
            conversions.index(m, node, bound, node)
    levels.masked(m, node, parts)
    result = tensors.apply(m, node, INDEX if basic else TAKE, {"self": owner}, m.text(node.value))
    if isinstance(result, Ref):
        for (_, source), address in zip(m.tensors(owner), result.addresses, strict=False):
            made = m.change(address, shape=_indexed(source, parts) if basic else _picked(m, source, parts))
            if not basic and made.node is not None:  # it needs the indices, which it holds as tensors of its own
                graph = m.state.graph
                graph[made.node] = replace(graph[made.node], saved=(Saved(0, (0,), NUMBER, node),))
    return result


def _picked(m: Machine, source: Tensor, parts: tuple[Value, ...]) -> Shape | None:
    """The shape of `x[parts]` where some parts are tensors: their common shape stands where the first of them stood."""
    picks = [i for i, part in enumerate(parts) if not is_slice(part) and part != NONE and part != Const(...)]
    cells = [m.cell(parts[i]) for i in picks]
    if not picks or picks[-1] - picks[0] >= len(picks):
        return None  # apart from each other, they go to the front
    given = [c.shape if isinstance(c, Tensor) else () for c in cells]
    plain = [operators.number(part) if isinstance(part := parts[i], (Const, Scalar)) else None for i in picks]
    kinds = [c.dtype if isinstance(c, Tensor) else kind for c, kind in zip(cells, plain, strict=True)]
    common: Shape | None
    if kinds == ["bool"] and isinstance(given[0], tuple) and len(given[0]) <= 1:
        common = (None,)
    else:
        common = shapes.broadcast(given) if set(kinds) == {"int"} else None
    if common is None:
        return None
    around = _indexed(source, (*parts[: picks[0]], *(Const(0) for _ in picks), *parts[picks[-1] + 1 :]))
    if around is None or Const(...) in parts:
        return None
    at = sum(1 for part in parts[: picks[0]] if is_slice(part) or part == NONE)
    return (*around[:at], *common, *around[at:])


def _indexed(source: Tensor, parts: tuple[Value, ...]) -> Shape | None:
    """The shape of `x[parts]` for plain indices and slices."""
    if source.shape is None:
        return None
    rest = list(source.shape)
    result: list[int | None] = []
    taken = sum(1 for p in parts if p not in (NONE, Const(...)))
    for part in parts:
        if part == NONE:
            result.append(1)
        elif part == Const(...):
            kept = len(rest) - (taken - sum(1 for p in parts[: parts.index(part)] if p not in (NONE, Const(...))))
            result.extend(rest[:kept])
            rest = rest[kept:]
        elif is_slice(part):
            whole = isinstance(part, Tuple) and all(b == NONE for b in part.items)
            result.append(rest[0] if rest and whole else None)
            rest = rest[1:]
        elif isinstance(part, (Const, Scalar)):
            rest = rest[1:]
        else:
            return None
    return (*result, *rest)


def _one_of_few(node: cst.Subscript) -> bool:
    """Is the key one of a few: `x[i % 2]`, `x["ab"[i % 2]]`?"""
    inside = (part for element in node.slice for part in trees.walk(element))
    return any(
        isinstance(part, cst.BinaryOperation)
        and isinstance(part.operator, cst.Modulo)
        and isinstance(part.right, cst.Integer)
        for part in inside
    )


def set_item(m: Machine, node: cst.Subscript, owner: Value, key: Value, value: Value) -> None:
    """`owner[key] = value`."""
    operators.use_none(m, node, owner, node.value)
    if m.is_tensor(owner):
        assert isinstance(owner, Ref)
        inputs = tensors.Inputs()
        inputs.add(m, owner, "self")
        inputs.add(m, value, "value")
        levels.masked(m, node, key.items if isinstance(key, Tuple) else (key,))
        op = ops.method("copy_") or ops.method("add_")
        writes.tell_write(m, node, owner, m.text(node), inputs.grad(), part=not _whole(key))
        if op is not None:
            wanted = inputs.grad()
            graph = (
                None
                if wanted.no or m.mode.grad.no
                else tensors.node_of(m, node, replace(op, saves=frozenset()), {}, inputs, [])
            )
            if graph is not None:
                # CopySlices is used up by a backward, and so is what index_put_ has kept of a mask
                kept = () if key in ALL else (Saved(0, (0,), NUMBER, node),)
                made = m.state.graph[graph]
                m.state.graph[graph] = replace(made, saved=(*made.saved, *kept), drawn="Tensor.__setitem__")
            writes.write(m, node, owner, wanted, graph, op, inputs)
        return
    if isinstance(owner, Array):
        hidden.wrote_array(m, owner, node)
        if m.is_tensor(value):
            operators.to_numpy(m, node, value, node, m.text(node), element=False)
        return
    if not isinstance(owner, Ref) or len(owner.addresses) != 1:
        replaced.stowed(m, value)
        return
    address = owner.addresses[0]
    cell = m.state.cell(address)
    places = isinstance(cell, Mapping_) or (isinstance(cell, Sequence) and cell.items is None)  # perhaps many
    each = isinstance(cell, Mapping_) and address in m.state.several  # it stands for many dicts
    if each or (places and not isinstance(key, Const) and not is_slice(key) and not _one_of_few(node)):
        m.retention.store(m, address, value, node)
    value = individuals.given(m, address, value) if each else value
    if isinstance(cell, Mapping_):
        if key == Const("params") and (cell.get("params") is not None or cell.rest is not None):
            gradients.regrouped(m)  # those of an optimizer may be exchanged
        if isinstance(key, Const) and (len(cell.items) < KEYS or cell.get(key.value) is not None):
            m.state.set((address, CELL), cell.put(key.value, value))
        else:
            first = cell.rest is None and not isinstance(key, Const)
            stored = individuals.placed(m, value) if first else value
            rest = stored if cell.rest is None or cell.rest == value else _either(m, cell.rest, value)
            items = cell.items
            if not isinstance(key, Const):
                items = tuple((k, v if v == value else _either(m, v, value)) for k, v in items)
            m.state.set((address, CELL), Mapping_(items, rest))
    elif isinstance(cell, Sequence):
        if cell.each:
            gradients.regrouped(m)  # that may be the parameters of an optimizer
        if is_slice(key):
            m.retention.shrink(address)
        if cell.items is not None and isinstance(key, Const) and isinstance(key.value, int):
            items_list = list(cell.items)
            if -len(items_list) <= key.value < len(items_list):
                items_list[key.value] = value
                m.state.set((address, CELL), replace(cell, items=tuple(items_list)))
                return
        if is_slice(key):
            element: Value = UNKNOWN
        else:
            have = cell.element if cell.items is None else iteration.common(m, list(cell.items))
            stored = individuals.placed(m, value) if isinstance(have, (Const, Scalar)) else value
            element = have if have == value else _either(m, have, stored)
        m.state.set((address, CELL), Sequence(cell.kind, None, element, filled=cell.filled))
    elif isinstance(cell, Layer) and not isinstance(key, Const):
        module_groups.grow(m, address, cell, parameters.held(m, cell.kind, value, node))
    elif isinstance(cell, Layer) and cell.children is not None and isinstance(key, Const):
        name = (
            cell.children[key.value]
            if isinstance(key.value, int) and abs(key.value) < len(cell.children)
            else key.value
        )
        if isinstance(name, str):
            value = parameters.held(m, cell.kind, value, node)
            children = cell.children if name in cell.children else (*cell.children, name)
            m.state.set((address, CELL), replace(cell, children=children))
            training.exchanged(m, address, m.state.get((address, name)), value, node)
            m.state.put(address, name, value)
    elif isinstance(cell, Instance):
        from flake8_detach.flow import calls, modules

        found = modules.find(m, owner, "__setitem__")
        if found is not None:
            calls.call(m, found, calls.Args([key, value]), node)


def _any_of(m: Machine, values: Iterable[Value]) -> Value:
    """One of these, chosen by a key that is not known: known if they are all the same, or all numbers, or lists."""
    found = list(values)
    if found and all(value == found[0] for value in found):
        return found[0]
    if found and all(isinstance(m.cell(value), (Sequence, Mapping_)) for value in found):
        return one_of(m, found)
    kinds = {operators.number(value) if isinstance(value, (Const, Scalar)) else None for value in found}
    known = kinds <= {"int", "float", "bool"} and kinds
    return Scalar(kinds.pop() if len(kinds) == 1 else "number") if known else UNKNOWN  # type: ignore[arg-type]


def one_of(m: Machine, values: list[Value]) -> Value:
    """One of these values, not known which."""
    result = values[0] if values else UNKNOWN
    for value in values[1:]:
        result = result if value == result else _either(m, result, value)
    return result


def _either(m: Machine, a: Value, b: Value) -> Value:
    """What is in a container under many keys: one of two values, not known which."""
    mark = m.state.mark()
    slot = (m.frame.id, "*value")
    deltas = []
    for value in (a, b):
        m.state.set(slot, value)
        deltas.append(m.state.rollback(mark))
    m.state.join(deltas, many=True)
    result: Value = m.state.get(slot, UNKNOWN)
    return result
