"""What a loop leaves behind: graphs that are still held when the iteration that made them is over.

The body of a loop is run a second time on what the first left. What lived before the loop and then holds the graph of
the second iteration *and*, inside it, that of the first, grows with every iteration: a running sum, a recurrent state,
a list. Whether that is a leak can be told only at the end: it is none if a backward, here or in code that was handed
the value, still needs the graph. A graph that backward has freed nobody can need any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import alternatives, closures
from flake8_detach.flow.afterwards import below
from flake8_detach.flow.events import Evaluated, NeedlesslyKept, Retained
from flake8_detach.flow.slots import CELL, Delta
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    Const,
    Instance,
    Layer,
    Mapping_,
    Node,
    Ref,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

FEW = 16
"""A loop that is known to run at most that often: graphs that are still whole may be kept on purpose, unless they are
those of parameters that an optimizer has moved since, to which no gradient of then can be of use."""

LASTING = frozenset({"list", "tuple", "set", "deque"})
"""Sequences whose elements live as long as they do."""

ADDING = frozenset(
    {"add", "radd", "iadd", "add_", "sub", "rsub", "isub", "sub_", "mul", "rmul", "imul", "mul_", "truediv", "div"}
    | {"rtruediv", "itruediv", "div_", "neg", "lerp", "lerp_", "copy_", "cat", "concat", "hstack", "vstack", "stack"}
    | {"maximum", "minimum", "max", "min", "to", "cpu", "cuda", "float", "double", "clone", "join", "sum", "mean"}
)
"""Ops that carry an old value into a new one as it is: what they make is a sum of the past, not a state."""


@dataclass
class Notes:
    """What happened in the file, in order and on any path.

    grown: what was put into which container, and where; shrunk: containers that something was taken out of; bounded:
    those that drop old elements by themselves. passes: the last backward that came by a
    graph node, as they are counted by `backwards`. evaluated: calls of modules in evaluation mode. retained: what
    `retain_graph=True` kept, by the place that asked for it: graph nodes, and the number of that backward.
    """

    grown: list[tuple[int, Value, cst.CSTNode]] = field(default_factory=list)
    growers: set[int] = field(default_factory=set)
    shrunk: list[int] = field(default_factory=list)
    bounded: set[int] = field(default_factory=set)
    passes: dict[int, int] = field(default_factory=dict)
    evaluated: list[tuple[Evaluated, list[int]]] = field(default_factory=list)
    backwards: int = 0
    retained: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def grow(self, m: Machine, address: int, value: Value, site: cst.CSTNode) -> None:
        """`value` was put into the container at `address`, beside what it held before."""
        if any(f.loops for f in m.frames):
            self.store(m, address, value, site)
            self.growers.add(address)

    def store(self, m: Machine, address: int, value: Value, site: cst.CSTNode) -> None:
        """`value` was put into the container at `address`, in a place that may be another one each time."""
        if any(f.loops for f in m.frames):
            self.grown.append((address, value, site))

    def growing(self, m: Machine, address: int) -> bool:
        """Does a loop that is being run put things into that container? Then it has another length each time."""
        return address in self.growers and any(f.loops for f in m.frames)

    def shrink(self, address: int) -> None:
        """Something was taken out of the container at `address`."""
        self.shrunk.append(address)


@dataclass(frozen=True)
class Suspect:
    """Something that grows. node: what no backward may need any more if it is a leak; container: where it is kept;
    outdated: does it hold graphs of parameters as they were before they were stepped? born: the object that has it as
    an attribute, if it is not older than the loop."""

    event: Retained
    node: int
    container: int | None
    outdated: bool = False
    born: int | None = None


class Watch:
    """One loop that is being run: `after` is told of the end of each iteration, `close` of the end of the loop."""

    def __init__(self, m: Machine, node: cst.For | cst.While) -> None:
        self.node = node
        self.start = self.second = m.state.address()
        self.notes = m.retention
        self.grown = self.regrown = len(self.notes.grown)
        self.shrunk = len(self.notes.shrunk)
        self.evaluated = len(self.notes.evaluated)
        self.backwards = self.notes.backwards
        self.first: Delta = {}
        self.suspects: list[Suspect] = []

    def after(self, m: Machine, iteration: int, changes: Delta) -> None:
        """The state is that at the end of this iteration (0, 1, ...); `changes` is what the loop has changed so far."""
        if iteration == 0:
            self.first = changes
            self.second = m.state.address()
            self.regrown = len(self.notes.grown)
        elif iteration == 1 and not m.quiet:
            self.suspects = [*self._carried(m, changes), *self._collected(m)]

    def close(self, m: Machine, changes: Delta) -> None:
        """The state is that before the loop; `changes` is what all of its rounds have changed."""
        dropped: set[int] = set()
        if self.suspects:
            dropped = {*self.notes.shrunk[self.shrunk :], *self.notes.bounded, *m.escaped, *_let_go(m, changes)}
        few = _at_most(m, self.node, FEW)
        for suspect in self.suspects:
            lasts = suspect.born is None or (
                len(self.notes.shrunk) == self.shrunk and _kept(m, suspect.born, self.start, changes)
            )
            if not lasts:
                continue  # the first iteration made it, and a later one may have made another
            if suspect.container not in dropped and (suspect.event.freed.yes or suspect.outdated or not few):
                m.afterwards.ask(_question(m, suspect, self.start))
        self._close_evaluation(m)

    def _close_evaluation(self, m: Machine) -> None:
        evaluated = self.notes.evaluated[self.evaluated :]
        del self.notes.evaluated[self.evaluated :]
        if self.notes.backwards == self.backwards:  # a loop that backwards is no evaluation
            for event, nodes in evaluated:
                m.afterwards.ask(_evaluation(m, replace(event, loop=self.node), nodes, self.start))

    def _carried(self, m: Machine, changes: Delta) -> Iterator[Suspect]:
        """Variables, attributes and entries whose second value was made from their first, and holds more than nodes:
        views and sums with numbers save no tensor and lead nowhere else."""
        from flake8_detach.flow import building

        if building.visits(m, self.node):
            return  # it is as long as the net is deep: what it carries is the forward
        crossing: set[int] | None = None
        for slot, content in changes.items():
            before = self.first.get(slot)
            if slot[0] >= self.second or slot[1] == "grad" or slot[1][:1] == "*" or before is None:
                continue
            then = dict(_tensors(m, before, self.first))
            for path, now in _tensors(m, content, changes):
                old = then.get(path)
                if old is None or old.node is None or now.node is None or not (old.grad.yes and now.grad.yes):
                    continue
                if self.start <= old.node < self.second <= now.node:
                    crossing = _crossing(m, self.start, self.second) if crossing is None else crossing
                    if now.node not in crossing:
                        continue
                    added = _between(m, now.node, old.node, self.second)
                    nodes = [m.state.graph[n] for n in added]
                    if any(n.saved or len(n.edges) > 1 for n in nodes) and not any(map(_fills, nodes)):
                        how = "sum" if all(_short(m, n) in ADDING for n in added) else "state"
                        site = _binding(self.node, slot[1]) or m.state.graph[added[0]].site
                        suspect = self._suspect(m, how, site, slot[1], now, old.node, whole=not path)
                        born = slot[0] if slot[0] >= self.start else None
                        yield replace(suspect, outdated=self._outdated(m, now.node, changes), born=born)

    def _outdated(self, m: Machine, top: int, changes: Delta) -> bool:
        """Has the second iteration stepped a parameter that the graph of `top`, which it has made, leads to?"""
        below = (m.state.graph[number] for number in _surely_below(m, top, self.second))
        leaves = {edge.leaf for node in below for edge in node.edges if edge.leaf is not None and edge.sure}
        cells = [m.state.cell(leaf) for leaf in leaves & m.owned]
        storages = [cell.storage for cell in cells if isinstance(cell, Tensor)]
        slots = [(s, (s, "version")) for s in storages]
        written = [(s, slot) for s, slot in slots if slot in changes]  # in this loop, be it in the first iteration
        return any(slot not in self.first or m.written_since(s, self.first[slot]) for s, slot in written)

    def _collected(self, m: Machine) -> Iterator[Suspect]:
        """Containers that were given a graph in the second iteration and still hold that of the first."""
        given: dict[tuple[int, int], set[int]] = {}
        for address, value, site in self.notes.grown[self.grown : self.regrown]:
            given.setdefault((address, id(site)), set()).update(_graphs(m, value, self.start))
        for address, value, site in self.notes.grown[self.regrown :]:
            olds = given.get((address, id(site)))
            news = _graphs(m, value, self.second)
            if not olds or not news or address >= self.second:
                continue
            if _holds(m, address, olds, self.start) or self._each_holds(m, address, news):
                tensor = m.state.cell(next(iter(news)))
                kept = m.state.cell(next(iter(olds)))
                assert isinstance(tensor, Tensor)
                assert isinstance(kept, Tensor)
                assert kept.node is not None
                freed = _freed(m, kept.node, self.start)[0]
                if closures.calls(value) and not freed.yes:
                    continue  # who calls it may backward a graph that is whole
                if kept.rank != 0 and not freed.no:
                    continue  # its elements are wanted, and weigh more than the nodes of a graph that was freed
                place = closures.place(value, site)
                yield self._suspect(m, "container", place, "", tensor, kept.node, address, whole=m.is_tensor(value))

    def _each_holds(self, m: Machine, address: int, news: set[int]) -> bool:
        """Does the object stand for each element of a list that a variable holds, and keep what it was given? The other
        elements keep theirs."""
        each = address < self.start and address in m.state.several
        return each and _holds(m, address, news, self.start) and _listed(m, address, self.start)

    def _suspect(
        self,
        m: Machine,
        how: str,
        place: cst.CSTNode,
        name: str,
        tensor: Tensor,
        kept: int,
        container: int | None = None,
        *,
        whole: bool,
    ) -> Suspect:
        assert tensor.node is not None
        freed, at = _freed(m, kept, self.start)
        if freed.no and any(number in self.notes.passes for number in _surely_below(m, kept, self.start)):
            freed = MAYBE  # a backward came by, and what it freed is not known
        event = m.event(
            Retained,
            place,
            how=how,
            subject=name or m.text(place),
            tensor=tensor,
            freed=freed,
            freed_at=at,
            loop=self.node,
            whole=whole,
        )
        return Suspect(event, kept if container is not None else tensor.node, container)


def give(m: Machine, values: Iterable[Value]) -> None:
    """Whoever called from outside gets these values, and may backward every tensor that they lead to."""
    for tensor in reachable(m, *values):
        m.hand_out(tensor)


def reachable(m: Machine, *values: Value) -> Iterator[Tensor]:
    """Every tensor that the values lead to."""
    todo = list(values)
    seen: set[int] = set()
    while todo:
        value = alternatives.one(todo.pop())
        if isinstance(value, Tuple):
            todo.extend(value.items)
        for address in value.addresses if isinstance(value, Ref) else ():
            cell = m.state.get((address, CELL))  # None: made on a path that was given up
            if isinstance(cell, Tensor):
                yield cell
            elif address not in seen:
                seen.add(address)
                m.step()
                if isinstance(cell, Sequence):
                    todo.extend(cell.items if cell.items is not None else (cell.element,))
                elif isinstance(cell, Mapping_):
                    todo.extend([v for _, v in cell.items] + [cell.rest or UNKNOWN])
                elif isinstance(cell, (Instance, Layer)):
                    todo.extend(m.state.get((address, name), UNKNOWN) for name in m.state.names(address))


def _question(m: Machine, suspect: Suspect, start: int) -> Callable[[Reached], None]:
    """Report it unless a backward may still need it; `start`: a number before the first node that the loop made."""
    event, node = suspect.event, suspect.node
    end, fatal = m.state.address(), m.fatal

    def answer(reached: Reached) -> None:
        summed = suspect.container is None
        if event.freed.yes:  # whoever backwards it again is told so by torch
            wanted = summed and reached.inside(node)
        else:
            wanted = reached.node(node) or reached.unseen(start, end)
        stepped = None if m.ledger.unseen_owned else m.owned
        wanted = wanted or reached.missed(node, stepped)
        if not wanted and m.fatal == fatal:  # what raises later, or is cut, is the cause
            m.sink(event)

    return answer


def evaluated(m: Machine, module: Ref, result: Value, node: cst.CSTNode) -> None:
    """A module in evaluation mode was called, and returned `result`."""
    from flake8_detach.flow import module_tree, modules

    inside = m.frame.owner
    if m.quiet or not any(f.loops for f in m.frames) or (inside is not None and modules.is_module_class(inside)):
        return  # what a module calls is part of its own call
    outputs = [t for t in reachable(m, result) if t.node is not None and t.grad.yes]
    leaves = [a for a, t in m.tensors(module_tree.parameters(m, module)) if t.grad.yes]
    if outputs and leaves and m.mode.grad.yes:
        subject = m.text(node.func if isinstance(node, cst.Call) else node)
        event = m.event(Evaluated, node, subject=subject, result=outputs[0], loop=node)
        m.retention.evaluated.append((event, [*(t.node for t in outputs if t.node is not None), *(-a for a in leaves)]))


def _evaluation(m: Machine, event: Evaluated, nodes: list[int], start: int) -> Callable[[Reached], None]:
    """Report it if the file trains the module and nothing backwards what it returned. nodes: graph nodes, and -leaf."""
    end = m.state.address()

    def answer(reached: Reached) -> None:
        wanted = any(reached.node(n) for n in nodes if n > 0) or reached.unseen(start, end)
        if not wanted and any(reached.leaf(-n) for n in nodes if n < 0):
            m.sink(event)

    return answer


def retained(m: Machine, node: cst.CSTNode, root: Value, owner: cst.CSTNode) -> None:
    """`root.backward(retain_graph=True)` in a loop."""
    found = [t.node for _, t in m.tensors(root) if t.node is not None and t.grad.yes]
    if m.quiet or not found or not any(f.loops for f in m.frames) or any(_from_outside(m, n) for n in found):
        return
    known = m.retention.retained.setdefault(id(node), [])
    if not known:
        event = m.event(NeedlesslyKept, node, subject=m.text(owner))
        start, end, fatal = min(found) - 1, m.state.address(), m.fatal

        def answer(reached: Reached) -> None:
            if (
                m.fatal == fatal
                and not reached.unseen(start, end)
                and not any(_used(m, reached, n, when) for n, when in known)
            ):
                m.sink(event)

        m.afterwards.ask(answer)
    known.extend((n, m.retention.backwards) for n in found)


def _from_outside(m: Machine, top: int) -> bool:
    """Does the graph lead to a tensor that may be no leaf, so that there is more of it than is seen?"""
    _, leaves = below(m.state.graph, (top,))
    cells = (m.state.get((leaf, CELL)) for leaf in leaves)
    return any(isinstance(cell, Tensor) and cell.leaf is MAYBE for cell in cells)


def _used(m: Machine, reached: Reached, top: int, when: int) -> bool:
    """Does a backward after `when`, or in code that was handed it, come by a node below `top` that saved something?"""
    seen: set[int] = set()
    todo = [top]
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        node = m.state.graph[number]
        if node.saved and (m.retention.passes.get(number, 0) > when or reached.outside(number)):
            return True
        todo.extend(e.node for e in node.edges if e.node is not None)
    return False


def _tensors(m: Machine, content: Any, changes: Delta, depth: int = 0) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
    """The tensors that a slot leads to, each with the way there, as they were when `changes` was taken."""
    if isinstance(content, Tensor):
        yield (), content
    elif isinstance(content, Ref) and len(content.addresses) == 1 and depth < 4:
        address = content.addresses[0]
        cell = changes.get((address, CELL), m.state.get((address, CELL)))
        yield from _tensors(m, cell, changes, depth + 1)
    elif isinstance(content, (Tuple, Sequence)) and depth < 4:
        for index, item in enumerate(content.items or ()):
            yield from (((index, *path), t) for path, t in _tensors(m, item, changes, depth + 1))
    elif isinstance(content, Mapping_) and depth < 4:
        for key, item in content.items:
            yield from (((key, *path), t) for path, t in _tensors(m, item, changes, depth + 1))


def _crossing(m: Machine, first: int, second: int) -> set[int]:
    """The nodes that the second iteration made from which backward comes to some that the first had made."""
    found: set[int] = set()
    for number in range(second, m.state.address()):  # what goes into a node has a lower number
        node = m.state.graph.get(number)
        for edge in node.edges if node is not None else ():
            if edge.node is not None and edge.node >= first and (edge.node < second or edge.node in found):
                found.add(number)
    return found


def _between(m: Machine, top: int, goal: int, floor: int) -> list[int]:
    """The nodes from `floor` on by which backward from `top` surely comes to `goal`, last first; [] if it does not."""
    seen: set[int] = set()
    todo = [top]
    while todo:
        number = todo.pop()
        if number in seen or number < goal:
            continue
        seen.add(number)
        m.step()
        todo.extend(e.node for e in m.state.graph[number].edges if e.node is not None)
    leads = {goal: goal in seen}
    for number in sorted(seen - {goal}):  # what goes into a node has a lower number
        node = m.state.graph[number]
        ends = [leads.get(e.node, False) for e in node.edges if e.node is not None and (e.sure or node.op == "join")]
        leads[number] = all(ends) and len(ends) == len(node.edges) if node.op == "join" else any(ends)
    found = [n for n in seen if n >= floor and leads[n]]
    steps = sorted((n for n in found if m.state.graph[n].op != "join"), reverse=True)
    return steps if leads.get(top) else []


def _fills(node: Node) -> bool:
    """Is it `t[i] = value`? A tensor that is filled row by row does not grow."""
    return isinstance(node.site, cst.Subscript) and node.op.endswith("copy_")


def _short(m: Machine, number: int) -> str:
    return m.state.graph[number].op.rpartition(".")[2].strip("_") or "?"


def _graphs(m: Machine, value: Value, since: int) -> set[int]:
    """The addresses of the tensors in `value` whose graph, made since then, saves something for backward."""
    found: set[int] = set()
    todo: list[tuple[Value, int]] = [(value, 0)]
    while todo:
        current, depth = todo.pop()
        current = alternatives.one(current)
        todo.extend((item, depth + 1) for item in closures.parts(m, current, since))
        for address, cell in m.cells(current):
            if isinstance(cell, Tensor):
                if cell.grad.yes and cell.node is not None and cell.node >= since and _saves(m, cell.node, since):
                    found.add(address)
            elif depth < 3 and isinstance(cell, Sequence):
                todo.extend((item, depth + 1) for item in cell.items or ())
            elif depth < 3 and isinstance(cell, Mapping_):
                todo.extend((item, depth + 1) for _, item in cell.items)
            elif depth < 3 and _record(cell, address, since):  # a record of this iteration
                todo.extend((m.state.get((address, name), UNKNOWN), depth + 1) for name in m.state.names(address))
    return found


def _saves(m: Machine, top: int, since: int) -> bool:
    """Does a node made since then, that backward from `top` surely comes by, hold a tensor?"""
    return any(m.state.graph[number].tensors for number in _surely_below(m, top, since))


def _freed(m: Machine, top: int, since: int) -> tuple[Truth, cst.CSTNode | None]:
    """Has backward freed such a node, so that it cannot come by a second time? And where?"""
    for number in _surely_below(m, top, since):
        freed: Truth = m.state.get((number, "freed"), NO)
        if m.state.graph[number].tensors and freed.yes:
            return freed, m.state.get((number, "freed at"))
    return NO, None


def _surely_below(m: Machine, top: int, since: int) -> Iterator[int]:
    seen: set[int] = set()
    todo = [top]
    while todo:
        number = todo.pop()
        if number in seen or number < since:
            continue
        seen.add(number)
        m.step()
        yield number
        todo.extend(e.node for e in m.state.graph[number].edges if e.node is not None and e.sure)


def _holds(m: Machine, address: int, tensors: set[int], since: int) -> bool:
    """Is one of these tensors still in the container, or in a record in it that was made since then? Where its elements
    are not told apart: yes."""
    found: set[int] = set()
    todo = [address]
    while todo:
        address = todo.pop()
        cell = m.state.cell(address)
        if (isinstance(cell, Sequence) and cell.items is None) or (
            isinstance(cell, Mapping_) and cell.rest is not None
        ):
            return True
        values = cell.items or () if isinstance(cell, Sequence) else ()
        if isinstance(cell, Mapping_):
            values = tuple(v for _, v in cell.items)
        if isinstance(cell, Instance):
            values = tuple(m.state.get((address, name), UNKNOWN) for name in m.state.names(address))
        for value in values:
            inner = {a for p in closures.inside(m, value) if isinstance(p, Ref) for a in p.addresses}
            cells = ((a, m.state.cell(a)) for a in inner - found)
            todo.extend(a for a, c in cells if not isinstance(c, (Tensor, Instance)) or _record(c, a, since))
            found |= inner
    return any(a in found or not found.isdisjoint(m.state.alike(a)) for a in tensors)


def _record(cell: object, address: int, since: int) -> bool:
    """Is it an object of a class of the file that was made since then?"""
    return isinstance(cell, Instance) and address >= since


def _listed(m: Machine, address: int, start: int) -> bool:
    """Is the object an element of a list or dict that a variable or attribute from before the loop holds? What a
    generator makes goes when the next one comes."""
    for (owner, name), content in m.state.slots.items():
        if owner < start and name not in ("", CELL) and name[0] != "*" and isinstance(content, Ref):
            cells = (cell for _, cell in m.cells(content) if isinstance(cell, (Sequence, Mapping_)))
            lasting = (cell for cell in cells if isinstance(cell, Mapping_) or cell.kind in LASTING)
            if any(isinstance(one, Ref) and address in one.addresses for cell in lasting for one in cell.held):
                return True
    return False


def _kept(m: Machine, address: int, start: int, changes: Delta) -> bool:
    """With `changes`, is the object surely in what a variable or attribute from before the loop holds?"""
    found: set[int] = set()
    slots = {**m.state.slots, **changes}
    todo = [v for (owner, name), v in slots.items() if owner < start and name != CELL and name[:1] != "*"]
    while todo:
        value = todo.pop()
        if isinstance(value, Tuple):
            todo.extend(value.items)
        if not isinstance(value, Ref) or len(value.addresses) != 1 or value.addresses[0] in found:
            continue
        one = value.addresses[0]
        found.add(one)
        m.step()
        cell = slots.get((one, CELL))
        if isinstance(cell, (Sequence, Mapping_)):
            todo.extend(cell.held)
        elif isinstance(cell, Instance):
            todo.extend(content for (owner, _), content in slots.items() if owner == one)
    return address in found


def _let_go(m: Machine, changes: Delta) -> Iterator[int]:
    """The objects that a slot held before the loop and may not hold any more."""
    for slot, content in changes.items():
        before = m.state.get(slot)
        if before is not None and before is not content:
            yield from set(_held(before)) - set(_held(content))


def _held(content: Any) -> Iterator[int]:
    content = alternatives.one(content)
    if isinstance(content, Ref):
        yield from content.addresses
    elif isinstance(content, (Tuple, Sequence)):
        for item in content.items or ():
            yield from _held(item)
    elif isinstance(content, Mapping_):
        for _, item in content.items:
            yield from _held(item)


def _at_most(m: Machine, node: cst.For | cst.While, count: int) -> bool:
    """Does the loop stand over `range` of a small number, as it is before the loop?"""
    from flake8_detach.flow import building

    if not isinstance(node, cst.For) or not isinstance(node.iter, cst.Call):
        return False
    if not (isinstance(node.iter.func, cst.Name) and node.iter.func.value == "range" and node.iter.args):
        return False
    numbers = (
        Const(a.value.evaluated_value) if isinstance(a.value, cst.Integer) else building.glance(m, a.value)
        for a in node.iter.args
    )
    return all(isinstance(n, Const) and isinstance(n.value, int) and n.value <= count for n in numbers)


def _binding(loop: cst.CSTNode, name: str) -> cst.CSTNode | None:
    """The last statement of the loop's own text that stores into the variable or attribute `name`."""
    found: cst.CSTNode | None = None
    todo: list[cst.CSTNode] = [loop]
    while todo and name:
        node = todo.pop(0)
        if isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            continue
        targets: list[cst.BaseExpression] = []
        if isinstance(node, cst.Assign):
            targets = [t.target for t in node.targets]
        elif isinstance(node, (cst.AugAssign, cst.AnnAssign)):
            targets = [node.target]
        while targets:
            target = targets.pop()
            if isinstance(target, (cst.Tuple, cst.List)):
                targets.extend(e.value for e in target.elements)
            elif (isinstance(target, cst.Name) and target.value == name) or (
                isinstance(target, cst.Attribute) and target.attr.value == name
            ):
                found = node
        todo += trees.children(node)
    return found
