"""Methods of lists, tuples, deques and dicts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    individuals,
    iteration,
    subscripts,
)
from flake8_detach.flow.calls import Args
from flake8_detach.flow.joining import MEMBERS
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Tuple,
    Value,
    truth,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def of_sequence(m: Machine, node: cst.CSTNode, receiver: Value, cell: Sequence, name: str, args: Args) -> Value:
    assert isinstance(receiver, Ref)
    address = receiver.addresses[0]
    first = args.pos[0] if args.pos else None

    def set_to(new: Sequence) -> None:
        m.state.set((address, CELL), new)

    if name in ("append", "add", "appendleft", "extend", "extendleft", "update", "insert") and args.pos:
        m.retention.grow(m, address, args.pos[-1], node)
        m.ledger.regroups = m.ledger.regroups or cell.each  # that may be the parameters of an optimizer
    elif name not in ("put", "put_nowait", "sort", "reverse", "copy", "index", "count", "__len__"):
        m.retention.shrink(address)
        m.ledger.regroups = m.ledger.regroups or cell.each
    if name in ("append", "add", "appendleft", "put", "put_nowait") and first is not None:
        bounded = address in m.retention.bounded  # what is put in may push something else out
        if cell.items is not None and len(cell.items) < 64 and not bounded:
            items = (first, *cell.items) if name == "appendleft" else (*cell.items, first)
            set_to(replace(cell, items=items, filled=YES))
        else:
            have = iteration.common(m, list(cell.items)) if cell.items is not None else cell.element
            element = first if cell.filled is NO else have if have == first else subscripts._either(m, have, first)
            known = cell.members if cell.items is None else cell.items
            set_to(Sequence(cell.kind, None, element, filled=YES, members=() if bounded else _with(known, first, name)))
        return NONE
    if name in ("extend", "update", "extendleft") and first is not None:
        more = iteration.exact(m, first)
        if cell.items is not None and more is not None:
            set_to(replace(cell, items=(*cell.items, *more), filled=truth(bool(cell.items or more))))
        elif cell.items == ():
            inner = m.cell(first)
            each = isinstance(inner, Sequence) and inner.each
            set_to(Sequence(cell.kind, None, iteration.element(m, first), each=each, filled=iteration.filled(m, first)))
        else:
            have, new = iteration.element(m, receiver), iteration.element(m, first)
            element = new if cell.filled is NO else have if have == new else subscripts._either(m, have, new)
            known = cell.members if cell.items is None else cell.items
            for one in more or ():
                known = _with(known, one, name)
            filled = cell.filled | iteration.filled(m, first)
            bounded = address in m.retention.bounded
            set_to(Sequence(cell.kind, None, element, filled=filled, members=() if bounded else known))
        return NONE
    if name in ("pop", "popleft", "get", "get_nowait"):
        if cell.items:
            at = (
                first.value
                if isinstance(first, Const) and isinstance(first.value, int)
                else -1
                if first is None
                else None
            )
            at = 0 if name != "pop" else at
            if at is not None and -len(cell.items) <= at < len(cell.items):
                taken = cell.items[at]
                rest = list(cell.items)
                del rest[at]
                set_to(replace(cell, items=tuple(rest), filled=truth(bool(rest))))
                return taken
        set_to(Sequence(cell.kind, None, iteration.common(m, list(cell.items)) if cell.items else cell.element))
        return individuals.one(m, iteration.element(m, receiver))
    if name == "clear":
        set_to(Sequence(cell.kind, (), filled=NO))
        return NONE
    if name in ("sort", "reverse", "rotate"):
        if cell.items is not None:
            set_to(Sequence(cell.kind, None, iteration.common(m, list(cell.items)), filled=cell.filled))
        return NONE
    if name == "copy":
        return m.new(cell)
    if name in ("index", "count", "__len__"):
        return Scalar("int")
    if name == "insert" and len(args.pos) == 2:
        place, one = args.pos
        if cell.items is not None and isinstance(place, Const) and isinstance(place.value, int):
            set_to(replace(cell, items=(*cell.items[: place.value], one, *cell.items[place.value :]), filled=YES))
            return NONE
        have = iteration.element(m, receiver)
        element = one if cell.filled is NO else have if have == one else subscripts._either(m, have, one)
        set_to(Sequence(cell.kind, None, element, filled=YES))
        return NONE
    if name == "remove":
        set_to(Sequence(cell.kind, None, iteration.element(m, receiver)))
        return NONE
    return UNKNOWN


def _with(known: tuple[Value, ...], value: Value, name: str) -> tuple[Value, ...]:
    """The members of a list, in order, that has got one more at its end, or its beginning."""
    return (value, *known[:MEMBERS]) if name == "appendleft" else (*known[:MEMBERS], value)


def _lose_one(m: Machine, address: int, cell: Mapping_) -> None:
    """One of the keys is gone, not known which: any of them may be there."""
    rest = subscripts.one_of(m, list(cell.held)) if cell.held else None
    m.state.set((address, CELL), replace(cell, items=(), rest=rest))


def of_mapping(m: Machine, node: cst.CSTNode, receiver: Value, cell: Mapping_, name: str, args: Args) -> Value:
    assert isinstance(receiver, Ref)
    address = receiver.addresses[0]
    values = list(cell.held)
    if name in ("pop", "popitem", "clear"):
        m.retention.shrink(address)
    if name in ("keys", "values", "items"):
        if cell.rest is None:
            pairs = [(Const(k), v) for k, v in cell.items]
            chosen: list[Value] = [k if name == "keys" else v if name == "values" else Tuple((k, v)) for k, v in pairs]
            return m.new(Sequence("iterable", tuple(chosen), filled=truth(bool(chosen))))
        value = subscripts.one_of(m, values)
        one: Value = UNKNOWN if name == "keys" else value if name == "values" else Tuple((UNKNOWN, value))
        return m.new(Sequence("iterable", None, one))
    if name in ("get", "pop", "setdefault"):
        key = args.pos[0] if args.pos else UNKNOWN
        found = cell.get(key.value) if isinstance(key, Const) else None
        if name == "setdefault" and found is None and isinstance(key, Const) and cell.rest is None:
            default = args.get(1, "default") or NONE
            m.state.set((address, CELL), cell.put(key.value, default))
            return default
        if name == "setdefault" and found is None:
            return subscripts.missing(m, address, cell, args.get(1, "default") or NONE)
        if name == "pop" and not isinstance(key, Const):
            _lose_one(m, address, cell)
        if found is not None:
            if name == "pop":
                m.state.set((address, CELL), Mapping_(tuple(i for i in cell.items if i[0] != key.value), cell.rest))  # type: ignore[union-attr]
            return found
        if isinstance(key, Const) and cell.rest is None:
            return args.get(1, "default") or NONE
        if isinstance(key, Const) and cell.rest is not None and (name == "get" or len(args.pos) > 1):
            return subscripts.one_of(m, [args.get(1, "default") or NONE, cell.rest])
        return UNKNOWN
    if name == "update":
        other = m.cell(args.pos[0]) if args.pos else Mapping_()
        merged = cell
        if isinstance(other, Mapping_) and other.rest is None and not args.open:
            merged = merged.merged((*other.items, *args.kw.items()))
        else:
            merged = Mapping_((), UNKNOWN)
        m.state.set((address, CELL), merged)
        return NONE
    if name == "popitem":
        _lose_one(m, address, cell)
        return UNKNOWN
    if name == "clear":
        m.state.set((address, CELL), Mapping_())
        return NONE
    if name == "copy":
        return m.new(cell)
    return UNKNOWN
