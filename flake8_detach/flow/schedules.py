"""Schedulers: has the optimizer stepped before the learning rate moves on?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.events import Misstep
from flake8_detach.flow.gradients import EARLY, SCHEDULED, STEPPED, flag, note
from flake8_detach.flow.values import NO, YES, Optimizer

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


UNCHECKED = frozenset({"CosineAnnealingWarmRestarts", "ReduceLROnPlateau"})
"""Schedulers whose `step` does not look for the order."""


def scheduler_made(m: Machine, address: int, optimizer: int | None) -> None:
    if optimizer is not None:
        note(m, optimizer, STEPPED, NO)
    note(m, address, SCHEDULED, NO)


def scheduled(m: Machine, site: cst.CSTNode, kind: str, address: int, optimizer: int | None) -> None:
    """`scheduler.step()`: torch looks only the first time whether its optimizer has stepped."""
    first = flag(m, address, SCHEDULED)
    note(m, address, SCHEDULED, YES)
    if optimizer is None or optimizer in m.escaped or address in m.escaped or kind.rpartition(".")[2] in UNCHECKED:
        return
    if first.no and flag(m, optimizer, STEPPED).no and isinstance(m.state.cell(optimizer), Optimizer) and not m.quiet:
        note(m, address, EARLY, YES)
        event = m.event(Misstep, site, what="scheduler-first", sure=YES, at=None, subject=kind.rpartition(".")[2])
        m.early.setdefault(optimizer, {})[address] = event
        m.afterwards.ask(lambda _: tell_early(m, optimizer))


def tell_early(m: Machine, optimizer: int) -> None:
    """The optimizer steps, or the program ends: was a scheduler first, on all paths that lead here?"""
    for scheduler, event in m.early.get(optimizer, {}).items():
        if flag(m, scheduler, EARLY).yes:
            m.sink(event)
