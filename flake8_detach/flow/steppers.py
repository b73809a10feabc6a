"""Optimizers that never step: to be given parameters trains none of them.

An optimizer that was made for a phase that is left out, or to look at its groups, says nothing of what the file trains.
That one never steps is known if each `.step` in the text was come by, on objects that are known, and if no code that is
not seen has got hold of it. Until then it counts as one that does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.values import (
    Either,
    Function,
    Instance,
    Mapping_,
    Method,
    Optimizer,
    Partial,
    Sequence,
    Thing,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

LOOKS = frozenset(f"builtins.{name}" for name in ("print", "len", "isinstance", "type", "repr", "str", "id"))
"""Library functions that do no more than look at an optimizer."""


def made(m: Machine, optimizer: int, owned: Iterable[int] | None) -> None:
    """An optimizer is made, or given more, and has these leaves (None: not known which)."""
    m.ledger.optimizers[optimizer] = None if owned is None else frozenset(owned)


def asked(m: Machine, owner: Value, node: cst.CSTNode) -> None:
    """`owner.step`: be it called at once or later."""
    cells = [cell for _, cell in m.cells(owner)]
    for cell in cells:
        if isinstance(cell, Optimizer):
            m.ledger.moved.update(cell.owned or ())
    known = bool(cells) and all(
        cell.owned is not None if isinstance(cell, Optimizer) else isinstance(cell, (Thing, Instance)) for cell in cells
    )
    if isinstance(node, cst.Attribute):
        m.ledger.steps[id(node)] = known and m.ledger.steps.get(id(node), True)


def handed(m: Machine, value: Value) -> None:
    """Code that is not seen may get hold of the optimizers that the value leads to."""
    todo, seen = [value], set[int]()
    while todo:
        current = todo.pop()
        if isinstance(current, Tuple):
            todo.extend(current.items)
        elif isinstance(current, Either):
            todo.append(current.object)
        elif isinstance(current, Partial):
            todo.extend([current.function, *current.args])
        elif isinstance(current, Method):
            todo.append(current.receiver)
        elif isinstance(current, Function) and current.bound is not None:
            todo.append(current.bound)
        for address, cell in m.cells(current):
            if address in seen:
                continue
            seen.add(address)
            m.step()
            if isinstance(cell, Optimizer):
                m.ledger.lent.add(address)
            elif isinstance(cell, (Sequence, Mapping_)):
                todo.extend(cell.held)
            elif isinstance(cell, Instance):
                todo.extend(m.state.get((address, name)) for name in m.state.names(address))


def idle(m: Machine) -> frozenset[int]:
    """The leaves that optimizers have, but none that may ever step; asked when the whole file was followed."""
    ledger = m.ledger
    if ledger.at_rest is None:
        ledger.at_rest = _idle(m)
    return ledger.at_rest


def _idle(m: Machine) -> frozenset[int]:
    ledger = m.ledger
    resting = {o for o, owned in ledger.optimizers.items() if owned is not None and o not in ledger.lent | m.escaped}
    leaves = frozenset[int]().union(*(ledger.optimizers[o] or () for o in resting)) - ledger.moved
    if not leaves or not _all_seen(m):
        return frozenset()
    others = (ledger.optimizers[o] or () for o in ledger.optimizers if o not in resting)
    return leaves.difference(*others, *(m.state.alike(a) for a in ledger.moved))


def _all_seen(m: Machine) -> bool:
    """Was each `.step` in the text come by, on something that is known?"""
    if m.tree is None:
        return False
    written = sum(isinstance(n, ast.Attribute) and n.attr == "step" for n in ast.walk(m.tree))
    return written == len(m.ledger.steps) and all(m.ledger.steps.values())
