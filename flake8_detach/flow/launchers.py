"""Objects of frameworks that do what a plain script does itself: accelerate's Accelerator, Fabric, DeepSpeed's engine.

What they do stands in `knowledge/frameworks`. A model, optimizer or loader that they have wrapped is the same to the
engine: wrapping changes where it runs, not what carries a gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import gradients, optimizers, tensor_methods
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.registry import MODELS, Model, model
from flake8_detach.flow.values import NONE, UNKNOWN, External, Ref, Thing, Tuple, Value
from flake8_detach.knowledge.frameworks import LAUNCHERS, deepspeed
from flake8_detach.knowledge.frameworks._kinds import BACKWARD, CONTEXT, PLAIN, SAME, STEP, STIR, Launcher

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

LAUNCHED = "framework object"
ENTERED = "framework context"
BOUND = "framework method"

_BY_NAME = {name: launcher for launcher in LAUNCHERS for name in launcher.made_by}


def _maker(name: str) -> Model:
    def make(m: Machine, args: Args, node: cst.CSTNode) -> Value:
        return m.new(Thing(LAUNCHED, (("class", External(name)),)))

    return make


for _name in _BY_NAME:
    model(_name)(_maker(_name))


def method(m: Machine, node: cst.CSTNode, receiver: Value, cell: Thing, name: str, args: Args) -> Value:
    """A method of such an object."""
    made_by = cell.part("class")
    assert isinstance(made_by, External)
    return _do(m, node, _BY_NAME[made_by.name], name, args, None)


def _do(m: Machine, node: cst.CSTNode, launcher: Launcher, name: str, args: Args, optimizer: Value | None) -> Value:
    what = launcher.methods.get(name, "")
    if what == BACKWARD:
        _backward(m, node, launcher, args)
        return NONE
    if what == SAME:
        return _same(m, args)
    if what == CONTEXT:
        return m.new(Thing(ENTERED))
    if what == STEP:
        _step(m, node, optimizer)
        return NONE
    if what == STIR:
        gradients.stir(m)
        return UNKNOWN
    if what == PLAIN:
        return UNKNOWN
    if what in MODELS:
        return MODELS[what](m, args, node)
    if what:
        from flake8_detach.flow import library

        return library.call(m, what, args, node)
    escape(m, args.values())
    return UNKNOWN


def _backward(m: Machine, node: cst.CSTNode, launcher: Launcher, args: Args) -> None:
    loss = args.get(0, launcher.first)
    if loss is None:
        loss = UNKNOWN
    given = Args([], {key: value for key, value in args.kw.items() if key in PASSED}, args.open)
    tensor_methods.backward(m, node, loss, args.node(0, launcher.first, node), given, m.text(node))


PASSED = ("gradient", "retain_graph", "create_graph", "inputs")


def _same(m: Machine, args: Args) -> Value:
    """What was given, as it is; a scheduler that the framework steps by its own rules is no plain one any more."""
    if args.open or not args.pos:
        given = [*args.values()]
        if args.open or len(given) != 1:
            escape(m, given)
            return UNKNOWN
        args = Args(given)
    if "scheduler" in args.kw:
        escape(m, args.values())
        return UNKNOWN
    kept = tuple(_kept(m, value) for value in args.pos)
    return kept[0] if len(kept) == 1 else Tuple(kept)


def _kept(m: Machine, value: Value) -> Value:
    cell = m.cell(value)
    if isinstance(cell, Thing) and cell.kind.startswith("torch.optim.lr_scheduler."):
        escape(m, [value])
        return UNKNOWN
    return value


def _step(m: Machine, node: cst.CSTNode, optimizer: Value | None) -> None:
    if optimizer is None or not isinstance(optimizer, Ref):
        gradients.stir(m)
        return
    for name in ("step", "zero_grad"):
        optimizers.call(m, node, optimizer, name, Args([]))


# DeepSpeed


@model(deepspeed.INITIALIZE)
def _initialize(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """The engine is the model, with the methods of the engine beside its own."""
    given = {name: args.get(i, name) for i, name in enumerate(deepspeed.PARAMETERS)}
    engine, optimizer = given["model"], given["optimizer"]
    if args.open or not isinstance(engine, Ref) or len(engine.addresses) != 1:
        escape(m, args.values())
        return Tuple((UNKNOWN,) * 4)
    from flake8_detach.flow import modules

    plain = optimizer if optimizer is not None and modules.is_optimizer(m, optimizer) else None
    if plain is None and optimizer is not None:
        escape(m, [optimizer])
    for name in deepspeed.ENGINE.methods:
        parts = (("name", External(name)), ("optimizer", plain if plain is not None else NONE))
        m.state.set((engine.addresses[0], name), m.new(Thing(BOUND, parts)))
    m.state.set((engine.addresses[0], "module"), engine)
    if plain is None:  # the engine makes one as its configuration says
        m.ledger.unseen_owned = True
    return Tuple((engine, plain if plain is not None else UNKNOWN, UNKNOWN, UNKNOWN))


def call_bound(m: Machine, cell: Thing, args: Args, node: cst.CSTNode) -> Value:
    """Call a method of an engine."""
    name, optimizer = cell.part("name"), cell.part("optimizer")
    assert isinstance(name, External)
    return _do(m, node, deepspeed.ENGINE, name.name, args, optimizer)
