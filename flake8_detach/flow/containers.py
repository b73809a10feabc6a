"""What containers of the standard library do beyond lists and dicts: `del x[k]`, zip(*rows), dataclasses.

Elements are known one by one where their number and keys are, else by a summary that stands for all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, iteration
from flake8_detach.flow.registry import model
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    Const,
    Mapping_,
    Ref,
    Sequence,
    Tuple,
    Value,
    truth,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def delete(m: Machine, owner: Value, key: Value) -> None:
    """`del owner[key]`."""
    if not isinstance(owner, Ref) or len(owner.addresses) != 1:
        return
    address, cell = owner.addresses[0], m.state.cell(owner.addresses[0])
    if isinstance(cell, Mapping_):
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


__all__ = ["columns", "delete"]
