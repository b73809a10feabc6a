"""Transfer functions of autograd itself: detach, requires_grad, .grad, backward, autograd.grad, grad modes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import shapes, tensors
from flake8_detach.flow.events import Backward, DetachedInPlace, GradRead, Hooked, Write
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Array,
    Cause,
    Const,
    Edge,
    Function,
    Label,
    Layer,
    Mapping_,
    Mode,
    Node,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SPOILED = (0, "spoiled")
"""Set by a backward of something that is not seen: from then on any gradient may have been filled."""


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
                shape=tensor.shape,
                dtype=tensor.dtype,
                storage=tensor.storage if shares_version else m.state.address(),
                why=why,
                made="detach",
                device=tensor.device,
                inference=tensor.inference | m.mode.inference,
            ).addresses[0]
        )
    return Ref(tuple(made))


def copy_of(m: Machine, node: cst.CSTNode, value: Value, subject: Label, how: str, grad: Truth = NO) -> Value:
    """A new leaf with the values of a tensor: torch.tensor(x), copy.copy(x), nn.Parameter(x)."""
    source = m.cell(value)
    tensor = source if isinstance(source, Tensor) else Tensor(grad=MAYBE)
    why = m.cause("cut", f"cut by {how}", node, subject, tensor.grad, tensor.why)
    return m.tensor(
        grad=grad, leaf=YES, shape=tensor.shape, dtype=tensor.dtype, why=why, made=how, inference=m.mode.inference
    )


def require(
    m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, asked: Truth | None, subject: Label, how: str
) -> None:
    """`x.requires_grad = asked` or `x.requires_grad_(asked)`; None: not known which."""
    assigned = not isinstance(node, cst.Call)
    tensors.tell_requires(m, node, tensor, MAYBE if asked is None else asked, subject, m.text(node), assigned)
    if asked is YES and tensor.dtype in ("int", "bool"):
        tensors.mend_requires(m, Ref((address,)))
    elif asked is None:
        m.change(address, grad=MAYBE, leaf=tensor.leaf)
    elif asked is YES:
        if tensor.leaf.no:
            return  # silently nothing: a result of an op keeps what it has
        m.change(
            address,
            grad=tensor.grad | YES if tensor.leaf.yes else MAYBE if tensor.grad is not YES else YES,
            node=tensor.node,
        )
    elif tensor.leaf.yes or tensor.grad.no:
        lost = tensor.grad
        if lost is not NO:
            why = m.cause("frozen", f"switched off by {how}" if how else "switched off", node, "", lost)
            m.change(address, grad=NO, leaf=YES, node=None, why=why)
    elif tensor.leaf is MAYBE:
        m.change(address, grad=NO, leaf=YES, node=None)


def read_grad(
    m: Machine, node: cst.CSTNode, owner_node: cst.CSTNode, address: int, tensor: Tensor, tested: bool
) -> Value:
    """`x.grad`."""
    held: Value = m.state.get((address, "grad"), NONE)
    kept: Truth = m.state.get((address, "kept"), NO)
    m.emit(
        GradRead,
        node,
        tensor=tensor,
        subject=m.text(owner_node),
        subject_node=owner_node,
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
            written=None,
            kind=_kind(m, root),
        )
        if root != UNKNOWN and _kind(m, root):
            m.raises()
        if root == UNKNOWN:
            m.state.set(SPOILED, YES)
            m.afterwards.blind = True
        return
    for address, tensor in found:
        followed = tensor.node is not None and tensor.grad.yes
        only = None if inputs is None or tensor.node is None else between(m, tensor.node, inputs)
        freed, where = _freed(m, tensor.node, only) if followed and tensor.node is not None else (NO, None)
        written = _written(m, tensor.node, only) if followed and tensor.node is not None and freed.no else None
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
            written=written,
        )
        vector = not gradient and shapes.several(tensor.shape)
        if tensor.grad.no or freed.yes or written is not None or vector:
            m.raises()
            m.state.set(SPOILED, YES)
            continue
        start = m.edge(address, tensor)
        if start.node is not None:
            m.afterwards.started.add(start.node)
        else:
            m.afterwards.leaves.add(address)
        walk(m, node, [replace_sure(start, tensor.grad.yes)], retain, create, inputs, fill, only)
        if start.node is None and tensor.grad is MAYBE:
            m.state.set(SPOILED, YES)


def _kind(m: Machine, value: Value) -> str:
    """What an object without `backward` is, in words."""
    if isinstance(value, (Const, Scalar, Tuple, Array, Function)):
        return "value"
    cell = m.cell(value)
    if isinstance(cell, Mapping_):
        return "a dict"
    if isinstance(cell, Sequence):
        return f"a {cell.kind}"
    if isinstance(cell, Layer) and cell.kind.startswith("torch.nn."):
        return f"a `{cell.kind.rpartition('.')[2]}` module: it was constructed, not called"
    return ""


def replace_sure(edge: Edge, sure: bool) -> Edge:
    return Edge(edge.node, edge.leaf, edge.sure and sure)


def between(m: Machine, start: int, inputs: tuple[int, ...]) -> frozenset[int]:
    """The nodes that a backward from `start` runs to reach `inputs`; what made an input, and all behind it, rests."""
    goals = {t.node for a in inputs for _, t in m.tensors(Ref((a,))) if t.node is not None}
    leaves = set(inputs)
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
        ends = any(e.node in goals or (e.node is None and e.leaf in leaves) for e in edges)
        reaches[number] = ends or any(e.node is not None and reaches.get(e.node, False) for e in edges)
        todo.pop()
    return frozenset(n for n, yes in reaches.items() if yes)


def _freed(m: Machine, start: int, only: frozenset[int] | None = None) -> tuple[Truth, cst.CSTNode | None]:
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
        if node.saved and not freed.no and (only is None or number in only):
            if freed.yes:
                return freed, m.state.get((number, "freed at"))
            verdict, where = MAYBE, m.state.get((number, "freed at"))
        todo.extend(e.node for e in node.edges if e.node is not None and e.sure)
    return verdict, where


def _written(m: Machine, start: int, only: frozenset[int] | None = None) -> Write | None:
    """A tensor that a node needs, that is reached for sure, and that was written since the node saved it."""
    seen: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        for saved in node.saved if only is None or number in only else ():
            if saved.storage and m.version(saved.storage) > saved.version:
                return Write(node.op, saved.role, saved.site, m.state.get((saved.storage, "written at")))
        todo.extend(e.node for e in node.edges if e.node is not None and e.sure)
    return None


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
                if sure and edge.sure:
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
            if m.state.graph[number].saved and (only is None or number in only):
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
        m.state.set(SPOILED, YES)


def accumulate(m: Machine, address: int, sure: bool, create: Truth) -> None:
    """Backward adds to the `.grad` of the tensor at `address`."""
    held: Value = m.state.get((address, "grad"), NONE)
    if isinstance(held, Ref):
        if not create.no:
            for gradient, _ in m.tensors(held):
                m.change(gradient, grad=MAYBE, leaf=MAYBE)
        return
    if not sure:
        m.state.set((address, "grad"), UNKNOWN)
        return
    tensor = m.state.cell(address)
    assert isinstance(tensor, Tensor)
    grad = NO if create.no else MAYBE
    m.state.set((address, "grad"), m.tensor(grad=grad, leaf=~grad, shape=tensor.shape, dtype=tensor.dtype, made="grad"))


def clear(m: Machine, addresses: Iterable[int], to_none: Truth, why: Cause) -> None:
    """zero_grad() on these parameters."""
    for address in addresses:
        held: Value = m.state.get((address, "grad"), NONE)
        if to_none.yes:
            m.state.set((address, "grad"), Const(None, why))
        elif to_none is MAYBE and held != NONE:
            m.state.set((address, "grad"), UNKNOWN)


def retain_grad(m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, subject: Label) -> None:
    """`x.retain_grad()`."""
    tell_hook(m, node, tensor, subject, "retain_grad")
    if tensor.grad.no:
        m.change(address, grad=MAYBE)
    m.state.set((address, "kept"), YES)
    if tensor.node is not None:
        known: tuple[int, ...] = m.state.get((tensor.node, "retained"), ())
        m.state.set((tensor.node, "retained"), (*known, address))


def tell_hook(m: Machine, node: cst.CSTNode, tensor: Tensor, subject: Label, method: str) -> None:
    if tensor.grad.no:
        m.raises()
    m.emit(Hooked, node, tensor=tensor, subject=subject, method=method)


def detach_in_place(m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, subject: Label) -> None:
    """`x.detach_()`: torch raises on views."""
    if tensor.view in ("view", "multi"):
        m.raises()
    m.emit(DetachedInPlace, node, tensor=tensor, subject=subject)
    why = m.cause("cut", "cut by `.detach_()`", node, subject, tensor.grad, tensor.why)
    m.change(address, grad=NO, leaf=YES, node=None, why=why)


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
