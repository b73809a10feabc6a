"""Optimizers that get no gradient for what they were given, or miss what is trained; told when the file has ended.

Which modules are frozen by being given to no optimizer is the user's affair. But a module that is nothing but
parameters and returns a loss, such as learned weights of tasks, has no use for a gradient that nobody steps with.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeGuard

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import module_tree
from flake8_detach.flow.events import Misstep
from flake8_detach.flow.gradients import STEPPED, flag
from flake8_detach.flow.pretrained import UNASKED
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_YES,
    YES,
    Mapping_,
    Optimizer,
    Ref,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine


def switched(m: Machine, address: int, node: cst.CSTNode, asked: Truth | None) -> None:
    """`requires_grad` of a tensor is switched on, or perhaps on."""
    if asked is not NO:
        sure = PRESUMED_YES if asked is YES else MAYBE
        m.switched[address] = m.event(Misstep, node, what="left-out", sure=sure, at=None, subject="")


def look(m: Machine, optimizer: int, owned: list[int], site: cst.CSTNode) -> None:
    """An optimizer is given tensors that do not require grad: does anybody switch them on, or fill their `.grad`?"""
    given = [(a, t) for a, t in m.tensors(Ref(tuple(owned))) if t.grad is NO and t.leaf is YES]
    plain = [(a, t) for a, t in given if not t.parameter]
    frozen = len(given) == len(owned) and all(_frozen(t) for _, t in given)
    suspects = given if frozen else plain  # that some of a module's parameters are frozen is meant
    if m.quiet or not suspects:
        return
    why = suspects[0][1].why
    if frozen and _unasked(suspects[0][1]):
        return  # told where that is
    what, cause = (f" ({why.what})", why.site) if why is not None else ("", None)
    event = m.event(Misstep, site, what="unfed", sure=PRESUMED_YES, at=None, subject=what, cause=cause)
    _tell_at_end(m, event, optimizer, suspects)


def _tell_at_end(m: Machine, event: Misstep, optimizer: int, suspects: list[tuple[int, Tensor]]) -> None:
    """Tell it unless somebody may switch them on later, or give them gradients."""
    addresses, before = [a for a, _ in suspects], {a: m.switched.get(a) for a, _ in suspects}

    def at_end() -> None:
        steered = any(t.storage in m.steered for _, t in suspects)
        switched_on = any(m.switched.get(a) is not before[a] for a in addresses)
        # who only wants to see what a scheduler does needs no parameter that trains
        for_show = not m.ledger.trains and optimizer in m.scheduled
        held = optimizer in m.escaped or not m.escaped.isdisjoint(addresses)
        if not (held or steered or switched_on or for_show):
            m.sink(event)

    m.ledger.at_end.append(at_end)


def pretrained(m: Machine, optimizer: int, groups: list[list[int]], site: cst.CSTNode) -> None:
    """An optimizer is given a group of embeddings that their maker has frozen, though nobody has asked it to. Among
    other parameters they may be left as they are; a group of their own is there to be trained."""
    for group in groups:
        found = m.tensors(Ref(tuple(group)))
        why = found[0][1].why if found else None
        if (
            m.quiet
            or why is None
            or not all(t.grad is NO and t.why is not None and t.why.what == UNASKED for _, t in found)
        ):
            continue
        event = m.event(Misstep, why.site, what="pretrained", sure=PRESUMED_YES, at=site, subject="")
        _tell_at_end(m, event, optimizer, found)


def _frozen(tensor: Tensor) -> bool:
    return tensor.why is not None and tensor.why.kind == "frozen"


def _unasked(tensor: Tensor) -> bool:
    """Has it been frozen without anybody having asked?"""
    return tensor.grad is NO and tensor.why is not None and tensor.why.what == UNASKED


def twice(m: Machine, optimizer: int, owned: list[int], site: cst.CSTNode) -> None:
    """An optimizer is given exactly what another one has, which has not stepped yet: is there something else, with
    gradients that no optimizer steps with, that it should have been given?"""
    others = [o for o in m.makers if o != optimizer and set(_owned(m, o)) == set(owned)]
    if m.quiet or not owned or not others or not flag(m, others[0], STEPPED).no:
        return
    event = m.event(Misstep, site, what="twice", sure=PRESUMED_YES, at=m.makers[others[0]], subject="")

    def answer(reached: Reached) -> None:
        if m.ledger.unseen_owned or reached.unclear or not m.escaped.isdisjoint((optimizer, *others)):
            return
        found = m.tensors(Ref(tuple(a for a in reached.leaves() if a < optimizer)))  # what was made before it
        orphans = {a for a, t in found if t.parameter and reached.trained(a) and t.storage not in m.steered}
        orphans -= m.owned | m.escaped | m.wanted
        if orphans:
            m.mourned |= orphans
            m.sink(event)

    m.afterwards.ask_last(answer)


def left_out(m: Machine, dropped: Iterable[int], site: cst.CSTNode) -> None:
    """An optimizer is given those of some parameters that require grad: are the others switched on later?"""
    if m.quiet:
        return
    before = {address: m.switched.get(address) for address in dropped}

    def at_end() -> None:
        now = {a: event for a, then in before.items() if (event := m.switched.get(a)) is not None and event is not then}
        late = {a: event for a, event in now.items() if event.sure.yes}
        if late and not m.ledger.unseen_owned and m.owned.isdisjoint(late) and m.escaped.isdisjoint(late):
            m.sink(replace(next(iter(late.values())), at=site))

    m.ledger.at_end.append(at_end)


def group_left(m: Machine, owned: list[int], site: cst.CSTNode) -> None:
    """An optimizer is made: was a group for it put together in the same function, and not given to it?"""
    here = [(slot[1], value) for slot, value in m.state.slots.items() if slot[0] == m.frame.id]
    for name, value in here if not m.quiet else ():
        group = m.cell(value)
        if not isinstance(group, Mapping_) or group.get("params") is None or _read(m, name):
            continue
        left = module_tree.parameters_in(m, value) or []
        found = m.tensors(Ref(tuple(left)))
        if found and set(left).isdisjoint(owned) and all(t.parameter and t.grad.yes and t.leaf.yes for _, t in found):
            event = m.event(Misstep, site, what="group", sure=PRESUMED_YES, at=None, subject=name)
            m.afterwards.ask_last(partial(_ungiven, m, event, value, found, owned))


def _read(m: Machine, name: str) -> bool:
    """Is the variable read in its function, behind where it was bound last, but to put something into the group?"""
    if m.frame.function is None:
        return True  # what stands at the top of a file, anybody may read
    parts = tuple(trees.run_by(m.frame.function.definition))
    bound = [(i, p.target) for i, p in enumerate(parts) if isinstance(p, cst.AssignTarget) and _is(p.target, name)]
    if not bound:
        return True
    place, target = bound[-1]
    behind = parts[place:]
    filling = {id(p.value.value) for p in behind if _fills(p) and isinstance(p.value, cst.Subscript)}
    filling |= {
        id(p.target.value) for p in behind if isinstance(p, cst.AssignTarget) and isinstance(p.target, cst.Subscript)
    }
    return any(_is(p, name) and p is not target and id(p) not in filling for p in behind)


def _is(node: cst.CSTNode, name: str) -> bool:
    return isinstance(node, cst.Name) and node.value == name


def _fills(node: cst.CSTNode) -> TypeGuard[cst.Attribute]:
    """`group["params"].append`"""
    return isinstance(node, cst.Attribute) and node.attr.value in ("append", "extend")


def _ungiven(
    m: Machine, event: Misstep, group: Ref, found: list[tuple[int, Tensor]], owned: list[int], reached: Reached
) -> None:
    left = {a for a, _ in found}
    if not m.owned.issuperset(owned) or m.ledger.regroups:
        return
    held = not m.escaped.isdisjoint((*left, *group.addresses)) or not m.wanted.isdisjoint(left)
    held = held or (event.what == "kinds" and bool(m.wanted))  # somebody steps by hand, perhaps with these
    steered = any(t.storage in m.steered for _, t in found)
    if held or steered or m.ledger.unseen_owned or not m.births.of(m.owned).isdisjoint(m.births.of(left)):
        return
    if all(map(reached.trained, left)) and any(map(reached.trained, owned)):
        m.sink(event)


KINDS = ("weight", "bias")


def kinds(m: Machine, given: Value | None, site: cst.CSTNode) -> None:
    """An optimizer is made where all parts of a module were gone through, or all of its parameters by name, be it in a
    function that was called for that: the weights and biases that layers have may be given to it, and Parameters with
    other names forgotten."""
    listed = m.cell(given) if given is not None else None
    if not isinstance(listed, Sequence) or listed.kind != "list":
        return  # `net.body.parameters()`: the parts were gone through for something else
    toured = [module for frame, module in m.ledger.toured if frame == m.frame.id]
    named = [module for frame, module in m.ledger.named if frame >= m.frame.id]
    for module in dict.fromkeys([*toured, *named]) if not m.quiet else ():
        found = module_tree.tree(m, module)
        names = {a: n for a, n in zip(found.parameters, found.names, strict=True) if n is not None}
        if not found.complete or not found.counted or len(names) != len(found.parameters):
            continue
        tensors = [(a, t) for a, t in m.tensors(Ref(tuple(names))) if t.grad.yes and t.leaf.yes]
        usual = [a for a, _ in tensors if names[a].rpartition(".")[2] in KINDS]
        others = [(a, t) for a, t in tensors if a not in usual]
        if usual and others and (module in toured or _by_kind(m, [names[a] for a, _ in others])):
            event = m.event(Misstep, site, what="kinds", sure=PRESUMED_YES, at=None, subject=names[others[0][0]])
            m.afterwards.ask_last(partial(_ungiven, m, event, module, others, usual))


def _by_kind(m: Machine, others: list[str]) -> bool:
    """Does the text ask for weights or biases by name, and for none of the others? Who names those leaves them out."""
    nodes = ast.walk(m.tree) if m.tree is not None else ()
    texts = {n.value.strip("._") for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return not texts.isdisjoint(KINDS) and not any(text and text in name for text in texts for name in others)


def criterion(m: Machine, module: Ref, result: Value, node: cst.CSTNode) -> None:
    """A module was called and returned `result`: is it a loss, or part of one, made of parameters that the module holds
    itself?

    What is no loss may be frozen by being left out. But not where everything else that is trained is stepped.
    """
    parts = result.items if isinstance(result, Tuple) else (result,)
    made = [t for part in parts for _, t in m.tensors(part) if t.grad.yes]
    if m.quiet or m.guards or module.addresses[0] in m.ledger.registered or not made:
        return
    whole = any(t.shape == () for t in made)
    found = module_tree.tree(m, module)
    leaves = [a for a, t in m.tensors(Ref(tuple(found.parameters))) if t.grad.yes]
    if not found.complete or len(found.modules) != 1 or not leaves or len(leaves) != len(found.parameters):
        return
    call = m.text(node.func) if isinstance(node, cst.Call) else m.text(node)
    event = m.event(Misstep, node, what="unowned", sure=PRESUMED_YES, at=node, subject=call)

    def answer(reached: Reached) -> None:
        held = not m.escaped.isdisjoint(leaves) or not m.wanted.isdisjoint(leaves) or module.addresses[0] in m.escaped
        steered = any(t.storage in m.steered for _, t in m.tensors(Ref(tuple(leaves))))
        owned, own = m.births.of(m.owned), m.births.of(leaves)  # also in another run of the same code
        unseen = m.ledger.unseen_owned or m.ledger.regroups or len(own) < len(leaves)
        if held or steered or unseen or not owned.isdisjoint(own):
            return
        others = [a for a in reached.leaves() - m.owned if reached.trained(a) and a not in leaves]
        several = sum(map(reached.trained, m.owned)) > 1  # who steps with one image or latent may well train no network
        if not whole and (not several or any(owned.isdisjoint(m.births.of([a])) for a in others)):
            return
        optimizer = next((o for o in m.makers if any(map(reached.trained, _owned(m, o)))), None)
        if optimizer is not None and optimizer not in m.escaped and all(map(reached.trained, leaves)):
            m.sink(replace(event, node=m.makers[optimizer]))

    m.afterwards.ask_last(answer)


def _owned(m: Machine, optimizer: int) -> tuple[int, ...]:
    cell = m.state.get((optimizer, CELL))
    return cell.owned or () if isinstance(cell, Optimizer) else ()
