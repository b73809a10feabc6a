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
    Edge,
    Instance,
    Joined,
    Label,
    Optimizer,
    Ref,
    Tensor,
    Truth,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

GRADIENT = "gradient"
"""Slot of a leaf: its `Gradient`."""
GRADIENT_OF = "gradient of"
"""Slot of a storage: the leaf whose `.grad` lies there, as an int."""
STIRRED = (0, "stirred")
"""How often unknown code may have changed any gradient."""
OPENED = (0, "opened")
"""How often a backward may have filled gradients that are not seen."""
EARLY = "*early"
"""Slot of a scheduler that has stepped before its optimizer."""
STEPPED, SCHEDULED, SCALED = "*stepped", "*scheduled", "*scaled"
"""Slots: has the optimizer stepped since its scheduler was made; the scheduler; has the scaler scaled anything?"""
UNSCALED, SCALER_STEPPED = "*unscaled", "*scaler stepped"
"""Slots of an optimizer: since the scaler's last update, were its gradients unscaled, and has the scaler stepped it?"""
SEEN = "*seen"
"""Slot of an optimizer: how many such backwards there had been when it was made or last stepped, as a `Count`."""
PENDING = "*pending"
"""Slot of a scaler: has it unscaled or stepped any optimizer since its last update?"""
LOOSE = (0, "loose optimizer")
"""Set once unknown code holds an optimizer."""
HOOKED = (0, "hooked gradients")
"""Set once functions of the file run whenever a gradient is filled: they may step and clear."""
STRAYS = (0, "strays")
"""How many backwards have surely reached a parameter that no optimizer had been given."""


@dataclass(frozen=True, slots=True)
class Count(Joined):
    """A number that only grows; where paths meet, the greater one holds."""

    value: int = field(default=0, compare=False)

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
    backward has added to a gradient that an optimizer had stepped with. crossed: a second backward added to it
    what the first had no business to leave there. scaled: by a GradScaler. clipped: since it was filled. early: nothing
    was there to clip. late: it was clipped after the step. `sites`: where each was. stir, opened: the counts then.
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
        facts: dict[str, Any] = {name: _meet(getattr(self, name), getattr(other, name), presume) for name in FACTS}
        sites = {**self.sites, **other.sites}
        return Gradient(**facts, sites=sites, stir=min(self.stir, other.stir), opened=min(self.opened, other.opened))

    def at(self, what: str) -> cst.CSTNode | None:
        return self.sites.get(what)

    def marked(self, site: cst.CSTNode, **facts: Truth) -> Gradient:
        """With these facts, which became so at `site`."""
        changed: dict[str, Any] = {**facts, "sites": {**self.sites, **dict.fromkeys(facts, site)}}
        return replace(self, **changed)

    @property
    def leftover(self) -> Truth:
        """Has an optimizer stepped with it, and has nobody on any path cleared it since?"""
        if self.filled.no or self.used.no or self.cleared.yes:
            return NO
        if self.cleared is MAYBE:
            return MAYBE
        return self.used if self.used.yes else PRESUMED_YES


FACTS = tuple(f.name for f in fields(Gradient) if f.name not in ("sites", "stir", "opened"))
_VAGUE: dict[str, Any] = dict.fromkeys(FACTS, MAYBE)


def _meet(a: Truth, b: Truth, presume: bool) -> Truth:
    joined = a.join(b)
    return b.presumed() if presume and joined is MAYBE else joined


# Reading and writing


def look(m: Machine, address: int) -> Gradient:
    """What is known of the gradient of the leaf at `address`."""
    found: Any = m.state.get((address, GRADIENT), UNTOUCHED)
    if not isinstance(found, Gradient):
        return Gradient(**_VAGUE)
    return found if found.stir >= now(m) else replace(found, **_VAGUE)


UNTOUCHED = Gradient()


def keep(m: Machine, address: int, gradient: Gradient) -> None:
    m.state.set((address, GRADIENT), replace(gradient, stir=now(m), opened=count(m, OPENED)))


def count(m: Machine, slot: tuple[int, str]) -> int:
    found: Any = m.state.get(slot, None)
    return found.value if isinstance(found, Count) else 0


