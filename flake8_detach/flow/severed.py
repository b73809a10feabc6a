"""Leaves of their own: a tensor was cut from its graph and made to require grad, and backward ends there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flake8_detach.flow import graph_walk
from flake8_detach.flow.values import Cause

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def from_leaf(m: Machine, address: int) -> Cause | None:
    """What cut a leaf that a backward has come to from the leaf at `address`, which it was computed from."""
    for why in m.ledger.faked.values():
        origin = why.origin
        edges = () if origin is None else origin.edges
        direct = {edge.leaf for edge in edges if edge.node is None}
        if address in direct | graph_walk.leaves(m, [edge.node for edge in edges if edge.node is not None]):
            cause: Cause = why.before or why
            return cause
    return None
