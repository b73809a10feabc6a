"""The order of a training step: backward, step and zero_grad move the gradient of each parameter on.

Each tells when the order is one that cannot be meant: a gradient that is cleared before anybody has stepped with it,
one that backward adds to after the step, an optimizer none of whose parameters any backward reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    accumulation,
    crossing,
    emptied,
    imported_modules,
    leaks,
    misclipped,
    schedules,
    severed,
    unspent,
)
from flake8_detach.flow.events import Misstep
from flake8_detach.flow.gradients import (
    HOOKED,
    LOOSE,
    OPENED,
    SEEN,
    STEPPED,
    STRAYS,
    VAGUE,
    Count,
    Gradient,
    belongs,
    count,
    keep,
    look,
    misplaced,
    more,
    moves,
    note,
    parameters,
    stir,
    tell,
)
from flake8_detach.flow.happenings import Happening, happening
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import MAYBE, NO, NONE, PRESUMED_YES, YES, Edge, Ref, Tensor, Truth, Value

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine


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
    moves(m)
    m.starts[id(site)] = (tuple(start), crossing.place(m))
    accumulation.filled(m, site, start)
    unseen = imported_modules.trained(m) if opened else ()
    likely = _likely(m, leaves, start).union(unseen)
    leaves = {**dict.fromkeys(unseen, False), **leaves}
    before = {address: look(m, address) for address in leaves}
    emptied.filled(m, site, before)
    now = happening(m, site)
    if opened:
        more(m, OPENED)
    mixed = {
        id(g.at("filled"))
        for address, g in before.items()
        if leaves[address] and g.leftover.yes and g.at("filled") is not site
    }
    if any(address not in m.owned and (_parameter(m, address) or _copy(m, address)) for address in likely):
        more(m, STRAYS)
    for address, sure in leaves.items():
        leaf = m.state.cell(address)
        why = leaf.why if m.cuts and address in likely and isinstance(leaf, Tensor) else None
        if why is not None and why.kind == "faked":
            m.ledger.faked[address] = why
        g = before[address]
        if address not in likely:
            keep(m, address, Gradient(**VAGUE))
            continue
        if g.late.yes:
            _tell_late(m, g)
        # a leaf on one of several paths only: what is wrong with its gradient is wrong whenever that path is taken
        fact = YES if sure else PRESUMED_YES
        new = g
        if not (g.leftover & fact).no:
            new = new.marked(now, stale=g.stale | (g.leftover & fact))
        if not (heaped := g.spent & fact).no:
            new = new.marked(now, heaped=g.heaped | heaped)
        if g.filled.yes and g.used.no and sure and id(g.at("filled")) in mixed:
            new = new.marked(g.when["filled"], crossed=YES)
        both = scaled if g.filled.no or g.used.yes else scaled.join(g.scaled)
        new = new.marked(now, filled=g.filled | fact)
        fresh = NO if g.used.no else g.cleared
        keep(m, address, replace(new, wasted=NO, cleared=fresh, clipped=NO, late=NO, scaled=both))
    _run_hooks(m)


def _run_hooks(m: Machine) -> None:
    if m.state.get(HOOKED) is not None:
        stir(m)


def _parameter(m: Machine, address: int) -> bool:
    tensor = m.state.cell(address)
    return isinstance(tensor, Tensor) and tensor.parameter


def _copy(m: Machine, address: int) -> bool:
    """Is it a leaf that was made of parameters which an optimizer has, and cut from them?"""
    tensor = m.state.cell(address)
    why = tensor.why if isinstance(tensor, Tensor) else None
    return why is not None and why.kind == "faked" and not m.owned.isdisjoint(severed.sources(m, why))


def _tell_late(m: Machine, g: Gradient, *others: Happening) -> None:
    clip, step = g.when.get("late"), g.when.get("used")
    if clip is not None and id(clip.site) not in m.ledger.timely:  # a helper that clips several networks
        misplaced(m, "clip-late", clip, g.late, g.at("used"), step, g.when.get("filled"), *others)


def cleared(m: Machine, addresses: Iterable[int], site: cst.CSTNode) -> None:
    """zero_grad() or `p.grad = None` on these leaves."""
    moves(m)
    now = happening(m, site)
    for address in addresses:
        unspent.cleared(m, address)
        misclipped.cleared(m, address)
        leaks.cleared(m, address)
        accumulation.cleared(m, address)
        g = look(m, address)
        if g.late.yes:
            _tell_late(m, g, now)
        wasted = g.wasted if g.filled.no else g.filled & ~g.used
        when = {k: v for k, v in g.when.items() if k in ("filled", "idle", "early")}
        first = g.when.get("cleared", now) if g.filled.no else now
        new = Gradient(cleared=YES, wasted=wasted, early=g.early, idle=g.idle, when={**when, "cleared": first})
        keep(m, address, new)


def assigned(m: Machine, address: int, site: cst.CSTNode, value: Value) -> None:
    """`p.grad = ...`: a gradient that somebody has computed."""
    moves(m)
    belongs(m, value, address)
    now = happening(m, site)
    keep(m, address, Gradient(filled=MAYBE, cleared=YES, scaled=MAYBE, clipped=MAYBE, when={"filled": now}))


def made(m: Machine, optimizer: int, site: cst.CSTNode) -> None:
    """An optimizer was constructed."""
    m.makers[optimizer] = site
    m.state.set((optimizer, SEEN), Count(count(m, STRAYS)))


def _strayed(m: Machine, optimizer: int) -> bool:
    """Since the last step, has a backward come to parameters that no optimizer has, and to none that are not seen?"""
    return count(m, STRAYS) > count(m, (optimizer, SEEN)) and not count(m, OPENED)


def _unreached(m: Machine, site: cst.CSTNode, optimizer: int, owned: list[int]) -> None:
    """An optimizer steps after a backward that left none of its parameters a gradient: did ever any?"""
    maker = m.makers.get(optimizer)
    leaves = all(isinstance(t := m.state.cell(a), Tensor) and t.leaf.yes for a in owned)
    if maker is None or not leaves or m.quiet:
        return
    if m.state.get(LOOSE) is not None or optimizer in m.escaped or not m.escaped.isdisjoint(owned):
        return
    event = m.event(Misstep, maker, what="unreached", sure=PRESUMED_YES, at=site, subject="")
    copies = dict(copy for a in owned for copy in severed.copies(m, a))
    for cause in copies.values():
        event = replace(event, what="copied", at=cause.site, subject=cause.what)

    def answer(reached: Reached) -> None:
        if not m.plural.isdisjoint(owned) and _made_alike(m, owned, reached):
            return
        told = not m.wanted.issuperset(copies)  # of those that nobody asks for their gradient, where they are made
        if not told and not any(reached.leaf(address) for address in owned) and m.escaped.isdisjoint(owned):
            m.sink(event)

    m.afterwards.ask(answer)


def _made_alike(m: Machine, owned: Iterable[int], reached: Reached) -> bool:
    """One of several objects: was another that the same code has made reached, or is one filled by hand?"""
    others = {twin for one in owned for twin in m.state.twins.get(one, ())}
    filled = any(t.storage in m.steered for _, t in m.tensors(Ref((*owned, *others))))
    again = not m.births.of((*owned, *others)).isdisjoint(m.births.of(reached.leaves()))
    return filled or again or any(map(reached.leaf, others)) or not m.escaped.isdisjoint(others)


def exchanged(m: Machine, module: int, before: Value | None, after: Value, site: cst.CSTNode) -> None:
    """An attribute or element of a module becomes another one: parameters that an optimizer has been given may no
    longer be in the module, and new ones are there instead, or in addition."""
    from flake8_detach.flow import membership, module_tree

    if m.quiet or not m.owned:
        return
    old, new = module_tree.trainable(m, before), module_tree.trainable(m, after)
    if not new or (not old and _constructed(m, module)):
        return
    what, had = ("replaced", old) if old else ("added", module_tree.trainable(m, Ref((module,))))
    if not had or not m.owned.issuperset(had):
        return
    event = m.event(Misstep, site, what=what, sure=PRESUMED_YES, at=None, subject="")
    storages = {t.storage for _, t in m.tensors(Ref(tuple(new)))}

    def answer(reached: Reached) -> None:
        # what stands for one more of a group is, in a later iteration, what the next optimizer is given
        later = [] if old else m.state.alike(*new).difference(had)
        known = m.escaped.isdisjoint(new) and m.owned.isdisjoint([*new, *later]) and any(map(reached.leaf, m.owned))
        frozen = any(isinstance(t := m.state.get((a, CELL)), Tensor) and t.grad.no for a in new)
        if frozen or m.ledger.regroups or membership.stepped_by_hand(m, new):
            return  # nobody is to train them, or somebody does by hand
        if not known or (not old and (m.ledger.unseen_owned or not storages.isdisjoint(m.steered))):
            return
        if all(reached.leaf(a) or any(map(reached.leaf, m.state.alike(a))) for a in new):
            m.sink(event)

    m.afterwards.ask(answer)


def _constructed(m: Machine, module: int) -> bool:
    """Is the constructor of the module running?"""
    functions = (frame.function for frame in m.frames if frame.function is not None)
    return any(f.name == "__init__" and f.bound == Ref((module,)) for f in functions)


def stepped(m: Machine, site: cst.CSTNode, optimizer: int, owned: tuple[int, ...] | None, scaler: bool = False) -> None:
    """An optimizer steps with the gradients of its parameters."""
    moves(m)
    if optimizer in m.early and not m.quiet:
        schedules.tell_early(m, optimizer, site)
    note(m, optimizer, STEPPED, YES)
    unspent.stepped(m, owned)
    now = happening(m, site)
    mine = parameters(m, owned)
    leaks.stepped(m, site, mine)
    found = {address: look(m, address) for address in mine}
    plain = {address for address, g in found.items() if g.filled.yes and g.clipped.no}
    misclipped.stepped(m, owned, plain)
    accumulation.stepped(m, site, found)
    emptied.stepped(m, site, found)
    if found:
        _judge(m, now, optimizer, found, scaler)
        idle = all(g.filled.no and g.wasted.no and "filled" not in g.when for g in found.values())
        if idle and _strayed(m, optimizer):
            _unreached(m, site, optimizer, mine)
    elif owned and m.plural.issuperset(owned) and _strayed(m, optimizer):
        _unreached(m, site, optimizer, [*owned])  # of several: none knows whose gradient is filled, but if any ever is
    m.state.set((optimizer, SEEN), Count(count(m, STRAYS)))
    for address, g in found.items():
        if not g.filled.no:
            keep(
                m,
                address,
                replace(
                    g.marked(now, used=g.filled),
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
            keep(m, address, g.marked(now, idle=YES))


def _clipped_early(m: Machine, step: Happening, found: dict[int, Gradient]) -> None:
    """A place clipped gradients of these before there were any, and nothing has clipped one of them since."""
    clips: dict[Happening, list[Gradient]] = {}
    for g in found.values():
        if not g.early.no and (clip := g.when.get("early")) is not None:
            clips.setdefault(clip, []).append(g)
    for clip, mine in clips.items():
        if all(g.filled.yes and g.early.yes and g.clipped.no for g in mine):
            first = mine[0]
            m.ledger.clips.add(id(clip.site))
            others = first.when.get("filled"), first.when.get("cleared")
            misplaced(m, "clip-early", clip, first.early, first.at("filled"), step, *others)


def _judge(m: Machine, step: Happening, optimizer: int, found: dict[int, Gradient], scaler: bool) -> None:
    site = step.site
    first = next(iter(found.values()))
    if all(g.filled.no and g.opened == count(m, OPENED) for g in found.values()):
        lost = next((g for g in found.values() if g.wasted.yes), None)
        if lost is not None and lost.idle.yes and lost.at("idle") is site:
            others = lost.when.get("filled"), lost.when.get("cleared")
            misplaced(m, "step-first", step, lost.wasted, lost.at("filled"), *others)
        elif lost is not None:
            misplaced(m, "cleared", lost.when["cleared"], lost.wasted, site, lost.when.get("filled"), step)
        return
    for address, g in found.items():
        held = m.cell(m.state.get((address, "grad"), NONE))
        if isinstance(held, Tensor) and held.base is not None:
            continue  # a part of a buffer, which may be cleared as a whole
        if g.stale.yes and g.filled.yes and (where := g.at("stale")) is not None:
            tell(m, "stale", where, g.stale, site)
            break
    crossed = {a: g for a, g in found.items() if g.crossed.yes and g.filled.yes}
    for g in crossed.values():
        if (where := g.at("crossed")) is not None:
            tell(m, "crossed", crossing.entrance(m, where, set(crossed)), g.crossed, where, str(m.text(site)))
            break
    _clipped_early(m, step, found)
    if not scaler and all(g.filled.yes and g.scaled.yes for g in found.values()):
        tell(m, "step-scaled", site, first.scaled, first.at("filled"))
