"""The hooks that a backward runs: on the tensors and graph nodes that it comes by, and on leaves that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import gradients, hooks, module_hooks, saved_hooks
from flake8_detach.flow.machine import MODE, PACKED
from flake8_detach.flow.values import UNKNOWN, Mode, Ref, Sequence, Tensor, Truth, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def passed(
    m: Machine, site: cst.CSTNode, nodes: Mapping[int, bool], leaves: Mapping[int, bool], create: Truth, opened: bool
) -> None:
    """A backward goes through these nodes and comes to these leaves (each: surely?); opened: and perhaps to others."""
    if m.state.get(PACKED) is not None:
        for number, sure in nodes.items():
            if sure:
                saved_hooks.unpack(m, m.state.graph[number], site)
    if not m.hooked:
        return
    mode = m.mode
    m.set_mode(Mode(create, mode.inference, None))
    told: set[int] = set()
    for number, sure in nodes.items():
        if number in m.hooked:
            module_hooks.backward(m, number, site, sure, create, told)
            _run(m, number, site, sure, create, told)
    for address, sure in leaves.items():
        if address in m.hooked:
            _run(m, address, site, sure, create, told)
    if opened:
        hooks.unseen_backward(m, frozenset({*nodes, *leaves}))
    m.state.set(MODE, mode)


def _run(m: Machine, owner: int, site: cst.CSTNode, sure: bool, create: Truth, told: set[int]) -> None:
    known = hooks.on(m, owner)
    for hook in known.of("tensor", "multi", "node", "node pre"):
        m.hooks_run.add(id(hook.site))
        if hook.kind == "multi":
            if id(hook.site) in told:
                continue
            told.add(id(hook.site))
            given: list[Value] = [m.new(Sequence("list", None, UNKNOWN))]
        elif hook.kind == "node":
            given = [m.new(Sequence("tuple", None, hooks.gradient(m, None, create))), _incoming(m, hook, create)]
        elif hook.kind == "node pre":
            given = [_incoming(m, hook, create)]
        else:
            given = [hooks.gradient(m, hook.like, create)]
        returned = hooks.run(m, hook, given, site, sure)
        if sure and not hooks.judge(m, hook, returned, site, hook.inputs):
            return


def _incoming(m: Machine, hook: hooks.Hook, create: Truth) -> Value:
    return m.new(Sequence("tuple", None, hooks.gradient(m, hook.like, create)))


def accumulated(m: Machine, site: cst.CSTNode, leaves: Mapping[int, bool]) -> None:
    """The `.grad` of these leaves has just been filled (each: surely?). What such a hook does may be done again and
    again in one backward (it steps an optimizer, one parameter at a time), so it counts as something that may be."""
    for address, sure in leaves.items():
        for hook in hooks.on(m, address).of("post") if address in m.hooked else ():
            m.hooks_run.add(id(hook.site))
            if not isinstance(m.state.cell(address), Tensor):
                continue
            mark = m.state.mark()
            m.quiet += 1
            returned = hooks.run(m, hook, [Ref((address,))], site)
            m.quiet -= 1
            m.state.join([{}, m.state.rollback(mark)])
            gradients.stir(m)
            if sure and returned != Ref((address,)):  # to return the leaf itself is all right
                hooks.judge(m, hook, returned, site)
