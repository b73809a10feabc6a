"""What can be told only when the whole file has been followed: was this ever backwarded, did this leaf ever train?

While the file runs, `Afterwards` collects where backward started and what left the file, on any path. A transfer
function that needs the answer leaves a question; it is asked once, at the end. The module, and each function or class
that nobody calls, has notes of its own. Where an unknown object is backwarded, or the budget ran out, there are no
answers: nothing is concluded from not having seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from flake8_detach.flow.values import Node


class Reached:
    """What backward reached anywhere in the file, and what it may have reached from outside.

    A node stands for all that the same place in the file made, called from the same places: a method that is followed
    once for its effects and once for its findings makes two nodes, and a later backward may go through the other one.
    """

    def __init__(self, graph: Mapping[int, Node], notes: Afterwards) -> None:
        started, leaves, given = notes.started, notes.leaves, notes.given
        self._graph = graph
        nodes, found = below(graph, started)
        nodes |= below(graph, notes.aimed)[0]
        self._inside = {_place(graph[n]) for n in nodes}
        self._open: dict[int, list[int]] = {}
        for n in nodes:
            if graph[n].open:
                self._open.setdefault(id(graph[n].site), []).append(n)
        self._leaves = found | set(leaves)
        outside, self._outside_leaves = below(graph, given)
        self._outside = {_place(graph[n]) for n in outside}
        self._terms = notes.terms | self._outside
        self._missed = notes.missed
        self._starts = (*started, *given)
        self._begun = {*self._starts, *notes.aimed}
        self._aims = frozenset(leaves)
        self._numbers = nodes | outside
        self.unclear = any(graph[n].unseen for n in nodes)
        self._trained: set[int] | None = None
        self._bent: set[int] | None = None

    # unclear: may any of the backwards go on into a graph that is not seen? _starts: where backward went to all leaves
    # from. _aims: leaves that it was asked for by name.

    def node(self, number: int) -> bool:
        """May a backward go through this graph node? Surely or not, and be it in code that the value was handed to."""
        return self.inside(number) or self.outside(number)

    def inside(self, number: int) -> bool:
        """May a backward that stands in the file go through this graph node?"""
        return _place(self._graph[number]) in self._inside

    def outside(self, number: int) -> bool:
        """May code that the value was handed to backward through this graph node?"""
        return _place(self._graph[number]) in self._outside

    def unseen(self, start: int, end: int) -> bool:
        """Does a backward come by a place where something unknown went in after `end`, and not since `start`?

        What was made between these two, and has got out of sight, may have gone in there.
        """
        return any(max(numbers) > end and not any(start < n <= end for n in numbers) for numbers in self._open.values())

    def leaf_outside(self, address: int) -> bool:
        """May code that something was handed to backward to the leaf at `address`?"""
        return address in self._outside_leaves

    def term(self, number: int) -> bool:
        """Is the node a term of a loss that is backwarded? A helper called in several places makes several values."""
        return _place(self._graph[number]) in self._terms

    def used(self, number: int) -> bool:
        """Does a backward come by this very node by way of what was computed from it? Not where paths have met only."""
        return number in self._begun or self.shared((number,))

    def shared(self, numbers: Collection[int]) -> bool:
        """Does a backward come to one of these nodes by what is none of them? Not where paths have met only."""
        return any(
            n not in numbers and self._graph[n].op != "join" and any(e.node in numbers for e in self._graph[n].edges)
            for n in self._numbers
        )

    def missed(self, number: int, stepped: Collection[int] | None) -> bool:
        """Does the value of a loss depend on the node, which backward does not come by because of a cut? What is cut
        although all that it was made of is trained, or stepped by no optimizer (stepped: what is; None: not known), was
        meant to be cut."""
        terms = self._missed.get(_place(self._graph[number]), ())
        return any(
            leaves is None or not all(self.trained(a) or (stepped is not None and a not in stepped) for a in leaves)
            for leaves in terms
        )

    def trained(self, address: int) -> bool:
        """May a backward bring more than zeros to the leaf at `address`?"""
        if self._trained is None:
            self._trained = below(self._graph, self._starts, zeros=False)[1] | self._aims
        return address in self._trained

    def alone(self, leaves: Collection[int]) -> bool:
        """Does a backward that stands in the file come to some of these leaves, and to no other?"""
        found = (below(self._graph, [start])[1] for start in self._starts)
        return any(come and come <= frozenset(leaves) for come in found)

    def leaves(self) -> frozenset[int]:
        """The leaves that a backward which stands in the file may reach."""
        return frozenset(self._leaves)

    def only_pushed(self, address: int, adds: Callable[[Node], bool]) -> bool:
        """Does every way of backward to the leaf lead by nodes that only add, so that its gradient never changes?"""
        if self._bent is None:
            self._bent = set()
            seen: set[tuple[int, bool]] = set()
            todo = [(number, True) for number in self._starts]
            while todo:
                number, straight = todo.pop()
                if (number, straight) in seen:
                    continue
                seen.add((number, straight))
                node = self._graph[number]
                if straight and not adds(node):
                    straight = False
                for edge in node.edges:
                    if edge.node is not None:
                        todo.append((edge.node, straight))
                    elif edge.leaf is not None and not straight:
                        self._bent.add(edge.leaf)
        bent = self._bent | self._aims | self._outside_leaves
        return self.leaf(address) and address not in bent

    def leaf(self, address: int) -> bool:
        """May a backward reach the leaf at `address`?"""
        return address in self._leaves or address in self._outside_leaves


def _place(node: Node) -> tuple[int, int]:
    return id(node.site), node.path


class Afterwards:
    """The notes that are taken while a file is followed. Filled on every path; nothing is ever taken back."""

    # started: the graph nodes from which backward went to all leaves. aimed: those from which it went to inputs that
    # were named, as autograd.grad does; these stand in `leaves`. given: what code that is not seen was handed. missed:
    # nodes behind a cut in a loss, by their place, with the leaves behind it; None if the whole term is a constant.

    def __init__(self) -> None:
        self.started: set[int] = set()
        self.aimed: set[int] = set()
        self.leaves: set[int] = set()
        self.given: set[int] = set()
        self.blind = False
        self.terms: set[tuple[int, int]] = set()
        self.missed: dict[tuple[int, int], set[frozenset[int] | None]] = {}
        self._questions: list[Callable[[Reached], None]] = []
        self._last: list[Callable[[Reached], None]] = []

    def absorb(self, other: Afterwards) -> None:
        """What happened in a part of the file that was followed on its own has happened in the whole."""
        self.started |= other.started
        self.aimed |= other.aimed
        self.leaves |= other.leaves
        self.given |= other.given
        self.terms |= other.terms
        for place, terms in other.missed.items():
            self.missed.setdefault(place, set()).update(terms)
        if not other.blind:
            self._last += other._last

    def comes_by(self, graph: Mapping[int, Node], number: int, others: Iterable[int]) -> bool:
        """May a backward that was seen until now, or one from `others`, go through this very node?"""
        return number in below(graph, (*self.started, *self.aimed, *self.given, *others))[0]

    def begun(self, number: int | None) -> bool:
        """Has a backward started from this very node?"""
        return number in self.started or number in self.aimed

    def ask_last(self, question: Callable[[Reached], None]) -> None:
        """Have `question` called when all parts of the file have been followed, with what was reached in any."""
        self._last.append(question)

    def ask(self, question: Callable[[Reached], None]) -> None:
        """Have `question` called with what was reached when the file has been followed."""
        self._questions.append(question)

    def answer(self, graph: Mapping[int, Node]) -> None:
        """Call the questions, in the order in which they came up."""
        if self._questions and not self.blind:
            reached = Reached(graph, self)
            for question in self._questions:
                question(reached)
        if self.blind:
            self._last.clear()

    def forget(self) -> None:
        """Let go of the questions, which know the machine that knows these notes."""
        self._questions.clear()
        self._last.clear()

    def finish(self, graph: Mapping[int, Node]) -> None:
        """Call the questions that were to be asked last."""
        if self._last:
            reached = Reached(graph, self)
            for question in self._last:
                question(reached)


def below(graph: Mapping[int, Node], roots: Iterable[int], zeros: bool = True) -> tuple[set[int], set[int]]:
    """The nodes and the leaves that backward from `roots` comes by, sure or not; `zeros`: also by derivatives of 0."""
    nodes: set[int] = set()
    leaves: set[int] = set()
    todo = list(roots)
    while todo:
        number = todo.pop()
        if number in nodes:
            continue
        nodes.add(number)
        if not zeros and graph[number].derivative == "zero":
            continue
        for edge in graph[number].edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf is not None:
                leaves.add(edge.leaf)
    return nodes, leaves
