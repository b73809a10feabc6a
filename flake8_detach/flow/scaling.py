"""GradScaler: in what order it scales, unscales, steps and updates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.gradients import (
    HOOKED,
    LOOSE,
    OPENED,
    PENDING,
    SCALED,
    SCALER_STEPPED,
    STIRRED,
    UNSCALED,
    count,
    flag,
    look,
    note,
    on_some_paths,
    parameters,
    refuse,
    remark,
    tell,
)
from flake8_detach.flow.values import NO, PRESUMED_YES, YES, Truth

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

DOUBTS = "*unscaled in doubt"
"""Slot of an optimizer: how many conditions of unknown outcome had been asked when its gradients were last unscaled."""


def unscaled(
    m: Machine, site: cst.CSTNode, scaler: int, optimizer: int, owned: tuple[int, ...] | None, on: Truth
) -> None:
    """`scaler.unscale_(optimizer)`."""
    if on.no:
        return
    if flag(m, optimizer, f"{SCALER_STEPPED} {scaler}").yes:
        refuse(m, "unscale-after-step", site, on)
    elif flag(m, optimizer, f"{UNSCALED} {scaler}").yes:
        refuse(m, "unscale-twice", site, on)
    elif on_some_paths(m, optimizer, f"{UNSCALED} {scaler}") and m.state.get((optimizer, DOUBTS)) == m.doubts:
        tell(m, "unscale-twice", site, on & PRESUMED_YES)  # some turns came by there, and they come by here, too
    elif flag(m, scaler, SCALED).no:
        refuse(m, "before-scale", site, on, None, "unscale_")
    note(m, optimizer, f"{UNSCALED} {scaler}", YES)
    m.state.set((optimizer, DOUBTS), m.doubts)
    _asked(m, scaler, optimizer)
    for address in parameters(m, owned):
        remark(m, address, replace(look(m, address), scaled=NO))


def scaler_steps(
    m: Machine, site: cst.CSTNode, scaler: int, optimizer: int, owned: tuple[int, ...] | None, on: Truth
) -> None:
    """`scaler.step(optimizer)`, before the optimizer steps."""
    if on.no:
        return
    if flag(m, optimizer, f"{SCALER_STEPPED} {scaler}").yes:
        refuse(m, "step-twice", site, on)
    elif flag(m, scaler, SCALED).no:
        refuse(m, "before-scale", site, on, None, "step")
    found = [look(m, address) for address in parameters(m, owned)]
    if found and all(g.filled.no and g.wasted.no and g.opened == count(m, OPENED) for g in found):
        sure = all(g.filled is NO for g in found) and not count(m, STIRRED)
        if sure and flag(m, scaler, SCALED).yes and m.state.get(HOOKED) is None and m.state.get(LOOSE) is None:
            refuse(m, "nothing-to-step", site, on)
    plain = bool(found) and all(g.filled.yes and g.scaled.no for g in found)
    untouched = flag(m, optimizer, f"{UNSCALED} {scaler}").no and flag(m, optimizer, f"{SCALER_STEPPED} {scaler}").no
    if plain and untouched and flag(m, scaler, SCALED).yes:
        where = found[0].at("filled")
        if where is not None:
            tell(m, "never-scaled", where, found[0].filled & on, site)
    note(m, optimizer, f"{SCALER_STEPPED} {scaler}", YES)
    _asked(m, scaler, optimizer)
    for address in parameters(m, owned):
        remark(m, address, replace(look(m, address), scaled=NO))


def scaler_updates(m: Machine, site: cst.CSTNode, scaler: int, on: Truth) -> None:
    """`scaler.update()`."""
    if on.yes and flag(m, scaler, SCALED).no:
        refuse(m, "before-scale", site, on, None, "update")
    elif on.yes and flag(m, scaler, PENDING).no and flag(m, scaler, SCALED).yes:
        refuse(m, "update-without-step", site, on)
    for optimizer in m.asked.get(scaler, ()):
        note(m, optimizer, f"{UNSCALED} {scaler}", NO)
        note(m, optimizer, f"{SCALER_STEPPED} {scaler}", NO)
    note(m, scaler, PENDING, NO)


def _asked(m: Machine, scaler: int, optimizer: int) -> None:
    note(m, scaler, PENDING, YES)
    m.asked.setdefault(scaler, set()).add(optimizer)
