"""Writes in place: when torch refuses them, and what they do to versions and views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import aliases, by_hand, events, freezing, hidden, levels, rebasing, tensors
from flake8_detach.flow.slots import CELL, Version
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    YES,
    Label,
    Ref,
    Tensor,
    Truth,
    Value,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def in_place(
    m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: tensors.Inputs, subject: Label
) -> Value:
    result: Value = UNKNOWN
    node = None
    wanted = inputs.grad([n for n, what in op.nodiff.items() if what == "ignore"])
    if not wanted.no and not m.mode.grad.no and op.graph in ("yes", "zero", "raises", "unknown"):
        node = tensors.node_of(m, site, op, bound, inputs, [])
    for name in op.writes:
        target = bound.get(name)
        if not m.is_tensor(target or UNKNOWN):
            continue
        assert isinstance(target, Ref)
        tell_write(m, site, target, subject or m.text(site), wanted)
        if op.name == "Tensor.copy_":
            aliases.put_back(m, site, target, bound.get("other", UNKNOWN), "copy_")
        write(m, site, target, wanted if op.graph != "no" else NO, node, op, inputs)
        by_hand.written(m, site, op, target, inputs)
        result = target
    if node is not None and "result" in op.saves:  # exp_, relu_, leaky_relu_: their own result, as it is now
        kept = tuple(m.save(tensor, "result", site) for _, tensor in m.tensors(result))
        m.state.graph[node] = replace(m.state.graph[node], saved=(*m.state.graph[node].saved, *kept))
    return result


def related(m: Machine, made: Ref, same: Value | None = None) -> None:
    """A new tensor: note if it is a view of another one, or may be the very tensor `same`."""
    (address,) = made.addresses
    cell = m.state.cell(address)
    assert isinstance(cell, Tensor)
    m.state.note_view(address, cell)
    for other, tensor in m.tensors(same) if same is not None else ():
        if None not in (tensor.dtype, cell.dtype) and tensor.dtype != cell.dtype:
            continue
        m.state.pair(address, other)


def views(m: Machine, base: int) -> list[tuple[int, Tensor]]:
    """The views of the tensor at `base`."""
    found = ((a, m.state.slots.get((a, CELL))) for a in m.state.views.get(base, ()))
    return [(a, cell) for a, cell in found if isinstance(cell, Tensor) and cell.base == base]


REFUSING = ("multi", "no_grad", "inference", "hooked")
"""Kinds of views that may not be written in place while grad mode is on; a view of one is one, too."""


def refuses(tensor: Tensor, base: Tensor | None, wanted: Truth) -> Truth:
    """Does writing to that view of `base` raise while grad mode is on, because of how the view was made? It does if
    either requires grad, or what is written as `wanted` says (torch: `check_inplace` in VariableTypeUtils.h)."""
    if tensor.view == "multi":
        return tensor.grad | wanted
    if tensor.view in REFUSING and base is not None:
        return base.grad | wanted
    return NO


REWRITTEN = (0, "state_dict written")
"""Set where somebody writes a value of a `state_dict()` in place, and by that the parameter."""
HOOK = "*hook of view"
"""Slot of the graph node of a view that a full backward hook has made: the call that registered the hook."""
VIEWED = "viewed"
"""Slot of the graph node of views of such a kind, or of the view if it has none: the version of its memory then."""


def stale(m: Machine, site: cst.CSTNode, address: int, tensor: Tensor) -> None:
    """Tell the rules if an op needs a view of a kind that is refused, and its memory was written since it was made:
    torch cannot make its grad_fn anew (`grad_fn` in torch/csrc/autograd/variable.cpp)."""
    owner = address if tensor.node is None else tensor.node
    made: Version | None = m.state.get((owner, VIEWED))
    base = m.state.cell(tensor.base) if tensor.base is not None else None
    if made is None or not isinstance(base, Tensor) or not m.written_since(tensor.storage, made):
        return
    needs = tensor.grad if tensor.view == "multi" else base.grad
    if needs.yes and m.mode.grad.yes and m.version(tensor.storage)[0] > 0:
        m.raises()
        at = m.state.get((tensor.storage, "written at"))
        m.emit(events.StaleView, site, tensor=tensor, subject=m.text(site), at=at)
        m.state.set((owner, VIEWED), m.version(tensor.storage))


APART = frozenset({"detach", "state_dict", "`nn.Buffer(...)`", "`Variable(...)`"})
"""How another tensor, beside Parameters, is made on the memory of an inference tensor: it may be written outside of
inference mode, which a view of that tensor may not."""


def _apart(m: Machine, address: int, tensor: Tensor) -> bool:
    """Is it one of these, or may it be (`x.cpu()`)?"""
    same = (c for a in m.state.alike(address) if isinstance(c := m.state.get((a, CELL)), Tensor))
    return any(t.parameter or t.made in APART for t in (tensor, *same))


def tell_write(
    m: Machine, site: cst.CSTNode, target: Ref, subject: Label, wanted: Truth = NO, part: bool = False
) -> None:
    """Tell the rules that these tensors, or part of them, are written in place, by something that requires grad as
    `wanted` says."""
    freezing.used(m)
    for address, tensor in m.tensors(target):
        levels.captured(m, site, tensor, subject)
        aliases.wrote(m, address, tensor)
        base = m.state.cell(tensor.base) if tensor.base is not None else None
        if not isinstance(base, Tensor):
            base = None
        leaf = tensor.grad.yes and tensor.leaf.yes
        view = base is not None and tensor.view == "view" and base.leaf.yes and base.grad.yes
        frozen = tensor.inference.yes and m.mode.inference.no and not (not part and _apart(m, address, tensor))
        refusing = refuses(tensor, base, wanted)
        if ((leaf or view or refusing.yes) and m.mode.grad.yes) or frozen:
            m.raises()
        m.emit(
            events.InPlace,
            site,
            tensor=tensor,
            subject=subject,
            base=base,
            how=m.text(site),
            mode=m.mode,
            refusing=refusing,
            frozen=frozen,
            hook=m.state.get((tensor.node, HOOK)) if tensor.node is not None else None,
        )


def write(
    m: Machine, site: cst.CSTNode, target: Ref, wanted: Truth, node: int | None, op: ops.Op, inputs: tensors.Inputs
) -> None:
    """The tensors of `target` are written in place by something that requires grad as `wanted` says."""
    others = [t for a, t, _ in inputs.tensors if a not in target.addresses]
    every = wanted
    for address in target.addresses:
        tensor = m.state.cell(address)
        assert isinstance(tensor, Tensor)
        # each of them is written in turn, and what the one is, the others need not be
        alone = len(target.addresses) > 1 and not tensor.grad.yes and not any(t.grad.yes for t in others)
        alone = alone or (target.some and not tensor.grad.yes)
        wanted = every & MAYBE if alone else every
        base = m.state.cell(tensor.base) if tensor.base is not None else None
        if m.mode.grad.yes and refuses(tensor, base if isinstance(base, Tensor) else None, wanted).yes:
            # torch raises; go on as if the view had been copied, or the base written in another way
            if isinstance(base, Tensor) and tensor.base is not None:
                m.change(tensor.base, grad=base.grad | (wanted & MAYBE), leaf=base.leaf & MAYBE)
            tensor = m.change(address, view="", base=None, storage=m.state.address())
        if op.bumps and tensor.storage:
            if hidden.wrote(m, tensor.storage, site):
                given = [(a, t) for a, t, _ in inputs.tensors if a != address]
                hidden.dropped(m, site, "a write to `.data`", given, m.text(site))
            m.wrote(tensor.storage, site, MAYBE if target.some else YES)
            if not target.some:
                hidden.wrote_behind(m, tensor, site, op.name)
            if tensor.made == "state_dict":
                m.state.set(REWRITTEN, YES)
            if m.owned:
                m.steer(tensor)
        if m.levels:
            tensor = m.change(address, batched=levels.mixed(m, site, tensor, inputs))
        if m.mode.grad.no or wanted.no:
            continue
        if tensor.leaf.yes and tensor.grad.yes:
            continue  # torch raises; go on as if the write had been put under no_grad
        grad = tensor.grad | (wanted & m.mode.grad)
        if tensor.dtype in ("int", "bool"):
            continue
        made = node if not grad.no else None
        m.change(address, grad=grad, leaf=~grad & tensor.leaf, node=made, why=tensor.why)
        rebasing.keep_on(m, address, tensor.node, made)
        if tensor.base is None:
            rebasing.follow(m, site, address, views(m, address))
        else:  # writing a view writes its base
            rebasing.written(m, site, address, tensor, grad, made, views(m, tensor.base))
