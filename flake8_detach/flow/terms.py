"""Terms of a loss that train nothing: what a backward does not see, although the value of the loss depends on it.

Criteria, none of which guesses what was meant:

- A *constant term*: from where backward starts only sums, means and constant factors lead to an operand that lost its
  gradient. A constant that is added to a loss changes no gradient at all.
- *Dead leaves*: the loss depends on a leaf only through a cut (or a derivative that is zero everywhere), an optimizer
  of the file steps that leaf, and no backward in the whole file ever reaches it.
- *Samples* whose parameters the same loss trains by another term only (unmoved.py).

Backward asks when it starts; the answer comes when the whole file has been followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import cancelling, linear, origins, steppers, unmoved
from flake8_detach.flow.afterwards import below
from flake8_detach.flow.events import LostTerm
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import DERIVATIVE, FILLED, YES, Cause, Cut, Edge, Node, Source, Tensor

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

OVERWRITING = frozenset(
    {"fill", "zero", "normal", "uniform", "random", "cauchy", "exponential", "geometric", "log_normal", "angle"}
)
"""Ops with a zero derivative whose result does not tell what went in."""
MEANT = frozenset({"cut", "mode"})
"""What somebody may have written to hold a value constant."""
STRAIGHT = frozenset({"cut", "mode", "op"})
"""What a straight-through estimator is made with."""


@dataclass(frozen=True)
class _Suspect:
    """A cut below the start of a backward. constant: it is a term of its own. leaves: what it depends on, with their
    storages. leaf: the leaf that was made of what was cut. size: how many graph nodes lie behind it; 0 for a sum whose
    operands take each other away, which explains more than whatever else was cut in them. shares: the values that were
    cut at one place, each with the leaves and the number of graph nodes behind it.
    """

    cause: Cause
    constant: bool
    leaves: Mapping[int, int]
    leaf: int | None
    size: int
    shares: tuple[tuple[Cause, Mapping[int, int], int], ...]

    def nearest(self, lost: set[int]) -> Cause:
        """Of the values that were cut at one place, the one with the least behind it besides one of these leaves."""
        fitting = [share for share in self.shares if not lost.isdisjoint(share[1])]
        return min(fitting, key=lambda share: (len(share[1]), share[2]))[0] if fitting else self.cause


def ask(m: Machine, site: cst.CSTNode, root: cst.CSTNode, address: int, tensor: Tensor, one: bool) -> None:
    """Backward starts from `tensor`; one: what it starts from has certainly one element."""
    graph = m.state.graph
    start = m.edge(address, tensor)
    part = _linear(m, start, one)
    m.afterwards.terms |= {(id(graph[n].site), graph[n].path) for n, single in part.nodes.items() if single}
    if m.quiet or not m.cuts or m.guards:
        return
    suspects = _suspects(m, start, part)
    if not suspects:
        return
    events = [
        m.event(LostTerm, s.cause.site, cause=s.cause, constant=s.constant, root=m.text(root), backward=site)
        for s in suspects
    ]

    zeros = _zeros(m, start)
    samples = [not s.constant and unmoved.hides(m, start, s.cause) for s in suspects]

    def answer(reached: Reached) -> None:
        for suspect, event, sample in sorted(zip(suspects, events, samples, strict=True), key=lambda one: one[0].size):
            if suspect.leaf is not None and suspect.leaf in m.wanted:
                continue  # a leaf on purpose: somebody reads its gradient
            if suspect.constant:
                if _constant(m, suspect, reached):
                    cause = _decisive(m, suspect, reached)
                    m.sink(replace(event, node=cause.site, cause=cause))
                    if suspect.cause.kind == "cancelled":
                        m.mourned |= _dead(m, suspect, reached)
                continue
            dead = _dead(m, suspect, reached)
            drifting = _drifts(m, suspect, reached) - dead
            lost = (dead | drifting) - m.mourned
            if suspect.cause.kind in MEANT:
                lost -= zeros
            if lost:  # one report for each, at the cut that is the nearest to it
                m.mourned |= lost
                m.sink(replace(event, cause=suspect.nearest(lost), drifts=not dead))
            elif sample and _stepped(m, suspect):
                m.sink(replace(event, partly=True))

    m.afterwards.ask_last(answer)


def _constant(m: Machine, suspect: _Suspect, reached: Reached) -> bool:
    """Is the term meant to train something, and is it no loss that trains elsewhere and is only added for its value?"""
    if suspect.cause.kind == "faked":
        return True
    direct = _apart(m, [e.node for e in origins.edges(suspect.cause.origin) if e.node is not None])
    if suspect.cause.kind != "gradient" and any(reached.term(n) for n in direct):
        return False
    idle = steppers.idle(m)
    return any((a in m.owned and a not in idle) or reached.leaf(a) for a in suspect.leaves)


def _decisive(m: Machine, suspect: _Suspect, reached: Reached) -> Cause:
    """Of several cuts that make a term constant together, the one but for which the most would be trained."""
    best, least = suspect.cause, len(suspect.leaves) + 1
    for rival in suspect.cause.rivals if not reached.unclear else ():
        _, leaves = origins.behind(m, rival.origin)
        trained = sum(a not in m.owned or reached.trained(a) for a in leaves)
        if rival.loss is not None and trained < min(len(leaves), least):
            best, least = rival.loss, trained
    return best


def _apart(m: Machine, nodes: list[int]) -> set[int]:
    """The nodes; of one that stands for what it is on several paths, those."""
    found: set[int] = set()
    todo = list(nodes)
    while todo:
        number = todo.pop()
        if number not in found:
            found.add(number)
            node = m.state.graph[number]
            todo.extend(e.node for e in node.edges if e.node is not None and node.op == "join")
    return found


def _dead(m: Machine, suspect: _Suspect, reached: Reached) -> set[int]:
    """The leaves that an optimizer steps and that nothing trains, nor their like in another run of the same code."""
    dead = {a for a in _stepped(m, suspect) if not reached.trained(a)}
    if reached.unclear or not dead:
        return set()
    trained = m.births.of(a for a in m.owned if reached.trained(a))
    return {a for a in dead if trained.isdisjoint(m.births.of([a]))}


def _drifts(m: Machine, suspect: _Suspect, reached: Reached) -> set[int]:
    """The leaves that an optimizer steps and that are only added to the loss: their gradient is one number for ever,
    and what the cut value was to hold against it is missing."""
    if reached.unclear or suspect.cause.kind not in ("cut", "scalar"):
        return set()
    return {a for a in _stepped(m, suspect) if reached.only_pushed(a, linear.adds)}


def _stepped(m: Machine, suspect: _Suspect) -> set[int]:
    found = {a for a, s in suspect.leaves.items() if a in m.owned and a not in m.escaped and s not in m.steered}
    return found - steppers.idle(m) if found else found


@dataclass
class _Linear:
    """The part of a loss that is a sum. nodes: has the node certainly one element? cuts: operands without a gradient,
    and the edges beside each. leaves: terms that are leaves."""

    nodes: dict[int, bool]
    cuts: list[tuple[Cause, tuple[Edge, ...]]]
    leaves: list[int]


def _linear(m: Machine, start: Edge, one: bool) -> _Linear:
    found = _Linear({}, [], [])
    todo = [(start, one)]
    while todo:
        edge, one = todo.pop()
        if edge.node is None:
            found.leaves.extend([edge.leaf] if edge.leaf is not None else [])
            continue
        if edge.node in found.nodes:
            continue
        m.step()
        found.nodes[edge.node] = one
        node = m.state.graph[edge.node]
        name = linear.key(node)
        scaled = name in linear.SCALED and len(node.tensors) < 2
        if not (
            scaled
            or name in linear.SUMS
            or name in linear.DIFFERENCES
            or name in linear.GATHERED
            or name in linear.PLAIN
        ):
            continue
        if name in linear.SUMS or name in linear.DIFFERENCES or name in linear.GATHERED:
            for cut in node.cuts:
                if _added(cut, name, one):
                    found.cuts.append((cut.cause, node.edges))
        todo.extend((e, one and name in linear.ELEMENTWISE) for e in node.edges)
    return found


def _added(cut: Cut, name: str, one: bool) -> bool:
    """Is the operand a term of its own? A vector beside a vector may be what the other one is measured against."""
    loss = cut.cause.loss
    if loss is None or not (cut.scalar or (one and name not in linear.GATHERED)):
        return False
    return not (name in linear.DIFFERENCES and loss.kind in MEANT)


def _suspects(m: Machine, start: Edge, part: _Linear) -> list[_Suspect]:
    found: dict[int, _Suspect] = {}

    def add(cause: Cause | None, constant: bool, beside: Iterable[Edge] = (), leaf: int | None = None) -> None:
        loss = cause and cause.loss
        known = found.get(id(loss.site)) if loss is not None else None
        if cause is None or loss is None or (known is not None and known.constant and not constant):
            return
        nodes, leaves = origins.behind(m, cause.origin)
        if loss.kind in STRAIGHT and any(e.node in nodes if e.node is not None else e.leaf in leaves for e in beside):
            return  # x + (q - x).detach(): the value of q with the gradient of x
        if leaves:
            behind = None if constant else frozenset(leaves)
            for n in nodes:
                place = (id(m.state.graph[n].site), m.state.graph[n].path)
                m.afterwards.missed.setdefault(place, set()).add(behind)
            size = 0 if loss.kind == "cancelled" else len(nodes)
            shares: tuple[tuple[Cause, Mapping[int, int], int], ...] = ((loss, leaves, size),)
            if known is not None and not constant:  # one `no_grad` cuts several values
                leaves, shares = {**known.leaves, **leaves}, (*known.shares, *shares)
            found[id(loss.site)] = _Suspect(loss, constant, leaves, leaf, size, shares)

    for cause, beside in part.cuts:
        add(cause, True, beside)
    alive: dict[int, bool] = {}
    for number, single in part.nodes.items():
        if single and not linear.lets_through(m, number, alive) and not _kept_in(m, number, part):
            add(first_zero(m, number), True)
    for leaf in part.leaves:
        add(_faked(m, leaf), True, leaf=leaf)
    seen: set[int] = set()
    todo = [start]
    while todo:
        edge = todo.pop()
        if edge.node is None:
            if edge.leaf is not None:
                add(_faked(m, edge.leaf), False, leaf=edge.leaf)
            continue
        if edge.node in seen:
            continue
        seen.add(edge.node)
        node = m.state.graph[edge.node]
        for cut in node.cuts:
            add(cut.cause, _residual(m, node, cut))
        if node.derivative == "zero" and not (edge.node in part.nodes and cancelling.is_nothing(node)):
            add(flat(m, node), False)
        todo.extend(node.edges)
    return list(found.values())


def _zeros(m: Machine, start: Edge) -> set[int]:
    """The leaves that a backward from `start` comes to with zeros. That explains more than what somebody cut on another
    way to them: `round(w / scale)`, with a scale that is `w.max().detach()`."""
    graph = m.state.graph
    nodes = below(graph, [] if start.node is None else [start.node])[0]
    return below(graph, [n for n in nodes if graph[n].derivative == "zero" and flat(m, graph[n]) is not None])[1]


def _residual(m: Machine, node: Node, cut: Cut) -> bool:
    """Is a derivative without a graph added to one of the same function that has a graph, as `u_t - u_xx` of a
    differential equation, or to something that is made of the function itself, as `u_t + u * u_x`? What is
    differentiated there may be moved along a gradient: `w - lr * g` is no residual."""
    name = linear.key(node)
    loss = cut.cause.loss
    if loss is None or loss.kind != "gradient" or not (name in linear.SUMS or name in linear.DIFFERENCES):
        return False
    behind, _ = origins.behind(m, cut.cause.origin)
    graph = m.state.graph
    beside = [edge.node for edge in node.edges if edge.node is not None and edge.sure]
    reached = below(graph, beside)[0] if behind and beside else set()
    functions = origins.edges(loss.origin) if loss.what != FILLED else ()
    if any(_summed(graph, e.node) in reached for e in functions if e.node is not None and e.sure):
        return True
    if not reached or any(n in behind and not _is_derivative(graph, n) for n in beside):
        return False
    alive = {n for n in reached if graph[n].op == DERIVATIVE}
    return any(not behind.isdisjoint(below(graph, [n])[0]) for n in alive)


def _summed(graph: Mapping[int, Node], number: int) -> int:
    """The function whose values were summed up, to be differentiated one by one; one column of it is one of its own."""
    while linear.key(graph[number]) in linear.PLAIN - {"getitem", "unbind", "join"} and len(graph[number].edges) == 1:
        node = graph[number].edges[0].node
        if node is None:
            break
        number = node
    return number


def _is_derivative(graph: Mapping[int, Node], number: int) -> bool:
    """Is it a derivative, or a column or multiple of one?"""
    while graph[number].op != DERIVATIVE:
        edges = graph[number].edges
        if len(edges) != 1 or edges[0].node is None:
            return False
        number = edges[0].node
    return True


def _kept_in(m: Machine, number: int, part: _Linear) -> bool:
    """Does the term only add `x - x`, which is nothing, to have `x` in the graph?"""
    zero = _first_zero(m, number)
    return zero in part.nodes and zero is not None and cancelling.is_nothing(m.state.graph[zero])


def flat(m: Machine, node: Node) -> Cause | None:
    """The evidence that nothing comes through a node whose derivative is zero."""
    if linear.key(node) in OVERWRITING and node.op != "torch.normal":
        return None
    cancelled = cancelling.evidence(m, node)
    if cancelled is not None:
        return cancelled
    cause = m.cause("op", f"passed through `{m.text(node.site)}`, whose derivative is zero", node.site, lost=YES)
    return Cause(cause.kind, cause.what, cause.site, lost=YES, source=Source(node.edges))


def _faked(m: Machine, leaf: int) -> Cause | None:
    cell = m.state.get((leaf, CELL))
    why = cell.why if isinstance(cell, Tensor) and cell.grad.yes else None
    return why if why is not None and why.kind == "faked" and leaf not in m.owned and leaf not in m.escaped else None


def first_zero(m: Machine, start: int) -> Cause | None:
    """Why nothing comes through the first node below `start` whose derivative is zero."""
    number = _first_zero(m, start)
    return None if number is None else flat(m, m.state.graph[number])


def _first_zero(m: Machine, start: int) -> int | None:
    """The first node below `start` whose derivative is zero."""
    seen: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        node = m.state.graph[number]
        if node.derivative == "zero":
            return number
        todo.extend(e.node for e in node.edges if e.node is not None)
    return None
