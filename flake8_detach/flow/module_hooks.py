"""Hooks on modules: what runs around a forward, and what a backward through the module will run.

Source: torch/nn/modules/module.py (`_call_impl`) and torch/utils/hooks.py (`BackwardHook`) of torch 2.13. With a full
backward hook, inputs and output go through a Function of torch's own, so they are views that may not be written to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, hooks, writes
from flake8_detach.flow.calls import Args
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.events import HookMisuse
from flake8_detach.flow.hooks import Hook
from flake8_detach.flow.machine import fact
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Mapping_,
    Node,
    Ref,
    Tensor,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge.hooks import EXCLUSIVE, GLOBAL, ON_MODULE, WITH_KWARGS

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

OP = "BackwardHookFunction"
"""The graph node that a full backward hook puts behind the inputs and the output of its module."""
CALL = "*hooked call"
"""Slot of such a node behind an output: the `Called` that it belongs to."""
STYLE = "*hook style "
"""Slots of a module: the call that registered a backward hook of this kind."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a module with full backward hooks.

    inputs: the positional arguments; needs: does a tensor among them require grad? outputs: what forward returned.
    """

    module: Value
    inputs: tuple[Value, ...]
    exact: bool
    needs: Truth
    outputs: tuple[Value, ...]
    hooks: tuple[Hook, ...]


# Registration


def register(m: Machine, node: cst.CSTNode, module: Ref, name: str, args: Args) -> Value | None:
    """`module.register_..._hook(...)`; None if it is of a kind that is not followed."""
    kind = ON_MODULE.get(name)
    function = args.get(0, "hook")
    if kind is None or function is None or args.open:
        return None
    with_kwargs = fact(args.kw.get("with_kwargs"), False)
    if with_kwargs is MAYBE or "prepend" in args.kw:
        return None
    if kind in WITH_KWARGS and with_kwargs.yes:
        kind += " with kwargs"
    if len(module.addresses) == 1 and _excluded(m, node, module.addresses[0], kind):
        return UNKNOWN
    return hooks.register(m, node, module.addresses, Hook(kind, node, function))


def _excluded(m: Machine, node: cst.CSTNode, owner: int, kind: str) -> bool:
    """Regular and full backward hooks exclude each other."""
    if kind not in EXCLUSIVE:
        return False
    other = m.state.get((owner, STYLE + EXCLUSIVE[kind]))
    if isinstance(other, cst.CSTNode):
        m.raises()
        m.emit(HookMisuse, node, kind="both kinds", hook=kind, what="", at=other, sure=YES)
        m.state.set((owner, hooks.SLOT), hooks.Hooks())  # the program never gets to where they would run
        return True
    m.state.set((owner, STYLE + kind), node)
    return False


@model(*GLOBAL)
def _for_all(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """A backward hook for all modules: not followed."""
    calls.escape(m, args.values())
    _excluded(m, node, 0, GLOBAL[args.called])
    return UNKNOWN


# Calling


def around(m: Machine, module: Ref, args: Args, node: cst.CSTNode, forward: Callable[[Args], Value]) -> Value:
    """Call a module that has hooks."""
    known = hooks.on(m, module.addresses[0])
    for hook in known.of("forward pre", "forward pre with kwargs"):
        args = _before(m, hook, module, args, node)
    behind = known.of("full backward", "full backward pre")
    wrapped = _Wrapped(m, args, behind[0], node) if behind and not args.open else None
    if wrapped is not None:
        args = wrapped.args
    result = forward(args)
    for hook in known.of("forward", "forward with kwargs"):
        keywords = [_keywords(m, args)] if hook.kind == "forward with kwargs" else []
        returned = hooks.run(m, hook, [module, _positional(m, args), *keywords, result], node)
        if returned != NONE:
            result = returned if hook.sure else _loosened(m, result)
    if wrapped is not None:
        result = _behind(m, module, wrapped, result, tuple(behind), node)
    for hook in known.of("backward"):
        _warn_regular(m, hook, args, result, node)
    return result


def _positional(m: Machine, args: Args) -> Value:
    return UNKNOWN if args.open else Tuple(tuple(args.pos))


def _keywords(m: Machine, args: Args) -> Value:
    return m.new(Mapping_(tuple(args.kw.items()), UNKNOWN if args.open else None))


def _loosened(m: Machine, value: Value) -> Value:
    """A forward hook may have replaced the result."""
    return m.tensor(grad=MAYBE, leaf=MAYBE, storage=0) if m.is_tensor(value) else UNKNOWN


def _before(m: Machine, hook: Hook, module: Ref, args: Args, node: cst.CSTNode) -> Args:
    """Run a hook that may replace the arguments."""
    with_kwargs = hook.kind == "forward pre with kwargs"
    given = [module, _positional(m, args), *([_keywords(m, args)] if with_kwargs else [])]
    returned = hooks.run(m, hook, given, node)
    if returned == NONE:
        return args
    if not hook.sure or not hooks.judge(m, hook, returned, node):
        return Args([UNKNOWN] * len(args.pos), dict.fromkeys(args.kw, UNKNOWN), True)
    if with_kwargs:
        if isinstance(returned, Tuple) and isinstance(returned.items[0], Tuple):
            cell = m.cell(returned.items[1])
            if isinstance(cell, Mapping_) and cell.rest is None and all(isinstance(k, str) for k, _ in cell.items):
                return Args(list(returned.items[0].items), dict(cell.items))
        return Args([UNKNOWN] * len(args.pos), dict.fromkeys(args.kw, UNKNOWN), True)
    if isinstance(returned, Tuple):
        return Args(list(returned.items), args.kw, args.open)
    if kind_of(m, returned) in ("?", "tuple"):
        return Args([UNKNOWN] * len(args.pos), args.kw, True)
    return Args([returned], args.kw, args.open)


class _Wrapped:
    """The inputs of a module with full backward hooks, as its forward gets them."""

    def __init__(self, m: Machine, args: Args, hook: Hook, node: cst.CSTNode) -> None:
        self.before = tuple(args.pos)
        self.needs = NO
        for value in args.pos:
            self.needs = self.needs | _requires(m, value)
        viewed = hook.sure and (self.needs & m.mode.grad).yes
        pos = [self._view(m, v, hook, node) for v in args.pos] if viewed else args.pos
        self.args = replace(args, pos=pos)

    def _view(self, m: Machine, value: Value, hook: Hook, node: cst.CSTNode) -> Value:
        return _view(m, value, hook, node) if _requires(m, value).yes else value


def _requires(m: Machine, value: Value) -> Truth:
    if isinstance(value, Ref) and m.is_tensor(value):
        facts = [t.grad for _, t in m.tensors(value)]
        result = facts[0]
        for other in facts[1:]:
            result = result.join(other)
        return result
    return MAYBE if kind_of(m, value) == "?" else NO


def _view(m: Machine, value: Value, hook: Hook, node: cst.CSTNode) -> Value:
    """What comes out of torch's own Function for this tensor."""
    cell = m.cell(value)
    if not isinstance(cell, Tensor) or not isinstance(value, Ref):
        return value
    edge = m.edge(value.addresses[0], cell)
    number = m.graph_node(Node(OP, (edge,), (), node))
    m.state.set((number, writes.HOOK), hook.site)
    m.state.set((number, writes.VIEWED), m.version(cell.storage))
    return m.tensor(
        grad=cell.grad,
        leaf=NO if cell.grad is YES else ~cell.grad,
        shape=cell.shape,
        dtype=cell.dtype,
        node=number,
        storage=cell.storage,
        view="hooked",
        base=value.addresses[0] if cell.base is None else cell.base,
        made=OP,
        inference=cell.inference,
        device=cell.device,
        why=cell.why,
    )


