"""What containers of the standard library do beyond lists and dicts: `del x[k]`, zip(*rows), heaps, samples, reduce.

Elements are known one by one where their number and keys are, else by a summary that stands for all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, iteration
from flake8_detach.flow.registry import model
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    Const,
    Mapping_,
    Method,
    Ref,
    Sequence,
    Tuple,
    Value,
    truth,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def mapping(m: Machine, args: calls.Args, kind: str) -> Mapping_:
    """What `dict` and `OrderedDict` make of a mapping or of pairs, and of keywords."""
    if args.open:
        return Mapping_((), UNKNOWN, kind)
    result = Mapping_(kind=kind)
    cell = m.cell(args.pos[0]) if args.pos else None
    if isinstance(cell, Mapping_):
        result = replace(cell, kind=kind)
    elif args.pos:
        pairs = iteration.apart(m, args.pos[0]) or iteration.exact(m, args.pos[0])
        named = [p.items for p in pairs or () if isinstance(p, Tuple) and len(p.items) == 2]
        known = [(items[0].value, items[1]) for items in named if isinstance(items[0], Const)]
        if pairs is not None and len(known) == len(pairs):
            result = result.merged(known)
        else:
            one = iteration.element(m, args.pos[0])
            rest = one.items[1] if isinstance(one, Tuple) and len(one.items) == 2 else UNKNOWN
            result = Mapping_((), rest, kind)
    return result.merged(args.kw.items())


def delete(m: Machine, owner: Value, key: Value) -> None:
    """`del owner[key]`."""
    if not isinstance(owner, Ref) or len(owner.addresses) != 1:
        return
    address, cell = owner.addresses[0], m.state.cell(owner.addresses[0])
    if isinstance(cell, Mapping_):
        m.retention.shrink(address)
        if isinstance(key, Const):
            m.state.set((address, CELL), replace(cell, items=tuple(i for i in cell.items if i[0] != key.value)))
        else:
            m.state.set((address, CELL), Mapping_((), UNKNOWN))
    elif isinstance(cell, Sequence):
        m.retention.shrink(address)
        items = cell.items
        if items is not None and isinstance(key, Const) and isinstance(key.value, int):
            if -len(items) <= key.value < len(items):
                left = [*items]
                del left[key.value]
                m.state.set((address, CELL), replace(cell, items=tuple(left), filled=truth(bool(left))))
        else:
            element = cell.element if items is None else iteration.common(m, list(items))
            m.state.set((address, CELL), Sequence(cell.kind, None, element))


def in_order(items: list[Value], args: calls.Args) -> list[Value] | None:
    """`sorted(items)` of strings or numbers, or of pairs with such keys that are all different; None if not known."""
    backwards = args.kw.get("reverse", Const(False))
    if args.open or args.kw.keys() - {"reverse"} or not isinstance(backwards, Const):
        return None
    firsts = [item.items[0] if isinstance(item, Tuple) and item.items else item for item in items]
    keys = [first.value for first in firsts if isinstance(first, Const)]
    alike = {str if isinstance(key, str) else float if isinstance(key, (int, float)) else None for key in keys}
    if len(keys) < len(items) or len(alike) > 1 or None in alike:
        return None
    if len(set(keys)) < len(keys) and any(isinstance(item, Tuple) for item in items):
        return None
    order = sorted(range(len(keys)), key=keys.__getitem__, reverse=bool(backwards.value))
    return [items[i] for i in order]


def columns(m: Machine, row: Value) -> Value | None:
    """`zip(*rows)` of rows that are all like `row`: its columns."""
    if not isinstance(row, Tuple):
        return None
    return m.new(Sequence("iterable", tuple(m.new(Sequence("tuple", None, part)) for part in row.items), filled=MAYBE))


@model("builtins.dict.fromkeys")
def _fromkeys(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    """`dict.fromkeys(keys, value)`."""
    keys = iteration.exact(m, args.pos[0]) if args.pos and not args.open else None
    value = args.get(1, "value") or NONE
    if keys is None or not all(isinstance(key, Const) for key in keys):
        return m.new(Mapping_((), value if args.pos and not args.open else UNKNOWN))
    return m.new(Mapping_(tuple((key.value, value) for key in dict.fromkeys(keys) if isinstance(key, Const))))


# Functions that work on lists


@model("functools.reduce")
def _reduce(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    function, source = args.get(0, "function") or UNKNOWN, args.get(1, "iterable") or UNKNOWN
    items = iteration.exact(m, source)
    if args.open or items is None or len(items) > 32:
        one = iteration.element(m, source)
        first = args.get(2, "initial") or one
        calls.escape(m, [function] if one == UNKNOWN else [])
        return UNKNOWN if one == UNKNOWN else calls.call(m, function, calls.Args([first, one]), node)
    given = [args.pos[2]] if len(args.pos) > 2 else []
    values = [*given, *items]
    result = values[0] if values else UNKNOWN
    for value in values[1:]:
        result = calls.call(m, function, calls.Args([result, value]), node)
    return result


@model("random.choice", "random.sample", "random.choices", "heapq.nlargest", "heapq.nsmallest")
def _drawn(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    """Some of the elements, not known which."""
    place = 1 if args.called.startswith("heapq.") else 0
    source = args.pos[place] if len(args.pos) > place and not args.open else UNKNOWN
    one = iteration.element(m, source)
    return one if args.called == "random.choice" else m.new(Sequence("list", None, one))


@model("random.shuffle", "heapq.heapify")
def _reordered(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    return _as_method(m, args, "sort", node)


@model("heapq.heappush")
def _push(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    _as_method(m, calls.Args(args.pos[:1]), "sort", node)
    return _as_method(m, args, "append", node)


@model("heapq.heappop")
def _pop(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    return _as_method(m, args, "pop", node)


def _as_method(m: Machine, args: calls.Args, name: str, node: cst.CSTNode) -> Value:
    """What the function does to its first argument, a list, in terms of the list's own method."""
    if not args.pos or not isinstance(m.cell(args.pos[0]), Sequence):
        return UNKNOWN
    return calls.call(m, Method(args.pos[0], name), calls.Args(args.pos[1:]), node)
