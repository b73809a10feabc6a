"""Hooks: what is registered on a tensor, graph node or module; calling it as torch would; what it returns.

A hook is run when it would run in torch, with the facts of what it is given, on the state of that moment: what it
stores is known from then on. Where torch might run it out of sight (its tensor or module has been handed to unknown
code, something unknown is backwarded), whatever it changes may have been changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import calls, hook_effects
from flake8_detach.flow.calls import Args
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.events import HookMisuse
from flake8_detach.flow.values import (
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Function,
    Joined,
    Label,
    Partial,
    Ref,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge.hooks import CONTRACTS

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SLOT = "*hooks"
"""Slot of an object: its hooks."""
HANDLE = "torch.utils.hooks.RemovableHandle"
OWNERS = "*owners"
"""Slot of a handle: the objects that its hook sits on."""


@dataclass(frozen=True, slots=True)
class Hook:
    """kind: a key of knowledge.hooks.CONTRACTS. site: the call that registered it. sure: is it there on every path?

    like: the tensor that it sits on, as it was then. inputs: how many gradients its graph node computes.
    """

    kind: str
    site: Any
    function: Value = field(compare=False)
    sure: bool = True
    like: Tensor | None = field(default=None, compare=False)
    inputs: int | None = None


@dataclass(frozen=True, slots=True)
class Hooks(Joined):
    """The hooks of one object, in the order in which they run."""

    all: tuple[Hook, ...] = ()

    def join(self, other: Any, presume: bool = False) -> Hooks:
        mine, others = {h.site: h for h in self.all}, {h.site: h for h in other.all}
        both = {**mine, **others}
        return Hooks(
            tuple(
                replace(h, sure=mine[site].sure and others[site].sure)
                if site in mine and site in others and mine[site].function == others[site].function
                else replace(h, sure=False)
                for site, h in both.items()
            )
        )

    def of(self, *kinds: str) -> list[Hook]:
        return [h for h in self.all if h.kind in kinds]


def on(m: Machine, owner: int) -> Hooks:
    """The hooks of the object (or graph node) `owner`."""
    if owner not in m.hooked:
        return _NONE
    held = m.state.get((owner, SLOT))
    return held if isinstance(held, Hooks) else _NONE


_NONE = Hooks()


# Registration


def register(m: Machine, node: cst.CSTNode, owners: tuple[int, ...], hook: Hook) -> Value:
    """Put the hook on the objects and return its handle."""
    for owner in owners:
        m.hooked.add(owner)
        others = tuple(h for h in on(m, owner).all if h.site is not node)
        m.state.set((owner, SLOT), Hooks((*others, hook)))
        if owner in m.escaped or owner in m.state.merged:  # it runs where nobody sees it
            calls.escape(m, [hook.function])
    handle = m.new(Thing(HANDLE))
    m.state.set((handle.addresses[0], OWNERS), (node, owners))
    return handle


def remove(m: Machine, handle: Ref) -> None:
    """`handle.remove()`."""
    for address in handle.addresses:
        held = m.state.get((address, OWNERS))
        if not isinstance(held, tuple) or len(held) != 2 or not isinstance(held[1], tuple):
            doubt(m)
            continue
        site, owners = held
        for owner in owners:
            left = tuple(h for h in on(m, owner).all if h.site is not site)
            m.state.set((owner, SLOT), Hooks(left))


def doubt(m: Machine) -> None:
    """Some hook has been removed, or all have: it is not known which."""
    for owner in m.hooked:
        held = on(m, owner)
        if any(h.sure for h in held.all):
            m.state.set((owner, SLOT), Hooks(tuple(replace(h, sure=False) for h in held.all)))


def out_of_sight(m: Machine, owner: int) -> list[Value]:
    """The object is handed to unknown code: what hooks it may run from now on."""
    return [h.function for h in on(m, owner).all]


def unseen_backward(m: Machine, ran: frozenset[int] = frozenset()) -> None:
    """A backward may go through graphs that are not seen, and run hooks there, or through none that has any: those of
    an earlier iteration do not run again. So nothing is told of what they do."""
    if m.bystanding or not m.hooked:
        return
    m.bystanding += 1
    m.quiet += 1
    try:
        for owner in sorted(m.hooked - ran):
            backwards = on(m, owner).of("tensor", "post", "multi", "node", "node pre", *_OF_MODULES)
            m.hooks_run.update(id(h.site) for h in backwards)
            calls.escape(m, [h.function for h in backwards])
    finally:
        m.quiet -= 1
        m.bystanding -= 1


_OF_MODULES = ("full backward", "full backward pre", "backward")


# Running


def run(m: Machine, hook: Hook, given: list[Value], node: cst.CSTNode, sure: bool = True) -> Value:
    """What the hook returns when it is called with `given` at `node`. If it may not run, what it changes may be so."""
    if not accepts(hook.function, len(given)):
        if sure and hook.sure:
            takes = ", ".join(CONTRACTS[hook.kind].takes)
            tell(m, node, "arguments", hook, f"{len(given)}: {takes}")
            m.raises()
        return UNKNOWN
    if sure and hook.sure:
        result = calls.call(m, hook.function, Args(given), node)
        if result == NONE:
            hook_effects.forgotten(m, hook)
        return result
    mark = m.state.mark()
    result = calls.call(m, hook.function, Args(given), node)
    changes = m.state.rollback(mark)
    m.state.join([{}, changes])
    return result if isinstance(result, Const) else UNKNOWN


def accepts(function: Value, count: int) -> bool:
    """Can it be called with so many positional arguments? True unless it surely cannot."""
    if isinstance(function, Partial):
        if function.kwargs:
            return True
        return accepts(function.function, count + len(function.args))
    if not isinstance(function, Function):
        return True
    params = function.definition.params
    if isinstance(params.star_arg, cst.Param):
        return True
    plain = (*params.posonly_params, *params.params)
    count += function.bound is not None
    required = sum(p.default is None for p in plain)
    missing = any(p.default is None for p in params.kwonly_params)
    return required <= count <= len(plain) and not missing


def judge(m: Machine, hook: Hook, result: Value, node: cst.CSTNode, expected: int | None = None) -> bool:
    """Does torch take what the hook returned? expected: how many gradients it was given (None: not known)."""
    if not hook.sure:
        return True
    returns = CONTRACTS[hook.kind].returns
    kind = kind_of(m, result)
    problem, what = "", kind
    if kind == "?" or (kind == "None" and returns != "unpacked") or returns == "anything":
        return True
    if returns in ("tensor", "unpacked") and kind != "tensor":
        problem = "no tensor" if returns == "tensor" else "unpacked"
    elif returns == "tensor":
        problem = _reshaped(m, hook, result)
    elif returns == "nothing":
        problem = "not nothing"
    elif returns == "tuple" and kind != "tuple":
        problem = "no tuple"
    elif returns == "arguments" and not (isinstance(result, Tuple) and len(result.items) == 2) and kind != "?":
        problem = "no arguments" if kind != "tuple" or isinstance(result, Tuple) else ""
    elif returns in ("gradients", "tuple"):
        count = _length(m, result)
        if count is not None and expected is not None and count != expected:
            problem, what = "count", f"{count} gradients where it was given {expected}"
    if problem:
        tell(m, node, problem, hook, what)
        m.raises()
    return not problem


def _reshaped(m: Machine, hook: Hook, result: Value) -> str:
    """The gradient that a hook returns has to have the shape of the one that it was given."""
    cell = m.cell(result)
    before = hook.like.shape if hook.like is not None else None
    if not isinstance(cell, Tensor) or cell.shape is None or before is None:
        return ""
    if len(cell.shape) != len(before) or any(
        a != b and None not in (a, b) for a, b in zip(cell.shape, before, strict=True)
    ):
        return "shape"
    return ""


def _length(m: Machine, value: Value) -> int | None:
    """`len(value)`, as far as it is known."""
    if isinstance(value, Tuple):
        return len(value.items)
    cell = m.cell(value)
    if isinstance(cell, Sequence) and cell.items is not None:
        return len(cell.items)
    if isinstance(cell, Tensor) and cell.shape:
        return cell.shape[0]
    return None


def tell(m: Machine, node: cst.CSTNode, kind: str, hook: Hook | None, what: Label = "", sure: Truth = YES) -> None:
    """Tell the rules that the contract of a hook is broken at `node`."""
    site = hook.site if hook is not None else None
    m.emit(HookMisuse, node, kind=kind, hook=hook.kind if hook is not None else "", what=what, at=site, sure=sure)


def gradient(m: Machine, like: Tensor | None, create: Truth = NO) -> Value:
    """What a hook is handed as the gradient of a tensor like this one."""
    like = like or Tensor()
    grad = NO if create.no else Truth.MAYBE
    return m.tensor(grad=grad, leaf=~grad, shape=like.shape, dtype=like.dtype, made="grad")


__all__ = ["HANDLE", "Hook", "Hooks", "judge", "on", "register", "remove", "run", "tell"]
