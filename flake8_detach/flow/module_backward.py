"""`backward(self, grad)` of an nn.Module: a method like any other, of which autograd knows nothing.

It asks torch.autograd.Function for its backward; a module's forward it differentiates op by op
(https://pytorch.org/docs/stable/notes/extending.html, "When to use").
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst
from libcst.matchers import Attribute, MatchIfTrue, Name, Return, findall

from flake8_detach.flow import custom_backward, modules
from flake8_detach.flow.custom_ctx import find_method, misuse
from flake8_detach.flow.memo import per_file
from flake8_detach.flow.values import Class, Function, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

OF_TENSORS = frozenset({"retain_graph", "create_graph", "inputs"})
"""Keywords that tell `loss.backward()` from a call of such a method (torch/_tensor.py)."""


def called(m: Machine, cls: Class, result: Value) -> None:
    """The module has been called: nobody will call its `backward` when the gradient comes by `result`."""
    if m.quiet or not m.mode.grad.yes or modules.open_ended(cls):
        return
    backward = find_method(m, cls, "backward")
    if backward is None or m.tree is None or not _takes_gradient(backward) or _asked_for(m.tree):
        return
    for _, tensor in m.tensors(result):
        if tensor.node is not None and tensor.grad.yes and isinstance(backward.definition, cst.FunctionDef):
            event = misuse(m, backward.definition.name, "backward of a module", cls.name, tensor.grad)
            m.afterwards.ask(custom_backward.unless_unused(m, tensor.node, event))


def _takes_gradient(backward: Function) -> bool:
    """Is it given something more than `self` and gives something back, like a backward of autograd.Function?

    A training step by that name calls the backward of a loss; whoever runs it does so by its name.
    """
    params = backward.definition.params
    given = sum(p.default is None for p in (*params.posonly_params, *params.params))
    found = findall(backward.definition.body, Attribute(attr=Name("backward")) | Return(value=~MatchIfTrue(_nothing)))
    return given >= 2 and not backward.wrappers and bool(found) and all(isinstance(one, cst.Return) for one in found)


def _nothing(value: cst.BaseExpression | None) -> bool:
    return value is None


@per_file
def _asked_for(tree: ast.Module) -> bool:
    """May anything in the file call a `backward` that takes a gradient, or hand it on?"""
    losses = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call) and _of_a_loss(n)}
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "backward" and id(node) not in losses)
        or (isinstance(node, ast.Constant) and node.value == "backward")
        for node in ast.walk(tree)
    )


def _of_a_loss(call: ast.Call) -> bool:
    return not call.args and all(keyword.arg in OF_TENSORS for keyword in call.keywords)
