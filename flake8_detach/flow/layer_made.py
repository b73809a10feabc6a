"""How layers of torch.nn and their containers are made: their parameters and children."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    calls,
    conversions,
    freezing,
    levels,
    membership,
    missing,
    module_groups,
    parameters,
    shapes,
    subscripts,
)
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Dtype,
    Layer,
    Mapping_,
    Method,
    Ref,
    Shape,
    Tuple,
    Value,
)
from flake8_detach.knowledge import layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


DRAWN = ("Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "Embedding", "RNN", "LSTM", "GRU")
"""Layers, among others, whose parameters start from random numbers."""


def make_layer(m: Machine, name: str, args: calls.Args, node: cst.CSTNode) -> Value:
    """`nn.Linear(3, 1)`: a new layer with its parameters."""
    spec = layers.layer(name)
    if m.levels and name.rpartition(".")[2] in DRAWN:
        levels.random(m, node, f"`{name.removeprefix('torch.')}`, which is initialised here,")
    if spec is None:
        calls.escape(m, args.values())
        return UNKNOWN
    bound = args.bind(spec.params)
    if spec.container:
        return make_container(m, name, spec, args, node)
    for option in ("size_average", "reduce") if name.endswith("Loss") else ():
        conversions.as_flag(m, node, option, bound.get(option, NONE))
    made = m.new(Layer(name, tuple((k, v) for k, v in bound.items() if not k.startswith("*"))))
    make_parameters(m, made.addresses[0], spec, bound)
    if name.startswith("torch.nn.Transformer"):
        freezing.used(m)  # it makes deep copies of the layer that it is given, which are as frozen
        m.state.set((made.addresses[0], CELL), Layer(name, (), None))
    if spec.parameters:
        membership.made(m, made, node)
    if spec.lazy:
        m.lazy = True
        for name_, _ in spec.parameters:
            unset = m.state.get((made.addresses[0], name_))
            for parameter_, _t in m.tensors(unset) if isinstance(unset, Ref) else ():
                m.state.set((parameter_, missing.UNSET), YES)
    return made


def make_parameters(m: Machine, address: int, spec: layers.Layer, bound: dict[str, Value]) -> None:
    known = shapes.WEIGHTS[spec.name](bound) if spec.name in shapes.WEIGHTS else {}

    def option(name: str) -> bool | None:
        given = bound.get(name, Const(name not in OFF_UNLESS_ASKED))
        return bool(given.value) if isinstance(given, Const) else None

    for name, _ in spec.parameters:
        there = spec.has(name, option)
        if "_reverse" in name and option("bidirectional") is not True:
            there = option("bidirectional")
        if there is not True:
            m.state.put(address, name, NONE if there is False else UNKNOWN)
            continue
        shape = known.get(name)
        made = parameter(m, shape, "float" if "dtype" not in bound else None)
        if bound.get("sparse") == Const(True) and spec.name.startswith("torch.nn.Embedding"):
            m.state.set((made.addresses[0], "*sparse"), YES)
        m.state.put(address, name, made)


OFF_UNLESS_ASKED = frozenset({"add_bias_kv", "add_zero_attn", "bidirectional"})
"""Constructor arguments of torch.nn layers that are False by default and bring parameters in."""


def parameter(m: Machine, shape: Shape | None = None, dtype: Dtype | None = "float") -> Ref:
    made = m.tensor(grad=YES, leaf=YES, shape=shape, dtype=dtype, parameter=True, made="parameter")
    m.change(made.addresses[0], inference=m.mode.inference)
    return made


def make_container(m: Machine, name: str, spec: layers.Layer, args: calls.Args, node: cst.CSTNode) -> Value:
    """`nn.Sequential(...)`, `nn.ModuleList([...])`: a new container with what it is given."""
    entries = _entries(m, spec, args)
    made = m.new(Layer(name, (), tuple(k for k, _ in entries) if entries is not None else None))
    _fill(m, made.addresses[0], name, spec, entries, args, node)
    return made


def fill_container(m: Machine, address: int, name: str, args: calls.Args, node: cst.CSTNode) -> None:
    """`super().__init__(...)` in a class that extends a container: the instance at `address` gets what is given."""
    spec = layers.layer(name)
    assert spec is not None
    entries = _entries(m, spec, args)
    if entries is None:
        m.state.set((address, "*open"), YES)
    _fill(m, address, name, spec, entries, args, node)


def _entries(m: Machine, spec: layers.Layer, args: calls.Args) -> list[tuple[str, Value]] | None:
    """What a container is made of, with the keys; None if that is not known."""
    from flake8_detach.flow import iteration

    first = args.get(0, "modules")
    if spec.container == "sequential" and not (len(args.pos) == 1 and isinstance(m.cell(first or UNKNOWN), Mapping_)):
        return None if args.open else [(str(i), v) for i, v in enumerate(args.pos)]
    if first is None:
        return None if args.open else []
    cell = m.cell(first)
    if isinstance(cell, Mapping_):
        return [(str(k), v) for k, v in cell.items] if cell.rest is None else None
    known = iteration.exact(m, first)
    if spec.container.endswith("dict") and known is not None:  # of pairs
        return [(str(k.value), v) for k, v in pairs] if (pairs := _pairs(known)) is not None else None
    return None if known is None else [(str(i), v) for i, v in enumerate(known)]


def _pairs(values: list[Value]) -> list[tuple[Const, Value]] | None:
    """Keys and values, if all keys are known."""
    found = [v.items for v in values if isinstance(v, Tuple) and len(v.items) == 2]
    keyed = [(key, value) for key, value in found if isinstance(key, Const)]
    return keyed if len(keyed) == len(values) else None


def _fill(
    m: Machine,
    address: int,
    name: str,
    spec: layers.Layer,
    entries: list[tuple[str, Value]] | None,
    args: calls.Args,
    node: cst.CSTNode,
) -> None:
    from flake8_detach.flow import iteration

    first = args.get(0, "modules")
    for _, child in entries or []:
        m.ledger.registered.update(child.addresses if isinstance(child, Ref) else ())
    if isinstance(first, Ref):
        m.ledger.contained.update(first.addresses)
    if entries is None:
        if args.open and args.pos and not args.kw and spec.container == "sequential":
            module_groups.spread(m, address, args)
            return
        inner = m.cell(first) if first is not None else None
        if isinstance(inner, Mapping_):
            one = subscripts.one_of(
                m, [*(v for _, v in inner.items), *([inner.rest] if inner.rest is not None else [])]
            )
        else:
            one = iteration.element(m, first) if first is not None else UNKNOWN
            if spec.container.endswith("dict"):  # of pairs
                one = one.items[1] if isinstance(one, Tuple) and len(one.items) == 2 else UNKNOWN
        one = parameters.held(m, name, one, node)
        m.state.put(address, module_groups.ELEMENT, one)
        if first is not None:
            m.state.set((address, module_groups.FILLED), iteration.filled(m, first))
        m.ledger.registered.update(one.addresses if isinstance(one, Ref) else ())
    for key, value in entries or []:
        m.state.put(address, key, parameters.held(m, name, value, node))


def layer_attribute(m: Machine, owner: Ref, cell: Layer, name: str) -> Value:
    """An attribute of a torch.nn module that is no parameter or child."""
    spec = layers.layer(cell.kind)
    if spec is not None and name in spec.buffers:
        made = m.tensor(grad=NO, leaf=YES, dtype=None, made="buffer")
        m.state.put(owner.addresses[0], name, made)
        return made
    option = cell.option(name)
    if option is not None:
        return option
    return Method(owner, name)
