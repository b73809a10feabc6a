"""Transfer functions of autograd itself: detach, requires_grad, .grad, backward, autograd.grad, grad modes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.events import Backward, GradRead
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Cause,
    Const,
    Edge,
    Mode,
    Node,
    Ref,
    Tensor,
    Truth,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SPOILED = (0, "spoiled")


def detach(
    m: Machine, node: cst.CSTNode, owner: Ref, owner_node: cst.CSTNode, how: str, shares_version: bool = True
) -> Value:
    """A tensor without history over the same memory: `x.detach()`, `x.data`."""
    made = []
    for address in owner.addresses:
        tensor = m.state.cell(address)
        assert isinstance(tensor, Tensor)
        why = m.cause("cut", f"cut by {how}", node, m.text(owner_node), tensor.grad, tensor.why)
        made.append(
            m.tensor(
                grad=NO,
                leaf=YES,
                rank=tensor.rank,
                dtype=tensor.dtype,
                storage=tensor.storage if shares_version else m.state.address(),
                why=why,
                made="detach",
                device=tensor.device,
                inference=m.mode.inference,
            ).addresses[0]
        )
    return Ref(tuple(made))


def copy_of(m: Machine, node: cst.CSTNode, value: Value, subject: str, how: str, grad: Truth = NO) -> Value:
    """A new leaf with the values of a tensor: torch.tensor(x), copy.copy(x), nn.Parameter(x)."""
    source = m.cell(value)
    tensor = source if isinstance(source, Tensor) else Tensor(grad=MAYBE)
    why = m.cause("cut", f"cut by {how}", node, subject, tensor.grad, tensor.why)
    return m.tensor(grad=grad, leaf=YES, rank=tensor.rank, dtype=tensor.dtype, why=why, made=how, inference=m.mode.inference)


def require(m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, asked: Truth | None, how: str) -> None:
    """`x.requires_grad = asked` or `x.requires_grad_(asked)`; None: not known which."""
    if asked is None:
        m.change(address, grad=MAYBE, leaf=tensor.leaf)
    elif asked is YES:
        if tensor.leaf.no:
            return  # silently nothing: a result of an op keeps what it has
        m.change(address, grad=tensor.grad | YES if tensor.leaf.yes else MAYBE if tensor.grad is not YES else YES, node=tensor.node)
    elif tensor.leaf.yes or tensor.grad.no:
        lost = tensor.grad
        if lost is not NO:
            why = m.cause("frozen", f"switched off by {how}" if how else "switched off", node, "", lost)
            m.change(address, grad=NO, leaf=YES, node=None, why=why)
    elif tensor.leaf is MAYBE:
        m.change(address, grad=NO, leaf=YES, node=None)


def read_grad(m: Machine, node: cst.Attribute, address: int, tensor: Tensor, tested: bool) -> Value:
    """`x.grad`."""
    held: Value = m.state.get((address, "grad"), NONE)
    kept: Truth = m.state.get((address, "kept"), NO)
    m.emit(
        GradRead,
        node,
        tensor=tensor,
        subject=m.text(node.value),
        subject_node=node.value,
        value=held,
        kept=kept,
        tested=tested,
    )
    if held != NONE:
        return held
    if m.state.get(SPOILED) or address in m.escaped or tensor.leaf is MAYBE or tensor.grad is MAYBE:
        return UNKNOWN
    why = held.why if isinstance(held, Const) and held.why else m.cause("constant", "never filled by a backward", node)
    if tensor.leaf.no and not kept.no:
        return UNKNOWN
    return Const(None, why)


def backward(
    m: Machine,
    node: cst.CSTNode,
    root: Value,
    root_node: cst.CSTNode,
    api: str,
    retain: Truth,
    create: Truth,
    gradient: bool,
    inputs: tuple[int, ...] | None = None,
    fill: bool = True,
) -> None:
    """Run backward from `root`: tell the rules, free the graph, fill the gradients of the leaves.

    inputs: only these tensors get a gradient (None: all leaves). fill: False for autograd.grad.
    """
    found = m.tensors(root)
    if not found:
        m.emit(
            Backward,
            node,
            api=api,
            subject=m.text(root_node),
            root=None,
            value=root,
            freed=NO,
            freed_at=None,
            gradient=gradient,
            subject_node=root_node,
        )
        if root == UNKNOWN:
            reach_escaped(m)
        return
    for address, tensor in found:
        freed, where = _freed(m, tensor.node) if tensor.node is not None and tensor.grad.yes else (NO, None)
        m.emit(
            Backward,
            node,
            api=api,
            subject=m.text(root_node),
            root=tensor,
            value=root,
            freed=freed,
            freed_at=where,
            gradient=gradient,
            subject_node=root_node,
        )
        if tensor.grad.no or freed.yes:
            m.raises()
            m.state.set(SPOILED, YES)
            continue
        start = m.edge(address, tensor)
        walk(m, node, [replace_sure(start, tensor.grad.yes)], retain, create, inputs, fill)
        if start.node is None and tensor.grad is MAYBE:
            reach_escaped(m)


def replace_sure(edge: Edge, sure: bool) -> Edge:
    return Edge(edge.node, edge.leaf, edge.sure and sure)


def _freed(m: Machine, start: int) -> tuple[Truth, cst.CSTNode | None]:
    """Has backward already used up a node that is reached for sure and that saved a tensor?"""
    seen: set[int] = set()
    todo = [start]
    verdict, where = NO, None
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        freed: Truth = m.state.get((number, "freed"), NO)
        if node.saved and not freed.no:
            if freed.yes:
                return freed, m.state.get((number, "freed at"))
            verdict, where = MAYBE, m.state.get((number, "freed at"))
        todo.extend(e.node for e in node.edges if e.node is not None and e.sure)
    return verdict, where


def walk(
    m: Machine,
    site: cst.CSTNode,
    start: list[Edge],
    retain: Truth,
    create: Truth,
    inputs: tuple[int, ...] | None,
    fill: bool,
) -> None:
    """Go through the graph from `start`: free its nodes and fill the `.grad` of the leaves."""
    surely: dict[int, bool] = {}
    leaves: dict[int, bool] = {}
    todo = list(start)
    opened = False
    while todo:
        edge = todo.pop()
        m.step()
        if edge.node is None:
            if edge.leaf is not None:
                leaves[edge.leaf] = leaves.get(edge.leaf, False) or edge.sure
            continue
        if surely.get(edge.node, False) or (edge.node in surely and not edge.sure):
            continue
        surely[edge.node] = edge.sure
        node: Node = m.state.graph[edge.node]
        opened = opened or node.open
        todo.extend(replace_sure(e, edge.sure) for e in node.edges)
    if not retain.yes:
        for number, sure in surely.items():
            if m.state.graph[number].saved:
                before: Truth = m.state.get((number, "freed"), NO)
                m.state.set((number, "freed"), before | (YES if sure and retain is NO else MAYBE))
                m.state.set((number, "freed at"), site)
    if fill:
        for address, sure in leaves.items():
            if inputs is None or address in inputs:
                accumulate(m, address, sure, create)
        for number, sure in surely.items():
            for address in m.state.get((number, "retained"), ()):
                accumulate(m, address, sure, create)
        for address in inputs or ():
            accumulate(m, address, False, create)
    if opened:
        reach_escaped(m)


def accumulate(m: Machine, address: int, sure: bool, create: Truth) -> None:
    """Backward adds to the `.grad` of the tensor at `address`."""
    held: Value = m.state.get((address, "grad"), NONE)
    if isinstance(held, Ref):
        return
    if not sure:
        m.state.set((address, "grad"), UNKNOWN)
        return
    tensor = m.state.cell(address)
    assert isinstance(tensor, Tensor)
    grad = NO if create.no else MAYBE
    m.state.set((address, "grad"), m.tensor(grad=grad, leaf=~grad, rank=tensor.rank, dtype=tensor.dtype, made="grad"))


def reach_escaped(m: Machine) -> None:
    """A backward of something that the engine does not see: tensors that unknown code has met may get a gradient."""
    for address in m.escaped:
        if m.state.get((address, "grad"), NONE) == NONE:
            m.state.set((address, "grad"), UNKNOWN)


def clear(m: Machine, addresses: Iterable[int], to_none: Truth, why: Cause) -> None:
    """zero_grad() on these parameters."""
    for address in addresses:
        held: Value = m.state.get((address, "grad"), NONE)
        if to_none.yes:
            m.state.set((address, "grad"), Const(None, why))
        elif to_none is MAYBE and held != NONE:
            m.state.set((address, "grad"), UNKNOWN)


def retain_grad(m: Machine, address: int, tensor: Tensor) -> None:
    """`x.retain_grad()`."""
    m.state.set((address, "kept"), YES)
    if tensor.node is not None:
        known: tuple[int, ...] = m.state.get((tensor.node, "retained"), ())
        m.state.set((tensor.node, "retained"), (*known, address))


# Modes

NO_GRAD = {
    "torch.no_grad": (NO, None),
    "torch.inference_mode": (NO, YES),
    "torch.enable_grad": (YES, None),
}


def enter(m: Machine, name: str, argument: Value | None, site: cst.CSTNode) -> bool:
    """Switch the mode as the context manager or decorator `name` does. False if it is not one of grad mode."""
    mode = m.mode
    if name == "torch.set_grad_enabled":
        known = argument.value if isinstance(argument, Const) else None
        asked = MAYBE if known is None else YES if known else NO
        why = m.cause("mode", "computed under `set_grad_enabled(False)`", site) if asked is NO else mode.why
        m.set_mode(Mode(asked, mode.inference, why))
        return True
    if name not in NO_GRAD:
        return False
    grad, inference = NO_GRAD[name]
    if name == "torch.inference_mode" and argument is not None and argument != Const(True):
        off = argument == Const(False)
        m.set_mode(Mode(YES if off else MAYBE, NO if off else MAYBE, mode.why))
        return True
    if grad is YES:
        m.set_mode(Mode(YES, mode.inference, mode.why))
        return True
    why = m.cause("mode", f"computed under `{name.removeprefix('torch.')}`", site)
    m.set_mode(Mode(grad, inference or mode.inference, why))
    return True


__all__ = ["PRESUMED_YES", "Cause", "backward", "detach", "enter", "read_grad", "replace"]
