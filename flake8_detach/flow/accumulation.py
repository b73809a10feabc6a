"""Gradients that are accumulated: backward in every iteration, the step and the clearing in every n-th.

The sum of n gradients of means is n times the gradient of the mean over all n batches. Who wants that of a large batch
divides the loss. Whether nobody clears in between can be told only at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_detach.flow.events import Misstep
from flake8_detach.flow.values import PRESUMED_YES, YES, Const, Edge, Node, Truth
from flake8_detach.knowledge.losses import MEANS, PASSING

if TYPE_CHECKING:
    from flake8_detach.flow.gradients import Gradient
    from flake8_detach.flow.machine import Machine


class Turn(NamedTuple):
    """A branch of `if step % n == 0:` that is being run; `every` is the expression `n`, `known` if it is a number."""

    test: cst.If
    branch: bool
    every: cst.BaseExpression
    known: bool


class Place(NamedTuple):
    """Where something happens: in which turns, and how many loops are running."""

    turns: tuple[Turn, ...]
    depth: int


class Pending(NamedTuple):
    """A step with what a backward has added up; `place` is where that was."""

    address: int
    place: Place
    event: Misstep


@dataclass
class Notes:
    """What was seen, on any path: backwards of an undivided mean, steps in turns, all other steps; all
    that was cleared."""

    turns: list[Turn] = field(default_factory=list)
    names: dict[tuple[int, str], cst.BaseExpression] = field(default_factory=dict)
    undivided: dict[int, Place] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    others: list[tuple[int, Place]] = field(default_factory=list)
    cleared: set[int] = field(default_factory=set)


def place(m: Machine) -> Place:
    return Place(tuple(m.accumulation.turns), sum(len(frame.loops) for frame in m.frames))


# Turns


def named(m: Machine, node: cst.Assign) -> None:
    """`update = (step + 1) % n == 0`: the name stands for the test."""
    for target in node.targets:
        if isinstance(target.target, cst.Name):
            key = (m.frame.id, target.target.value)
            if _modulo(node.value) is None:
                m.accumulation.names.pop(key, None)
            else:
                m.accumulation.names[key] = node.value


@contextmanager
def turn(m: Machine, node: cst.If, branch: bool) -> Iterator[None]:
    """A branch of an `if` is run: is it one that is taken again and again?"""
    test = node.test
    while isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        test = test.expression
    if isinstance(test, cst.Name):
        test = m.accumulation.names.get((m.frame.id, test.value), test)
    modulo = _modulo(test)
    if modulo is None:
        yield
        return
    m.quiet += 1
    every = m.evaluate(modulo.right)
    m.quiet -= 1
    if every == Const(1):
        yield
        return
    m.accumulation.turns.append(Turn(node, branch, modulo.right, isinstance(every, Const)))
    yield
    m.accumulation.turns.pop()


def _modulo(test: cst.BaseExpression) -> cst.BinaryOperation | None:
    """`step % n` of a condition such as `(step + 1) % n == 0 or step == last`."""
    todo = [test]
    while todo:
        part = todo.pop()
        if isinstance(part, cst.BinaryOperation) and isinstance(part.operator, cst.Modulo):
            return None if isinstance(part.left, cst.BaseString) else part
        if isinstance(part, cst.Comparison):
            todo.append(part.left)
        elif isinstance(part, cst.BooleanOperation):
            todo += [part.right, part.left]
        elif isinstance(part, cst.UnaryOperation) and isinstance(part.operator, cst.Not):
            todo.append(part.expression)
    return None


# What happens to gradients


def filled(m: Machine, site: cst.CSTNode, start: Iterable[Edge]) -> None:
    """A backward from `start`: is the loss a mean over its batch, or a sum with one, and nowhere divided?"""
    if any(_undivided(m, edge.node) for edge in start if edge.sure and edge.node is not None):
        m.accumulation.undivided[id(site)] = place(m)
    else:
        m.accumulation.undivided.pop(id(site), None)


def _undivided(m: Machine, number: int) -> bool:
    seen: set[int] = set()
    todo = [number]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        m.step()
        node = m.state.graph[current]
        name = node.op.rpartition(".")[2]
        if name in MEANS and _averages(node):
            return True
        if name in PASSING or current in m.scaled:
            todo.extend(edge.node for edge in node.edges if edge.sure and edge.node is not None)
    return False


def _averages(node: Node) -> bool:
    given = node.given
    if "size_average" in given or "reduce" in given or "dim" in given:
        return False
    return given.get("reduction", Const("mean")) == Const("mean")


def cleared(m: Machine, address: int) -> None:
    m.accumulation.cleared.add(address)
    m.accumulation.others.append((address, place(m)))


def stepped(m: Machine, site: cst.CSTNode, found: dict[int, Gradient]) -> None:
    """An optimizer steps with these gradients."""
    here = place(m)
    for address, gradient in found.items():
        at = gradient.at("filled")
        there = m.accumulation.undivided.get(id(at))
        plain = gradient.filled.yes and gradient.cleared.no and address not in m.hooked  # a hook may divide
        if at is None or there is None or not plain:
            m.accumulation.others.append((address, here))
            continue
        own = apart(here, there)
        if own is None or here.depth < there.depth or not there.depth:
            m.accumulation.others.append((address, here))
            continue
        sure: Truth = YES if own.known else PRESUMED_YES
        event = m.event(Misstep, at, what="unscaled", sure=sure, at=site, subject=m.text(own.every))
        if not m.quiet:
            m.accumulation.pending.append(Pending(address, there, event))


def apart(here: Place, there: Place) -> Turn | None:
    """The turn that the one is in and the other is not."""
    return next((turn for turn in here.turns if turn not in there.turns), None)


def close(m: Machine) -> None:
    """The file has been followed: tell of the steps whose gradients nobody cleared or took between two turns."""
    notes = m.accumulation
    for pending in notes.pending:
        between = (p for a, p in notes.others if a == pending.address and p.depth >= pending.place.depth)
        if all(apart(p, pending.place) is not None for p in between):
            m.sink(pending.event)
