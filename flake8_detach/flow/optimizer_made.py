"""Optimizers and schedulers are constructed: what they are given, and what they refuse to be given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    events,
    freezing,
    imported_modules,
    iteration,
    module_tree,
    modules,
    optimizer_contracts,
    schedules,
    steppers,
    training,
    unfed,
)
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    YES,
    Array,
    Const,
    Layer,
    Mapping_,
    Method,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine

PERHAPS = "*perhaps"
"""Slot of an optimizer: its tensors, if two of them may be one, so that it is not known how many there are."""


def make_optimizer(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    """`torch.optim.SGD(...)`."""
    freezing.used(m)
    given = args.get(0, "params")
    if given is not None:
        given = imported_modules.given(m, given, args.node(0, "params", node))
    optimizer_contracts.options(m, node, name, args)
    separate = [] if given is None else _each(m, given)
    parted = None if given is None else _all_known(separate)
    owned = None if given is None else module_tree.parameters_in(m, given)
    problem = no_parameters(m, given) or _repeated(m, parted)
    found = None if owned is None else tuple(_retained(m, a, t) for a in owned for _, t in m.tensors(Ref((a,))))
    computed = any(t.leaf.no and t.grad.yes for t in found or ())
    if problem == TWICE and not all(t.leaf.yes for t in found or ()):
        problem = ""  # of what is no leaf torch tells first, and raises
    if (problem and problem != TWICE) or found == () or computed:
        m.raises()
    m.emit(events.OptimizerMade, node, kind=name, given=found, problem=problem)
    m.owned.update(owned or ())
    m.ledger.optimized.update(owned or ())
    m.ledger.unseen_owned = m.ledger.unseen_owned or owned is None
    sizes = None if parted is None or owned is None else tuple(len(group) for group in parted)
    if given is not None:
        iteration.consume(m, given)
    perhaps = owned if owned is not None and any(not m.state.alike(a).isdisjoint(owned) for a in owned) else None
    if perhaps is not None:
        owned = None  # two of them may be one
    made = m.new(Optimizer(name, None if owned is None else tuple(owned), sizes, tuple(args.kw.items())))
    training.made(m, made.addresses[0], node)
    steppers.made(m, made.addresses[0], owned)
    steppers.tell(m, made.addresses[0])
    if perhaps is not None:
        m.state.set((made.addresses[0], PERHAPS), Ref(tuple(perhaps)))
    if owned is not None:
        unfed.look(m, made.addresses[0], owned, node)
        unfed.twice(m, made.addresses[0], owned, node)
        unfed.group_left(m, owned, node)
        unfed.kinds(m, given, node)
    unfed.pretrained(m, made.addresses[0], [group for group in separate if group], node)
    if isinstance(given, Ref) and isinstance(left := m.state.get((given.addresses[0], iteration.DROPPED)), Ref):
        unfed.left_out(m, left.addresses, node)
    return made


def _retained(m: Machine, address: int, tensor: Tensor) -> Tensor:
    """A computed tensor is taken if it keeps its gradient; whether it is one does not matter then."""
    kept: Truth = m.state.get((address, "kept"), NO)
    return tensor if kept is NO else replace(tensor, leaf=tensor.leaf | MAYBE)


def make_scheduler(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    """`torch.optim.lr_scheduler.StepLR(...)`."""
    given = args.get(0, "optimizer")
    optimizer = given if isinstance(given, Ref) and isinstance(m.cell(given), Optimizer) else None
    optimizer_contracts.scheduler(m, node, name, args)
    parts: list[tuple[str, Value]] = [] if optimizer is None else [("optimizer", optimizer)]
    total = optimizer_contracts.total_steps(name, args)
    if total is not None:
        parts.append(("*total", Const(total)))
    made = m.new(Thing(name, tuple(parts)))
    schedules.scheduler_made(m, made.addresses[0], None if optimizer is None else optimizer.addresses[0])
    return made


# Which parameters, in which groups?


def groups(m: Machine, given: Value) -> list[list[int]] | None:
    """The parameters of each group, as often as they are given; None if they are not all known."""
    return _all_known(_each(m, given))


def _all_known(found: list[list[int] | None]) -> list[list[int]] | None:
    return None if None in found else [group for group in found if group is not None]


def _each(m: Machine, given: Value) -> list[list[int] | None]:
    """The parameters of each group, None where they are not all known."""
    listed = iteration.exact(m, given) if not m.is_tensor(given) else None
    if listed and all(isinstance(m.cell(item), Mapping_) for item in listed):
        return [_group(m, item) for item in listed]
    return [_flat(m, given)]


def _group(m: Machine, group: Value) -> list[int] | None:
    cell = m.cell(group)
    params = cell.get("params") if isinstance(cell, Mapping_) else None
    return None if params is None else _flat(m, params)


def _flat(m: Machine, value: Value) -> list[int] | None:
    if isinstance(value, Ref) and m.is_tensor(value):
        return list(value.addresses) if len(value.addresses) == 1 else None
    cell = m.cell(value)
    if isinstance(cell, Sequence) and cell.items is None:
        element = cell.element.items[1] if isinstance(cell.element, Tuple) else cell.element
        if not (cell.each and cell.filled is YES and isinstance(element, Ref)):
            return None
        assert isinstance(value, Ref)
        again: Value | None = m.state.get((value.addresses[0], iteration.AGAIN))
        return [*element.addresses, *(again.addresses if isinstance(again, Ref) else ())]
    listed = iteration.exact(m, value) if not isinstance(cell, (Mapping_, Layer)) else None
    if listed is None:
        return None
    found: list[int] = []
    for item in listed:
        if isinstance(item, Tuple) and len(item.items) == 2:  # named_parameters()
            item = item.items[1]
        if not isinstance(item, Ref) or not m.is_tensor(item):
            return None
        found.extend(item.addresses)
    return found


# What cannot be optimised


TWICE = "a parameter twice in one group (a warning now, an error in future)"
SHARED = "a parameter in two groups"


def _repeated(m: Machine, parted: list[list[int]] | None) -> str:
    """Is a parameter given twice? An address that stands for several tensors says nothing about that."""
    seen: set[int] = set()
    for group in parted or ():
        own = [a for a in group if a not in m.plural and a not in m.escaped]
        if not seen.isdisjoint(own):
            return SHARED
        seen.update(own)
    if any(
        len(set(group) - m.plural - m.escaped) < len([a for a in group if a not in m.plural | m.escaped])
        for group in parted or ()
    ):
        return TWICE
    return ""


def no_parameter(m: Machine, item: Value) -> str:
    """Why an optimizer cannot take an element of its list, or ""; a dict or a (name, tensor) pair may be one."""
    if item == NONE:
        return "None"
    if isinstance(item, (Const, Scalar)):
        return "a number or string"
    if isinstance(item, Array):
        return "an array"
    cell = m.cell(item)
    if isinstance(cell, Sequence) and cell.kind in ("generator", "list"):
        return f"a {cell.kind} (join them: `[*a, *b]`)"
    if isinstance(item, Method) and item.name in ("parameters", "named_parameters"):
        return "a method that is not called"
    return "a module (pass its `.parameters()`)" if modules.is_module(m, item) else ""


def no_parameters(m: Machine, given: Value | None) -> str:
    """Why an optimizer cannot take `given`, or ""."""
    if given is None:
        return ""
    if isinstance(given, Method) and given.name in ("parameters", "named_parameters"):
        return "the method itself: call it"
    if m.is_tensor(given):
        return "a tensor: put it into a list"
    cell = m.cell(given)
    if isinstance(cell, Mapping_) and (cell.items or (cell.rest is not None and m.is_tensor(cell.rest))):
        return "a dict: its keys are strings; pass its `.values()`, or a list with one dict for each group"
    listed = iteration.exact(m, given) or []
    grouped = bool(listed) and isinstance(m.cell(listed[0]), Mapping_)
    for item in listed:
        if grouped and (what := no_group(m, item)):
            return what
        if not grouped and (what := no_parameter(m, item)):
            return f"a list with {what} in it"
    iterable = isinstance(cell, Layer) and (cell.children is None or bool(cell.children))
    return "a module: pass its `.parameters()`" if modules.is_module(m, given) and not iterable else ""


def no_group(m: Machine, group: Value) -> str:
    """Why an optimizer cannot take this as a group of parameters with options of their own, or ""."""
    cell = m.cell(group)
    if not isinstance(cell, Mapping_):
        plain = m.is_tensor(group) or isinstance(cell, (Sequence, Layer)) or isinstance(group, (Const, Tuple))
        return "something else than a dict as a group" if plain else ""
    params = cell.get("params")
    if params is None:
        return "a group without `params`" if cell.rest is None else ""
    inner = m.cell(params)
    if isinstance(inner, Sequence) and inner.kind == "set":
        return "a set of parameters, whose order is left to chance"
    if isinstance(inner, Sequence) and inner.items is not None:
        return next((f"a group with {what} in it" for i in inner.items if (what := no_parameter(m, i))), "")
    if isinstance(params, Method) and params.name in ("parameters", "named_parameters"):
        return "a group with a method that is not called in it"
    plain_module = modules.is_module(m, params) and not isinstance(inner, Layer)
    leaf = isinstance(inner, Layer) and inner.children == ()
    return "a group whose `params` is a module: pass its `.parameters()`" if plain_module or leaf else ""


__all__ = ["groups", "make_optimizer", "make_scheduler", "no_group", "no_parameters"]