def now(m: Machine) -> int:
    """What was noted before this number may not hold any more; where torch has raised, nothing that follows runs."""
    return count(m, STIRRED) + m.fatal


def more(m: Machine, slot: tuple[int, str]) -> None:
    m.state.set(slot, Count(count(m, slot) + 1))


def flag(m: Machine, address: int, name: str) -> Truth:
    """A fact that was noted about the object at `address`; NO if it never was."""
    found: Any = m.state.get((address, name), Flag())
    if not isinstance(found, Flag) or found.stir < now(m):
        return MAYBE
    return found.fact


def note(m: Machine, address: int, name: str, fact: Truth) -> None:
    m.state.set((address, name), Flag(fact, now(m)))


def tell(
    m: Machine, what: str, node: cst.CSTNode, sure: Truth, at: cst.CSTNode | None = None, subject: Label = ""
) -> None:
    m.emit(Misstep, node, what=what, sure=sure, at=at, subject=subject)


def several(m: Machine, oldest: int) -> None:
    """What was made since the address `oldest` stands for several objects: which of them did what is not known."""
    for address in range(oldest, m.state.address()):
        tensor = m.state.get((address, CELL))
        if isinstance(tensor, Tensor) and tensor.parameter:
            m.plural.add(address)


def refuse(
    m: Machine, what: str, node: cst.CSTNode, sure: Truth, at: cst.CSTNode | None = None, subject: Label = ""
) -> None:
    """Tell of what torch raises an error for."""
    tell(m, what, node, sure, at, subject)
    m.raises()


def parameters(m: Machine, owned: Iterable[int] | None) -> list[int]:
    """Those of an optimizer's tensors that can have a gradient."""
    if owned is None:
        return []
    singles = owned if not m.plural else [a for a in owned if a not in m.plural]
    return [a for a in singles if isinstance(t := m.state.cell(a), Tensor) and not t.grad.no]


# What moves a gradient on


CLEARING = frozenset({"zero_grad", "zero_", "fill_", "mul_", "copy_", "step", "unscale_"})
"""Methods that, of an unknown object, may clear or use gradients that are known."""


def _moves(m: Machine) -> None:
    """The functions that are running do something to gradients."""
    m.movers.update(id(f.function.definition) for f in m.frames if f.function is not None)


def stir(m: Machine) -> None:
    """Unknown code may have filled, used or cleared any gradient."""
    if m.bystanding:
        return
    _moves(m)
    more(m, STIRRED)


def loosen(m: Machine, address: int, tensor: Tensor) -> None:
    """Unknown code holds the tensor at `address`: a leaf, or somebody's gradient."""
    if m.bystanding:
        return
    rewritten(m, tensor.storage)
    if (address, GRADIENT) in m.state.slots or tensor.parameter:
        keep(m, address, Gradient(**_VAGUE))


def hand_out(m: Machine, receiver: Value) -> None:
    """A bound `optimizer.step` or `zero_grad` is kept as a value: who calls it is not known from here on."""
    if isinstance(receiver, Ref) and any(isinstance(cell, (Optimizer, Instance)) for _, cell in m.cells(receiver)):
        m.state.set(LOOSE, YES)


def regrouped(m: Machine) -> None:
    """The parameters of some group of an optimizer may have been exchanged."""
    m.state.set(LOOSE, YES)
    stir(m)


def loosen_optimizer(m: Machine, optimizer: Optimizer) -> None:
    """Unknown code holds an optimizer: it may step or clear now, and whenever unknown code runs again."""
    if m.bystanding:
        return
    m.state.set(LOOSE, YES)
    for address in parameters(m, optimizer.owned):
        keep(m, address, Gradient(**_VAGUE))


def _likely(m: Machine, leaves: Mapping[int, bool], start: Iterable[Edge]) -> set[int]:
    """Those leaves that backward reaches on some path of the program, if not on all: where paths met, by either."""
    if all(leaves.values()):
        return set(leaves)
    found: set[int] = set()
    seen: set[int] = set()
    todo = [edge for edge in start if edge.sure]
    while todo:
        edge = todo.pop()
        if edge.node is None:
            found.add(edge.leaf or 0)
        elif edge.node not in seen:
            seen.add(edge.node)
            m.step()
            node = m.state.graph[edge.node]
            todo.extend(e for e in node.edges if e.sure or node.op == "join")
    return found


