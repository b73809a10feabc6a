"""`copy.copy` and `copy.deepcopy`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    events,
    freezing,
    modules,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.machine import RECOMPUTED
from flake8_detach.flow.registry import model
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    YES,
    Either,
    Instance,
    Mapping_,
    Optimizer,
    Ref,
    Sequence,
    Tensor,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@model("copy.copy", "copy.deepcopy")
def _copy(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.get(0, "x") or UNKNOWN
    if m.is_tensor(value):
        cell = m.cell(value)
        deep = args.called == "copy.deepcopy"
        if isinstance(cell, Tensor) and (cell.leaf.yes or (deep and cell.parameter)):
            made = m.tensor(
                grad=cell.grad,
                leaf=YES,
                shape=cell.shape,
                dtype=cell.dtype,
                parameter=cell.parameter,
                why=cell.why,
                made=cell.made,
                inference=cell.inference
                if cell.parameter and not deep
                else m.mode.inference,  # made of the same memory
            )
            if deep:
                freezing.copied(m, value.addresses[0], made.addresses[0])  # type: ignore[union-attr]
            if m.state.get((value.addresses[0], "grad"), NONE) != NONE:  # type: ignore[union-attr]
                m.state.set((made.addresses[0], "grad"), UNKNOWN)  # a copy as well
            return made
        if deep:
            tell_copy(m, node, value, args.node(0, "x", node))
            return UNKNOWN
        grad = cell.grad if isinstance(cell, Tensor) else MAYBE
        copied = autograd.copy_of(m, node, value, m.text(args.node(0, "x", node)), "`copy.copy(...)`", grad)
        for address, _ in m.tensors(copied):
            m.refine(address, inference=m.mode.inference)
        return copied
    if args.called == "copy.copy":
        return _shallow(m, value)
    if isinstance(value, (Ref, Tuple)):
        done: dict[int, int] = {}
        try:
            copied = clone(m, value, done)
        except _CopiesItself:
            return UNKNOWN
        kept = [a for a in done if m.state.get((a, RECOMPUTED)) is None]
        inside = [
            a
            for a in kept
            if isinstance(cell := m.state.cell(a), Tensor) and cell.leaf.no and cell.grad.yes and not cell.parameter
        ]
        if inside and args.called == "copy.deepcopy" and len(args.pos) == 1 and not args.open and copied != UNKNOWN:
            tell_copy(m, node, Ref((inside[0],)), args.node(0, "x", node), inside=True)
        return copied
    return value


def _shallow(m: Machine, value: Value) -> Value:
    """A new object that holds the very objects which the other one holds."""
    if not isinstance(value, Ref):
        return value
    cell = m.cell(value)
    if isinstance(cell, (Sequence, Mapping_)):
        return m.new(cell)
    copiers = (*COPIERS, "__copy__")
    own = any(modules.find(m, value, name) is not None for name in copiers)
    if not isinstance(cell, Instance) or modules.is_module(m, value) or own:
        escape(m, [value])  # a module shares its dicts of parameters and modules with its copy
        return UNKNOWN
    copy = m.new(cell)
    for name in m.state.names(value.addresses[0]):
        m.state.put(copy.addresses[0], name, m.state.get((value.addresses[0], name)))
    return copy


COPIERS = ("__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__")


class _CopiesItself(Exception):
    """An object below defines how it is copied: what comes out is its affair."""


def tell_copy(
    m: Machine, node: cst.CSTNode, value: Value, value_node: cst.CSTNode, handed: bool = False, inside: bool = False
) -> None:
    """A tensor is deep-copied or pickled for another process; only leaves can be."""
    for _, tensor in m.tensors(value):
        if tensor.leaf.no and tensor.grad.yes:
            m.raises()
        how = m.text(node.func) if isinstance(node, cst.Call) else m.text(node)
        m.emit(events.Copied, node, tensor=tensor, subject=m.text(value_node), how=how, handed=handed, inside=inside)


def clone(m: Machine, value: Value, done: dict[int, int], depth: int = 0) -> Value:
    """A deep copy of an object and everything below it; the parameters of a copied module are new leaves."""
    if isinstance(value, Tuple):
        return Tuple(tuple(clone(m, i, done, depth + 1) for i in value.items), value.names)
    if not isinstance(value, Ref) or depth > 12:
        return UNKNOWN if isinstance(value, (Ref, Either)) else value
    made = []
    for address in value.addresses:
        m.step()
        if address not in done:
            cell = m.state.cell(address)
            if isinstance(cell, Instance) and any(modules.find(m, Ref((address,)), n) is not None for n in COPIERS):
                raise _CopiesItself
            copy = m.new(cell).addresses[0]
            done[address] = copy
            if isinstance(cell, Tensor):
                freezing.copied(m, address, copy)
                leaf = YES if cell.parameter else cell.leaf  # Parameter.__deepcopy__ makes a new one
                node = None if leaf.yes else cell.node
                now = m.mode.inference if not m.mode.inference.no else cell.inference & MAYBE
                m.change(copy, storage=m.state.address(), view="", base=None, node=node, leaf=leaf, inference=now)
                if cell.made == "state_dict":
                    m.refine(copy, made="")  # it is not the parameter any more
            elif isinstance(cell, Sequence):
                items = None if cell.items is None else tuple(clone(m, i, done, depth + 1) for i in cell.items)
                element = clone(m, cell.element, done, depth + 1)
                m.state.set((copy, CELL), replace(cell, items=items, element=element))
            elif isinstance(cell, Mapping_):
                entries = tuple((k, clone(m, v, done, depth + 1)) for k, v in cell.items)
                # what stands for values under other keys need not be there: it is copied, but not counted
                rest = None if cell.rest is None else clone(m, cell.rest, dict(done), depth + 1)
                m.state.set((copy, CELL), Mapping_(entries, rest))
            elif isinstance(cell, Optimizer):
                m.state.set((copy, CELL), Optimizer(cell.kind, None))
            for name in m.state.names(address):
                m.state.put(copy, name, clone(m, m.state.get((address, name)), done, depth + 1))
        made.append(done[address])
    return Ref(tuple(made))
