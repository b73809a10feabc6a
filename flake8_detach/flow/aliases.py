"""A tensor that is given its own memory back: `saved = p.data` keeps no values, so putting it back restores none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import hidden
from flake8_detach.flow.events import Dropped
from flake8_detach.flow.values import YES, Ref, Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


THROUGH = "*written through"
"""Slot of what `.data` or `detach()` has made: it was itself written, so it may be put back as the new value."""


def wrote(m: Machine, address: int, tensor: Tensor) -> None:
    """The tensor at that address, or a part of it, is written in place."""
    for one in (address, tensor.base):
        alias = m.state.cell(one) if one is not None else None
        if one is not None and isinstance(alias, Tensor) and alias.made == "detach":
            m.state.set((one, THROUGH), YES)


def put_back(m: Machine, node: cst.CSTNode, target: Value, given: Value, name: str) -> None:
    """`p.data = given` or `p.copy_(given)`: is it what `p.data` or `p.detach()` gave before `p` was written? name: of
    the attribute or method."""
    if m.guards or not isinstance(target, Ref) or not isinstance(given, Ref) or target.some or given.some:
        return
    own, kept = m.tensors(target), m.tensors(given)
    every = (*target.addresses, *given.addresses)
    one_of_many = any(a in m.plural or a in m.state.twins or (len(own) == 1 and a in m.state.several) for a in every)
    if one_of_many or not own or len(own) != len(kept) or not m.escaped.isdisjoint(every):
        return
    if all(_same(m, mine, address, alias) for (_, mine), (address, alias) in zip(own, kept, strict=True)):
        why = kept[0][1].why
        if why is not None:
            m.emit(Dropped, why.site, what="alias", owner="tensor", subject=m.text(why.site), name=name, at=node)


def _same(m: Machine, tensor: Tensor, address: int, alias: Tensor) -> bool:
    """Has the alias, which lies at that address, all of the tensor's memory, and was this written since it was made?"""
    whole = tensor.base is None and alias.base is None and not tensor.view and not alias.view
    if not whole or alias.made != "detach" or not alias.storage or m.state.get((address, THROUGH)) is not None:
        return False
    memory = hidden.original(m, tensor.storage)
    if hidden.original(m, alias.storage) != memory:
        return False
    left = m.state.get((memory, hidden.REPLACED))
    if isinstance(left, int) and left > address:
        return False  # the tensor has had other memory since
    behind = m.state.get((memory, hidden.WRITTEN))
    written = all(token > address for token in m.version(memory))
    return written or (isinstance(behind, tuple) and behind[0] > address and behind[2] != "numpy")