def filled(
    m: Machine,
    site: cst.CSTNode,
    leaves: Mapping[int, bool],
    opened: bool,
    scaled: Truth,
    start: Iterable[Edge] = (),
) -> None:
    """A backward from `start` has reached these leaves, surely or perhaps; opened: and others that are not seen."""
    _moves(m)
    m.starts[id(site)] = (tuple(start), _place(m))
    likely = _likely(m, leaves, start)
    before = {address: look(m, address) for address in leaves}
    if opened:
        more(m, OPENED)
    crossing = {
        id(g.at("filled"))
        for address, g in before.items()
        if leaves[address] and g.leftover.yes and g.at("filled") is not site
    }
    if any(address not in m.owned and _parameter(m, address) for address in likely):
        more(m, STRAYS)
    for address, sure in leaves.items():
        g = before[address]
        if address not in likely:
            keep(m, address, Gradient(**_VAGUE))
            continue
        if g.late.yes:
            _tell_late(m, g)
        # a leaf on one of several paths only: what is wrong with its gradient is wrong whenever that path is taken
        fact = YES if sure else PRESUMED_YES
        new = g
        if not (g.leftover & fact).no:
            new = new.marked(site, stale=g.stale | (g.leftover & fact))
        if g.filled.yes and g.used.no and sure and id(g.at("filled")) in crossing:
            first = g.at("filled")
            assert first is not None
            new = new.marked(first, crossed=YES)
        both = scaled if g.filled.no or g.used.yes else scaled.join(g.scaled)
        new = new.marked(site, filled=g.filled | fact)
        fresh = NO if g.used.no else g.cleared
        keep(m, address, replace(new, wasted=NO, cleared=fresh, clipped=NO, late=NO, scaled=both))
    _run_hooks(m)


def _run_hooks(m: Machine) -> None:
    if m.state.get(HOOKED) is not None:
        stir(m)


def _parameter(m: Machine, address: int) -> bool:
    tensor = m.state.cell(address)
    return isinstance(tensor, Tensor) and tensor.parameter


def _tell_late(m: Machine, g: Gradient) -> None:
    where = g.at("late")
    if where is not None:
        tell(m, "clip-late", where, g.late, g.at("used"))


def cleared(m: Machine, addresses: Iterable[int], site: cst.CSTNode) -> None:
    """zero_grad() or `p.grad = None` on these leaves."""
    _moves(m)
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


def assigned(m: Machine, address: int, site: cst.CSTNode, value: Value) -> None:
    """`p.grad = ...`: a gradient that somebody has computed."""
    _moves(m)
    belongs(m, value, address)
    keep(m, address, Gradient(filled=MAYBE, cleared=YES, scaled=MAYBE, clipped=MAYBE, sites={"filled": site}))


def rewritten(m: Machine, storage: int) -> None:
    """Memory was written: is it a gradient's?"""
    address = m.state.get((storage, GRADIENT_OF))
    if isinstance(address, int):
        keep(m, address, Gradient(**_VAGUE))


def made(m: Machine, optimizer: int, site: cst.CSTNode) -> None:
    """An optimizer was constructed."""
    m.makers[optimizer] = site
    m.state.set((optimizer, SEEN), Count(count(m, STRAYS)))


def _unreached(m: Machine, site: cst.CSTNode, optimizer: int, owned: list[int]) -> None:
    """An optimizer steps after a backward that left none of its parameters a gradient: did ever any?"""
    maker = m.makers.get(optimizer)
    leaves = all(isinstance(t := m.state.cell(a), Tensor) and t.leaf.yes for a in owned)
    if maker is None or not leaves or m.quiet:
        return
    if m.state.get(LOOSE) is not None or optimizer in m.escaped or not m.escaped.isdisjoint(owned):
        return
    event = m.event(Misstep, maker, what="unreached", sure=PRESUMED_YES, at=site, subject="")

    def answer(reached: Reached) -> None:
        if not any(reached.leaf(address) for address in owned) and m.escaped.isdisjoint(owned):
            m.sink(event)

    m.afterwards.ask(answer)


