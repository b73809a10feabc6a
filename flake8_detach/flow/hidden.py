"""What happens behind autograd's back: memory written through `.data` or numpy, graphs that are copied into leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import gradients, steppers
from flake8_detach.flow.afterwards import Reached
from flake8_detach.flow.events import GraphDropped, HiddenWrite
from flake8_detach.flow.values import DERIVATIVE, YES, Array, Const, Label, Mapping_, Node, Ref, Sequence, Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

ALIAS = "*alias of"
"""Slot of a storage: the storage with the same memory whose version counter it does not share, and how."""
WRITTEN = "*hidden write"
"""Slot of a storage: when (a number, as graph nodes have), where and how it was last written through an alias."""
REPLACED = "*replaced"
"""Slot of a storage: when `x.data = y` gave its tensor other memory; what had been kept of it is as it was."""
BEHIND = "*written behind"
"""Slot of a storage: when it was last written through what `detach()` or `.data` made of a computed tensor, where, and
through which of them."""
SCALES = frozenset({"mul_", "multiply_", "div_", "divide_", "true_divide_"})
"""Writes whose derivative is not that of doing nothing."""
ROUNDS = frozenset({"round_", "floor_", "ceil_", "trunc_", "fix_", "sign_"})
"""Writes through which a straight-through gradient is meant to go."""
ROUNDED = Const("rounded")
REACH = 64
"""How many nodes of the graph of a value are looked at."""


def alias(m: Machine, original: int, made: int, via: str) -> None:
    """The storage `made` is the memory of `original`: `x.data`."""
    if original and made != original:
        m.state.set((made, ALIAS), (original, via))


def original(m: Machine, storage: int) -> int:
    """The storage whose memory it is: of `x.data`, that of `x`."""
    known = m.state.get((storage, ALIAS))
    return int(known[0]) if isinstance(known, tuple) else storage


def wrote(m: Machine, storage: int, site: cst.CSTNode) -> bool:
    """A tensor with that storage is written in place. Is it an alias?"""
    known = m.state.get((storage, ALIAS))
    if not isinstance(known, tuple):
        return False
    original, via = known
    m.state.set((original, WRITTEN), (m.state.address(), site, via))
    m.ledger.hidden_writes = True
    return True


def replaced(m: Machine, storage: int, site: cst.CSTNode) -> None:
    """`x.data = y`: what has saved `x` finds other values there."""
    if storage:
        m.state.set((storage, WRITTEN), (m.state.address(), site, ".data"))
        m.state.set((storage, REPLACED), m.state.address())
        m.ledger.hidden_writes = True


def wrote_behind(m: Machine, alias: Tensor, site: cst.CSTNode, op: str) -> None:
    """What `detach()` made of a computed tensor is written in place: so is the tensor, whose graph does not tell.

    Through `.data` it may be meant: a straight-through gradient of what rounds (to a grid: scaled before, and back
    after), clamps or adds noise. What is filled may get no gradient anyway, as what a mask keeps from a softmax or
    from the loss. Scaling is not meant.
    """
    source = alias.why.source if alias.made == "detach" and alias.why is not None else None
    if source is None or len(source.edges) != 1 or source.edges[0].node is None or not alias.storage:
        return
    storage = original(m, alias.storage)
    via = "detach" if storage == alias.storage else ".data"
    short = op.rpartition(".")[2]
    if via == ".data" and short in ROUNDS:
        m.state.set((storage, BEHIND), ROUNDED)
    elif via == "detach" or (short in SCALES and m.state.get((storage, BEHIND)) != ROUNDED):
        m.state.set((storage, BEHIND), (m.state.address(), site, via))
        m.ledger.hidden_writes = True


def taken(m: Machine, tensor: Tensor, op: str, number: int, site: cst.CSTNode) -> None:
    """The op of graph node `number` is applied to a tensor: were its values changed behind the back of its graph?"""
    known = m.state.get((tensor.storage, BEHIND)) if tensor.storage else None
    if not isinstance(known, tuple) or tensor.node is None or tensor.node > known[0] or m.quiet or m.guards:
        return
    event = m.event(HiddenWrite, known[1], via=known[2], op=op, saved_at=None, backward=site, graph=True)
    fatal = m.fatal

    def answer(reached: Reached) -> None:
        hooked = tensor.node in m.hooked  # which may do to the gradient what was done to the values
        if m.fatal == fatal and reached.inside(number) and not hooked:  # else torch has noticed
            m.sink(event)

    m.afterwards.ask_last(answer)


def wrote_array(m: Machine, array: Value, site: cst.CSTNode) -> None:
    """A numpy array that may have the memory of a tensor is written."""
    if isinstance(array, Array) and array.storage:
        known = m.state.get((array.storage, ALIAS))
        original = known[0] if isinstance(known, tuple) else array.storage
        gradients.rewritten(m, array.storage)
        m.state.set((original, WRITTEN), (m.state.address(), site, "numpy"))
        m.ledger.hidden_writes = True


def look(m: Machine, number: int, node: Node, backward: cst.CSTNode) -> None:
    """Backward comes to the node `number`: was what it saved written since, without autograd noticing?"""
    for saved in node.saved:
        known = m.state.get((saved.storage, WRITTEN)) if saved.storage and saved.sure.yes else None
        if isinstance(known, tuple) and known[0] > number:
            _, site, via = known
            m.emit(HiddenWrite, site, via=via, op=node.op, saved_at=saved.site, backward=backward)


def dropped(
    m: Machine,
    node: cst.CSTNode,
    how: str,
    tensors: Iterable[tuple[int, Tensor]],
    subject: Label,
    passing: int | None = None,
) -> None:
    """The values of these tensors, but not their graph, become those of a leaf. passing: the one that is new each time
    that a forward is run."""
    if m.quiet or m.guards or m.mode.grad.no:
        return
    for _, tensor in tensors:
        if tensor.node is None or tensor.grad.no:
            continue
        gradients, leaves = _behind(m, tensor.node)
        if gradients:
            _ask_second(m, node, how, subject, gradients)
        elif passing is not None and tensor.grad.yes:
            _ask_passing(m, node, how, subject, passing)
        elif tensor.grad.yes and leaves:
            _ask_source(m, node, how, subject, leaves)
        return


def _ask_second(m: Machine, node: cst.CSTNode, how: str, subject: Label, gradients: set[int]) -> None:
    event = m.event(GraphDropped, node, how=how, subject=subject, why="second")

    def ask(reached: Reached) -> None:
        if not any(reached.node(number) for number in gradients):
            m.sink(event)

    m.afterwards.ask_last(ask)


def _ask_passing(m: Machine, node: cst.CSTNode, how: str, subject: Label, leaf: int) -> None:
    event = m.event(GraphDropped, node, how=how, subject=subject, why="forward")

    def ask(reached: Reached) -> None:
        if reached.leaf(leaf):  # else its values were all that was wanted: a codebook that is a moving average
            m.sink(event)

    m.afterwards.ask_last(ask)


def _ask_source(m: Machine, node: cst.CSTNode, how: str, subject: Label, leaves: set[int]) -> None:
    # a leaf that was told to require grad by hand, and is still held, was told so to be differentiated
    asked = {a for a in leaves for _, t in m.tensors(Ref((a,))) if not t.parameter and t.grad is YES}
    explicit = asked & _held(m) if asked else asked
    event = m.event(GraphDropped, node, how=how, subject=subject, why="leaf" if explicit else "source")

    def ask(reached: Reached) -> None:
        stepped = m.owned - steppers.idle(m)
        meant = all(address in stepped or address in m.wanted or address in explicit for address in leaves)
        held = not (explicit or m.owned >= leaves) and not m.escaped.isdisjoint(leaves)
        if meant and not held and m.escaped.isdisjoint(explicit) and not any(map(reached.leaf, leaves)):
            m.sink(event)

    m.afterwards.ask_last(ask)


def _held(m: Machine) -> set[int]:
    """The objects that a variable, an attribute or a container holds."""
    found: set[int] = set()
    for content in m.state.slots.values():
        values = content.held if isinstance(content, (Sequence, Mapping_)) else (content,)
        found.update(address for value in values if isinstance(value, Ref) for address in value.addresses)
    return found


def _behind(m: Machine, start: int) -> tuple[set[int], set[int]]:
    """The gradients made with `create_graph=True` in the graph of a value, and its leaves."""
    gradients: set[int] = set()
    leaves: set[int] = set()
    seen: set[int] = set()
    todo = [start]
    while todo and len(seen) < REACH:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        if node.op == DERIVATIVE:
            gradients.add(number)
            continue
        for edge in node.edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf is not None:
                leaves.add(edge.leaf)
    return gradients, leaves if not todo else set()


def tensors_in(m: Machine, value: Value) -> list[tuple[int, Tensor]]:
    """The tensors that a dict of tensors holds."""
    cell = m.cell(value)
    if not isinstance(cell, Mapping_):
        return m.tensors(value)
    values = [v for _, v in cell.items] + ([cell.rest] if cell.rest is not None else [])
    return [found for v in values for found in m.tensors(v)]