def _behind(
    m: Machine, module: Ref, wrapped: _Wrapped, result: Value, behind: tuple[Hook, ...], node: cst.CSTNode
) -> Value:
    """Put the node behind the output that will run the hooks."""
    kind = kind_of(m, result)
    sure = all(h.sure for h in behind)
    if kind not in ("?", "tensor", "tuple") and sure:
        hooks.tell(m, node, "module output", behind[0], kind)
    if kind != "tensor" and not isinstance(result, Tuple):
        return result
    outputs = result.items if isinstance(result, Tuple) else (result,)
    called = Called(module, wrapped.before, not wrapped.args.open, wrapped.needs, outputs, behind)
    made = []
    for value in outputs:
        cell = m.cell(value)
        followed = isinstance(cell, Tensor) and (cell.grad & m.mode.grad).yes and cell.dtype not in ("int", "bool")
        if not sure or not followed:
            made.append(value)
            continue
        view = _view(m, value, behind[0], node)
        seen = m.cell(view)
        if not isinstance(seen, Tensor) or seen.node is None:
            made.append(value)
            continue
        m.state.set((seen.node, CALL), called)
        m.hooked.add(seen.node)
        made.append(view)
    return Tuple(tuple(made), result.names) if isinstance(result, Tuple) else made[0]


