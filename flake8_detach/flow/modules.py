"""Classes of the file and torch.nn modules: attributes, inheritance, registration, calling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    calls,
    layer_made,
    membership,
    module_tree,
    registration,
)
from flake8_detach.flow.machine import OPEN, PACKED
from flake8_detach.flow.memo import per_file
from flake8_detach.flow.values import (
    UNKNOWN,
    YES,
    Class,
    Const,
    External,
    Function,
    Instance,
    Layer,
    Method,
    Optimizer,
    Ref,
    Scalar,
    Super,
    Value,
)
from flake8_detach.knowledge import frameworks, layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


UNSEEN = "*unseen"
"""Slot of a module: a tensor that stands for parameters in submodules that the engine does not see. Of that tensor: the
address of the module."""
OWNED = "*owned"
"""Slot of an instance of an Optimizer subclass: its parameters, as Ref, or UNKNOWN."""


@per_file
def lineage(cls: Class) -> list[Class]:
    """The class and its bases of the file, in the order in which attributes are looked up."""
    found: dict[Class, None] = {}
    for c in [cls, *(k for b in cls.bases if isinstance(b, Class) for k in lineage(b))]:
        found.pop(c, None)  # a shared base comes after all of its subclasses
        found[c] = None
    return list(found)


@per_file
def outside(cls: Class) -> list[Value]:
    """The bases that are not classes of the file."""
    return list(dict.fromkeys(b for c in lineage(cls) for b in c.bases if not isinstance(b, Class)))


@per_file
def outside_names(cls: Class) -> list[str]:
    return [b.name for b in outside(cls) if isinstance(b, External)]


@per_file
def is_module_class(cls: Class) -> bool:
    return any(n.startswith("torch.nn.") or n in frameworks.MODULES for n in outside_names(cls))


def is_module(m: Machine, value: Value) -> bool:
    cell = m.cell(value)
    return isinstance(cell, Layer) or (isinstance(cell, Instance) and is_module_class(cell.cls))


def is_optimizer(m: Machine, value: Value) -> bool:
    cell = m.cell(value)
    return isinstance(cell, Optimizer) or (
        isinstance(cell, Instance) and any(n.startswith("torch.optim.") for n in outside_names(cell.cls))
    )


@per_file
def base_layer(cls: Class) -> str | None:
    """The torch.nn layer with parameters of its own that the class extends (`class MyLinear(nn.Linear)`)."""
    return next((n for n in outside_names(cls) if n != "torch.nn.Module" and layers.layer(n) is not None), None)


@per_file
def open_ended(cls: Class) -> bool:
    """Has the class a base that the engine knows nothing of, so that any attribute may exist?"""
    return any(
        not isinstance(b, External)
        or not (b.name.startswith(("torch.", "builtins.", "abc.", "typing.")) or b.name in frameworks.MODULES)
        for b in outside(cls)
    )


PLAIN = frozenset({"builtins.object", "abc.ABC", "torch.nn.Module"})


def lacks(m: Machine, value: Value, name: str) -> bool:
    """Is it an object of a class of the file that surely has no attribute of that name?"""
    cell = m.cell(value)
    if not isinstance(cell, Instance) or not isinstance(value, Ref):
        return False
    address = value.addresses[0]
    if any(m.state.get((address, slot)) is not None for slot in (name, OPEN, "*open", "*generic")):
        return False
    known = all(isinstance(base, External) and base.name in PLAIN for base in outside(cell.cls))
    return known and not any(find(m, value, n) is not None for n in (name, "__getattr__", "__getattribute__"))


def find(m: Machine, receiver: Value, name: str) -> Value | None:
    """What `receiver.name` is according to the classes of the file: bound as Python binds it; None if not there."""
    if isinstance(receiver, Super):
        cell = m.cell(receiver.instance)
        order = lineage(cell.cls) if isinstance(cell, Instance) else lineage(receiver.owner)
        after = order[order.index(receiver.owner) + 1 :] if receiver.owner in order else []
        found = _search(m, after, name)
        if found is None:
            return Method(receiver, name)
        return bind(m, found, receiver.instance)
    if isinstance(receiver, Class):
        found = _search(m, lineage(receiver), name)
        if isinstance(found, Function):
            if "builtins.classmethod" in found.wrappers:
                return replace(found, bound=receiver)
            return found
        return Method(receiver, name) if found is None and outside(receiver) else found
    cell = m.cell(receiver)
    if not isinstance(cell, Instance):
        return None
    found = _search(m, lineage(cell.cls), name)
    return None if found is None else bind(m, found, receiver, cell.cls)


def _search(m: Machine, order: list[Class], name: str) -> Value | None:
    for cls in order:
        if (cls.frame, OPEN) in m.state.slots:
            return UNKNOWN
        found: Value | None = m.state.get((cls.frame, name))
        if found is not None:
            return found
    return None


def bind(m: Machine, found: Value, instance: Value, cls: Class | None = None) -> Value:
    if not isinstance(found, Function):
        return found
    if "builtins.staticmethod" in found.wrappers:
        return found
    if "builtins.classmethod" in found.wrappers:
        return replace(found, bound=cls or instance)
    if any(w in ("builtins.property", "functools.cached_property") for w in found.wrappers):
        return Method(replace(found, bound=instance), "*property")
    return replace(found, bound=instance)


def find_setter(m: Machine, cell: Instance, name: str) -> Function | None:
    found = _search(m, lineage(cell.cls), f"{name}.setter")
    return found if isinstance(found, Function) else None


def instantiate(m: Machine, cls: Class, args: calls.Args, node: cst.CSTNode) -> Value:
    """`cls(...)`."""
    from flake8_detach.flow import custom, custom_ctx, records

    names = outside_names(cls)
    if any(n.startswith("torch.autograd.graph.") for n in names):
        m.state.set(PACKED, YES)
    if custom_ctx.is_function(cls):
        return custom.instance(m, cls, args, node)
    record = records.made(m, cls, args, node)
    if record is not None:
        return record
    if any(n.startswith(("enum.", "typing.", "torch.autograd.Function")) for n in names):
        calls.escape(m, args.values())
        return UNKNOWN
    made = m.new(Instance(cls))
    if is_module_class(cls):
        membership.made(m, made, node)
        membership.created(m, made.addresses[0], cls)
        registration.created(m, made.addresses[0], cls)
    init = find(m, made, "__init__")
    if isinstance(init, Function):
        calls.call(m, init, args, node)
    else:
        fields = records.fill(m, made, cls, args, node)
        post = find(m, made, "__post_init__")
        if fields and isinstance(post, Function):
            calls.call(m, post, calls.Args([]), node)
        if not fields:
            initialise(m, made, cls, args, node)
    return made


def initialise(m: Machine, made: Ref, cls: Class, args: calls.Args, node: cst.CSTNode) -> None:
    """The `__init__` of the bases that are not of the file."""
    registration.initialised(m, made.addresses[0])
    layer = base_layer(cls)
    if layer is not None:
        spec = layers.layer(layer)
        if spec is not None and spec.container:
            layer_made.fill_container(m, made.addresses[0], layer, args, node)
        elif spec is not None:
            layer_made.make_parameters(m, made.addresses[0], spec, args.bind(spec.params))
    elif is_optimizer(m, made):
        owned = module_tree.parameters_in(m, args.get(0, "params") or UNKNOWN)
        m.state.set((made.addresses[0], OWNED), UNKNOWN if owned is None else Ref(tuple(owned)))
        m.state.put(
            made.addresses[0],
            "param_groups",
            module_tree.param_groups(m, Optimizer("?", None if owned is None else tuple(owned))),
        )
    elif open_ended(cls):
        calls.escape(m, args.values())


TRAINING = "training"
"""Slot of a module: in training mode (Const(True), where nothing is said) or in evaluation mode?"""


def set_training(m: Machine, value: Value, mode: Value) -> None:
    """`value.train(mode)`: for the module and all below it."""
    known: Value = mode if isinstance(mode, Const) else Scalar("bool")
    for address in module_tree.tree(m, value).modules:
        m.state.set((address, TRAINING), known)


def training(m: Machine, address: int) -> Value:
    """`module.training`. Code outside of the file, where it holds the module, may have switched it."""
    if address in m.escaped:
        return Scalar("bool")
    told: Value | None = m.state.get((address, TRAINING))
    if told is not None:
        return told
    return Const(True) if m.visit is None else Scalar("bool")
