"""Context managers and decorators of torch that are used without the call that makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import autograd
from flake8_detach.flow.events import ContextNotCalled, ModeIdle
from flake8_detach.flow.values import YES, Const, External, Scalar, Thing, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

CONTEXTS = frozenset(
    {
        "torch.no_grad",
        "torch.inference_mode",
        "torch.enable_grad",
        "torch.set_grad_enabled",
        "torch.autocast",
        "torch.amp.autocast",
        "torch.cuda.amp.autocast",
        "torch.autograd.set_detect_anomaly",
        "torch.autograd.detect_anomaly",
        "torch.autograd.forward_ad.dual_level",
    }
)
"""Classes: entering the class itself is a TypeError ("does not support the context manager protocol")."""
WITHOUT_ARGUMENT = frozenset({"torch.no_grad", "torch.enable_grad"})
"""What they are called with is a function to decorate (torch/utils/_contextlib.py, _NoParamDecoratorContextManager)."""
SILENT = frozenset({"torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled"})
"""Their `__enter__` returns None."""
NEEDS_ARGUMENT = frozenset({"torch.set_grad_enabled", "torch.autocast", "torch.amp.autocast"})
"""As decorators they take the function for their first argument, a bool or the name of a device."""


def entered(m: Machine, node: cst.BaseExpression, value: Value) -> None:
    """`with value:`"""
    lifted(m, node, value)
    if isinstance(value, External) and value.name in CONTEXTS and not m.is_patched(value.name):
        _tell(m, node, "with", value.name)
        autograd.enter(m, value.name, None, node)  # what follows is judged as it is meant
    elif isinstance(node, cst.Call) and len(node.args) == 1 and not node.args[0].star:
        maker = m.evaluate(node.func) if isinstance(node.func, (cst.Name, cst.Attribute)) else None
        if isinstance(maker, External) and maker.name in WITHOUT_ARGUMENT and not m.is_patched(maker.name):
            given = m.evaluate(node.args[0].value) if _simple(node.args[0].value) else None
            if isinstance(given, (Const, Scalar)) and given != Const(None):
                _tell(m, node, "argument", maker.name)
        elif isinstance(maker, External) and maker.name == "torch.inference_mode" and not m.is_patched(maker.name):
            given = m.evaluate(node.args[0].value) if _simple(node.args[0].value) else None
            if isinstance(given, Const) and isinstance(given.value, (str, int)) and not isinstance(given.value, bool):
                _tell(m, node, "argument", maker.name)


def bound(m: Machine, item: cst.WithItem, body: cst.BaseSuite, value: Value) -> None:
    """`with torch.no_grad() as mode:`: what it binds is None. Does the block use it?"""
    cell = m.cell(value)
    name = item.asname.name if item.asname is not None else None
    if not isinstance(cell, Thing) or cell.kind not in SILENT or not isinstance(name, cst.Name):
        return
    parts = list(trees.walk(body))
    if any(isinstance(part, cst.AssignTarget) and name.deep_equals(part.target) for part in parts):
        return
    if any(isinstance(part, cst.Name) and part.value == name.value for part in parts):
        m.emit(ContextNotCalled, item.item, what="bound", name=f"{cell.kind}:{name.value}")


def flag(m: Machine, node: cst.CSTNode, given: Value | None) -> None:
    """`torch.set_grad_enabled(given)`: it takes a bool and nothing that is only true or false."""
    refused = isinstance(given, Const) and not isinstance(given.value, bool)
    number = isinstance(given, Scalar) and given.kind in ("int", "float", "str", "complex")
    if given is None or refused or number or m.is_tensor(given):
        _tell(m, node, "flag", "torch.set_grad_enabled")


def lifted(m: Machine, node: cst.BaseExpression, value: Value) -> None:
    """`with torch.enable_grad():` in inference mode."""
    cell = m.cell(value)
    if not isinstance(cell, Thing) or m.mode.inference is not YES:
        return
    on = cell.kind == "torch.set_grad_enabled" and cell.part("mode") == Const(True)
    if on or cell.kind == "torch.enable_grad":
        m.emit(ModeIdle, node, what="inference", mode=cell.kind.removeprefix("torch."))


def decorates(m: Machine, node: cst.BaseExpression, value: External) -> None:
    """`@value`"""
    if value.name in NEEDS_ARGUMENT and not m.is_patched(value.name):
        _tell(m, node, "decorator", value.name)


def _simple(node: cst.BaseExpression) -> bool:
    """Can it be evaluated a second time without doing anything?"""
    return isinstance(node, (cst.Name, cst.SimpleString, cst.Integer))


def _tell(m: Machine, node: cst.CSTNode, what: str, name: str) -> None:
    m.raises()
    m.emit(ContextNotCalled, node, what=what, name=name)
