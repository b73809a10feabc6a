"""Gradients that are thrown away in all iterations but every n-th: cleared in each, stepped with in some.

Backward in every iteration and a step in every n-th one is how gradients are accumulated. Where every backward finds
its leaf's gradient cleared, nothing adds up: the step takes the last of n batches. Who steps something else with the
same backward in between (updates in turn) has use for it. It is told when the file has been followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_detach.flow.accumulation import Place, Turn, apart, place
from flake8_detach.flow.events import Misstep
from flake8_detach.flow.happenings import happening
from flake8_detach.flow.values import PRESUMED_YES

if TYPE_CHECKING:
    from flake8_detach.flow.gradients import Gradient
    from flake8_detach.flow.machine import Machine


class Step(NamedTuple):
    """A step with the gradient that a backward has left on a leaf."""

    backward: int
    address: int
    place: Place
    site: cst.CSTNode


@dataclass
class Notes:
    """places: where each backward runs. empty: a backward and a leaf -> how often the leaf's gradient was surely empty
    when it came; 0 for ever once it was not. clearings: the same -> what would be told of the clearing before it."""

    places: dict[int, Place] = field(default_factory=dict)
    empty: dict[tuple[int, int], int] = field(default_factory=dict)
    clearings: dict[tuple[int, int], Misstep] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


def filled(m: Machine, site: cst.CSTNode, before: Mapping[int, Gradient]) -> None:
    """A backward comes to these leaves, whose gradients were so."""
    notes = m.emptied
    notes.places[id(site)] = place(m)
    backward = happening(m, site)
    for address, gradient in before.items():
        key = (id(site), address)
        times = notes.empty.get(key)
        if times is None or times:
            notes.empty[key] = (times or 0) + 1 if gradient.filled.no else 0
        clearing = gradient.when.get("cleared")
        if clearing is not None and not m.quiet:
            at, inside = clearing.beside(backward)
            event = m.event(Misstep, at, what="emptied", sure=PRESUMED_YES, at=None, subject="", inside=inside)
            notes.clearings[key] = event


def stepped(m: Machine, site: cst.CSTNode, found: Mapping[int, Gradient]) -> None:
    """An optimizer steps with these gradients."""
    for address, gradient in found.items():
        backward = gradient.at("filled")
        if backward is not None and not gradient.filled.no:
            m.emptied.steps.append(Step(id(backward), address, place(m), site))


def close(m: Machine) -> None:
    """The file has been followed: which steps come in turns, with gradients that could not add up?"""
    notes = m.emptied
    for step in notes.steps:
        there = notes.places.get(step.backward)  # None: somebody has assigned the gradient
        event = notes.clearings.get((step.backward, step.address))
        if there is None or event is None or step.place.depth < there.depth:
            continue
        turn = apart(step.place, there)
        if turn is None or not _seldom(turn):
            continue
        twice = notes.empty[step.backward, step.address] > 1
        alone = all(turn in s.place.turns for s in notes.steps if s.backward == step.backward)
        if twice and alone and step.address not in m.wanted and step.address not in m.hooked:
            m.sink(replace(event, at=step.site))


def _seldom(turn: Turn) -> bool:
    """Is the branch the one of every n-th iteration, and not that of all others?"""
    test, wanted = turn.test.test, turn.branch
    while isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        test, wanted = test.expression, not wanted
    if isinstance(test, cst.BinaryOperation):  # `if i % n:`
        return not wanted
    if isinstance(test, cst.Comparison) and isinstance(test.comparisons[0].operator, (cst.Equal, cst.NotEqual)):
        return isinstance(test.comparisons[0].operator, cst.Equal) == wanted
    return True
