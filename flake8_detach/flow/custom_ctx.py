"""`ctx`, which forward and backward of a custom torch.autograd.Function are given: what is kept on it, and how.

Its attributes are slots of its address. What `save_for_backward` was given is there as `saved_tensors`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import calls, modules
from flake8_detach.flow.events import CustomMisuse
from flake8_detach.flow.memo import per_file
from flake8_detach.flow.values import (
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Class,
    Const,
    Function,
    Instance,
    Label,
    Layer,
    Mapping_,
    Method,
    Ref,
    Scalar,
    Sequence,
    Thing,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge.function_ctx import ATTRIBUTES

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

BASES = frozenset(
    {
        "torch.autograd.Function",
        "torch.autograd.function.Function",
        "torch.autograd.function.InplaceFunction",
        "torch.autograd.function._SingleLevelFunction",
    }
)
CONTEXT = "torch.autograd.function.FunctionCtx"
"""Kind of the `ctx` that forward and backward are given; what is kept on it are slots of its address."""
INSTANCE = "torch.autograd.Function"
"""Kind of an instance of such a class, which is good for nothing."""

READ = "*read "
"""Slots of a ctx: YES where backward has read this attribute."""
PUT = "*put "
"""Slots of a ctx: where the attribute was assigned."""
SAVED_AT, DIRTY, FLAT, RAW, LATE = "*saved at", "*dirty", "*flat", "*raw", "*late"
"""Slots of a ctx: the call of save_for_backward; what was marked dirty, and non-differentiable (tuples); are missing
gradients None (set_materialize_grads(False)); is it backward that runs now."""


@per_file
def is_function(cls: Class) -> bool:
    """Is it a subclass of torch.autograd.Function, with no other base that the engine knows nothing of?"""
    return any(n in BASES for n in modules.outside_names(cls)) and not modules.open_ended(cls)


def find_method(m: Machine, cls: Class, name: str) -> Function | None:
    found = modules.find(m, cls, name)
    return found if isinstance(found, Function) else None


def switch(m: Machine, cls: Class, name: str) -> bool:
    """Is this switch of the class set?"""
    return modules.find(m, cls, name) == Const(True)


def kind_of(m: Machine, value: Value) -> str:
    """What an input, output or gradient is: "tensor", "None", the name of a Python type, or "?" if it is not known."""
    if isinstance(value, Const):
        return type(value.value).__name__ if value.value is not None else "None"
    if isinstance(value, Scalar):
        return value.kind
    if isinstance(value, Tuple):
        return "tuple"
    if isinstance(value, Array):
        return "ndarray" if value.scalar is NO else "?"
    if isinstance(value, (Function, Class)):
        return "function"
    if m.is_tensor(value):
        return "tensor"
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        return cell.kind if cell.kind in ("list", "tuple", "set") else "?"
    if isinstance(cell, Mapping_):
        return "dict"
    if isinstance(cell, Layer) or (isinstance(cell, Instance) and modules.is_module_class(cell.cls)):
        return "module"
    return "?"


def misuse(
    m: Machine, node: cst.CSTNode, kind: str, function: str, used: Truth, what: Label = "", at: Any = None
) -> CustomMisuse:
    return m.event(CustomMisuse, node, kind=kind, function=function, what=what, used=used, at=at)


def tell(m: Machine, node: cst.CSTNode, kind: str, cls: Class, used: Truth, what: Label = "", at: Any = None) -> None:
    m.emit(CustomMisuse, node, kind=kind, function=cls.name, what=what, used=used, at=at)


def read(m: Machine, owner: Ref, name: str, node: cst.CSTNode) -> Value:
    """An attribute of `ctx`."""
    address = owner.addresses[0]
    cls = m.frame.owner
    if name == "saved_variables" and cls is not None:
        tell(m, node, "saved_variables", cls, YES)
    name = "saved_tensors" if name == "saved_variables" else name
    if m.state.get((address, LATE)) is not None:
        once = name == "saved_tensors" and cls is not None and switch(m, cls, "clear_saved_tensors_on_access")
        if (
            once
            and cls is not None
            and m.state.get((address, READ + name), NO).yes
            and m.state.get((address, SAVED_AT))
        ):
            tell(m, node, "cleared", cls, YES)
        m.state.set((address, READ + name), YES)
    found: Value | None = m.state.get((address, name))
    if address in m.escaped:
        return Method(owner, name) if name in METHODS else UNKNOWN
    if found is not None:
        return found
    if m.state.get((address, LATE)) is not None and cls is not None and _absent(m, name):
        m.raises()
        tell(m, node, "absent", cls, YES, name)
    return Method(owner, name) if name in METHODS else UNKNOWN


def _absent(m: Machine, name: str) -> bool:
    """Is the attribute none that every `ctx` has, and set nowhere in the file, as far as one can see?"""
    if name in ATTRIBUTES or name.startswith("_") or m.tree is None:
        return False
    for node in ast.walk(m.tree):
        if isinstance(node, ast.Name) and node.id in ("setattr", "vars", "exec", "eval"):
            return False
        if isinstance(node, ast.Attribute) and (
            node.attr in ("__dict__", "__setattr__") or (node.attr == name and not isinstance(node.ctx, ast.Load))
        ):
            return False
    return True


def put(m: Machine, address: int, name: str, value: Value, node: cst.CSTNode) -> None:
    """`ctx.name = value`."""
    m.state.put(address, name, value)
    m.state.set((address, PUT + name), node)


METHODS = frozenset(
    {
        "save_for_backward",
        "save_for_forward",
        "mark_dirty",
        "mark_non_differentiable",
        "mark_shared_storage",
        "set_materialize_grads",
    }
)


def misfit(m: Machine, node: cst.CSTNode, value: Tuple, count: int) -> None:
    """`a, b = ctx.saved_tensors` where one was saved; `ctx.needs_input_grad[1]` of one input."""
    function, owner = m.frame.function, m.frame.owner
    if function is None or owner is None or not is_function(owner) or isinstance(function.definition, cst.Lambda):
        return
    for param in function.definition.params.params[:2]:
        address, cell = next(iter(m.cells(m.lookup(param.name.value) or UNKNOWN)), (0, None))
        if isinstance(cell, Thing) and cell.kind == CONTEXT and address not in m.escaped:
            for name in ("saved_tensors", "needs_input_grad"):
                if m.state.get((address, name)) is value:
                    m.raises()
                    held = f"{name}` has {len(value.items)} of the {count}"
                    tell(m, node, "too short" if len(value.items) < count else "too long", owner, YES, held)


def on_context(m: Machine, node: cst.CSTNode, ctx: Ref, name: str, args: calls.Args) -> Value:
    """A method of `ctx`."""
    address = ctx.addresses[0]
    values = UNKNOWN if args.open else Tuple(tuple(args.pos))
    owner = m.frame.owner
    if name == "save_for_backward":
        _save(m, node, address, values, owner)
    elif name in ("mark_dirty", "mark_non_differentiable", "save_for_forward"):
        if name != "save_for_forward":
            m.state.set((address, DIRTY if name == "mark_dirty" else FLAT), values)
        allowed = ("tensor", "?", "None") if name == "save_for_forward" else ("tensor", "?")
        for value in args.pos:
            if kind_of(m, value) not in allowed and owner is not None:
                what = f"{name}` got an object of type {kind_of(m, value)}"
                tell(m, _applied(m) or node, "marked no tensor", owner, YES, what, node)
    elif name == "mark_shared_storage" and owner is not None:
        tell(m, node, "shared storage", owner, YES)
    elif name == "set_materialize_grads":
        if args.get(0, "value") != Const(True):
            m.state.set((address, RAW), YES)
    else:
        calls.escape(m, [ctx, *args.values()])
        return UNKNOWN
    return NONE


def _applied(m: Machine) -> cst.CSTNode | None:
    """The call of `apply` by which the method that is running was reached: torch raises there."""
    method = m.frame.function
    ours = method is not None and method.name in ("forward", "setup_context")
    return m.frame.call if ours and isinstance(m.frame.call, cst.Call) else None


def _save(m: Machine, node: cst.CSTNode, address: int, values: Value, owner: Class | None) -> None:
    before, at = m.state.get((address, "saved_tensors")), m.state.get((address, SAVED_AT))
    if owner is not None and m.state.get((address, LATE)) is not None:
        tell(m, node, "saved late", owner, YES)
        return
    if (
        owner is not None
        and at is not None
        and isinstance(before, Tuple)
        and isinstance(values, Tuple)
        and any(v not in values.items for v in before.items)
    ):
        tell(m, node, "saved twice", owner, YES, at=at)
    m.state.put(address, "saved_tensors", values)
    m.state.set((address, SAVED_AT), node)
