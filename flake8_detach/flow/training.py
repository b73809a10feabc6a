"""The order of a training step: what has become of each parameter's gradient, and who has asked for it too early.

Everything is told per parameter. A `Gradient` at the address of a leaf says whether backward has filled its `.grad`,
whether an optimizer has stepped with it since, who cleared it, and whether it was clipped or scaled. Backward, step,
zero_grad, clipping and a GradScaler each move it on, and tell when the order is one that cannot be meant. Nothing is
said of what unknown code may have changed: `stir` makes all that was known before a matter of MAYBE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow.events import Misstep
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_YES,
    YES,
    Joined,
    Label,
    Optimizer,
    Tensor,
    Truth,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

GRADIENT = "gradient"
"""Slot of a leaf: its `Gradient`."""
GRADIENT_OF = "gradient of"
"""Slot of a storage: the leaf whose `.grad` lies there, as an int."""
STIRRED = (0, "stirred")
"""How often unknown code may have changed any gradient."""
OPENED = (0, "opened")
"""How often a backward may have filled gradients that are not seen."""
STEPS = (0, "backwards")
"""How many backwards there have been."""


@dataclass(frozen=True, slots=True)
class Count(Joined):
    """A number that only grows; where paths meet, the greater one holds."""

    value: int = 0

    def join(self, other: Any, presume: bool = False) -> Count:
        return self if self.value >= other.value else other


@dataclass(frozen=True, slots=True)
class Flag(Joined):
    """A fact about an optimizer, a scheduler or a scaler, and how often things had been stirred when it was noted."""

    fact: Truth = NO
    stir: int = field(default=0, compare=False)

    def join(self, other: Any, presume: bool = False) -> Flag:
        return Flag(_meet(self.fact, other.fact, presume), min(self.stir, other.stir))


@dataclass(frozen=True, slots=True)
class Gradient(Joined):
    """What has become of the gradient of one leaf.

    filled: backward has put a gradient there that nobody has cleared. used: an optimizer has stepped with it. cleared:
    it was cleared since the last step or backward. wasted: it was cleared before anybody stepped with it. stale:
    backward has added to a gradient that an optimizer had stepped with already. crossed: a second backward added to it
    what the first had no business to leave there. scaled: by a GradScaler. clipped: since it was filled. early: clipping
    found nothing to clip. late: it was clipped after the step. `sites`: where each was. stir, opened: the counts then.
    """

    filled: Truth = NO
    used: Truth = NO
    cleared: Truth = NO
    wasted: Truth = NO
    stale: Truth = NO
    crossed: Truth = NO
    scaled: Truth = NO
    clipped: Truth = NO
    early: Truth = NO
    late: Truth = NO
    idle: Truth = NO
    sites: Mapping[str, cst.CSTNode] = field(default_factory=dict, compare=False)
    stir: int = field(default=0, compare=False)
    opened: int = field(default=0, compare=False)

    def join(self, other: Any, presume: bool = False) -> Gradient:
        facts = {name: _meet(getattr(self, name), getattr(other, name), presume) for name in FACTS}
        sites = {**self.sites, **other.sites}
        return Gradient(
            **facts, sites=sites, stir=min(self.stir, other.stir), opened=min(self.opened, other.opened)
        )

    def at(self, what: str) -> cst.CSTNode | None:
        return self.sites.get(what)

    def marked(self, site: cst.CSTNode, **facts: Truth) -> Gradient:
        """With these facts, which became so at `site`."""
        return replace(self, **facts, sites={**self.sites, **dict.fromkeys(facts, site)})

    @property
    def leftover(self) -> Truth:
        """Has an optimizer stepped with it, and has nobody on any path cleared it since?"""
        if self.filled.no or self.used.no or self.cleared.yes:
            return NO
        if self.cleared is MAYBE:
            return MAYBE
        return self.used if self.used.yes else PRESUMED_YES


FACTS = tuple(f.name for f in fields(Gradient) if f.name not in ("sites", "stir", "opened"))
_VAGUE = dict.fromkeys(FACTS, MAYBE)


def _meet(a: Truth, b: Truth, presume: bool) -> Truth:
    joined = a.join(b)
    return b.presumed() if presume and joined is MAYBE else joined


# Reading and writing


def look(m: Machine, address: int) -> Gradient:
    """What is known of the gradient of the leaf at `address`."""
    found: Any = m.state.get((address, GRADIENT), UNTOUCHED)
    if not isinstance(found, Gradient):
        return Gradient(**_VAGUE)
    return found if found.stir >= count(m, STIRRED) else replace(found, **_VAGUE)


UNTOUCHED = Gradient()


def keep(m: Machine, address: int, gradient: Gradient) -> None:
    m.state.set((address, GRADIENT), replace(gradient, stir=count(m, STIRRED), opened=count(m, OPENED)))


def count(m: Machine, slot: tuple[int, str]) -> int:
    found: Any = m.state.get(slot, None)
    return found.value if isinstance(found, Count) else 0


def more(m: Machine, slot: tuple[int, str]) -> None:
    m.state.set(slot, Count(count(m, slot) + 1))


def flag(m: Machine, address: int, name: str) -> Truth:
    """A fact that was noted about the object at `address`; NO if it never was."""
    found: Any = m.state.get((address, name), Flag())
    if not isinstance(found, Flag) or found.stir < count(m, STIRRED):
        return MAYBE
    return found.fact


def note(m: Machine, address: int, name: str, fact: Truth) -> None:
    m.state.set((address, name), Flag(fact, count(m, STIRRED)))


def tell(
    m: Machine, what: str, node: cst.CSTNode, sure: Truth, at: cst.CSTNode | None = None, subject: Label = ""
) -> None:
    m.emit(Misstep, node, what=what, sure=sure, at=at, subject=subject)


def parameters(m: Machine, owned: Iterable[int] | None) -> list[int]:
    """Those of an optimizer's tensors that can have a gradient."""
    if owned is None:
        return []
    return [a for a in owned if isinstance(t := m.state.cell(a), Tensor) and not t.grad.no]


