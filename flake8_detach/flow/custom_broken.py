"""What a custom autograd.Function does wrong in `backward`, torch notices when backward runs through it.

When `apply` is called, `backward` is run at once and the event of what it returns is held here, by the graph node.
A backward that surely reaches the node tells it, at its own place; what none has told by the end is told in the class.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_detach.flow import graph_walk
from flake8_detach.flow.events import CustomMisuse, GradientsReturned

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

Held: TypeAlias = "CustomMisuse | GradientsReturned"


def hold(m: Machine, number: int | None, event: Held) -> None:
    """Keep `event` until a backward comes by the graph node `number`, or until the end."""
    if m.quiet:
        return
    if number is not None:
        m.broken.setdefault(number, []).append(event)
    m.ledger.at_end.append(lambda: None if _key(event) in m.broken_told else m.sink(event))


def reached(m: Machine, node: cst.CSTNode, start: int, only: frozenset[int] | None) -> None:
    """A backward from `start` runs at `node`: tell what it will come to. Of several returns it is not known which."""
    if m.quiet or not m.broken:
        return
    held = graph_walk.broken(m, start, only) or ()
    if len({id(event.node) for event in held if isinstance(event, GradientsReturned)}) > 1:
        return
    for event in held:
        m.broken_told.add(_key(event))
        calls = tuple(frame.call for frame in m.frames if frame.call is not None)
        m.sink(replace(event, node=node, at=event.node, calls=calls, guarded=m.guards > 0, presumed=m.presumed > 0))


def _key(event: Held) -> Hashable:
    """What makes two events the same report: where it is in the class, and what is wrong there."""
    if isinstance(event, CustomMisuse):
        return id(event.node), event.kind
    kinds = tuple(item.kind for item in (*event.gradients, *event.inputs))
    return id(event.node), event.least, event.most, kinds, event.misfit
