"""Looking back along the graph: what a backward reaches, what it has lost, and where gradients accumulate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from flake8_detach.flow import (
    autograd,
    gradients,
    hidden,
    training,
)
from flake8_detach.flow.events import CustomMisuse, GradientsReturned, Write
from flake8_detach.flow.slots import CELL, RESET
from flake8_detach.flow.values import (
    FILLED,
    MAYBE,
    NO,
    NONE,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Const,
    Edge,
    Node,
    Ref,
    Saved,
    Tensor,
    Truth,
    Value,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


T = TypeVar("T")


def leaves(m: Machine, start: Iterable[int]) -> set[int]:
    """The leaves that a backward from these nodes surely comes to."""
    found: set[int] = set()
    seen: set[int] = set()
    todo = list(start)
    while todo:
        number = todo.pop()
        if number not in seen:
            seen.add(number)
            m.step()
            edges = [edge for edge in m.state.graph[number].edges if edge.sure]
            found.update(edge.leaf for edge in edges if edge.node is None and edge.leaf is not None)
            todo.extend(edge.node for edge in edges if edge.node is not None)
    return found


def replace_sure(edge: Edge, sure: bool) -> Edge:
    return Edge(edge.node, edge.leaf, edge.sure and sure)


def between(m: Machine, start: int, inputs: tuple[int, ...], surely: bool = False) -> frozenset[int]:
    """The nodes that a backward from `start` runs to reach `inputs`; what made an input, and all behind it, rests.

    surely: only those from which it certainly reaches them, if it comes there.
    """
    goals, leaves = _made(m, inputs), set(inputs)
    reaches: dict[int, bool] = {}
    todo = [start]
    while todo:
        number = todo[-1]
        if number in goals:
            reaches[number] = False
        if number in reaches:
            todo.pop()
            continue
        m.step()
        edges = m.state.graph[number].edges
        open_ = [e.node for e in edges if e.node is not None and e.node not in reaches and e.node not in goals]
        if open_:
            todo.extend(open_)
            continue
        leads = [
            (e.leaf in leaves and not (surely and _left_behind(m, number, e.leaf)))
            if e.node is None
            else e.node in goals or reaches.get(e.node, False)
            for e in edges
        ]
        if not surely:
            reaches[number] = any(leads)
        elif m.state.graph[number].op == "join":  # one of these, whichever it is
            reaches[number] = bool(leads) and all(leads)
        else:
            reaches[number] = any(leads[n] and e.sure for n, e in enumerate(edges))
        todo.pop()
    return frozenset(n for n, yes in reaches.items() if yes)


def _firm(m: Machine, start: list[Edge], inputs: tuple[int, ...]) -> frozenset[int]:
    """The nodes from which a backward certainly reaches `inputs`."""
    nodes = [edge.node for edge in start if edge.node is not None]
    return frozenset().union(*(between(m, node, inputs, surely=True) for node in nodes))


def _left_behind(m: Machine, number: int, leaf: int | None) -> bool:
    """Was the leaf given other memory since that node was made of it?"""
    moment: int = m.state.get((leaf, RESET), 0) if leaf is not None else 0
    return number < moment


def _made(m: Machine, tensors: tuple[int, ...]) -> set[int]:
    """The nodes that made the tensors."""
    return {t.node for a in tensors for _, t in m.tensors(Ref((a,))) if t.node is not None}


def _needed(node: Node) -> tuple[Saved, ...]:
    """What it has surely saved: a factor is needed only if the other one requires grad."""
    return tuple(saved for saved in node.saved if saved.sure.yes)


def freed(
    m: Machine, start: int, only: frozenset[int] | None = None, site: cst.CSTNode | None = None
) -> tuple[Truth, cst.CSTNode | None]:
    """Has backward already used up a node that is reached for sure and that saved a tensor? site: the backward now."""
    unsure: list[int] = []

    def saved(number: int, node: Node) -> tuple[Saved, ...] | None:
        return _needed(node) or None if only is None or number in only else None

    def used_up(number: int, node: Node) -> tuple[Truth, cst.CSTNode | None] | None:
        freed: Truth = m.state.get((number, "freed"), NO)
        if freed.no or not (only is None or number in only):
            return None
        if not _needed(node) and _behind(m, number, saved) is None:
            unsure.extend([number] if node.saved else [])
            return None  # it is used up as a whole, see `walk`, but perhaps nothing that it leads to had saved anything
        again = freed is PRESUMED_YES and m.state.get((number, "freed at")) is not site
        if freed is MAYBE or again:  # a branch that frees and this one may exclude each other, unless they are one
            unsure.append(number)
            return None
        return freed, m.state.get((number, "freed at"))

    found = _behind(m, start, used_up)
    return found or ((MAYBE, m.state.get((unsure[0], "freed at"))) if unsure else (NO, None))


def written(m: Machine, start: int, only: frozenset[int] | None = None) -> Write | None:
    """A tensor that a node needs, that is reached for sure, and that was written since the node saved it."""

    def changed(number: int, node: Node) -> Write | None:
        for saved in node.saved if only is None or number in only else ():
            now = m.version(saved.storage) if saved.storage and saved.sure.yes else saved.version
            if now != (0,) and {abs(token) for token in now}.isdisjoint(map(abs, saved.version)):
                at = m.state.get((saved.storage, "written at"))
                return Write(node.op, saved.role, saved.site, at, saved.sure & (YES if now[0] > 0 else PRESUMED_YES))
        return None

    return _behind(m, start, changed)


def tell_hidden(m: Machine, site: cst.CSTNode, start: int, only: frozenset[int] | None) -> None:
    """Tell of what is reached for sure and was written after it had been saved, without a new version."""

    def look(number: int, node: Node) -> None:
        if only is None or number in only:
            hidden.look(m, number, node, site)

    _behind(m, start, look)


def underived(m: Machine, start: int, only: frozenset[int] | None = None, inputs: tuple[int, ...] = ()) -> Node | None:
    """An op that is reached for sure and raises in backward, because it has no derivative (on the way to `inputs`)."""
    asked = (only or frozenset()) | _made(m, inputs)

    def raising(number: int, node: Node) -> Node | None:
        if node.derivative != "raises" or not (only is None or number in only):
            return None
        ways = [e for _, e in node.lacking]
        wanted = only is None or not ways or any(e.leaf in inputs if e.node is None else e.node in asked for e in ways)
        return node if wanted else None

    return _behind(m, start, raising)


def broken(
    m: Machine, start: int, only: frozenset[int] | None = None
) -> Sequence[CustomMisuse | GradientsReturned] | None:
    """What is wrong with the backward of a custom Function that is reached for sure: see `custom_broken`."""
    return _behind(m, start, lambda number, _: m.broken.get(number) if only is None or number in only else None)


def _behind(m: Machine, start: int, look: Callable[[int, Node], T | None]) -> T | None:
    """What `look` finds in a node that a backward from `start` surely comes to: behind sure edges, and where paths of
    the program have met (a node "join"), behind each of them."""
    found: dict[int, T | None] = {}
    todo = [start]
    while todo:
        number = todo[-1]
        node = m.state.graph[number]
        meeting = node.op == "join"
        if number not in found:
            m.step()
            found[number] = look(number, node)
            if found[number] is None:
                edges = [e for e in node.edges if e.sure or meeting]
                todo.extend(e.node for e in edges if e.node is not None and e.node not in found)
                continue
        elif found[number] is None:
            behind = [found.get(e.node) if e.node is not None else None for e in node.edges if e.sure or meeting]
            hits = [hit for hit in behind if hit is not None]
            if hits and (not meeting or len(hits) == len(behind)):
                found[number] = hits[0]
        todo.pop()
    return found[start]


def _single(m: Machine, start: list[Edge]) -> frozenset[int]:
    """The nodes that backward comes to without passing through one that stands for many."""
    found: set[int] = set()
    todo = [e.node for e in start if e.node is not None]
    while todo:
        number = todo.pop()
        if number not in found:
            m.step()
            found.add(number)
            node = m.state.graph[number]
            if not node.many:
                todo.extend(e.node for e in node.edges if e.node is not None)
    return frozenset(found)


def _chooses(m: Machine, node: Node) -> bool:
    """Does it lead to what is one of several: of two paths, or of the elements of a list?"""
    return any(not e.sure or (e.node is not None and m.state.graph[e.node].op == "join") for e in node.edges)


def reaches(m: Machine, root: int, start: Tensor, address: int, tensor: Tensor) -> Truth:
    """Does the graph of the tensor `start` at `root` lead to `tensor` at `address`?"""
    if root == address:
        return YES
    if start.node is None:
        return NO if start.grad.yes and start.leaf.yes else MAYBE
    seen: set[int] = set()
    todo = [(start.node, True)]
    verdict = NO
    while todo:
        number, sure = todo.pop()
        if number == tensor.node and tensor.node is not None:
            return YES if sure else MAYBE
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        if node.open:
            verdict = MAYBE
        for edge in node.edges:
            if edge.node is None and edge.leaf == address:
                if sure and edge.sure and not _left_behind(m, number, address):
                    return YES
                verdict = MAYBE
            elif edge.node is not None:
                todo.append((edge.node, sure and edge.sure))
    if verdict is NO and tensor.leaf is MAYBE:
        return MAYBE
    return verdict


def walk(
    m: Machine,
    site: cst.CSTNode,
    start: list[Edge],
    retain: Truth,
    create: Truth,
    inputs: tuple[int, ...] | None,
    fill: bool,
    only: frozenset[int] | None = None,
) -> None:
    """Go through the graph from `start`: free its nodes and fill the `.grad` of the leaves."""
    surely: dict[int, bool] = {}
    leaves: dict[int, bool] = {}
    todo = list(start)
    opened = plural = False
    while todo:
        edge = todo.pop()
        m.step()
        if edge.node is None:
            if edge.leaf is not None and (edge.leaf, CELL) in m.state.slots:
                leaves[edge.leaf] = leaves.get(edge.leaf, False) or edge.sure
                opened = opened or _unseen_behind(m, edge.leaf)
            else:
                opened = opened or edge.leaf is not None  # made in a `try` that was left half-way
            continue
        if surely.get(edge.node, False) or (edge.node in surely and not edge.sure):
            continue
        surely[edge.node] = edge.sure
        node: Node = m.state.graph[edge.node]
        plural = plural or node.many
        opened = opened or node.open
        for kept in node.kept:
            if edge.sure and m.written_since(kept.storage, kept.version):
                m.emit(CustomMisuse, site, kind="stale", function=node.op, what=kept.role, used=YES, at=kept.site)
        todo.extend(replace_sure(e, edge.sure) for e in node.edges)
    m.retention.backwards += 1
    m.retention.passes.update(dict.fromkeys(surely, m.retention.backwards))
    if not retain.yes:
        firm = None if only is None else _firm(m, start, inputs or ())
        one_of_many = frozenset(surely) - _single(m, start) if plural else frozenset()
        for number, sure in surely.items():
            node = m.state.graph[number]
            # whichever graph lies behind a choice, this backward has used it up, and the next one comes to the same
            whole = sure and only is None and not node.many and _chooses(m, node)
            if (node.saved or whole) and (only is None or number in only):
                before: Truth = m.state.get((number, "freed"), NO)
                needed = whole or _needed(node)
                single = number not in one_of_many and (firm is None or number in firm)
                certain = sure and bool(needed) and retain is NO and single
                m.state.set((number, "freed"), before | (YES if certain else MAYBE))
                m.state.set((number, "freed at"), site)
    from flake8_detach.flow import backward_hooks

    chosen = leaves if inputs is None else {a: s for a, s in leaves.items() if a in inputs}
    ran = surely if only is None else {n: s for n, s in surely.items() if n in only}
    backward_hooks.passed(m, site, ran, chosen, create, opened)
    if not fill:  # what retains its gradient gets it from autograd.grad, too
        for address in (a for number in surely for a in m.state.get((number, "retained"), ())):
            m.state.set((address, "grad"), UNKNOWN)
            mark(m, create)
    if fill:
        for address, sure in leaves.items():
            if inputs is None or address in inputs:
                accumulate(m, site, address, sure, create)
        for number, sure in surely.items():
            for address in m.state.get((number, "retained"), ()):
                full = m.state.get((address, "kept")) is YES and not one_of_several(m, address)
                accumulate(m, site, address, sure and full, create)
        for address in inputs or ():
            accumulate(m, site, address, False, create)
        reached = leaves if inputs is None else {a: leaves.get(a, False) for a in inputs}
        training.filled(m, site, reached, opened, gradients.scaled_by(m, surely), start)
        backward_hooks.accumulated(m, site, chosen)
    if opened:
        m.state.set(autograd.SPOILED, YES)
        if fill:
            unseen(m, create)


def _unseen_behind(m: Machine, address: int) -> bool:
    """Is it not known whether the tensor is a leaf or has a graph, of which nothing was seen?"""
    cell = m.state.cell(address)
    return isinstance(cell, Tensor) and cell.node is None and cell.leaf is MAYBE and cell.grad is MAYBE


def one_of_several(m: Machine, address: int) -> bool:
    """Is the tensor one of several outputs of its node, so that backward may come by without it?"""
    cell = m.state.cell(address)
    op = ops.function(cell.made) or ops.method(cell.made.rpartition(".")[2]) if isinstance(cell, Tensor) else None
    parts = op.outputs if op is not None else ()
    return isinstance(cell, Tensor) and (cell.view == "multi" or sum(graph != "no" for graph in parts) > 1)


CREATED = (0, "created")
"""Set by a backward with `create_graph=True`: from then on gradients may have a graph."""
INFERRED = (0, "inferred")
"""Set by a backward in inference mode: from then on gradients may be inference tensors."""


def mark(m: Machine, create: Truth) -> None:
    """What gradients may be from here on."""
    if not create.no:
        m.state.set(CREATED, YES)
    if not m.mode.inference.no:
        m.state.set(INFERRED, YES)


def unseen(m: Machine, create: Truth) -> None:
    """Backward may come to any leaf: with `create_graph=True`, a new gradient takes the place of one that is there."""
    mark(m, create)
    for slot, held in () if create.no else list(m.state.slots.items()):
        if slot[1] == "grad" and isinstance(held, Ref):
            m.step()
            m.state.set(slot, UNKNOWN)


def accumulate(m: Machine, site: cst.CSTNode, address: int, sure: bool, create: Truth) -> None:
    """Backward adds to the `.grad` of the tensor at `address`."""
    held: Value = m.state.get((address, "grad"), NONE)
    for twin in m.state.alike(address):
        added = create.no and isinstance(m.state.get((twin, "grad")), Ref)  # in place
        if (twin, CELL) in m.state.slots and not added:
            m.state.set((twin, "grad"), UNKNOWN)  # if it is the same tensor, so is its gradient
    mark(m, create)
    if isinstance(held, Ref) and create.no:
        return  # added in place
    if isinstance(held, Ref) and create is MAYBE:
        m.state.set((address, "grad"), UNKNOWN)
        return
    if not sure or address in m.state.several:  # of several that one stands for, backward may come to one
        m.state.set((address, "grad"), UNKNOWN)
        return
    tensor = m.state.cell(address)
    assert isinstance(tensor, Tensor)
    if not tensor.grad.yes:  # switched off since the graph was made: then backward passes it by
        if not tensor.grad.no:
            m.state.set((address, "grad"), UNKNOWN)
        return
    # it is added to what is there, which may have a graph, be it that a backward which raised has left it there
    left = m.state.get(autograd.SPOILED) and m.state.get(CREATED)
    grad = NO if create.no and isinstance(held, Const) and not left else MAYBE
    why = m.cause("gradient", FILLED, site, lost=YES, of=[(address, tensor)]) if grad is NO else None
    facts = {"inference": NO if m.mode.inference.no else MAYBE}  # it may be the gradient that backward was given
    made = m.tensor(grad=grad, leaf=~grad, shape=tensor.shape, dtype=tensor.dtype, why=why, made="grad", **facts)
    m.state.set((address, "grad"), made)
    gradients.belongs(m, made, address)
