"""`with`: contexts that are entered and left."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from flake8_detach.flow import (
    alternatives,
    anomalies,
    assignments,
    autograd,
    calls,
    contexts,
    forward_ad,
    lingering,
    managers,
    modules,
)
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.machine import MODE, Machine
from flake8_detach.flow.statements import execute_body, statement
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    Foreign,
    Function,
    Instance,
    Mode,
    Ref,
    Thing,
    Value,
)

PLAIN = ("context", "torch.device", "contextlib.suppress", anomalies.KIND)
"""Kinds of contexts that have no part in grad mode: whoever switches it inside of one leaves it so."""


def leave_withs(m: Machine, count: int) -> None:
    """Leaving early runs the `__exit__` of the `with` statements inside: grad mode is what it was before them."""
    frame = m.frame
    if len(frame.withs) > count:
        entered, modes = frame.exits, next((modes for modes in frame.withs[count:] if modes is not None), None)
        frame.exits = entered[:count]
        for leave in (leave for exits in reversed(entered[count:]) for leave in exits):
            leave()
        frame.exits = entered
        if modes is not None:
            m.go_back(modes)


@statement(cst.With)
def with_(m: Machine, node: cst.With) -> bool:
    return _within(m, node, 0)


def _within(m: Machine, node: cst.With, at: int) -> bool:
    """Enter the contexts of the statement from that one on, and run its block."""
    if at == len(node.items):
        return execute_body(m, node.body)
    item = node.items[at]
    begun, mode = len(m.state.log or ()), m.mode
    modes, guards, block = m.modes(), m.guards, m.block
    value = alternatives.one(evaluate(m, item.item))
    contexts.entered(m, item.item, value)
    before = lingering.entered(m, value)
    if before is not None:
        modes = (before, modes[1])

    def inside(entered: Value, leave: list[Callable[[], object]]) -> bool:
        if item.asname is not None:
            contexts.bound(m, item, node.body, value)
            assignments.assign(m, item.asname.name, entered)
        m.frame.withs.append(modes if restores else None)
        m.frame.exits.append(leave)
        alive = _within(m, node, at + 1)
        m.frame.withs.pop()
        m.frame.exits.pop()
        return alive

    cell = m.cell(value)
    restores = not (isinstance(cell, Thing) and cell.kind in PLAIN)
    if isinstance(cell, Thing) and isinstance(value, Ref) and cell.kind == managers.KIND:
        left: list[Callable[[], object]] = [lambda: managers.left(m, cell)]
        alive = managers.within(m, value, cell, item.item, lambda entered: inside(entered, left))
    else:
        entered = enter_context(m, item.item, value)
        leaving = modules.find(m, value, "__exit__") if isinstance(cell, Instance) else None
        exits: list[Callable[[], object]] = []
        if isinstance(leaving, Function):
            error = UNKNOWN if m.handlers else NONE  # which nobody would catch ends the program
            exits.append(lambda: calls.call(m, leaving, calls.Args([error] * 3), item.item))
        alive = inside(entered, exits)
        for leave in exits if alive else ():
            leave()
    m.guards = guards
    m.block = block
    if alive and restores:
        m.go_back(modes)
        if m.mode == mode:
            m.state.unchanged(begun, MODE)  # whoever catches an error from inside finds it gone back as well
    return alive


def enter_context(m: Machine, node: cst.BaseExpression, value: Value) -> Value:
    """What `with value as x` binds to x; switches grad mode where the context does."""
    from flake8_detach.flow import hooks, saved_hooks

    cell = m.cell(value)
    if isinstance(cell, Thing) and cell.kind == managers.KIND:
        return managers.entered(m, cell)
    if isinstance(cell, Thing):
        m.elsewhere = m.elsewhere or cell.kind == "torch.device"
        if cell.kind in ("pytest.raises", "contextlib.suppress", "unittest.assertRaises"):
            m.guards += 1
        if cell.kind == hooks.HANDLE:
            hooks.doubt(m)  # it is removed when the block ends
        if isinstance(value, Ref):
            saved_hooks.entered(m, node, value.addresses[0], cell)
        if cell.kind == forward_ad.LEVEL:
            forward_ad.enter(m, node)
        autograd.enter(m, cell.kind, cell.part("mode"), node)
        return NONE if cell.kind in contexts.SILENT else cell.part("enters") or value
    if (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value.startswith("assertRaises")
    ):
        m.guards += 1
        return UNKNOWN
    if isinstance(value, Foreign):
        return value
    if value == UNKNOWN:
        # an unknown context manager may well switch grad mode off (`with self.ema_scope():`)
        m.set_mode(Mode(MAYBE if m.mode.grad.yes else m.mode.grad, MAYBE, m.mode.why))
        return UNKNOWN
    entered = modules.find(m, value, "__enter__")
    if isinstance(entered, Function):
        return calls.call(m, entered, calls.Args([]), node)
    return value
