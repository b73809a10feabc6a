"""Calls of imported names, sent to where they are known. What is not known lets its arguments escape."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    casts,
    checkpoints,
    conversions,
    copies,
    custom,
    custom_ctx,
    custom_ops,
    forward_ad,
    functional,
    gradient_calls,
    hooks,
    launchers,
    legacy,
    loading,
    missing,
    module_hooks,
    optimizers,
    options,
    parametrized,
    pretrained,
    saved_hooks,
    stateless,
    steppers,
    tensor_hooks,
    tensor_made,
    tensors,
    traced,
    transforms,
)
from flake8_detach.flow.builtin_calls import call_builtin
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.calls import call as call_value
from flake8_detach.flow.numpy_calls import call_array_library, convert_arguments
from flake8_detach.flow.registry import MODELS
from flake8_detach.flow.sampling import of_distribution
from flake8_detach.flow.stdlib_calls import send
from flake8_detach.flow.torch_calls import call_torch
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    Const,
    External,
    Function,
    Mode,
    Ref,
    Scalar,
    Thing,
    Value,
)
from flake8_detach.knowledge import contexts, layers, numpy_api, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


REGISTERING = (
    casts,
    checkpoints,
    copies,
    forward_ad,
    functional,
    gradient_calls,
    loading,
    module_hooks,
    parametrized,
    pretrained,
    saved_hooks,
    stateless,
    tensor_hooks,
    tensor_made,
    traced,
)
"""These rooms are reached through the tables of `registry` only, which they fill when they are imported."""


def call(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    """Call the imported function or class `name`."""
    if m.patched and m.is_patched(name):
        escape(m, args.values())
        return UNKNOWN
    args.called = name
    if name not in steppers.LOOKS and not name.startswith(steppers.SCHEDULERS):
        for value in args.values():
            steppers.handed(m, value)
    if name == "torch.autograd.Function.apply":
        return custom.apply_of_nothing(m, args, node)
    if name.startswith("torch.") and (missing.removed_function(m, node, name) or missing.keywords(m, node, name, args)):
        return UNKNOWN
    legacy.called(m, node, name, args)
    special = MODELS.get(name)
    if special is not None:
        return special(m, args, node)
    if name.startswith("builtins."):
        return call_builtin(m, name, args, node)
    if name.startswith("torch."):
        return call_torch(m, name, args, node)
    root = name.partition(".")[0]
    if root == "?":  # found by a name that is put together at run time: it may even switch grad mode
        escape(m, args.values())
        m.set_mode(Mode(MAYBE, MAYBE, m.mode.why))
        return UNKNOWN
    if root in numpy_api.ARRAY_LIBRARIES:
        return call_array_library(m, name, args, node)
    if last_of(name) in ("register", "register_reductions") and name.startswith(("multiprocessing.", "copyreg.")):
        m.patched.add("multiprocessing.*")
    conversions.library(m, name, args, node)
    if name == "numpy.from_dlpack" and args.pos:
        conversions.exported(m, node, args.pos[0], args.nodes.get(0, node))
        return UNKNOWN
    if root == "math":
        inputs = tensors.gather(m, {str(i): v for i, v in enumerate(args.pos)})
        lost = inputs.grad()
        what, subject = f"turned into a Python number by `{name}`", m.text(args.node(0, "x", node))
        before, of = inputs.why(), inputs.pairs()
        return Scalar("float", before if lost.no else m.cause("scalar", what, node, subject, lost, before, of))
    if name.startswith("unittest.mock.patch"):
        m.patch(args.pos)
        return UNKNOWN
    if root in sys.stdlib_module_names or root in numpy_api.HARMLESS:
        return UNKNOWN
    escape(m, args.values())
    return UNKNOWN


def last_of(name: str) -> str:
    return name.rpartition(".")[2]


def star(module: str, name: str) -> Value | None:
    """What `from module import *` gives under `name`, as far as the knowledge tells."""
    qualified = f"{module}.{name}"
    known = qualified in MODELS or ops.function(qualified) is not None or layers.layer(qualified) is not None
    return External(qualified) if known else None


def call_thing(m: Machine, cell: Thing, args: Args, node: cst.CSTNode) -> Value:
    """Call an object of a library: `torch.no_grad()(f)`."""
    if cell.kind in ("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled"):
        function = args.pos[0] if args.pos else UNKNOWN
        mode = cell.part("mode")
        suffix = "(False)" if mode == Const(False) else ""
        if isinstance(function, Function):
            return replace(function, wrappers=(f"{cell.kind}{suffix}", *function.wrappers))
        return m.new(Thing("moded", (("mode", External(f"{cell.kind}{suffix}")), ("function", function))))
    if cell.kind == "moded":
        before = m.mode
        wrapper = cell.part("mode")
        assert isinstance(wrapper, External)
        off = Const(False) if wrapper.name.endswith("(False)") else None
        autograd.enter(m, wrapper.name.removesuffix("(False)"), off, node)
        result = call_value(m, cell.part("function") or UNKNOWN, args, node)
        m.set_mode(before)
        return result
    if cell.kind in CALLED:
        return CALLED[cell.kind](m, cell, args, node)
    escape(m, args.values())
    return UNKNOWN


CALLED = {
    transforms.KIND: transforms.apply,
    transforms.COTANGENTS: transforms.pulled,
    transforms.TANGENTS: transforms.pushed,
    launchers.BOUND: launchers.call_bound,
}
"""Objects that are made to be called."""


POOLED = {"map": "iterable", "starmap": "iterable", "apply": "args"}
"""Methods of a pool that hand an argument to its processes, and raise here if it cannot be pickled."""


def thing_method(m: Machine, node: cst.CSTNode, receiver: Value, cell: Thing, name: str, args: Args) -> Value:
    """A method of an object of a library."""
    if cell.kind.startswith("torch.distributions."):
        return of_distribution(m, node, cell, name, args)
    if cell.kind == custom_ctx.CONTEXT:
        assert isinstance(receiver, Ref)
        return custom_ctx.on_context(m, node, receiver, name, args)
    if cell.kind.endswith("GradScaler"):
        return optimizers.of_scaler(m, node, receiver, cell, name, args)
    if cell.kind.startswith("torch.optim.lr_scheduler."):
        return optimizers.of_scheduler(m, node, receiver, cell, name, args)
    if cell.kind == custom_ops.KIND:
        return custom_ops.method(m, node, receiver, cell, name, args)
    if cell.kind.startswith("multiprocessing.") and name in ("put", "send"):
        send(m, args, node)
    if cell.kind == "multiprocessing.Pool" and name in POOLED and args.get(1, POOLED[name]) is not None:
        send(m, args, node, at=1, name=POOLED[name])
    if cell.kind == tensor_hooks.NODE and (handle := tensor_hooks.on_node(m, node, cell, name, args)) is not None:
        return handle
    if cell.kind == options.PARSER:
        return options.method(m, receiver, name, args)
    if cell.kind == launchers.LAUNCHED:
        return launchers.method(m, node, receiver, cell, name, args)
    if cell.kind == hooks.HANDLE and name == "remove" and isinstance(receiver, Ref):
        hooks.remove(m, receiver)
        return NONE
    if name in ("__enter__", "__exit__") and (cell.kind in autograd.NO_GRAD or cell.kind == "torch.set_grad_enabled"):
        m.set_mode(Mode(MAYBE, MAYBE, m.mode.why))  # where it is left is not told by the text
        return UNKNOWN
    if name in contexts.HARMLESS_METHODS:
        return UNKNOWN
    escape(m, [receiver, *args.values()])
    return UNKNOWN


__all__ = ["call", "call_thing", "convert_arguments", "star", "thing_method"]
