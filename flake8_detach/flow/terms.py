"""Terms of a loss that train nothing: what a backward does not see, although the value of the loss depends on it.

Two criteria, neither of which guesses what was meant:

- A *constant term*: from where backward starts only sums, means and constant factors lead to an operand that lost its
  gradient. A constant that is added to a loss changes no gradient at all.
- *Dead leaves*: the loss depends on a leaf only through a cut (or a derivative that is zero everywhere), an optimizer
  of the file steps that leaf, and no backward in the whole file ever reaches it.

Backward asks when it starts; the answer comes when the whole file has been followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.events import LostTerm
from flake8_detach.flow.values import YES, Cause, Cut, Edge, Node, Source, Tensor

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

SUMS = frozenset({"add", "radd", "iadd"})
DIFFERENCES = frozenset({"sub", "rsub", "isub", "subtract"})
GATHERED = frozenset({"stack", "cat", "concat", "concatenate", "hstack", "vstack"})
SCALED = frozenset({"mul", "rmul", "imul", "multiply", "div", "truediv", "itruediv", "divide"})
"""Linear in one operand; in both together they are not."""
PLAIN = frozenset(
    {"neg", "negative", "sum", "nansum", "mean", "clone", "contiguous", "to", "float", "double", "half", "cuda", "cpu"}
    | {"view", "reshape", "flatten", "squeeze", "unsqueeze", "expand", "getitem", "unbind", "join"}
)
"""Ops, by the last part of their name, that are linear: a constant that goes in comes out as a constant."""
ELEMENTWISE = SUMS | DIFFERENCES | SCALED | {"neg", "negative", "clone", "contiguous", "to", "float", "double", "join"}
"""Their result has one element only if every operand has."""
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
    storages. leaf: the leaf that was made of what was cut. size: how many graph nodes lie behind it.
    """

    cause: Cause
    constant: bool
    leaves: Mapping[int, int]
    leaf: int | None
    size: int


def key(node: Node) -> str:
    """The name of the op without its namespace and underscores: "add" for `Tensor.__iadd__`'s sibling `torch.add`."""
    return node.op.rpartition(".")[2].strip("_")


def ask(m: Machine, site: cst.CSTNode, root: cst.CSTNode, address: int, tensor: Tensor, one: bool) -> None:
    """Backward starts from `tensor`; one: what it starts from has certainly one element."""
    graph = m.state.graph
    start = m.edge(address, tensor)
    linear = _linear(m, start, one)
    m.afterwards.terms |= {(id(graph[n].site), graph[n].path) for n, single in linear.nodes.items() if single}
    if m.quiet or not m.cuts or m.guards:
        return
    suspects = _suspects(m, start, linear)
    if not suspects:
        return
    events = [
        m.event(LostTerm, s.cause.site, cause=s.cause, constant=s.constant, root=m.text(root), backward=site)
        for s in suspects
    ]

    def answer(reached: Reached) -> None:
        for suspect, event in sorted(zip(suspects, events, strict=True), key=lambda pair: pair[0].size):
            if suspect.leaf is not None and suspect.leaf in m.wanted:
                continue  # a leaf on purpose: somebody reads its gradient
            if suspect.constant:
                if _constant(m, suspect, reached):
                    m.sink(event)
                continue
            dead = _dead(m, suspect, reached)
            drifting = _drifts(m, suspect, reached) - dead
            if not (dead | drifting) <= m.mourned:  # one report for each, at the cut that is the nearest to it
                m.mourned |= dead | drifting
                m.sink(event if dead else replace(event, drifts=True))

    m.afterwards.ask_last(answer)


def _constant(m: Machine, suspect: _Suspect, reached: Reached) -> bool:
    """Is the term meant to train something, and is it no loss that trains elsewhere and is only added for its value?"""
    if suspect.cause.kind == "faked":
        return True
    direct = _apart(m, [e.node for e in _edges(suspect.cause.origin) if e.node is not None])
    if suspect.cause.kind != "gradient" and any(reached.term(n) for n in direct):
        return False
    return any(a in m.owned or reached.leaf(a) for a in suspect.leaves)


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
    return {a for a in _stepped(m, suspect) if reached.only_pushed(a, adds)}


def _stepped(m: Machine, suspect: _Suspect) -> set[int]:
    return {a for a, s in suspect.leaves.items() if a in m.owned and a not in m.escaped and s not in m.steered}


def adds(node: Node) -> bool:
    """Is the derivative of the op a number that stands in the text?"""
    name = key(node)
    if name in SCALED:
        site = node.site
        return isinstance(site, cst.BinaryOperation) and any(
            isinstance(side, cst.BaseNumber) for side in (site.left, site.right)
        )
    return name in SUMS | DIFFERENCES | PLAIN | GATHERED


