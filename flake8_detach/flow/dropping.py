"""Functions that drop the graph of what they are given, although a derivative is what one would expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.events import Refused
from flake8_detach.flow.values import Value
from flake8_detach.knowledge.dropping import BOUNDS, SMOOTH

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def tell(m: Machine, site: cst.CSTNode, op: str, bound: Mapping[str, Value]) -> None:
    """`torch.linspace(0, width, 10)`, `torch.special.airy_ai(x)`. At the end: what a backward loses is told first."""
    smooth = op in SMOOTH
    if m.quiet or not m.mode.grad.yes or not (smooth or op in BOUNDS):
        return
    given = ((name, bound[name]) for name in (bound if smooth else BOUNDS[op]) if name in bound)
    found = ((name, tensor) for name, value in given for _, tensor in m.tensors(value) if tensor.grad.yes)
    name, tensor = next(found, ("", None))
    if tensor is not None:
        why = "smooth" if smooth else "bound"
        event = m.event(Refused, site, tensor=tensor, subject=m.text(site), op=op, parameter=name, why=why)
        m.ledger.at_end.append(lambda: m.sink(event))
