"""Parameters that are frozen and thawed again before anything has used them: the freeze was for nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow.events import FreezeUndone
from flake8_detach.flow.slots import ABSENT

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine
    from flake8_detach.flow.values import Tensor

FROZEN = "*frozen at"
"""Slot of a tensor: the statement that froze it, and that still holds on some path. The join keeps it."""


@dataclass
class Freeze:
    """One place that freezes. addresses: what it froze, and the deep copies of that; copies: those alone; branches: how
    many `if` it stands in; undone: the event of the place that thawed some of it."""

    site: Any
    branches: int
    addresses: set[int] = field(default_factory=set)
    copies: set[int] = field(default_factory=set)
    undone: FreezeUndone | None = None


def froze(m: Machine, address: int, node: cst.CSTNode) -> None:
    """`x.requires_grad = False` or `x.requires_grad_(False)` on a leaf that required grad."""
    if m.state.get((address, FROZEN)) is None:
        m.ledger.freezes.setdefault(id(node), Freeze(node, m.branches)).addresses.add(address)
        m.state.set((address, FROZEN), (node,))


def copied(m: Machine, address: int, copy: int) -> None:
    """The tensor at `copy` is a deep copy of that at `address`, and as frozen: the freeze was for it, too."""
    at = m.state.get((address, FROZEN))
    if isinstance(at, tuple) and (freeze := m.ledger.freezes.get(id(at[0]))) is not None:
        freeze.addresses.add(copy)
        freeze.copies.add(copy)
        m.state.set((copy, FROZEN), at)


def thawed(m: Machine, address: int, tensor: Tensor, node: cst.CSTNode) -> None:
    """`x.requires_grad = True` or `x.requires_grad_()`."""
    at = m.state.get((address, FROZEN))
    if not isinstance(at, tuple):
        if tensor.grad.yes:
            m.ledger.wide.add(id(node))
        return
    freeze = m.ledger.freezes.get(id(at[0]))
    m.state.set((address, FROZEN), ABSENT)
    if freeze is None or at[0] is node:
        return
    if address in freeze.copies:
        m.ledger.wide.add(id(node))
    if m.branches > freeze.branches:  # where that goes another way, it stays frozen
        m.ledger.excused.add(id(freeze.site))
    elif not m.quiet:
        freeze.undone = m.event(FreezeUndone, node, frozen_at=freeze.site)


def _ask(m: Machine, freeze: Freeze, undone: FreezeUndone) -> None:
    """Tell of it at the end, unless the same place has frozen something to effect in another call, or what switches on
    takes just what was frozen: all is switched off first, and then on what is to be trained, which may be all."""

    def action() -> None:
        if id(freeze.site) not in m.ledger.excused and id(undone.node) in m.ledger.wide:
            m.sink(undone)

    m.ledger.at_end.append(action)


def computed(m: Machine, addresses: Iterable[int]) -> None:
    """An op computes with these tensors: where grad mode is on, those that are frozen are constants to what it made."""
    if m.ledger.freezes and not m.mode.grad.no and any(m.state.get((a, FROZEN)) for a in addresses):
        used(m)


def used(m: Machine) -> None:
    """A module is called, an optimizer is made, unknown code gets hold of something: what is frozen has an effect."""
    if not m.ledger.freezes:
        return
    for freeze in m.ledger.freezes.values():
        live = any(m.state.get((a, FROZEN)) for a in freeze.addresses)
        if live:
            m.ledger.excused.add(id(freeze.site))
        elif freeze.undone is not None and not m.quiet:
            _ask(m, freeze, freeze.undone)
    for freeze in m.ledger.freezes.values():
        for address in freeze.addresses:
            if m.state.get((address, FROZEN)) is not None:
                m.state.set((address, FROZEN), ABSENT)
    m.ledger.freezes.clear()