def _edges(source: Source | None) -> list[Edge]:
    """The edges that the cuts nearest to the value took away."""
    found: list[Edge] = []
    todo = [source] if source is not None else []
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen.add(id(one))
            found.extend(one.edges)
            todo.extend(one.behind)
    return found


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
        name = key(node)
        scaled = name in SCALED and len(node.tensors) < 2
        if not (scaled or name in SUMS or name in DIFFERENCES or name in GATHERED or name in PLAIN):
            continue
        if name in SUMS or name in DIFFERENCES or name in GATHERED:
            for cut in node.cuts:
                if _added(cut, name, one):
                    found.cuts.append((cut.cause, node.edges))
        todo.extend((e, one and name in ELEMENTWISE) for e in node.edges)
    return found


def _added(cut: Cut, name: str, one: bool) -> bool:
    """Is the operand a term of its own? A vector beside a vector may be what the other one is measured against."""
    loss = cut.cause.loss
    if loss is None or not (cut.scalar or (one and name not in GATHERED)):
        return False
    return not (name in DIFFERENCES and loss.kind in MEANT)


def _suspects(m: Machine, start: Edge, linear: _Linear) -> list[_Suspect]:
    found: dict[int, _Suspect] = {}

    def add(cause: Cause | None, constant: bool, beside: Iterable[Edge] = (), leaf: int | None = None) -> None:
        loss = cause and cause.loss
        if cause is None or loss is None or (id(loss.site) in found and not constant):
            return
        nodes, leaves = behind(m, cause.origin)
        if loss.kind in STRAIGHT and any(e.node in nodes if e.node is not None else e.leaf in leaves for e in beside):
            return  # x + (q - x).detach(): the value of q with the gradient of x
        if leaves:
            m.afterwards.missed |= {(id(m.state.graph[n].site), m.state.graph[n].path) for n in nodes}
            found[id(loss.site)] = _Suspect(loss, constant, leaves, leaf, len(nodes))

    for cause, beside in linear.cuts:
        add(cause, True, beside)
    alive: dict[int, bool] = {}
    for number, single in linear.nodes.items():
        if single and not lets_through(m, number, alive):
            add(first_zero(m, number), True)
    for leaf in linear.leaves:
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
            add(cut.cause, False)
        if node.derivative == "zero":
            add(_flat(m, node), False)
        todo.extend(node.edges)
    return list(found.values())


def _flat(m: Machine, node: Node) -> Cause | None:
    """The evidence that nothing comes through a node whose derivative is zero."""
    if key(node) in OVERWRITING:
        return None
    cause = m.cause("op", f"passed through `{m.text(node.site)}`, whose derivative is zero", node.site, lost=YES)
    return Cause(cause.kind, cause.what, cause.site, lost=YES, source=Source(node.edges))


def _faked(m: Machine, leaf: int) -> Cause | None:
    cell = m.state.cell(leaf)
    why = cell.why if isinstance(cell, Tensor) and cell.grad.yes else None
    return why if why is not None and why.kind == "faked" and leaf not in m.owned and leaf not in m.escaped else None


def lets_through(m: Machine, start: int, known: dict[int, bool]) -> bool:
    """Can anything but zeros come to a leaf through the node?"""
    seen: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number in seen or known.get(number) is False:
            continue
        seen.add(number)
        node = m.state.graph[number]
        if node.derivative == "zero":
            continue
        if node.open or node.derivative == "raises" or any(e.node is None for e in node.edges):
            known[start] = True
            return True
        todo.extend(e.node for e in node.edges if e.node is not None)
    known.update(dict.fromkeys(seen, False))
    return False


def first_zero(m: Machine, start: int) -> Cause | None:
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
            return _flat(m, node)
        todo.extend(e.node for e in node.edges if e.node is not None)
    return None


def behind(m: Machine, source: Source | None) -> tuple[set[int], dict[int, int]]:
    """The graph nodes, and the leaves that require grad with their storages, that a lost value was computed from."""
    nodes: set[int] = set()
    leaves: dict[int, int] = {}
    sources: set[int] = set()
    todo: list[Edge | Source] = [] if source is None else [source]
    while todo:
        one = todo.pop()
        if isinstance(one, Source):
            if id(one) not in sources:
                sources.add(id(one))
                todo.extend((*one.edges, *one.behind))
        elif one.node is not None:
            if one.node not in nodes:
                m.step()
                nodes.add(one.node)
                node = m.state.graph[one.node]
                todo.extend(node.edges)
                todo.extend(o for cut in node.cuts if (o := cut.cause.origin) is not None)
        elif one.leaf is not None and one.leaf not in leaves:
            cell = m.state.cell(one.leaf)
            if isinstance(cell, Tensor) and cell.grad.yes:
                leaves[one.leaf] = cell.storage
                if cell.why is not None and cell.why.kind == "faked" and cell.why.origin is not None:
                    todo.append(cell.why.origin)
    return nodes, leaves
