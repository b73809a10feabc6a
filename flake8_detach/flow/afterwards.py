"""What can be told only when the whole file has been followed: was this ever backwarded, did this leaf ever train?

While the file runs, `Afterwards` collects where backward started and what left the file, on any path. A transfer
function that needs the answer leaves a question; it is asked once, at the end. The module, and each function or class
that nobody calls, has notes of its own. Where an unknown object is backwarded, or the budget ran out, there are no
answers: nothing is concluded from not having seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from flake8_detach.flow.values import Node


class Reached:
    """What backward reached anywhere in the file, and what it may have reached from outside.

    A node stands for all that the same place in the file made: a method that is followed once for its effects and once
    for its findings makes two nodes, and a later backward may go through the other one.
    """

    def __init__(self, graph: Mapping[int, Node], started: Iterable[int], leaves: Iterable[int], given: Iterable[int]):
        self._graph = graph
        nodes, found = _below(graph, started)
        self._sites = {id(graph[n].site) for n in nodes}
        self._leaves = found | set(leaves)
        outside, self._outside_leaves = _below(graph, given)
        self._outside_sites = {id(graph[n].site) for n in outside}

    def node(self, number: int) -> bool:
        """May a backward go through this graph node? Surely or not, and be it in code that the value was handed to."""
        return self.inside(number) or id(self._graph[number].site) in self._outside_sites

    def inside(self, number: int) -> bool:
        """May a backward that stands in the file go through this graph node?"""
        return id(self._graph[number].site) in self._sites

    def leaf(self, address: int) -> bool:
        """May a backward reach the leaf at `address`?"""
        return address in self._leaves or address in self._outside_leaves


class Afterwards:
    """The notes that are taken while a file is followed. Filled on every path; nothing is ever taken back."""

    def __init__(self) -> None:
        self.started: set[int] = set()
        self.leaves: set[int] = set()
        self.given: set[int] = set()
        self.blind = False
        self._questions: list[Callable[[Reached], None]] = []

    def absorb(self, other: Afterwards) -> None:
        """What happened in a part of the file that was followed on its own has happened in the whole."""
        self.started |= other.started
        self.leaves |= other.leaves
        self.given |= other.given

    def ask(self, question: Callable[[Reached], None]) -> None:
        """Have `question` called with what was reached when the file has been followed."""
        self._questions.append(question)

    def answer(self, graph: Mapping[int, Node]) -> None:
        """Call the questions, in the order in which they came up."""
        if self._questions and not self.blind:
            reached = Reached(graph, self.started, self.leaves, self.given)
            for question in self._questions:
                question(reached)


def _below(graph: Mapping[int, Node], roots: Iterable[int]) -> tuple[set[int], set[int]]:
    """The nodes and the leaves that backward from `roots` comes by, sure or not."""
    nodes: set[int] = set()
    leaves: set[int] = set()
    todo = list(roots)
    while todo:
        number = todo.pop()
        if number in nodes:
            continue
        nodes.add(number)
        for edge in graph[number].edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf is not None:
                leaves.add(edge.leaf)
    return nodes, leaves
