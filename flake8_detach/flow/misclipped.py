"""Gradients that are clipped and then thrown away, while the step that follows is with others, which are not clipped.

Which clipping is pending is told per leaf, and goes with the paths of the program. That an optimizer has stepped with
what it clipped, on any path, in any call, excuses it for good; so does unknown code that may have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow.values import Joined, Ref

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.events import Misstep
    from flake8_detach.flow.machine import Machine

PENDING = "*clipped at"
"""Slot of a leaf: the places, as `Places`, that have clipped its gradient since it was cleared."""


@dataclass(frozen=True, slots=True)
class Places(Joined):
    """A set of places; where paths meet, those of both."""

    keys: frozenset[int] = frozenset()

    def join(self, other: Any, presume: bool = False) -> Places:
        return Places(self.keys | other.keys)


NOTHING = Places()


@dataclass
class Clipping:
    """One place that clips. leaves: whose gradients. others: leaves with a gradient that no step has used by then.
    followed: did an optimizer step with these next, as they were? dropped: was what it clipped thrown away?"""

    event: Misstep
    leaves: set[int]
    others: set[int]
    followed: bool = False
    dropped: bool = False
    used: bool = False


def noted(m: Machine, site: cst.CSTNode, leaves: set[int], others: set[int], event: Misstep | None) -> None:
    """`site` clips the gradients of these leaves; `others` have been filled, and are not clipped."""
    key = id(site)
    known = m.ledger.clippings.get(key)
    if known is None and event is not None:
        known = m.ledger.clippings[key] = Clipping(event, set(), set())
        m.afterwards.ask_last(lambda reached, known=known: _answer(m, known, reached))  # type: ignore[misc]
    if known is None:
        return
    known.used = known.used or not others or not m.owned.issuperset(leaves)
    known.leaves |= leaves
    known.others |= others
    for leaf in leaves:
        m.state.set((leaf, PENDING), Places(m.state.get((leaf, PENDING), NOTHING).keys | {key}))


def _answer(m: Machine, known: Clipping, reached: Reached) -> None:
    held = not m.escaped.isdisjoint((*known.leaves, *m.makers)) or not m.wanted.isdisjoint(known.leaves)
    steered = any(t.storage in m.steered for _, t in m.tensors(Ref(tuple(known.leaves))))
    if known.followed and known.dropped and not (known.used or held or steered or m.ledger.unseen_owned):
        m.sink(known.event)


def stepped(m: Machine, owned: Iterable[int] | None, plain: set[int]) -> None:
    """An optimizer steps with the gradients of these leaves (None: not known which), of which `plain` have one that is
    not clipped."""
    if not m.ledger.clippings:
        return
    if owned is None:
        left(m)
        return
    for leaf in owned:
        for key in m.state.get((leaf, PENDING), NOTHING).keys:
            m.ledger.clippings[key].used = True
    for known in m.ledger.clippings.values():
        known.followed = known.followed or not plain.isdisjoint(known.others)


def cleared(m: Machine, address: int) -> None:
    """The gradient of a leaf is thrown away."""
    if m.ledger.clippings and (address, PENDING) in m.state.slots:
        for key in m.state.get((address, PENDING), NOTHING).keys:
            m.ledger.clippings[key].dropped = True
        m.state.set((address, PENDING), NOTHING)


def left(m: Machine) -> None:
    """What comes next is not known: whatever is pending may be stepped with there."""
    for known in m.ledger.clippings.values():
        known.used = known.used or any(m.state.get((leaf, PENDING), NOTHING).keys for leaf in known.leaves)
