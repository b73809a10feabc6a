"""Classes whose methods a framework calls: LightningModule, the Trainer of transformers.

Which method runs under `no_grad`, and the result of which one is backwarded, stands in `knowledge/frameworks`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import autograd, gradients, modules, tensors
from flake8_detach.flow.calls import Args
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    PRESUMED_NO,
    UNKNOWN,
    Class,
    Const,
    External,
    Function,
    Mapping_,
    Mode,
    Ref,
    Tuple,
    Value,
)
from flake8_detach.knowledge.frameworks import LOOPS
from flake8_detach.knowledge.frameworks._kinds import BATCH, Loop

if TYPE_CHECKING:
    from flake8_detach.flow.functions import Watch
    from flake8_detach.flow.machine import Machine


def loop_of(cls: Class | None) -> Loop | None:
    """The loop of the framework that calls the methods of the class, if one does."""
    if cls is None:
        return None
    names = {base.name for base in modules.outside(cls) if isinstance(base, External)}
    return next((loop for loop in LOOPS if not names.isdisjoint(loop.classes)), None)


def enter(m: Machine, function: Function) -> None:
    """Switch grad mode off where the framework does so around this method."""
    loop = loop_of(function.owner)
    if loop is None or not any(fnmatchcase(function.name, pattern) for pattern in loop.without_grad):
        return
    name = function.definition.name if isinstance(function.definition, cst.FunctionDef) else function.definition
    why = m.cause("mode", f"computed in `{function.name}`, which {loop.name} runs without grad mode", name)
    m.set_mode(Mode(PRESUMED_NO, MAYBE, why))


def arguments(function: Function) -> Args:
    """What the method is called with beside the instance, as far as that is known."""
    loop = loop_of(function.owner)
    given = loop.given.get(function.name) if loop is not None else None
    if loop is None or given is None:
        return Args([], {}, True)
    return Args([tensors.BATCH if what == BATCH else UNKNOWN for what in given], {}, not loop.complete)


def watch(m: Machine, function: Function, instance: Value) -> Watch | None:
    """What the framework does when the method returns: it backwards the loss."""
    loop = loop_of(function.owner)
    if loop is None or function.name != loop.backwards or not _automatic(m, loop, instance):
        return None

    def returned(node: cst.CSTNode, value: Value) -> None:
        site = _place(loop, node.value, value) if isinstance(node, cst.Return) and node.value is not None else node
        loss = _loss(m, loop, value)
        if loss == NONE:
            return
        gradients.stir(m)  # it clears them before, and steps with them afterwards
        by = f"{loop.name}: {m.text(site)}.backward()"
        autograd.backward(m, site, loss, site, "backward", NO, NO, loop.reduces, by=by)
        gradients.stir(m)

    return returned


def _automatic(m: Machine, loop: Loop, instance: Value) -> bool:
    """Does the framework take the training step itself, as it does unless it is told otherwise?"""
    if any(modules.find(m, instance, name) is not None for name in loop.own):
        return False
    if not loop.unless:
        return True
    set_ = m.state.get((instance.addresses[0], loop.unless)) if isinstance(instance, Ref) else None
    known = set_ if set_ is not None else modules.find(m, instance, loop.unless)
    return known is None or known == Const(True)


def _loss(m: Machine, loop: Loop, value: Value) -> Value:
    """The loss in what the method has returned; NONE if nothing is backwarded."""
    cell = m.cell(value)
    if isinstance(cell, Mapping_) and loop.key is not None:
        found: Value = dict(cell.items).get(loop.key, UNKNOWN)
        return found
    if isinstance(value, Tuple) and loop.index is not None:
        return value.items[loop.index] if len(value.items) > loop.index else UNKNOWN
    return value


def _place(loop: Loop, node: cst.BaseExpression, value: Value) -> cst.BaseExpression:
    """The expression that is the loss, in the expression that is returned."""
    if isinstance(node, cst.IfExp) and loop.index is not None:  # `(loss, outputs) if return_outputs else loss`
        node = node.body if isinstance(node.body, cst.Tuple) is isinstance(value, Tuple) else node.orelse
    if isinstance(node, cst.Tuple) and loop.index is not None and len(node.elements) > loop.index:
        return node.elements[loop.index].value
    if isinstance(node, cst.Dict):
        keyed = {
            element.key.evaluated_value: element.value
            for element in node.elements
            if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString)
        }
        return keyed.get(loop.key or "", node)
    return node
