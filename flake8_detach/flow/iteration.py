"""Iterating, unpacking, comprehensions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

import libcst as cst

from flake8_detach.flow import (
    alternatives,
    idle,
    individuals,
    loading,
    module_groups,
    modules,
    operators,
    subscripts,
    tensors,
    writes,
)
from flake8_detach.flow.slots import CELL, RESET
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    YES,
    Array,
    Const,
    External,
    Foreign,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
    truth,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

AGAIN = "*again"
"""Slot of a list: those of its elements that are in it a second time, where `each` lists every one once."""
DROPPED = "*dropped"
"""Slot of an iterable that was chosen by a condition: parameters that do not require grad, and were left out."""
NUMBERS = "*numbers"
"""Slot of a short range: what is in it, for lists of layers; loops over it run as if its length were unknown."""
KEYED = ("torch.nn.ModuleDict", "torch.nn.ParameterDict")
"""Containers of modules and parameters that yield their keys."""
NAMES = "*parameter names"
"""Slot of `named_parameters()`: the names, one for each (None: it is not known)."""
UNROLL = 8
"""A sequence of known elements up to this length is gone through one by one."""
MODULES = 40
"""So are the modules of a net, each of which is of another kind, up to so many."""


def iterated(m: Machine, node: cst.CSTNode, value: Value) -> Value:
    """What `for` goes through: for an object of the file what its `__iter__` returns, if that is no iterator of the
    file, whose `__next__` nobody knows how often to call."""
    value = alternatives.one(value)
    if not isinstance(m.cell(value), Instance):
        return value
    from flake8_detach.flow import calls, modules

    method = modules.find(m, value, "__iter__")
    if method is None:
        return value
    found = calls.call(m, method, calls.Args([]), node)
    return UNKNOWN if isinstance(m.cell(found), Instance) else found


def exact(m: Machine, value: Value) -> list[Value] | None:
    """All elements in order, if they are known."""
    value = alternatives.one(value)
    if isinstance(value, Tuple):
        return list(value.items)
    if isinstance(value, Const) and isinstance(value.value, str):
        return [Const(letter) for letter in value.value]
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        return list(cell.items) if cell.items is not None else None
    if isinstance(cell, Mapping_) and cell.rest is None:
        return [Const(k) for k, _ in cell.items]
    if isinstance(cell, Instance) and isinstance(value, Ref):
        from flake8_detach.flow import layer_calls

        cell = layer_calls.as_container(m, value, cell, "__iter__")
    if isinstance(cell, Layer) and cell.children is not None and isinstance(value, Ref):
        if cell.kind in KEYED:
            return [Const(name) for name in cell.children]
        return [m.state.get((value.addresses[0], c), UNKNOWN) for c in cell.children]
    return None


def few(m: Machine, items: list[Value]) -> bool:
    """Are they gone through one by one?"""
    if len(items) <= UNROLL:
        return True
    return len(items) <= MODULES and all(modules.is_module(m, v.items[-1] if _pair(v) else v) for v in items)


def _pair(value: Value) -> TypeGuard[Tuple]:
    return isinstance(value, Tuple) and len(value.items) == 2


def element(m: Machine, value: Value) -> Value:
    """One value that stands for every element."""
    value = alternatives.one(value)
    if value == tensors.BATCH or isinstance(value, Foreign):
        return value
    if isinstance(value, Array):
        return Array(value.dtype, MAYBE, value.why)
    if isinstance(value, Const) and isinstance(value.value, str):
        return Scalar("str")
    known = exact(m, value)
    if known is not None:
        return common(m, known)
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        return cell.element
    if isinstance(cell, Layer) and cell.kind in KEYED:
        return Scalar("str")
    if isinstance(cell, Layer) and isinstance(value, Ref):
        one: Value = m.state.get((value.addresses[0], module_groups.ELEMENT), UNKNOWN)
        return one
    if isinstance(cell, Tensor):
        return row(m, value, cell)
    if isinstance(cell, Thing) and isinstance(value, Ref):
        return loading.batch(m, value.addresses[0], cell) or cell.part("element") or UNKNOWN
    if isinstance(value, Ref) and len(value.addresses) > 1:
        return UNKNOWN
    return UNKNOWN


def member(m: Machine, value: Value) -> Value | None:
    """An element that it surely has, where not all of them are known."""
    cell = m.cell(alternatives.one(value))
    return cell.members[0] if isinstance(cell, Sequence) and cell.items is None and cell.members else None


def together(m: Machine, values: list[Value]) -> tuple[Value, ...]:
    """What `zip` surely yields, as a member each: if one of them has one."""
    found = [member(m, value) for value in values]
    if all(one is None for one in found):
        return ()
    return (Tuple(tuple(one or element(m, value) for one, value in zip(found, values, strict=True))),)


def row(m: Machine, value: Value, cell: Tensor) -> Value:
    """What iterating over a tensor yields: views, several of one base."""
    op = ops.method("unbind")
    if op is None:
        return UNKNOWN
    from dataclasses import replace

    shape = None if not cell.shape else cell.shape[1:]
    result = tensors.apply(m, m.at, replace(op, when=(), listed=False, view="multi"), {"self": value})
    if isinstance(result, Ref):
        for address in result.addresses:
            m.change(address, shape=shape)
    return result


def another(m: Machine, value: Value) -> Value:
    """The next of what `value` was one of: of the rows of a tensor, each is an object of its own."""
    if isinstance(value, Tuple):
        return Tuple(tuple(another(m, item) for item in value.items), value.names)
    cell = m.cell(value)
    if isinstance(cell, Tensor) and isinstance(value, Ref) and (value.addresses[0], RESET) in m.state.slots:
        return m.tensor(grad=MAYBE, leaf=MAYBE, storage=0)  # that one was given other memory, this one was not
    if not isinstance(cell, Tensor) or cell.view != "multi":
        return value
    made = m.new(cell)
    writes.related(m, made)
    return made


def numbers(m: Machine, value: Value) -> list[Value]:
    """What is in a short range of known numbers, else nothing."""
    found = m.state.get((value.addresses[0], NUMBERS), ()) if isinstance(value, Ref) and value.addresses else ()
    return [Const(number) for number in found]


def common(m: Machine, values: list[Value]) -> Value:
    """One value for all of `values`; several objects of one kind become one Ref to each of them."""
    if not values:
        return UNKNOWN
    if all(v == values[0] for v in values):
        return values[0]
    if all(isinstance(v, (Const, Scalar)) for v in values):
        kinds = {operators.number(v) for v in values if isinstance(v, (Const, Scalar))}
        if len(kinds) == 1 and None not in kinds:
            return Scalar(kinds.pop())  # type: ignore[arg-type]
        return UNKNOWN
    rows = [v.items for v in values if isinstance(v, Tuple)]
    if len(rows) == len(values) and len({len(r) for r in rows}) == 1:
        return Tuple(tuple(common(m, list(column)) for column in zip(*rows, strict=True)))
    if all(isinstance(v, Ref) for v in values):
        addresses = tuple(dict.fromkeys(a for v in values if isinstance(v, Ref) for a in v.addresses))
        kinds_of = {type(m.state.cell(a)) for a in addresses}
        if kinds_of == {Tensor}:
            return Ref(addresses)
        if len(kinds_of) == 1:
            result: Value = values[0]
            for other in values[1:]:
                result = subscripts._either(m, result, other)
            return result
    return UNKNOWN


def filled(m: Machine, value: Value) -> Truth:
    """Does iterating over it yield anything?"""
    if isinstance(value, Tuple):
        return truth(bool(value.items))
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        return truth(bool(cell.items)) if cell.items is not None else cell.filled
    if isinstance(cell, Mapping_) and cell.items:
        return YES
    if isinstance(cell, Layer) and isinstance(value, Ref):
        some: Truth = m.state.get((value.addresses[0], module_groups.FILLED), YES if cell.children else MAYBE)
        return some
    if isinstance(cell, Tensor) and cell.shape and cell.shape[0]:
        return YES
    return MAYBE


def optional(value: Value, node: cst.BaseExpression) -> bool:
    """May a loop over it as well run not at all? Who loops over something loops over at least one, presumably, but not
    over a part of it, over what is left of it, or over what is empty unless somebody says otherwise."""
    if isinstance(node, cst.Subscript):
        return any(isinstance(part.slice, cst.Slice) and part.slice.lower is not None for part in node.slice)
    if isinstance(node, cst.BooleanOperation):
        return isinstance(node.operator, cst.Or)
    if isinstance(node, (cst.GeneratorExp, cst.ListComp, cst.SetComp)):
        return bool(node.for_in.ifs)
    if isinstance(node, cst.Call) and isinstance(node.func, (cst.Name, cst.Attribute)):
        name = node.func.value if isinstance(node.func, cst.Name) else node.func.attr.value
        if name in WRAPPERS and node.args:
            return optional(value, node.args[0].value)
        return name in ("filter", "getattr")
    return value == External("sys.argv")


WRAPPERS = frozenset({"enumerate", "list", "tuple", "sorted", "reversed", "tqdm", "iter"})


def consume(m: Machine, value: Value, left: bool = False) -> None:
    """A generator that has been gone through is empty. left: perhaps not all of it, as a `break` leaves the loop."""
    idle.consumed(m, value)
    cell = m.cell(value)
    if isinstance(cell, Sequence) and cell.kind == "generator" and isinstance(value, Ref):
        if left:
            m.state.set((value.addresses[0], CELL), Sequence("generator", None, cell.element))
            return
        idle.spend(m, value, cell)
        m.state.set((value.addresses[0], CELL), Sequence("generator", (), filled=NO))


def once(m: Machine, value: Value) -> bool:
    """Does one pass over it visit each of several distinct objects once?"""
    cell = m.cell(value)
    return isinstance(cell, Sequence) and cell.each


def apart(m: Machine, value: Value) -> list[Value] | None:
    """What is visited once each, one by one, with its name where that is known; None if it is no such sequence."""
    if not once(m, value):
        return None
    one = element(m, value)
    parts = one.items if isinstance(one, Tuple) else (one,)
    many = [
        i for i, part in enumerate(parts) if isinstance(part, Ref) and m.is_tensor(part) and len(part.addresses) > 1
    ]
    if len(many) != 1:
        return None
    at, group = many[0], parts[many[0]]
    assert isinstance(group, Ref)
    assert isinstance(value, Ref)
    names: tuple[str | None, ...] = m.state.get((value.addresses[0], NAMES), ())
    named = isinstance(one, Tuple) and at == 1 and len(names) == len(group.addresses)

    def item(number: int, address: int) -> Value:
        this: list[Value] = [*parts[:at], Ref((address,), group.some), *parts[at + 1 :]]
        if named and names[number] is not None:
            this[0] = Const(names[number])
        return Tuple(tuple(this)) if isinstance(one, Tuple) else this[0]

    return [item(number, address) for number, address in enumerate(group.addresses)]


def last(m: Machine, value: Value) -> Value | None:
    """The last of what is visited once each; what is visited together is as many."""
    one = element(m, value)
    parts = one.items if isinstance(one, Tuple) else (one,)
    groups = [part for part in parts if isinstance(part, Ref) and m.is_tensor(part) and len(part.addresses) > 1]
    if not once(m, value) or len({len(group.addresses) for group in groups}) != 1:
        return None
    ends = tuple(Ref(part.addresses[-1:], part.some) if part in groups else part for part in parts)  # type: ignore[union-attr]
    return Tuple(ends) if isinstance(one, Tuple) else ends[0]


def at(m: Machine, value: Value, key: Value) -> Value:
    """The element of a list at that index."""
    each = apart(m, value) if isinstance(key, Const) else None
    if (
        each is not None
        and isinstance(key, Const)
        and isinstance(key.value, int)
        and -len(each) <= key.value < len(each)
    ):
        return each[key.value]
    return individuals.one(m, module_groups.one(element(m, value)))


def following(m: Machine, value: Value) -> Value | None:
    """What an iterator gives next, and has given then. None if it has nothing left."""
    cell = m.cell(value)
    if not isinstance(cell, Sequence) or not isinstance(value, Ref):
        return element(m, value)
    place = (value.addresses[0], CELL)
    if cell.items is not None:
        if cell.items and cell.kind in ("generator", "iterator"):
            m.state.set(place, replace(cell, items=cell.items[1:], filled=truth(len(cell.items) > 1)))
        return cell.items[0] if cell.items else None
    each = apart(m, value)
    rest = individuals.one(m, module_groups.one(cell.element))
    if cell.each:
        m.state.set(place, replace(cell, element=rest, each=False, filled=MAYBE))
    return each[0] if each else rest


def unpack(m: Machine, value: Value, count: int, star: int | None = None) -> list[Value]:
    """The values of `count` targets that `value` is unpacked into; the target at `star` takes a list."""
    known = exact(m, value) or apart(m, value)
    if isinstance(m.cell(value), Mapping_) and known is None:
        return [UNKNOWN] * count
    if known is not None and star is not None and len(known) >= count - 1:
        tail = count - 1 - star
        middle = known[star : len(known) - tail]
        bundle = m.new(Sequence("list", tuple(middle), filled=truth(bool(middle))))
        return [*known[:star], bundle, *known[len(known) - tail :]]
    if known is not None and star is None and len(known) == count:
        return known
    if known is not None:
        return [UNKNOWN] * count
    one = element(m, value)
    if (
        m.is_tensor(one)
        and isinstance(one, Ref)
        and len(one.addresses) == 1
        and (isinstance(m.cell(value), (Tensor, Sequence)))
    ):
        cell = m.state.cell(one.addresses[0])
        if one.addresses[0] in m.state.several and isinstance(cell, Tensor):
            parts = [individuals.one(m, one) for _ in range(count)]
            return [part if i != star else m.new(Sequence("list", None, one)) for i, part in enumerate(parts)]
        made = [m.new(cell) if i != star else m.new(Sequence("list", None, one)) for i in range(count)]
        for i, part in enumerate(made):
            if i != star and isinstance(cell, Tensor):
                writes.related(m, part)
        return list[Value](made)
    return [one if i != star else m.new(Sequence("list", None, one)) for i in range(count)]


__all__ = ["External", "Instance", "element", "exact", "filled", "unpack"]
