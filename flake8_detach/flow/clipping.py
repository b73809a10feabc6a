"""Clipping: which gradients are there to be clipped, and is it the moment?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import misclipped
from flake8_detach.flow.events import Misstep
from flake8_detach.flow.gradients import (
    GRADIENT_OF,
    HOOKED,
    LOOSE,
    OPENED,
    STIRRED,
    count,
    look,
    parameters,
    refuse,
    remark,
    tell,
)
from flake8_detach.flow.happenings import happening
from flake8_detach.flow.values import MAYBE, NO, PRESUMED_YES, YES, Tensor

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def clip(m: Machine, site: cst.CSTNode, addresses: list[int] | None, finite: bool, by_value: bool) -> None:
    """clip_grad_norm_ of these tensors; finite: with a bound that can bind (else it only measures the norm)."""
    if addresses is None:
        return
    for address in addresses:
        tensor = m.state.cell(address)
        if isinstance(tensor, Tensor) and isinstance(m.state.get((tensor.storage, GRADIENT_OF)), int):
            tell(m, "clip-gradient", site, YES)
            return
    mine = parameters(m, addresses)
    found = {address: look(m, address) for address in mine}
    if not found:
        return
    all_of = list(found.values())
    if all(g.filled.yes and g.scaled.yes for g in all_of):
        tell(m, "clip-scaled", site, all_of[0].scaled, all_of[0].at("filled"))
    if not finite:
        for address, g in found.items():
            remark(m, address, replace(g, clipped=g.clipped | MAYBE, early=g.early & MAYBE))
        return
    _beside(m, site, addresses)
    late = all(g.filled.yes and g.used.yes and g.clipped.no for g in all_of)
    empty = all(g.filled.no and g.opened == count(m, OPENED) for g in all_of)
    if empty and _from_the_top(m, mine) and all(g.filled is NO and not g.when for g in all_of):
        # no backward has run at all: what this file does next cannot have been clipped here
        _nothing_yet(m, site, mine, by_value)
        return
    now = happening(m, site)
    for address, g in found.items():
        if late:
            remark(m, address, g.marked(now, late=g.used))
        elif empty:
            remark(m, address, g.marked(now, early=YES))
        elif g.filled.no and g.opened == count(m, OPENED):
            continue
        else:
            if g.filled.yes and g.used.no:
                m.ledger.timely.add(id(site))
            remark(m, address, replace(g, clipped=YES, early=NO))


def _beside(m: Machine, site: cst.CSTNode, addresses: list[int]) -> None:
    """Are there gradients that no step has used, of others than those which are clipped?"""
    others = {
        address: g
        for address in parameters(m, m.owned - set(addresses))
        if (g := look(m, address)).filled.yes and g.used.no and g.clipped.no
    }
    last = next(reversed(others.values())).at("filled") if others else None
    unclear = m.state.get(LOOSE) is not None or m.state.get(HOOKED) is not None or not m.plural.isdisjoint(addresses)
    if unclear:
        others.clear()
    event = None if m.quiet else m.event(Misstep, site, what="clip-other", sure=PRESUMED_YES, at=last, subject="")
    misclipped.noted(m, site, set(addresses), set(others), event)


def clip_nothing(m: Machine, site: cst.CSTNode) -> None:
    """Clipping is given an iterator that is used up."""
    tell(m, "clip-nothing", site, YES)


def _from_the_top(m: Machine, addresses: list[int]) -> bool:
    """Was every step since the parameters were made seen? Who calls a function from outside may have backwarded."""
    known = m.state.get(HOOKED) is None and m.escaped.isdisjoint(addresses) and not count(m, STIRRED)
    # in a loop, this may be the part that the first iteration leaves out
    return known and all((f.call is not None or f.function is None) and not f.loops for f in m.frames)


def _nothing_yet(m: Machine, site: cst.CSTNode, addresses: list[int], by_value: bool) -> None:
    if by_value:
        refuse(m, "clip-refused", site, YES, None, "no parameter has a gradient yet")
        return
    for address in addresses:
        remark(m, address, look(m, address).marked(happening(m, site), early=YES))
    event = m.event(Misstep, site, what="clip-empty", sure=YES, at=None, subject="")

    def at_end() -> None:
        if id(site) not in m.ledger.clips:
            m.sink(event)

    if not m.quiet:
        m.ledger.at_end.append(at_end)
