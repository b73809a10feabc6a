"""Terms of a loss whose gradient nobody spends: it lands where no optimizer steps with it before it is thrown away.

A term that is cut from a network, or was made of what has no derivative (a sample, an argmax), still trains the network
that comes after the cut. If an optimizer never steps with what it leaves there (the step that follows is that of the
network before the cut), then the term trains nothing: the generator's half of a GAN step that was given the detached
sample of the discriminator's half; the actor's loss that a critic makes of a sampled action.

What is pending is told per leaf, as a set of terms that goes with the paths of the program. That one of them was spent
is noted once and for all; unknown code that may have spent it counts as spending.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import libcst as cst

from flake8_detach.flow import linear, origins, terms
from flake8_detach.flow.events import Unspent
from flake8_detach.flow.values import Cause, Edge, Joined, Node

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

PENDING = "*unspent"
"""Slot of a leaf: the terms whose gradient lies there, as `Terms`. At address 0: those of the last backward."""
LAST = (0, PENDING)

Key: TypeAlias = tuple[int, int]
"""The place in the file that made a term, and the calls that led there."""
CUTS = ("cut", "mode", "op")
"""What takes a term from a network; of several the first: what somebody wrote to cut it explains most."""


@dataclass(frozen=True, slots=True)
class Terms(Joined):
    """A set of terms; where paths meet, those of both."""

    keys: frozenset[Key] = frozenset()

    def join(self, other: Any, presume: bool = False) -> Terms:
        return Terms(self.keys | other.keys)


@dataclass
class Term:
    """A term of a loss behind which leaves were cut off. reached: the leaves that it puts a gradient on. behind: those
    that it was cut from. followed: did an optimizer step some of these next?"""

    event: Unspent
    reached: set[int]
    behind: set[int]
    followed: bool = False


def ask(m: Machine, site: cst.CSTNode, root: cst.CSTNode, start: Edge) -> None:
    """A backward from `start` begins: note its terms behind which there is a cut."""
    found: set[Key] = set()
    if m.cuts and m.owned and not m.guards:
        for number in _addends(m, start):
            found |= _note(m, site, root, number)
    m.state.set(LAST, Terms(frozenset(found)))


def _note(m: Machine, site: cst.CSTNode, root: cst.CSTNode, number: int) -> set[Key]:
    node = m.state.graph[number]
    key = id(node.site), node.path
    reached, cuts = _reach(m, number)
    known = m.unspent.get(key)
    if known is None and cuts and reached and not m.quiet:
        behind: dict[int, Cause] = {}
        for cause in sorted(cuts, key=lambda cut: CUTS.index(cut.kind)):
            for leaf in origins.behind(m, cause.origin)[1]:
                behind.setdefault(leaf, cause)
        mine = {leaf: cause for leaf, cause in behind.items() if leaf in m.owned and leaf not in reached}
        if mine:
            cause = next(iter(mine.values()))
            event = m.event(Unspent, cause.site, cause=cause, root=m.text(root), term=node.site, backward=site)
            known = m.unspent[key] = Term(event, reached, set(mine))
            m.afterwards.ask_last(lambda answer, key=key: _answer(m, key, answer))  # type: ignore[misc]
    if known is None:
        return set()
    if not reached:
        m.spent.add(key)
    known.reached |= reached
    for leaf in reached:
        pending = m.state.get((leaf, PENDING), NOTHING)
        m.state.set((leaf, PENDING), Terms(pending.keys | {key}))
    return {key}


NOTHING = Terms()


def _answer(m: Machine, key: Key, reached: Reached) -> None:
    """Was the term spent by nobody, in the whole file?"""
    term = m.unspent[key]
    if key in m.spent or not term.followed or m.ledger.unseen_owned or reached.unclear:
        return
    if not m.mourned.isdisjoint(term.reached):
        return  # no optimizer was given what it leaves its gradient on: that is told
    if m.escaped.isdisjoint(term.reached) and m.wanted.isdisjoint(term.reached):
        m.sink(term.event)


def _addends(m: Machine, start: Edge) -> list[int]:
    """The graph nodes that the loss is a sum of, constant factors aside."""
    found: list[int] = []
    seen: set[int] = set()
    todo = [start.node] if start.node is not None else []
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        inner = [e.node for e in node.edges if e.node is not None]
        if inner and _passes(node) and all(e.node is not None for e in node.edges):
            todo.extend(inner)
        else:
            found.append(number)
    return found


def _passes(node: Node) -> bool:
    """Is it a sum, or one term times a constant?"""
    name = linear.key(node)
    scaled = name in linear.SCALED and len(node.tensors) < 2
    return scaled or name in linear.SUMS or name in linear.DIFFERENCES or name == "neg"


def _reach(m: Machine, start: int) -> tuple[set[int], list[Cause]]:
    """The leaves that a term brings a gradient to, and the losses of gradients on its way; none if not all is seen."""
    leaves: set[int] = set()
    cuts: dict[int, Cause] = {}
    seen: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        if node.unseen:
            return set(), []
        for cut in node.cuts:
            if (loss := cut.cause.loss) is not None and loss.kind in CUTS:
                cuts.setdefault(id(loss.site), loss)
        if node.derivative == "zero":
            if (flat := terms.flat(m, node)) is not None and flat.kind in CUTS:
                cuts.setdefault(id(flat.site), flat)
            continue
        for edge in node.edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf is not None:
                leaves.add(edge.leaf)
    return leaves, list(cuts.values())


# What becomes of them


def stepped(m: Machine, owned: Iterable[int] | None) -> None:
    """An optimizer steps with the gradients of these leaves (None: not known which)."""
    if not m.unspent:
        return
    if owned is None:
        m.spent.update(m.unspent)
        return
    mine = set(owned)
    for leaf in mine:
        m.spent |= m.state.get((leaf, PENDING), NOTHING).keys
    for key in m.state.get(LAST, NOTHING).keys:
        m.unspent[key].followed = m.unspent[key].followed or not mine.isdisjoint(m.unspent[key].behind)


def cleared(m: Machine, address: int) -> None:
    """The gradient of a leaf is thrown away."""
    if m.unspent and (address, PENDING) in m.state.slots:
        m.state.set((address, PENDING), NOTHING)


def left(m: Machine) -> None:
    """What comes next is not known: whatever is pending may be spent there."""
    for term in list(m.unspent.values()):
        for leaf in term.reached:
            m.spent |= m.state.get((leaf, PENDING), NOTHING).keys
