"""What looks as if it did something: values that nobody takes, attributes that torch does not read, idle grad modes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import autograd, forgotten, gradients, modules, snapshots
from flake8_detach.flow.events import AttributeMade, Dropped, ModeIdle
from flake8_detach.flow.values import (
    NO,
    NONE,
    YES,
    Array,
    Const,
    External,
    Function,
    Instance,
    Label,
    Method,
    Mode,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Value,
)
from flake8_detach.knowledge import contexts, idle, ops

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine


def dropped(m: Machine, node: cst.BaseExpression, value: Value) -> None:
    """An expression statement has the value `value`."""
    if m.guards:
        return  # it may be there only to see whether it raises
    if isinstance(node, cst.Attribute):
        _uncalled(m, node, value)
    elif isinstance(node, cst.Call):
        _result(m, node, value)
    elif isinstance(node, cst.Comparison):
        _compared(m, node)
    forgotten.thrown(m, node, value)


def unrun(m: Machine, node: cst.BaseExpression) -> bool:
    """Is the statement `map(f, xs)` or a generator expression? Nothing asks for its elements: it never runs `f`."""
    if isinstance(node, cst.GeneratorExp):
        what, text = "a generator expression", node.elt
    elif isinstance(node, cst.Call) and len(node.args) > 1 and m.evaluate(node.func) == External("builtins.map"):
        function = node.args[0].value
        known = m.evaluate(function)
        what, text = "`map`", known.definition if isinstance(known, Function) else function
    else:
        return False
    if not m.guards and any(_acts(part) for part in trees.walk(text)):
        m.emit(Dropped, node, what="unrun", owner="", subject=what, name="map")
    return True


def _acts(node: cst.CSTNode) -> bool:
    name = node.func.attr.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else ""
    return any(name in names for names in idle.ACTIONS.values())


def _uncalled(m: Machine, node: cst.Attribute, value: Value) -> None:
    name = node.attr.value
    if isinstance(value, External) and value.name in autograd.NO_GRAD:
        m.emit(Dropped, node, what="mode", owner="", subject=m.text(node), name=value.name)
    receiver = value.receiver if isinstance(value, Method) else value.bound if isinstance(value, Function) else None
    if receiver is not None:
        owner = _kind(m, receiver)
        if name in idle.ACTIONS.get(owner, ()):
            m.emit(Dropped, node, what="method", owner=owner, subject=m.text(node.value), name=name)
            gradients.stir(m)  # it was meant to be called


def _kind(m: Machine, value: Value) -> str:
    """What kind of object has the methods that do something."""
    if m.is_tensor(value):
        return "tensor"
    if modules.is_optimizer(m, value):
        return "optimizer"
    if modules.is_module(m, value):
        return "module"
    cell = m.cell(value)
    if isinstance(cell, Thing):
        return "scaler" if cell.kind.endswith("GradScaler") else "scheduler" if "lr_scheduler" in cell.kind else ""
    return ""


def _result(m: Machine, node: cst.Call, value: Value) -> None:
    cell = m.cell(value)
    if isinstance(cell, Thing) and cell.kind in contexts.ENTERED and _again(m, node.func) == External(cell.kind):
        m.emit(Dropped, node, what="mode", owner="", subject=m.text(node), name=cell.kind)
    if not isinstance(node.func, cst.Attribute):
        return
    name, owner_node = node.func.attr.value, node.func.value
    if name == "load_state_dict" and isinstance(owner := _again(m, owner_node), Ref) and modules.is_module(m, owner):
        snapshots.itself(m, node, owner)
    if not isinstance(value, Ref) or not m.is_tensor(value):
        return
    if name == "scale" and isinstance(scaler := _again(m, owner_node), Ref) and _kind(m, scaler) == "scaler":
        m.emit(Dropped, node, what="result", owner="scaler", subject=m.text(owner_node), name=name)
        return
    if name == "apply":
        _unused_function(m, node, value, m.text(owner_node))
    if name == "requires_grad_" and temporary(owner_node):
        m.emit(Dropped, node, what="result", owner="temporary", subject=m.text(owner_node), name=name)
        return
    if _again(m, node.func) == External(f"torch.{name}"):
        _from_nowhere(m, node, name)
        return
    twin = name[-1] != "_" and ops.method(name) is not None and ops.method(f"{name}_") is not None
    chained = _writes(owner_node)  # `average.mul_(0.9).add(0.1 * x)`
    receiver = value if chained else _again(m, owner_node) or Const(None)
    if not m.tensors(receiver) or not m.is_tensor(receiver):
        return
    written = isinstance(owner_node, cst.Attribute) and owner_node.attr.value in ("data", "grad")
    if (name in idle.CONVERTS and not chained) or (twin and (written or chained)):
        kind = "written" if chained else "tensor"
        m.emit(Dropped, node, what="result", owner=kind, subject=m.text(owner_node), name=name)


def _unused_function(m: Machine, node: cst.Call, value: Ref, subject: Label) -> None:
    """`Function.apply(x, y)`, whose result nobody takes: told if a backward comes by its inputs without it."""
    tensor = m.cell(value)
    if m.quiet or not isinstance(tensor, Tensor) or tensor.node is None or not tensor.grad.yes:
        return
    number, made = tensor.node, m.state.graph[tensor.node]
    if not tensor.made.endswith(".apply") or made.site is not node or m.version(tensor.storage) != (tensor.storage,):
        return  # it may have written to an input
    event = m.event(Dropped, node, what="result", owner="function", subject=subject, name="apply")

    def answer(reached: Reached) -> None:
        come_by = any(reached.leaf(e.leaf or 0) if e.node is None else reached.node(e.node) for e in made.edges)
        if come_by and not reached.node(number):
            m.sink(event)

    m.afterwards.ask_last(answer)


def _again(m: Machine, node: cst.BaseExpression) -> Value | None:
    """The value of a variable or attribute, looked up once more without telling anybody; None for what acts."""
    part: cst.BaseExpression = node
    while isinstance(part, (cst.Attribute, cst.Subscript)):
        part = part.value
    if not isinstance(part, cst.Name):
        return None
    m.quiet += 1
    try:
        return m.evaluate(node)
    finally:
        m.quiet -= 1


def _from_nowhere(m: Machine, node: cst.Call, name: str) -> None:
    """`torch.add(self.sums[name], x)`: what is kept somewhere is not written by that."""
    kept = node.args[0].value if node.args and node.args[0].keyword is None and not node.args[0].star else None
    op = ops.function(f"torch.{name}")
    pure = op is not None and op.graph == "yes" and not op.inplace and ops.method(f"{name}_") is not None
    into = any(arg.keyword is not None and arg.keyword.value == "out" for arg in node.args)
    if not pure or into or not isinstance(kept, (cst.Attribute, cst.Subscript)):
        return
    part = m.is_tensor(_again(m, kept.value) or NONE)  # `x[None]` is made for the occasion
    if m.is_tensor(_again(m, kept) or NONE) and not part:
        m.emit(Dropped, node, what="result", owner="argument", subject=m.text(kept), name=name)


def _writes(node: cst.BaseExpression) -> bool:
    """Is it a call of a method that writes its tensor in place?"""
    name = node.func.attr.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else ""
    op = ops.method(name) if name else None
    return op is not None and op.inplace and op.bumps


def temporary(node: cst.BaseExpression) -> bool:
    """Is the tensor one that only this expression holds: `x.data`, `x.detach()`, an item of these?"""
    while isinstance(node, cst.Subscript):
        node = node.value
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.attr.value in ("detach", "clone")
    return isinstance(node, cst.Attribute) and node.attr.value == "data"


def _compared(m: Machine, node: cst.Comparison) -> None:
    """`p.requires_grad == False`."""
    only = node.comparisons[0].operator
    left = node.left
    if isinstance(only, cst.Equal) and isinstance(left, cst.Attribute) and left.attr.value == "requires_grad":
        owner = _kind(m, _again(m, left.value) or Const(None))
        if owner in ("tensor", "module"):
            m.emit(Dropped, node, what="comparison", owner=owner, subject=m.text(left), name="requires_grad")


# Attributes


def attribute(m: Machine, address: int, name: str, value: Value, node: cst.CSTNode, owner_node: cst.CSTNode) -> None:
    """`owner.name = value`, where a tensor or module has no such attribute yet."""
    cell = m.state.cell(address)
    if "grad" not in name or not isinstance(value, (Const, Scalar)):
        return
    if not isinstance(cell, Tensor):
        told = (address, name) in m.state.slots
        if told or (isinstance(cell, Instance) and (modules.open_ended(cell.cls) or _of_class(m, address, name))):
            return
        own = any(f.function is not None and f.function.bound == Ref((address,)) for f in m.frames)
        if own and name != "requires_grad":
            return  # a method of its own sets a flag that it has itself thought of
    owner = "tensor" if isinstance(cell, Tensor) else "module"
    event = m.event(AttributeMade, node, owner=owner, subject=m.text(owner_node), name=name)

    def ask() -> None:
        if name not in m.ledger.attributes_read:
            m.sink(event)

    if not m.quiet and not m.guards:
        m.ledger.at_end.append(ask)


def on_temporary(m: Machine, name: str, node: cst.CSTNode, owner_node: cst.CSTNode) -> None:
    """`x.data.requires_grad = ...` changes an object that is gone at once."""
    if isinstance(owner_node, cst.BaseExpression) and temporary(owner_node) and not m.guards:
        m.emit(AttributeMade, node, owner="temporary", subject=m.text(owner_node), name=name)


def _of_class(m: Machine, address: int, name: str) -> bool:
    instance = Ref((address,))
    return any(modules.find(m, instance, n) is not None for n in (name, "__setattr__", "__getattr__"))


# Grad modes


def coroutine(m: Machine, node: cst.FunctionDef, mode: str) -> None:
    """`@torch.no_grad()` on an `async def`: left before its body runs."""
    m.emit(ModeIdle, node.name, what="async", mode=mode.removesuffix("(False)"))


def decorated_class(m: Machine, node: cst.BaseExpression, mode: str) -> None:
    """`@torch.no_grad()` on a class: for the time of its construction only."""
    m.emit(ModeIdle, node, what="class", mode=mode)


LAZY = "*lazy"
"""Slot of a generator expression made where grad mode is off: the expression."""


def lazy(m: Machine, node: cst.CSTNode, made: Value) -> None:
    """A generator expression is made under `no_grad`: what it computes, it computes where it is consumed."""
    cell = m.cell(made)
    if (
        not m.frame.withs
        or not m.mode.grad.no
        or not isinstance(cell, Sequence)
        or not isinstance(made, Ref)
        or m.mode.why is None
    ):
        return
    for item in cell.items if cell.items is not None else [cell.element]:
        for _, tensor in m.tensors(item):
            if tensor.grad.no and tensor.why is not None and tensor.why.kind == "mode" and tensor.why.lost.yes:
                m.state.set((made.addresses[0], LAZY), node)
                return


def consumed(m: Machine, value: Value) -> None:
    """The generator runs now."""
    if isinstance(value, Ref) and len(value.addresses) == 1 and m.mode.grad.yes and not m.guards:
        node = m.state.get((value.addresses[0], LAZY))
        if node is not None:
            m.emit(ModeIdle, node, what="generator", mode="no_grad")


SPENT = "*spent"
"""Slot of a generator that gave parameters, and has given all of them."""


def spend(m: Machine, generator: Ref, cell: Sequence) -> None:
    """A generator is gone through to its end."""
    of = [t for _, t in m.tensors(cell.element)]
    if cell.filled.yes and of and all(t.parameter for t in of):
        m.state.set((generator.addresses[0], SPENT), YES)


def spent(m: Machine, node: cst.For, source: Value) -> None:
    """A loop begins: is it over parameters that somebody has gone through before?"""
    if not isinstance(source, Ref) or len(source.addresses) != 1 or m.guards:
        return
    cell = m.cell(source)
    empty = isinstance(cell, Sequence) and cell.items == ()
    if empty and m.state.get((source.addresses[0], SPENT), NO).yes:
        m.emit(Dropped, node.iter, what="spent", owner="", subject=m.text(node.iter), name="for")


HELD = "*held"
"""Slot of a generator of the file that yields inside of `with torch.no_grad()`: the mode."""


def holds(m: Machine, made: Ref, mode: Mode, outside: Mode, function: Function) -> None:
    """A generator of the file yields in `mode`; it was called in `outside`."""
    if mode.grad.no and outside.grad.yes and mode.why is not None and not set(function.wrappers) & MANAGERS:
        m.state.set((made.addresses[0], HELD), (mode.why,))


MANAGERS = frozenset({"contextlib.contextmanager", "contextlib.asynccontextmanager"})


def enter_consumer(m: Machine, source: Value) -> Mode | None:
    """A loop over such a generator: its body runs in the generator's mode. Returns the mode to go back to."""
    held = m.state.get((source.addresses[0], HELD)) if isinstance(source, Ref) and source.addresses else None
    if not isinstance(held, tuple):
        return None
    before = m.mode
    what = "computed while the generator that the loop consumes holds grad mode off"
    m.set_mode(Mode(NO, before.inference, m.cause("mode", what, held[0].site)))
    return before


def left_off(m: Machine, function: Function) -> None:
    """A function that nobody in the file calls has switched grad mode off for good."""
    why = m.mode.why
    if why is None or not m.mode.grad.no or "set_grad_enabled" not in why.what:
        return
    if isinstance(function.definition, cst.Lambda) or m.quiet:
        return
    event = m.event(ModeIdle, why.site, what="leak", mode="set_grad_enabled(False)")

    def ask() -> None:
        if m.ledger.trains and not m.ledger.enables:
            m.sink(event)

    m.ledger.at_end.append(ask)


__all__ = ["Array", "attribute", "dropped"]
