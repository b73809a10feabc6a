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

from flake8_detach.flow.events import Misstep
from flake8_detach.flow.values import (
    PRESUMED_YES,
    Either,
    Function,
    Instance,
    Mapping_,
    Method,
    Optimizer,
    Partial,
    Ref,
    Sequence,
    Thing,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

LOOKS = frozenset(f"builtins.{name}" for name in ("print", "len", "isinstance", "type", "repr", "str", "id"))
"""Library functions that do no more than look at an optimizer."""


SCHEDULERS = "torch.optim.lr_scheduler."
"""They change how far an optimizer goes, and never make it go."""


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


def handed(m: Machine, value: Value, into: set[int] | None = None) -> None:
    """Code that is not seen may get hold of the optimizers that the value leads to. into: where that is noted."""
    lent = m.ledger.lent if into is None else into
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
                lent.add(address)
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
    held = ledger.lent | ledger.stowed | m.escaped
    resting = {o for o, owned in ledger.optimizers.items() if owned is not None and o not in held}
    leaves = frozenset[int]().union(*(ledger.optimizers[o] or () for o in resting)) - ledger.moved
    if not leaves or not _all_seen(m):
        return frozenset()
    others = (ledger.optimizers[o] or () for o in ledger.optimizers if o not in resting)
    return leaves.difference(*others, m.state.alike(*ledger.moved))


def tell(m: Machine, optimizer: int) -> None:
    """An optimizer is made: will its gradients be cleared again and again, and no step ever use them?"""
    if m.quiet or m.visit is not None:
        return  # a function that nobody in the file calls: who does may step

    def answer(reached: Reached) -> None:
        ledger = m.ledger
        event, leaves = ledger.zeroed.get(optimizer), ledger.optimizers[optimizer] or frozenset()
        if event is None or optimizer in ledger.lent | m.escaped or reached.unclear or ledger.regroups:
            return
        steered = any(t.storage in m.steered for _, t in m.tensors(Ref(tuple(leaves))))
        moved = ledger.moved | m.state.alike(*ledger.moved)
        again = [o for o in ledger.optimizers if m.makers.get(o) is m.makers.get(optimizer)]  # in another run of it
        alike = frozenset[int]().union(*(ledger.optimizers[o] or () for o in again))
        if steered or not alike.isdisjoint(m.escaped | m.wanted | moved) or not _all_seen(m) or _passed_on(m):
            return
        if reached.alone(leaves):  # else it may be for the others: who moves an input clears what the net has got
            m.mourned |= leaves
            m.sink(event)

    m.afterwards.ask_last(answer)


def _passed_on(m: Machine) -> bool:
    """May an object answer for one that it holds?"""
    definitions = (n for n in ast.walk(m.tree) if isinstance(n, ast.FunctionDef)) if m.tree is not None else ()
    return any(n.name in ("__getattr__", "__getattribute__") for n in definitions)


def cleared(m: Machine, optimizer: int, node: cst.CSTNode) -> None:
    """`optimizer.zero_grad()`."""
    if not m.quiet and optimizer not in m.ledger.zeroed:
        made = m.makers.get(optimizer)
        m.ledger.zeroed[optimizer] = m.event(Misstep, node, what="never", sure=PRESUMED_YES, at=made, subject="")


def _all_seen(m: Machine) -> bool:
    """Was each `.step` in the text come by, on something that is known?"""
    if m.tree is None:
        return False
    written = sum(isinstance(n, ast.Attribute) and n.attr == "step" for n in ast.walk(m.tree))
    return written == len(m.ledger.steps) and all(m.ledger.steps.values())