def backward(m: Machine, number: int, node: cst.CSTNode, sure: bool, create: Truth, told: set[int]) -> None:
    """A backward at `node` comes by the output of a module with full backward hooks."""
    called = m.state.get((number, CALL))
    if not isinstance(called, Called) or id(called) in told:
        return
    told.add(id(called))
    arrived: Value = Tuple(tuple(_gradient(m, v, create) for v in called.outputs))
    for hook in (h for h in called.hooks if h.kind == "full backward pre"):
        returned = hooks.run(m, hook, [called.module, arrived], node, sure)
        if not sure or not hooks.judge(m, hook, returned, node, len(called.outputs)):
            return
    whole = [h for h in called.hooks if h.kind == "full backward"]
    if not called.exact or (not whole and not called.needs.no):
        return
    if called.needs.no and sure:
        hooks.tell(m, node, "no input grad", called.hooks[0], m.text(node), called.needs)
    left: Value = Tuple(tuple(_gradient(m, v, create) for v in called.inputs))
    for hook in whole:
        returned = hooks.run(m, hook, [called.module, left, arrived], node, sure)
        if not sure:
            continue
        if called.needs.no:
            nothing = returned == NONE or (isinstance(returned, Tuple) and all(v == NONE for v in returned.items))
            if not nothing and kind_of(m, returned) != "?" and not _may_be_nothing(m, returned):
                hooks.tell(m, node, "gradients for nothing", hook, "", called.needs)
                m.raises()
                return
        elif not hooks.judge(m, hook, returned, node, len(called.inputs)):
            return


def _may_be_nothing(m: Machine, value: Value) -> bool:
    """Could all of the gradients be None, as far as the engine can see?"""
    if not isinstance(value, Tuple):
        return kind_of(m, value) == "tuple"
    return all(kind_of(m, v) in ("None", "?") for v in value.items)


def _gradient(m: Machine, value: Value, create: Truth) -> Value:
    """The gradient of an input or output: None for what is no tensor or needs none."""
    cell = m.cell(value)
    if isinstance(cell, Tensor):
        return NONE if cell.grad is NO else hooks.gradient(m, cell, create) if cell.grad is YES else UNKNOWN
    return UNKNOWN if kind_of(m, value) == "?" else NONE


def _warn_regular(m: Machine, hook: Hook, args: Args, result: Value, node: cst.CSTNode) -> None:
    """`register_backward_hook` sees the gradients of the last operation only; torch warns where it has several."""
    if not hook.sure or args.open or not m.mode.grad.yes:
        return
    whole = result.items if isinstance(result, Tuple) else (result,)
    if not any(t.grad.yes for v in whole for _, t in m.tensors(v)):
        return
    kinds = {kind_of(m, v) for v in (*whole, *args.pos)}
    if "?" in kinds:
        return
    if kinds != {"tensor"}:
        hooks.tell(m, node, "regular", hook, "what goes in and out is not only tensors")
        return
    inputs = {t.node for v in args.pos for _, t in m.tensors(v) if t.node is not None}
    nodes = {t.node for v in whole for _, t in m.tensors(v) if t.grad.yes and t.node is not None}
    edges = [e for n in nodes for e in m.state.graph[n].edges if e.sure]
    if len(nodes) > 1:
        hooks.tell(m, node, "regular", hook, "the outputs come from several operations")
    elif any(e.node is None or e.node not in inputs for e in edges):
        hooks.tell(m, node, "regular", hook, "the module makes several graph nodes")