# What moves a gradient on


def stir(m: Machine) -> None:
    """Unknown code may have filled, used or cleared any gradient."""
    more(m, STIRRED)


def loosen(m: Machine, address: int) -> None:
    """Unknown code holds the leaf at `address`."""
    if (address, GRADIENT) in m.state.slots or (isinstance(t := m.state.cell(address), Tensor) and t.parameter):
        keep(m, address, Gradient(**_VAGUE, sites=look(m, address).sites))


def filled(m: Machine, site: cst.CSTNode, leaves: Mapping[int, bool], opened: bool, scaled: Truth) -> None:
    """A backward at `site` has reached these leaves, surely or perhaps; opened: and others that are not seen."""
    before = {address: look(m, address) for address in leaves}
    if opened:
        more(m, OPENED)
    more(m, STEPS)
    crossing = {
        id(g.at("filled"))
        for address, g in before.items()
        if leaves[address] and g.leftover.yes and g.at("filled") is not site
    }
    for address, sure in leaves.items():
        g = before[address]
        if g.late.yes:
            _tell_late(m, g)
        fact = YES if sure else MAYBE
        stale = g.stale | (g.leftover & fact)
        new = replace(g, stale=stale)
        if stale is not g.stale:
            new = new.marked(site, stale=stale)
        if g.filled.yes and g.used.no and sure and id(g.at("filled")) in crossing:
            first = g.at("filled")
            assert first is not None
            new = new.marked(first, crossed=YES)
        if not sure:
            unsure = {n: getattr(new, n) | MAYBE for n in ("filled", "scaled")}
            keep(m, address, replace(new, **unsure, wasted=new.wasted & MAYBE, clipped=new.clipped & MAYBE))
            continue
        both = scaled if g.filled.no or g.used.yes else scaled.join(g.scaled)
        new = new.marked(site, filled=YES)
        keep(m, address, replace(new, wasted=NO, cleared=NO, clipped=NO, late=NO, idle=NO, scaled=both))


def _tell_late(m: Machine, g: Gradient) -> None:
    where = g.at("late")
    if where is not None:
        tell(m, "clip-late", where, g.late, g.at("used"))


def cleared(m: Machine, addresses: Iterable[int], site: cst.CSTNode) -> None:
    """zero_grad() or `p.grad = None` on these leaves."""
    for address in addresses:
        g = look(m, address)
        if g.late.yes:
            _tell_late(m, g)
        wasted = g.wasted if g.filled.no else g.filled & ~g.used
        sites = {k: v for k, v in g.sites.items() if k in ("filled", "idle", "early")}
        new = Gradient(cleared=YES, wasted=wasted, early=g.early, idle=g.idle, sites={**sites, "cleared": site})
        if g.filled.no and g.at("cleared") is not None:
            new = replace(new, sites={**new.sites, "cleared": g.at("cleared")})  # type: ignore[dict-item]
        keep(m, address, new)


