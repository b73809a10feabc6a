"""Clipping: which gradients are there to be clipped, and is it the moment?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.gradients import (
    GRADIENT_OF,
    OPENED,
    count,
    keep,
    look,
    parameters,
    tell,
)
from flake8_detach.flow.values import MAYBE, NO, YES, Tensor

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def clip(m: Machine, site: cst.CSTNode, addresses: list[int] | None, finite: bool) -> None:
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
            keep(m, address, replace(g, clipped=g.clipped | MAYBE, early=g.early & MAYBE))
        return
    late = all(g.filled.yes and g.used.yes and g.clipped.no for g in all_of)
    empty = all(g.filled.no and g.opened == count(m, OPENED) for g in all_of)
    for address, g in found.items():
        if late:
            keep(m, address, g.marked(site, late=g.used))
        elif empty:
            keep(m, address, g.marked(site, early=YES))
        elif g.filled.no and g.opened == count(m, OPENED):
            continue
        else:
            keep(m, address, replace(g, clipped=YES, early=NO))


def clip_nothing(m: Machine, site: cst.CSTNode) -> None:
    """Clipping is given an iterator that is used up."""
    tell(m, "clip-nothing", site, YES)
