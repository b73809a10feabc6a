"""Reading and writing attributes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    aliases,
    alternatives,
    assigning,
    autograd,
    calls,
    custom_ctx,
    freezing,
    gradients,
    habits,
    hidden,
    hooks,
    idle,
    individuals,
    layer_made,
    membership,
    missing,
    module_groups,
    module_tree,
    modules,
    optimizer_contracts,
    parameters,
    records,
    registration,
    replaced,
    sampling,
    shapes,
    snapshots,
    steppers,
    suspects,
    tensor_hooks,
    tensors,
    training,
)
from flake8_detach.flow.events import InferenceSaved
from flake8_detach.flow.machine import OPEN
from flake8_detach.flow.operators import use_none
from flake8_detach.flow.slots import CELL, RESET
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    SOME,
    UNKNOWN,
    YES,
    Array,
    Class,
    Const,
    Either,
    External,
    Foreign,
    Function,
    Instance,
    Layer,
    Method,
    Optimizer,
    Ref,
    Scalar,
    Super,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.imports import canonical
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def get(m: Machine, owner: Value, name: str, node: cst.CSTNode, owner_node: cst.CSTNode, tested: bool = False) -> Value:
    """`owner.name`; `tested`: only to compare it with None."""
    use_none(m, node, owner, owner_node)
    if name == "step":
        steppers.asked(m, alternatives.one(owner), node)
    if isinstance(owner, Either):
        owner = alternatives.settle(m, owner_node, alternatives.having(owner, name))
    if isinstance(owner, Ref):
        if len(owner.addresses) == 1:
            return _of_object(m, owner, name, node, owner_node, tested)
        return _each(m, owner, name, node, owner_node, tested)
    if isinstance(owner, External):
        return External(canonical(f"{owner.name}.{name}"))
    if isinstance(owner, Foreign):
        return owner if owner == tensors.BATCH and name not in _PLAIN_TENSOR else _of_foreign(owner, name)
    if isinstance(owner, Tuple) and owner.names:
        return records.attribute(owner, name)
    if isinstance(owner, (Class, Super)):
        found = modules.find(m, owner, name)
        return UNKNOWN if found is None else found
    if isinstance(owner, Array):
        return owner if name in ("T", "real", "imag", "flat") else Method(owner, name)
    if isinstance(owner, (Tuple, Const, Scalar, Function)):
        return Method(owner, name)
    if isinstance(owner, Method):
        missing.of_method(m, node, owner, name)
    return UNKNOWN


READ_ONLY = frozenset({"grad_fn", "is_leaf", "retains_grad"})
"""Attributes of a tensor that torch does not let be assigned."""
DICTIONARIES = ("__dict__", "_parameters", "_modules", "_buffers")
"""Attributes through which everything can be changed without spelling a name."""
_PLAIN_TENSOR = ("shape", "dtype", "device", "ndim")


def _of_foreign(owner: Foreign, name: str) -> Value:
    return UNKNOWN if owner == tensors.BATCH else Method(owner, name)


def _each(m: Machine, owner: Ref, name: str, node: cst.CSTNode, owner_node: cst.CSTNode, tested: bool) -> Value:
    """The attribute of several objects: one Ref to all of the results where that is possible."""
    results = [_of_object(m, Ref((a,), owner.some), name, node, owner_node, tested) for a in owner.addresses]
    if not results:
        return UNKNOWN
    if all(isinstance(r, Method) for r in results):
        return Method(owner, name)
    if all(r == results[0] for r in results):
        return results[0]
    missing = next((r for r in results if isinstance(r, Const) and r.value is None and r.why is not None), None)
    if missing is not None and not tested:  # nothing may be done with it, but not all of them are None
        filled = tuple(dict.fromkeys(a for r in results if isinstance(r, Ref) for a in r.addresses))
        return Either(missing, Ref(filled), m.doubts) if filled else UNKNOWN
    if all(isinstance(r, Ref) for r in results):
        return Ref(tuple(dict.fromkeys(a for r in results if isinstance(r, Ref) for a in r.addresses)))
    return UNKNOWN


def _of_object(m: Machine, owner: Ref, name: str, node: cst.CSTNode, owner_node: cst.CSTNode, tested: bool) -> Value:
    address = owner.addresses[0]
    cell = m.state.cell(address)
    if isinstance(cell, Tensor):
        return _of_tensor(m, address, cell, name, node, owner_node, tested)
    if (address, OPEN) in m.state.slots or (
        isinstance(cell, Instance)
        and not modules.is_module(m, owner)
        and modules.find(m, owner, "__getattribute__") is not None
    ):
        return UNKNOWN
    if isinstance(cell, Thing) and cell.kind == custom_ctx.CONTEXT:
        return custom_ctx.read(m, owner, name, node)
    if name.startswith("_") and name.endswith("_hooks"):
        hooks.doubt(m)
    if name in DICTIONARIES:
        m.open_object(owner)
        calls.escape(m, [owner])
        return UNKNOWN
    if "grad" in name:
        m.ledger.attributes_read.add(name)
    found: Value | None = m.state.get((address, name))
    if name == modules.TRAINING and modules.is_module(m, owner):
        return modules.training(m, address)
    if found is not None:
        membership.read(m, address, name)
        return module_groups.one(found) if owner.some else found
    if isinstance(cell, Instance):
        found = modules.find(m, owner, name)
        if isinstance(found, Method) and found.name == "*property":
            value = calls.call(m, found.receiver, calls.Args([]), node)
            if isinstance(found.receiver, Function) and "functools.cached_property" in found.receiver.wrappers:
                m.state.set((address, name), value)
            return value
        if found is not None:
            return found
        named = module_groups.named(m, address, Const(name))
        if named is not None or m.state.get((address, "*open")):
            return named or UNKNOWN
        missing.of_module(m, node, owner, name)
        if name == "backward" and modules.lacks(m, owner, name):
            return Method(owner, name)
        return Method(owner, name) if modules.is_module(m, owner) or modules.is_optimizer(m, owner) else UNKNOWN
    if isinstance(cell, Layer):
        missing.of_module(m, node, owner, name)
        return layer_made.layer_attribute(m, owner, cell, name)
    if isinstance(cell, Optimizer) and name == "param_groups":
        gradients.note(m, address, optimizer_contracts.RESUMABLE, MAYBE)  # whoever has the groups may write to them
        return module_tree.param_groups(m, cell)
    if isinstance(cell, Thing):
        part = cell.part(name) or sampling.parameter(m, cell, name)
        return Method(owner, name) if part is None else part
    return Method(owner, name)


def _of_tensor(
    m: Machine, address: int, tensor: Tensor, name: str, node: cst.CSTNode, owner_node: cst.CSTNode, tested: bool
) -> Value:
    owner = Ref((address,))
    if name in ("grad", "_grad"):
        return autograd.read_grad(m, node, owner_node, address, tensor, tested)
    if name == "data":
        habits.data(m, node, owner_node, tensor)
        return autograd.detach(m, node, owner, owner_node, "`.data`", shares_version=False)
    if name == "requires_grad":
        freezing.used(m)
        return Const(tensor.grad is YES) if tensor.grad.proved else Scalar("bool")
    if name == "is_leaf":
        return Const(tensor.leaf is YES) if tensor.leaf.proved else Scalar("bool")
    if name == "retains_grad":
        kept: Truth = m.state.get((address, "kept"), NO)
        return Const(kept is YES) if kept.proved else Scalar("bool")
    if name == "_version" and tensor.inference is YES:
        m.raises()
        m.emit(InferenceSaved, node, tensor=tensor, subject=m.text(node), op=name)
        return UNKNOWN
    if name == "grad_fn":
        return NONE if tensor.grad is NO or tensor.leaf is YES else tensor_hooks.grad_fn(m, address, tensor)
    if name in ("shape", "dtype", "device", "layout", "names"):
        missing.unset(m, node, address, name)
        return shapes.numbers(m, tensor.shape) if name == "shape" else UNKNOWN
    if name in ("ndim",):
        return Const(tensor.rank) if tensor.rank is not None else Scalar("int")
    op = ops.attribute(name)
    if op is not None and op.graph != "python":
        return tensors.apply(m, node, op, {"self": owner}, m.text(owner_node))
    custom: Value | None = m.state.get((address, f".{name}"))
    if custom is None:
        missing.removed_attribute(m, node, name)
        assigning.read(m, node, owner_node, tensor, name)
    return Method(owner, name) if custom is None else custom


def put(m: Machine, owner: Value, name: str, value: Value, node: cst.CSTNode, owner_node: cst.CSTNode) -> None:
    """`owner.name = value`."""
    owner = alternatives.one(owner)
    use_none(m, node, owner, owner_node)
    if isinstance(owner, External):
        m.patched.add(f"{owner.name}.{name}")
    if isinstance(owner, Class):
        steppers.handed(m, value)
        m.state.put(owner.frame, name, value)
    if not isinstance(owner, Ref):
        if name == "grad":
            gradients.stir(m)
        suspects.written(m, owner_node)
        replaced.stowed(m, value)
        return
    steppers.handed(m, value, m.ledger.stowed)  # whoever has the object has it too
    if name == "data":
        aliases.put_back(m, node, owner, value, name)
    for address in owner.addresses:
        cell = m.state.cell(address)
        if isinstance(cell, (Instance, Layer)):
            before = m.state.get((address, name))
            training.exchanged(m, address, before, value, node)
            parameters.succeeded(m, before, value)
        if isinstance(cell, Tensor):
            value = UNKNOWN if isinstance(value, Either) else value
            alone = len(owner.addresses) == 1 and not owner.some
            _put_on_tensor(m, address, cell, name, value, node, owner_node, owner.some, alone)
        elif isinstance(cell, Instance):
            if len(owner.addresses) == 1:
                setter = modules.find_setter(m, cell, name)
                if setter is not None:
                    calls.call(m, setter, calls.Args([owner, value]), node)
                    continue
            if not modules.is_module_class(cell.cls) and modules.find(m, owner, "__setattr__") is not None:
                calls.escape(m, [value])  # what the class makes of it is its own affair
                m.state.assign(address, name, UNKNOWN)
                continue
            if modules.is_module_class(cell.cls):
                if registration.refuses(m, address, name, value, node):
                    continue
                idle.attribute(m, address, name, value, node, owner_node)
                membership.kept(m, address, name, value, node)
            if address in m.state.several:
                m.retention.store(m, address, value, node)
            m.state.assign(address, name, individuals.given(m, address, value))
        elif isinstance(cell, Layer):
            if registration.refuses(m, address, name, value, node):
                continue
            idle.attribute(m, address, name, value, node, owner_node)
            if isinstance(value, Ref):
                m.ledger.registered.update(value.addresses)
            if cell.children is not None and modules.is_module(m, value) and name not in cell.children:
                m.state.set((address, ""), replace(cell, children=(*cell.children, name)))
            m.state.assign(address, name, value)
        elif isinstance(cell, Thing) and cell.kind == custom_ctx.CONTEXT:
            custom_ctx.put(m, address, name, value, node)
        else:
            m.state.assign(address, name, value)


def _put_on_tensor(
    m: Machine,
    address: int,
    tensor: Tensor,
    name: str,
    value: Value,
    node: cst.CSTNode,
    owner_node: cst.CSTNode,
    some: bool,
    alone: bool,
) -> None:
    refused = "it cannot be written" if name in READ_ONLY else assigning.refused(m, address, tensor, name, value, alone)
    if name == "requires_grad" and isinstance(value, Const) and not isinstance(value.value, bool):
        refused = "it must be a bool"
    if refused:
        autograd.refuse(m, node, tensor, m.text(owner_node), refused)
    elif name == "requires_grad":
        idle.on_temporary(m, name, node, owner_node)
        asked = YES if value == Const(True) else NO if value == Const(False) else None
        autograd.require(m, node, address, tensor, asked, m.text(owner_node), "`.requires_grad = False`", some)
    elif name in ("grad", "_grad") and some:
        m.steered.add(tensor.storage)
        m.state.set((address, "grad"), UNKNOWN)
    elif name in ("grad", "_grad"):
        m.steered.add(tensor.storage)
        m.state.set(
            (address, "grad"), Const(None, m.cause("constant", "set to None", node)) if value == NONE else value
        )
        for twin in m.state.alike(address):
            if (twin, CELL) in m.state.slots:
                m.state.set((twin, "grad"), UNKNOWN)  # if it is the same tensor, so is its gradient
        if value == NONE:
            training.cleared(m, [address], node)
        else:
            training.assigned(m, address, node, value)
    elif name == "data":
        snapshots.moved(m)
        m.steered.add(tensor.storage)
        hidden.dropped(m, node, "an assignment to `.data`", m.tensors(value), m.text(node))
        hidden.replaced(m, tensor.storage, node)
        source = m.cell(value)
        m.state.set((address, RESET), m.state.address())
        if isinstance(source, Tensor):
            m.change(address, shape=source.shape, dtype=source.dtype, storage=m.state.address(), base=None, view="")
            m.change(address, precision=source.precision or SOME)
            if source.inference is not tensor.inference:  # autograd passes by what holds an inference tensor
                m.change(address, inference=MAYBE, grad=tensor.grad & MAYBE)
        else:
            m.change(address, shape=None, inference=tensor.inference & MAYBE, precision=SOME)
    else:
        if name == "volatile":
            missing.ignored(m, node, str(m.text(node)), "was removed and has no effect; use `with torch.no_grad():`")
        idle.attribute(m, address, name, value, node, owner_node)
        m.state.set((address, f".{name}"), value)


__all__ = ["NO", "get", "put"]