def assigned(m: Machine, address: int, site: cst.CSTNode) -> None:
    """`p.grad = ...`: a gradient that somebody has computed."""
    keep(m, address, Gradient(filled=MAYBE, cleared=YES, scaled=MAYBE, clipped=MAYBE, sites={"filled": site}))


def rewritten(m: Machine, storage: int) -> None:
    """Memory was written: is it a gradient's?"""
    address = m.state.get((storage, GRADIENT_OF))
    if isinstance(address, int):
        keep(m, address, Gradient(**_VAGUE))


def stepped(m: Machine, site: cst.CSTNode, optimizer: int, owned: tuple[int, ...] | None, scaler: bool = False) -> None:
    """An optimizer steps with the gradients of its parameters."""
    note(m, optimizer, "stepped", YES)
    mine = parameters(m, owned)
    found = {address: look(m, address) for address in mine}
    if found:
        _judge(m, site, optimizer, list(found.values()), scaler)
    for address, g in found.items():
        if not g.filled.no:
            keep(
                m,
                address,
                replace(
                    g.marked(site, used=g.filled), cleared=NO, stale=NO, crossed=NO, early=NO, late=NO, wasted=NO
                ),
            )
        elif g.wasted.no:
            keep(m, address, g.marked(site, idle=YES))


def _judge(m: Machine, site: cst.CSTNode, optimizer: int, found: list[Gradient], scaler: bool) -> None:
    if all(g.filled.no and g.opened == count(m, OPENED) for g in found):
        lost = next((g for g in found if g.wasted.yes), None)
        if lost is not None and lost.idle.yes and lost.at("idle") is site:
            tell(m, "step-first", site, lost.wasted, lost.at("filled"))
        elif lost is not None:
            where = lost.at("cleared")
            assert where is not None
            tell(m, "cleared", where, lost.wasted, site)
        return
    for g in found:
        if g.stale.yes and g.filled.yes and (where := g.at("stale")) is not None:
            tell(m, "stale", where, g.stale, site)
            break
    for g in found:
        if g.crossed.yes and g.filled.yes and (where := g.at("crossed")) is not None:
            tell(m, "crossed", where, g.crossed, site)
            break
    if all(g.filled.yes and g.early.yes and g.clipped.no for g in found):
        where = found[0].at("early")
        if where is not None:
            tell(m, "clip-early", where, found[0].early, found[0].at("filled"))
    if not scaler and all(g.filled.yes and g.scaled.yes for g in found):
        tell(m, "step-scaled", site, found[0].scaled, found[0].at("filled"))


# Clipping


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
    if not found or not finite:
        return
    all_of = list(found.values())
    if all(g.filled.yes and g.scaled.yes for g in all_of):
        tell(m, "clip-scaled", site, all_of[0].scaled, all_of[0].at("filled"))
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


# Schedulers

UNCHECKED = frozenset({"CosineAnnealingWarmRestarts", "ReduceLROnPlateau"})
"""Schedulers whose `step` does not look for the order."""


def scheduler_made(m: Machine, address: int, optimizer: int | None) -> None:
    if optimizer is not None:
        note(m, optimizer, "stepped", NO)
    note(m, address, "scheduled", NO)


def scheduled(m: Machine, site: cst.CSTNode, kind: str, address: int, optimizer: int | None) -> None:
    """`scheduler.step()`: torch looks only the first time whether its optimizer has stepped."""
    first = flag(m, address, "scheduled")
    note(m, address, "scheduled", YES)
    if optimizer is None or optimizer in m.escaped or address in m.escaped or kind.rpartition(".")[2] in UNCHECKED:
        return
    if first.no and flag(m, optimizer, "stepped").no and isinstance(m.state.cell(optimizer), Optimizer):
        tell(m, "scheduler-first", site, YES, None, kind.rpartition(".")[2])


__all__ = ["CELL", "Gradient", "filled", "look", "stepped"]


def belongs(*_: Any) -> Any:  # stub by the lead until helper F writes it
    return NO


def scaled_by(*_: Any) -> Any:  # stub by the lead until helper F writes it
    return NO
