"""Gradients that are None, and were asked about: whoever asked may use those only that are there.

A first loop collects the names of the parameters that have a gradient, a second one goes by these. The engine does
not follow which are among them, but sees that it was asked, and that something of unknown outcome decides since.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from flake8_detach.flow.values import Cause, Const, Either, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def found(m: Machine, address: int, why: Cause, cleared: bool) -> None:
    """The gradient of the tensor at `address` was read, and is None; cleared: since `why` happened."""
    m.ledger.nones.setdefault(id(why), (why, cleared, set()))[2].add(address)


def asked(m: Machine, value: Value) -> None:
    """Is the value a tensor, or None? If it is such a gradient, that of its tensor was asked about."""
    plain = value.plain if isinstance(value, Either) else value
    if isinstance(plain, Const) and plain.value is None and plain.why is not None:
        since, addresses = _found(m, plain.why)
        for address in addresses:
            m.ledger.questioned[address] = m.doubts, since


def settled(m: Machine, why: Cause, one_of_many: bool) -> bool:
    """Does what was asked before perhaps keep the gradient from being used? That of one tensor of many is used where
    one was chosen; else a condition of unknown outcome must have been met since. Not if it was cleared since."""
    now, addresses = _found(m, why)
    when = [at for a in addresses for at, since in [m.ledger.questioned.get(a, (m.doubts, -1))] if since == now]
    return any(one_of_many or at < m.doubts for at in when)


def _found(m: Machine, why: Cause) -> tuple[int, Collection[int]]:
    """Since when the gradients with that cause are None, as a number (0: since ever), and whose they are."""
    _, cleared, addresses = m.ledger.nones.get(id(why), (why, True, ()))
    return id(why) if cleared else 0, addresses