def replaced(m: Machine, old: list[int], new: list[int], site: cst.CSTNode) -> None:
    """Parameters that an optimizer has been given are no longer in the module; `new` ones are there instead."""
    if m.quiet or not old or not new or not m.owned.issuperset(old):
        return
    event = m.event(Misstep, site, what="replaced", sure=PRESUMED_YES, at=None, subject="")

    def answer(reached: Reached) -> None:
        known = m.escaped.isdisjoint(new) and m.owned.isdisjoint(new) and any(map(reached.leaf, m.owned))
        if known and all(reached.leaf(address) for address in new):
            m.sink(event)

    m.afterwards.ask(answer)


def stepped(m: Machine, site: cst.CSTNode, optimizer: int, owned: tuple[int, ...] | None, scaler: bool = False) -> None:
    """An optimizer steps with the gradients of its parameters."""
    _moves(m)
    if optimizer in m.early and not m.quiet:
        _tell_scheduler(m, optimizer)
    note(m, optimizer, STEPPED, YES)
    mine = parameters(m, owned)
    found = {address: look(m, address) for address in mine}
    if found:
        _judge(m, site, optimizer, found, scaler)
        idle = all(g.filled.no and g.wasted.no and not g.sites.get("filled") for g in found.values())
        if idle and count(m, STRAYS) > count(m, (optimizer, SEEN)) and not count(m, OPENED):
            _unreached(m, site, optimizer, mine)
    m.state.set((optimizer, SEEN), Count(count(m, STRAYS)))
    for address, g in found.items():
        if not g.filled.no:
            keep(
                m,
                address,
                replace(
                    g.marked(site, used=g.filled),
                    cleared=NO,
                    stale=NO,
                    crossed=NO,
                    early=NO,
                    late=NO,
                    wasted=NO,
                    idle=NO,
                ),
            )
        elif g.wasted.no:
            keep(m, address, g.marked(site, idle=YES))


def handed(m: Machine, values: Iterable[Value], site: cst.CSTNode) -> None:
    """A module is called with these values."""
    for value in values:
        for _, tensor in m.tensors(value):
            if tensor.node is not None:
                m.handed.setdefault(tensor.node, (site, _place(m)))


def _place(m: Machine) -> int:
    """The class or function whose text is being run."""
    frame = m.frame
    return id(frame.owner.definition) if frame.owner is not None else id(frame.function and frame.function.definition)


def _entrance(m: Machine, backward: cst.CSTNode, crossed: set[int]) -> cst.CSTNode:
    """Where what the crossed parameters made was handed to the module that it should not have been connected to."""
    start, here = m.starts.get(id(backward), ((), 0))
    todo = [edge.node for edge in start if edge.node is not None]
    seen: set[int] = set()
    while todo:
        number = todo.pop(0)
        if number in seen:
            continue
        seen.add(number)
        m.step()
        if number in m.handed and _made_of(m, number, crossed):
            site, place = m.handed[number]
            return site if place == here else backward
        todo.extend(e.node for e in m.state.graph[number].edges if e.node is not None)
    return backward


def _made_of(m: Machine, start: int, leaves: set[int]) -> bool:
    """Are these the only parameters with a gradient that the node is made of?"""
    seen: set[int] = set()
    todo = [start]
    some = False
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        for edge in m.state.graph[number].edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf in leaves:
                some = True
            elif edge.leaf is not None and edge.leaf in m.owned:
                return False
    return some


