"""What is asked of PyTorch that it does not have: attributes, functions and keywords, gone or never there."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    events,
)
from flake8_detach.flow.values import (
    NO,
    YES,
    Array,
    Const,
    Instance,
    Layer,
    Method,
    Ref,
    Scalar,
    Sequence,
    Tuple,
    Value,
)
from flake8_detach.knowledge import api, layers, ops

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine


def tell(m: Machine, node: cst.CSTNode, problem: str) -> None:
    """Tell the rules that Python stops here."""
    m.raises()
    m.emit(events.Missing, node, subject=m.text(node), problem=problem)


def ignored(m: Machine, node: cst.CSTNode, what: str, problem: str) -> None:
    """Tell the rules of what PyTorch takes and does not look at."""
    m.emit(events.Missing, node, subject=what, problem=problem, raises=False)


def property_called(m: Machine, node: cst.Call, name: str) -> bool:
    """`x.requires_grad()`: is an attribute of a tensor called that is no method?"""
    if name not in api.PROPERTIES:
        return False
    tell(m, node, f"`{name}` is no method of a tensor: leave the brackets out")
    return True


def removed_method(m: Machine, node: cst.CSTNode, name: str) -> bool:
    """`x.reinforce(r)`: has the method been removed?"""
    if name not in api.REMOVED_METHODS:
        return False
    tell(m, node, f"`{name}` has been removed from PyTorch; {api.REMOVED_METHODS[name]}")
    return True


def removed_function(m: Machine, node: cst.CSTNode, name: str) -> bool:
    """`torch.autograd.variable(x)`: has the function been removed?"""
    if name not in api.REMOVED_FUNCTIONS:
        return False
    tell(m, node, f"`{name}` has been removed from PyTorch; {api.REMOVED_FUNCTIONS[name]}")
    return True


def removed_attribute(m: Machine, node: cst.CSTNode, name: str) -> None:
    """`y.creator`."""
    if name in api.REMOVED_ATTRIBUTES and name not in m.ledger.attributes_asked:
        tell(m, node, f"a tensor has no `{name}` any more; {api.REMOVED_ATTRIBUTES[name]}")


def uncalled(m: Machine, value: Value) -> str:
    """The name of the method of a tensor or module that `value` is, if it is one that torch defines."""
    from flake8_detach.flow import modules

    if not isinstance(value, Method):
        return ""
    if m.is_tensor(value.receiver):
        op = ops.method(value.name)
        return value.name if op is not None or value.name in ("detach", "item", "numpy", "backward") else ""
    if isinstance(m.cell(value.receiver), (Layer, Instance)) and modules.is_module(m, value.receiver):
        return value.name if value.name in api.MODULE_METHODS else ""
    return ""


def of_method(m: Machine, node: cst.CSTNode, owner: Value, name: str) -> None:
    """`x.detach.numpy`: an attribute of a method that was not called."""
    method = uncalled(m, owner)
    if method and not name.startswith("__"):
        tell(m, node, f"`{method}` is a method that is not called here: it has no `{name}`")


def iterated(m: Machine, node: cst.CSTNode, value: Value) -> None:
    """`for p in model.parameters`."""
    method = uncalled(m, value)
    if method:
        tell(m, node, f"`{method}` is a method that is not called here: nothing can be iterated over")


def of_module(m: Machine, node: cst.CSTNode, owner: Ref, name: str) -> None:
    """`model.grad`: an attribute that only tensors have."""
    from flake8_detach.flow import modules

    cell = m.cell(owner)
    if name not in api.TENSOR_ONLY or name in m.ledger.attributes_asked:
        return
    if isinstance(cell, Instance) and (modules.open_ended(cell.cls) or modules.find(m, owner, "__getattr__")):
        return
    if isinstance(cell, Layer) and layers.layer(cell.kind) is None:
        return
    if modules.is_module(m, owner) and (owner.addresses[0], "*open") not in m.state.slots:
        tell(m, node, f"a module has no `{name}`; its parameters and its output do")


def keywords(m: Machine, node: cst.CSTNode, name: str, args: Args) -> bool:
    """`nn.Parameter(w, require_grad=False)`: is a keyword given that the function of torch does not have?"""
    for keyword in args.kw:
        taken = api.takes(name, keyword)
        meant = api.meant(name, keyword)
        if taken is None and meant == "requires_grad":
            taken = _takes_flag(name, keyword)
        if taken is False:
            hint = f"; it is spelt `{meant}`" if meant and meant != keyword else ""
            tell(m, node, f"`{name.rpartition('.')[2]}` has no argument `{keyword}`{hint}")
            return True
    return False


def _takes_flag(name: str, keyword: str) -> bool | None:
    """Does it take `requires_grad`, or a keyword that looks like it?"""
    layer = layers.layer(name)
    if layer is not None:
        return None if layer.container else keyword in layer.params
    op = ops.method(name.removeprefix("Tensor.")) if name.startswith("Tensor.") else ops.function(name)
    if op is None:
        return None
    return keyword in op.params or (keyword == "requires_grad" and op.graph == "new")


def no_tensor(m: Machine, node: cst.CSTNode, what: str, value: Value) -> bool:
    """`Variable(3.0)`: is something wrapped that is certainly no tensor?"""
    cell = m.cell(value)
    number = isinstance(value, (Scalar, Array, Tuple)) or (isinstance(value, Const) and value.value is not None)
    if not (number or isinstance(cell, Sequence)):
        return False
    tell(m, node, f"`{what}` wraps tensors only; use `torch.tensor(...)`")
    return True


UNSET = "*unset"
"""Slot of a parameter of a lazy module: YES until the module has been called."""


def unset(m: Machine, node: cst.CSTNode, address: int, name: str) -> bool:
    """A method or attribute of a parameter that has neither shape nor values yet."""
    if not m.lazy or name in api.OF_UNSET or address in m.escaped or m.state.get((address, UNSET)) is not YES:
        return False
    tell(m, node, "the parameter of a lazy module has neither shape nor values before the module's first call")
    return True


def initialised(m: Machine, module: Value) -> None:
    """A lazy module is called, or its parameters are loaded."""

    from flake8_detach.flow import module_tree

    for address in module_tree.tree(m, module).parameters:
        if m.state.get((address, UNSET)) is YES:
            m.state.set((address, UNSET), NO)


def _asked(m: Machine, called: cst.BaseExpression) -> bool:
    """Does a test in the file ask anything of what is called? Who asks what a layer is, or has, calls those that can be
    called."""
    nodes = list(ast.walk(m.tree)) if m.tree is not None else []
    tests = [node.test for node in nodes if isinstance(node, (ast.If, ast.IfExp, ast.While))]
    tests += [test for node in nodes if isinstance(node, ast.comprehension) for test in node.ifs]
    parts = (part for test in tests for part in ast.walk(test) if isinstance(part, (ast.Name, ast.Attribute)))
    text = ast.unparse(ast.parse(cst.Module([]).code_for_node(called), mode="eval"))
    return any(ast.unparse(part) == text for part in parts)


def forward(m: Machine, module: Value, node: cst.CSTNode) -> bool:
    """A module of the file is called whose class has no `forward`, and cannot get one from elsewhere."""
    from flake8_detach.flow import functions, modules
    from flake8_detach.flow.machine import OPEN

    cell = m.cell(module)
    assert isinstance(module, Ref)
    assert isinstance(cell, Instance)
    address = module.addresses[0]
    outside = modules.outside_names(cell.cls)
    ways = ("__getattr__", "__getattribute__", "__call__", "_call_impl")
    if any(name != "torch.nn.Module" for name in outside) or modules.open_ended(cell.cls) or address in m.escaped:
        return False
    if (address, OPEN) in m.state.slots or m.state.get((address, functions.GENERIC)) is not None:
        return False
    if any(modules.find(m, module, way) is not None for way in ways) or m.is_patched("torch.nn.Module.forward"):
        return False
    if isinstance(node, cst.Call) and _asked(m, node.func):
        return False
    tell(m, node, f"the class `{cell.cls.name}` defines no `forward`")
    return True
