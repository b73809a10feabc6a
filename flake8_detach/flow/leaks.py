"""Gradients that flow where a method of learning wants a constant, and that an optimizer then steps with.

Two methods tell by their formula, without a name, which factor is a constant:

- *Score function* (REINFORCE, actor-critic): the gradient of E[f(z)], z drawn from a distribution, is the mean of
  f(z) * grad log p(z). Who backwards f(z) * log p(z) trains what f was made of with the factor log p(z), which is the
  gradient of nothing.
- *Bootstrapped target* (Q-learning): the regression of what was picked from net(s) on r + gamma * max net(s'). The
  target is an estimate; through it the same net learns to lower its targets instead.

Backward notes which leaves got such a gradient. An optimizer that steps with it before it is cleared is told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import linear
from flake8_detach.flow.events import Misstep
from flake8_detach.flow.values import YES, Edge, Joined, Label, Node, Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

LEAKED = "*leaked"
"""Slot of a leaf: the places that it has a wrong gradient from, as `Places`."""
DRAWN = "drawn by `.sample()`, which has no gradient"
PRODUCTS = frozenset({"mul", "rmul", "imul", "multiply"})
REGRESSIONS = frozenset({"mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss"}) | linear.DIFFERENCES
PICKS = frozenset({"gather", "getitem", "take_along_dim", "index_select"})
MAXIMA = frozenset({"max", "amax"})


@dataclass(frozen=True, slots=True)
class Leak:
    """A value that should be detached: the expression, what is wrong with it, and its source text."""

    site: cst.CSTNode
    what: str
    subject: Label


@dataclass(frozen=True, slots=True)
class Places(Joined):
    """Leaks, by their places; where paths meet, those of both."""

    found: frozenset[Leak] = frozenset()

    def join(self, other: Any, presume: bool = False) -> Places:
        return Places(self.found | other.found)


NOWHERE = Places()


def score(m: Machine, number: int, value: Value | None, parameters: list[tuple[int, Tensor]]) -> None:
    """The graph node `number` is a log-probability; was the value drawn from this very distribution?"""
    found = m.tensors(value) if value is not None else []
    edges = {m.edge(address, tensor) for address, tensor in parameters if not tensor.grad.no}
    for _, tensor in found:
        cause = tensor.why
        while cause is not None and cause.what != DRAWN:
            cause = cause.before
        if cause is None or cause.source is None or not edges.issubset(cause.source.edges):
            return
    if found:
        m.scores.add(number)


def ask(m: Machine, start: Edge) -> None:
    """A backward from `start` begins. After what raises, nothing runs until that is mended."""
    if start.node is None or not m.owned or m.guards or m.fatal:
        return
    seen: set[int] = set()
    todo = [start.node]
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        name = linear.key(node)
        if (name in PRODUCTS and m.scores) or name in REGRESSIONS:
            pair = _sure(node)
            if len(pair) == 2 and pair[0] != pair[1]:
                _product(m, node, pair) if name in PRODUCTS else _regression(m, pair)
        todo.extend(e.node for e in node.edges if e.node is not None)


def _leak(m: Machine, leak: Leak, leaves: set[int]) -> None:
    for leaf in leaves & m.owned:
        m.state.set((leaf, LEAKED), Places(m.state.get((leaf, LEAKED), NOWHERE).found | {leak}))
        m.leaking = True


def _sure(node: Node) -> list[Edge]:
    return [edge for edge in node.edges if edge.sure]


# The score function


def _product(m: Machine, node: Node, pair: list[Edge]) -> None:
    for index, edge in enumerate(pair):
        other = pair[1 - index]
        if edge.node is not None and _linear(m, edge.node) & m.scores:
            nodes, leaves = _below(m, other)
            if not nodes & m.scores:
                site = _operand(node.site, 1 - index)
                _leak(m, Leak(site, "score", m.text(site)), leaves)


def _operand(site: cst.CSTNode, index: int) -> cst.CSTNode:
    if isinstance(site, cst.BinaryOperation):
        return site.right if index else site.left
    return site


def _linear(m: Machine, start: int) -> set[int]:
    """The nodes that only sums, reshaping and constant factors lead to."""
    found: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number in found:
            continue
        found.add(number)
        m.step()
        node = m.state.graph[number]
        name = linear.key(node)
        if name in linear.PLAIN | linear.SUMS | linear.GATHERED or (name in linear.SCALED and len(_sure(node)) == 1):
            todo.extend(e.node for e in node.edges if e.node is not None)
    return found


def _below(m: Machine, start: Edge) -> tuple[set[int], set[int]]:
    """The nodes and the leaves that are surely reached; where paths of the program met, by either of them."""
    nodes: set[int] = set()
    leaves: set[int] = set()
    todo = [start]
    while todo:
        edge = todo.pop()
        if edge.node is None:
            leaves |= {edge.leaf} if edge.leaf is not None else set()
        elif edge.node not in nodes:
            nodes.add(edge.node)
            m.step()
            node = m.state.graph[edge.node]
            todo.extend(e for e in node.edges if e.sure or node.op == "join")  # wrong whenever that path is taken
    return nodes, leaves


# Bootstrapped targets


def _regression(m: Machine, pair: list[Edge]) -> None:
    """Is one side picked from what a net says, and the other one data plus a factor times the net's best?"""
    for index, edge in enumerate(pair):
        other = pair[1 - index]
        if edge.node is None or other.node is None:
            continue
        best = _target(m, other.node)
        if best is None or not any(linear.key(m.state.graph[n]) in PICKS for n in _linear(m, edge.node)):
            continue
        nodes, leaves = _below(m, edge)
        behind, same = _below(m, other)
        if nodes.isdisjoint(behind):
            site = m.state.graph[other.node].site
            _leak(m, Leak(site, "bootstrap", m.text(site)), leaves & same)


def _target(m: Machine, start: int) -> int | None:
    """The maximum in `data + factor * maximum`, if that is what the node is."""
    number, added, scaled = start, False, False
    while True:
        m.step()
        node = m.state.graph[number]
        name = linear.key(node)
        if name in MAXIMA:
            return number if added and scaled else None
        edges = _sure(node)
        if len(edges) != 1 or edges[0].node is None:
            return None
        if name in linear.SUMS | linear.DIFFERENCES:
            added = True
        elif name in linear.SCALED:
            scaled = True
        elif name not in linear.PLAIN:
            return None
        number = edges[0].node


# What becomes of them


def cleared(m: Machine, address: int) -> None:
    """The gradient of a leaf is thrown away."""
    if m.leaking and (address, LEAKED) in m.state.slots:
        m.state.set((address, LEAKED), NOWHERE)


def stepped(m: Machine, site: cst.CSTNode, addresses: list[int]) -> None:
    """An optimizer steps with the gradients of these leaves: is there one among them that should not be?"""
    if not m.leaking:
        return
    told: dict[int, Leak] = {}
    for address in addresses:
        for leak in m.state.get((address, LEAKED), NOWHERE).found:
            told[id(leak.site)] = leak
    for leak in told.values():
        m.emit(Misstep, leak.site, what=leak.what, sure=YES, at=site, subject=leak.subject)