def _judge(m: Machine, site: cst.CSTNode, optimizer: int, found: dict[int, Gradient], scaler: bool) -> None:
    first = next(iter(found.values()))
    if all(g.filled.no and g.opened == count(m, OPENED) for g in found.values()):
        lost = next((g for g in found.values() if g.wasted.yes), None)
        if lost is not None and lost.idle.yes and lost.at("idle") is site:
            tell(m, "step-first", site, lost.wasted, lost.at("filled"))
        elif lost is not None:
            where = lost.at("cleared")
            assert where is not None
            tell(m, "cleared", where, lost.wasted, site)
        return
    for g in found.values():
        if g.stale.yes and g.filled.yes and (where := g.at("stale")) is not None:
            tell(m, "stale", where, g.stale, site)
            break
    crossed = {a: g for a, g in found.items() if g.crossed.yes and g.filled.yes}
    for g in crossed.values():
        if (where := g.at("crossed")) is not None:
            tell(m, "crossed", _entrance(m, where, set(crossed)), g.crossed, where, str(m.text(site)))
            break
    if all(g.filled.yes and g.early.yes and g.clipped.no for g in found.values()):
        where = first.at("early")
        if where is not None:
            tell(m, "clip-early", where, first.early, first.at("filled"))
    if not scaler and all(g.filled.yes and g.scaled.yes for g in found.values()):
        tell(m, "step-scaled", site, first.scaled, first.at("filled"))


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


# Schedulers

UNCHECKED = frozenset({"CosineAnnealingWarmRestarts", "ReduceLROnPlateau"})
"""Schedulers whose `step` does not look for the order."""


def scheduler_made(m: Machine, address: int, optimizer: int | None) -> None:
    if optimizer is not None:
        note(m, optimizer, STEPPED, NO)
    note(m, address, SCHEDULED, NO)


def scheduled(m: Machine, site: cst.CSTNode, kind: str, address: int, optimizer: int | None) -> None:
    """`scheduler.step()`: torch looks only the first time whether its optimizer has stepped."""
    first = flag(m, address, SCHEDULED)
    note(m, address, SCHEDULED, YES)
    if optimizer is None or optimizer in m.escaped or address in m.escaped or kind.rpartition(".")[2] in UNCHECKED:
        return
    if first.no and flag(m, optimizer, STEPPED).no and isinstance(m.state.cell(optimizer), Optimizer) and not m.quiet:
        note(m, address, EARLY, YES)
        event = m.event(Misstep, site, what="scheduler-first", sure=YES, at=None, subject=kind.rpartition(".")[2])
        m.early.setdefault(optimizer, {})[address] = event
        m.afterwards.ask(lambda _: _tell_scheduler(m, optimizer))


def _tell_scheduler(m: Machine, optimizer: int) -> None:
    """The optimizer steps, or the program ends: was a scheduler first, on all paths that lead here?"""
    for scheduler, event in m.early.get(optimizer, {}).items():
        if flag(m, scheduler, EARLY).yes:
            m.sink(event)


# GradScaler


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
    elif flag(m, scaler, SCALED).no:
        refuse(m, "before-scale", site, on, None, "unscale_")
    note(m, optimizer, f"{UNSCALED} {scaler}", YES)
    _asked(m, scaler, optimizer)
    for address in parameters(m, owned):
        keep(m, address, replace(look(m, address), scaled=NO))


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
    plain = bool(found) and all(g.filled.yes and g.scaled.no for g in found)
    untouched = flag(m, optimizer, f"{UNSCALED} {scaler}").no and flag(m, optimizer, f"{SCALER_STEPPED} {scaler}").no
    if plain and untouched and flag(m, scaler, SCALED).yes:
        where = found[0].at("filled")
        if where is not None:
            tell(m, "never-scaled", where, found[0].filled & on, site)
    note(m, optimizer, f"{SCALER_STEPPED} {scaler}", YES)
    _asked(m, scaler, optimizer)
    for address in parameters(m, owned):
        keep(m, address, replace(look(m, address), scaled=NO))


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


# Who asks


def belongs(m: Machine, gradient: Value, address: int) -> None:
    """The tensor is the `.grad` of the leaf at `address`: who writes it changes what is known of the gradient."""
    for _, tensor in m.tensors(gradient):
        m.state.set((tensor.storage, GRADIENT_OF), address)


def alias(m: Machine, storage: int, other: int) -> None:
    """`other` names the same memory (`.data`)."""
    address = m.state.get((storage, GRADIENT_OF))
    if address is not None and storage != other:
        m.state.set((other, GRADIENT_OF), address)


def scaled_by(m: Machine, nodes: Iterable[int]) -> Truth:
    """Has a backward through these graph nodes gone through `scaler.scale(...)`?"""
    return next((m.scaled[n] for n in nodes if n in m.scaled), NO)


__all__ = ["Gradient", "filled", "look", "stepped"]
