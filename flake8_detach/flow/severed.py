"""Leaves of their own: a tensor was cut from its graph and made to require grad, and backward ends there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_detach.flow import graph_walk
from flake8_detach.flow.values import Cause

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def from_leaf(m: Machine, address: int) -> Cause | None:
    """What cut a leaf that a backward has come to from the leaf at `address`, which it was computed from."""
    return next((cause for _, cause in copies(m, address)), None)


def copies(m: Machine, address: int) -> Iterator[tuple[int, Cause]]:
    """The leaves that a backward has come to and that were cut from the leaf at `address`, each with what cut it."""
    for leaf, why in m.ledger.faked.items():
        if address in sources(m, why):
            yield leaf, why.before or why


def sources(m: Machine, why: Cause) -> set[int]:
    """The leaves that one which was made to require grad, for the reason `why`, was cut from."""
    edges = () if why.origin is None else why.origin.edges
    direct = {edge.leaf for edge in edges if edge.node is None and edge.leaf is not None}
    return direct | graph_walk.leaves(m, [edge.node for edge in edges if edge.node is not None])
