"""Grad mode that is off where nobody has entered it.

A generator that is suspended inside of `with torch.no_grad():` holds it off for whoever called `next`, and
`set_grad_enabled(False)` takes effect where it is called, even if it is entered by a `with` further down. It matters as
soon as something that requires grad is used there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import autograd
from flake8_detach.flow.events import ModeIdle
from flake8_detach.flow.idle import HELD
from flake8_detach.flow.values import MAYBE, Const, Mode, Ref, Thing, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

EARLY = "*early mode"
"""Slot of a `set_grad_enabled(...)` that a variable holds: the mode before it was called."""


def suspended(m: Machine, source: Value, node: cst.CSTNode) -> None:
    """`next(it)`: the generator of the file that the variable holds now rests at its `yield`.

    It does until the variable is mentioned again: whoever does so may run it on, or close it. In a loop, `next` may
    come to its end.
    """
    held = m.state.get((source.addresses[0], HELD)) if isinstance(source, Ref) and source.addresses else None
    if not isinstance(held, tuple) or not isinstance(node, cst.Name) or not m.mode.grad.yes or m.frame.loops:
        return
    assert isinstance(source, Ref)
    event = m.event(ModeIdle, held[0].site, what="held", mode="no_grad")
    why = m.cause("mode", "computed while a suspended generator holds grad mode off", held[0].site)
    m.ledger.suspended[source.addresses[0]] = (why, m.mode)
    m.set_mode(Mode(MAYBE, m.mode.inference, why))
    frame, name = m.frame.id, node.value
    m.ledger.lingering[id(why)] = lambda: m.frame.id == frame and m.lookup(name) == source

    def ask() -> None:
        if id(why) in m.ledger.lingered:
            m.sink(event)

    if not m.quiet:
        m.ledger.at_end.append(ask)


def resumed(m: Machine, source: Value) -> None:
    """The generator is mentioned: what it does to the mode from here on is not known."""
    for address in source.addresses if isinstance(source, Ref) else ():
        why, before = m.ledger.suspended.get(address, (None, None))
        if why is not None and m.mode.why is why:
            m.set_mode(before)


def kept(m: Machine, node: cst.Assign, value: Value) -> None:
    """`context = torch.set_grad_enabled(False)`: the mode is off from here on."""
    cell = m.cell(value)
    named = all(isinstance(target.target, cst.Name) for target in node.targets)
    if not (isinstance(cell, Thing) and cell.kind == "torch.set_grad_enabled" and isinstance(value, Ref) and named):
        return
    if not isinstance(node.value, cst.Call) or cell.part("mode") != Const(False) or not m.mode.grad.yes:
        return
    m.state.set((value.addresses[0], EARLY), (m.mode,))
    autograd.enter(m, cell.kind, cell.part("mode"), node.value)
    why = m.mode.why
    frame = m.frame.id
    m.ledger.lingering[id(why)] = lambda: m.frame.id == frame


def entered(m: Machine, value: Value) -> Mode | None:
    """`with context:`; returns the mode that its end goes back to, if it has been off since before."""
    early = m.state.get((value.addresses[0], EARLY)) if isinstance(value, Ref) and value.addresses else None
    if not isinstance(early, tuple):
        return None
    why = m.mode.why
    if why is not None and id(why) in m.ledger.lingered:
        m.emit(ModeIdle, why.site, what="early", mode="set_grad_enabled")
    before: Mode = early[0]
    return before
