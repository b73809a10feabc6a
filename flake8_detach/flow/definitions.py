"""Definitions of functions and classes, and what their decorators make of them."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from flake8_detach.flow import (
    autograd,
    calls,
    contexts,
    idle,
    legacy,
    membership,
    records,
    transforms,
)
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.machine import Frame, Machine
from flake8_detach.flow.statements import execute_body, statement
from flake8_detach.flow.values import (
    UNKNOWN,
    Class,
    Const,
    External,
    Function,
    Thing,
    Value,
)
from flake8_detach.knowledge.contexts import TRANSPARENT_PACKAGES

CAST = frozenset(
    f"torch.{place}.custom_{way}" for place in ("amp", "cuda.amp", "amp.autocast_mode") for way in ("fwd", "bwd")
)
"""Decorators of forward and backward of a custom Function, called with options or not."""
TRANSPARENT = frozenset(
    {
        "functools.wraps",
        "functools.lru_cache",
        "functools.cache",
        "abc.abstractmethod",
        "typing.overload",
        "typing.override",
        "typing.final",
        "torch.jit.export",
        "torch.jit.ignore",
        "torch.jit.unused",
        "torch.compile",
        "torch.jit.script",
        *CAST,
    }
)
"""Decorators that leave what a function computes as it is."""
MODES = ("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled")
BINDING = (
    "builtins.staticmethod",
    "builtins.classmethod",
    "builtins.property",
    "functools.cached_property",
    "contextlib.contextmanager",
    "torch.autograd.function.once_differentiable",
)


PLAIN = (cst.Name, cst.BaseNumber, cst.BaseString)
"""Defaults that compute nothing."""


@statement(cst.FunctionDef)
def function_def(m: Machine, node: cst.FunctionDef) -> bool:
    every = (*node.params.posonly_params, *node.params.params, *node.params.kwonly_params)
    given = [(p.name.value, p.default) for p in every if p.default is not None]
    mode = m.mode
    if not all(isinstance(default, PLAIN) for _, default in given):
        _switch(m, node)
    defaults = tuple((name, evaluate(m, default)) for name, default in given)
    m.set_mode(mode)
    owner = m.frame.owner
    scope = m.frame.scope if owner is None or m.frame.id != owner.frame else m.frame.scope[1:]
    value: Value = Function(node, node.name.value, scope, defaults, (), None, owner)
    for decorator in reversed(node.decorators):
        value = decorated(m, node, decorator.decorator, value)
    name = node.name.value
    if isinstance(value, Function) and "*setter" in value.wrappers:
        name = f"{name}.setter"
    m.bind(name, value)
    return True


def _switch(m: Machine, node: cst.FunctionDef) -> None:
    """Decorators are evaluated before the defaults: `@torch.set_grad_enabled(False)` switches until it is applied."""
    for decorator in node.decorators:
        cell = m.cell(evaluate(m, decorator.decorator)) if isinstance(decorator.decorator, cst.Call) else None
        if isinstance(cell, Thing) and cell.kind == "torch.set_grad_enabled":
            autograd.enter(m, cell.kind, cell.part("mode"), decorator)


def decorated(m: Machine, node: cst.FunctionDef, decorator: cst.BaseExpression, value: Value) -> Value:
    """What a decorator makes of a function."""
    if isinstance(decorator, cst.Attribute) and decorator.attr.value in ("setter", "deleter"):
        return replace(value, wrappers=("*setter",)) if isinstance(value, Function) else value
    made = evaluate(m, decorator)
    cell = m.cell(made)
    if isinstance(decorator, cst.Call) and isinstance(maker := evaluate(m, decorator.func), External):
        made = maker if maker.name in CAST or maker.name in TRANSPARENT else made
    if isinstance(made, External):
        name = made.name
        contexts.decorates(m, decorator, made)
        legacy.decorates(m, decorator, made)
    elif isinstance(cell, Thing):
        name = cell.kind
        mode = cell.part("mode")
        if name in MODES and mode is not None:
            name = f"{name}(False)" if mode == Const(False) else name if mode == Const(True) else "?"
    else:
        name = "?"
    if isinstance(value, Function):
        if name.removesuffix("(False)") in MODES or name in BINDING:
            # no_grad has no effect on what runs later: an async def, which is entered and left at once
            if name.removesuffix("(False)") in MODES and node.asynchronous is not None:
                idle.coroutine(m, node, name)
                return value
            return replace(value, wrappers=(name, *value.wrappers))
        if name in TRANSPARENT or name.startswith("torch.jit.") or name.partition(".")[0] in TRANSPARENT_PACKAGES:
            return value
    if isinstance(made, (Function, Class)) or transforms.decorates(m, made):
        return calls.call(m, made, calls.Args([value]), decorator)
    return UNKNOWN


DATACLASSES = frozenset({"dataclasses.dataclass", "attr.s", "attrs.define", "attr.dataclass"})


@statement(cst.ClassDef)
def class_def(m: Machine, node: cst.ClassDef) -> bool:
    bases = tuple(evaluate(m, b.value) for b in node.bases)
    for keyword in node.keywords:
        evaluate(m, keyword.value)
    frame_id = m.state.address()
    cls = Class(node.name.value, frame_id, bases, node)
    frame = Frame((frame_id, *m.frame.scope), m.frame.function, None, m.state.mark(), owner=cls)
    m.frames.append(frame)
    try:
        execute_body(m, node.body)
    finally:
        m.frames.pop()
    membership.declared(m, cls)
    value: Value = cls
    for decorator in reversed(node.decorators):
        made = evaluate(m, decorator.decorator)
        if isinstance(made, Function):
            value = calls.call(m, made, calls.Args([value]), decorator.decorator)
            continue
        if isinstance(decorator.decorator, cst.Call):  # @dataclass(frozen=True)
            maker = evaluate(m, decorator.decorator.func)
            made = maker if isinstance(maker, External) and maker.name in DATACLASSES else made
        cell = m.cell(made)
        name = made.name if isinstance(made, External) else cell.kind if isinstance(cell, Thing) else "?"
        if name in MODES:
            idle.decorated_class(m, decorator.decorator, name)
        if name in DATACLASSES:
            m.state.set((frame_id, records.DECLARED), records.fields(node))
        elif name not in TRANSPARENT and not name.startswith("torch."):
            value = UNKNOWN
    m.bind(node.name.value, value)
    return True
