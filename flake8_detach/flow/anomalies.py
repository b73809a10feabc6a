"""Anomaly detection: switched on by a statement, it stays on for the rest of the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow.events import AnomalyDetection
from flake8_detach.flow.values import NO, YES, Const, Joined, Thing, Truth, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SLOT = (0, "anomaly detection")
KIND = "torch.autograd.set_detect_anomaly"


@dataclass(frozen=True, slots=True)
class Detection(Joined):
    """Is it on, and which statement has switched it on?"""

    on: Truth = NO
    site: Any = field(default=None, compare=False)

    def join(self, other: Any, presume: bool = False) -> Detection:
        return Detection(self.on.join(other.on), self.site or other.site)


def switched(m: Machine, node: cst.CSTNode, value: Value) -> None:
    """`torch.autograd.set_detect_anomaly(True)` is a statement."""
    cell = m.cell(value)
    if isinstance(cell, Thing) and cell.kind == KIND:
        mode = cell.part("mode")
        m.ledger.calmed = m.ledger.calmed or mode != Const(True)
        m.state.set(SLOT, Detection(YES if mode == Const(True) else NO, node))


def close(m: Machine) -> None:
    """The module has been run: was it switched on, whatever path was taken, and does nothing ever switch it off?"""
    detection = m.state.get(SLOT)
    if isinstance(detection, Detection) and detection.on is YES:
        event = m.event(AnomalyDetection, detection.site)

        def ask() -> None:
            if not m.ledger.calmed:
                m.sink(event)

        m.ledger.at_end.append(ask)
