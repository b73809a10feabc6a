"""weight_norm, spectral_norm, pruning, parametrizations: a parameter becomes something computed from others.

The result is a tensor with a graph that leads to the new parameters. It saves nothing: torch computes it anew for every
forward, so that going through it twice is no mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_detach.flow import calls, graph_walk, iteration, layer_made, membership, modules, origins, training
from flake8_detach.flow.calls import Args
from flake8_detach.flow.machine import BY_FORWARD, RECOMPUTED
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import MAYBE, NONE, UNKNOWN, YES, Const, Edge, Layer, Node, Ref, Source, Tensor, Value
from flake8_detach.knowledge.parametrizations import EACH, GLOBAL, REPLACING, RESTORING, Parametrization

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

ORIGINAL = "*original "
"""Prefix of a slot of a module: the parameter that was there before it was replaced."""


@model(*REPLACING)
def _replace(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    spec = REPLACING[args.called]
    module = args.get(0, "module") or UNKNOWN
    name = args.get(1, spec.keyword) or Const(spec.default)
    found = _parameter(m, module, name)
    if found is None:
        calls.escape(m, args.values())
        return module
    given = args.pos[2] if len(args.pos) > 2 and spec.property else args.kw.get("parametrization", NONE)
    _compute(m, spec, found, args.called.rpartition(".")[2], given, node)
    return module


@model(GLOBAL)
def _replace_all(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """Pruning that weighs several parameters together: each becomes what `custom_from_mask` makes of it."""
    pairs = [iteration.exact(m, pair) for pair in iteration.exact(m, args.get(0, "parameters") or UNKNOWN) or ()]
    found = [_parameter(m, *pair) if pair is not None and len(pair) == 2 else None for pair in pairs]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        calls.escape(m, args.values())
        return NONE
    for one in known:
        _compute(m, REPLACING[EACH], one, EACH.rpartition(".")[2], NONE, node)
    return NONE


Found: TypeAlias = tuple[int, str, Ref]
"""The address of a module, the name of its parameter, and that parameter."""


def _compute(m: Machine, spec: Parametrization, found: Found, short: str, given: Value, node: cst.CSTNode) -> None:
    """Put what `short` computes in the place of the parameter. given: the module that computes it, if it is one."""
    address, attribute, old = found
    tensor = m.state.cell(old.addresses[0])
    assert isinstance(tensor, Tensor)
    originals = _originals(m, spec, old, tensor)
    edges = [m.edge(a, t) for a, t in m.tensors(originals) if not t.grad.no]
    grad, open_ = YES if any(edge.sure for edge in edges) else tensor.grad, False
    if modules.is_module(m, given):  # the parametrization itself may have parameters
        computed = calls.call(m, given, Args([old]), node)
        tensors = m.tensors(computed)
        open_ = not tensors or tensor.grad.no  # what is frozen now may be thawed
        grad = tensors[0][1].grad if tensors else grad | MAYBE
        edges = _leaves(m, [m.edge(a, t) for a, t in tensors if not t.grad.no])
    graph = None if grad.no else m.graph_node(Node(short, tuple(edges), (), node, open_))
    now = grad if spec.property or m.mode.grad.yes else grad & MAYBE
    made = m.tensor(grad=now, leaf=~now, shape=tensor.shape, dtype=tensor.dtype, node=graph, made=short)
    if spec.property:
        m.state.set((made.addresses[0], RECOMPUTED), YES)
    elif graph is not None:
        m.state.set((made.addresses[0], BY_FORWARD), YES)
    m.state.put(address, attribute, made)
    m.state.set((address, f"{ORIGINAL}{attribute}"), Ref(originals.addresses[:1]))
    for original, new in zip(spec.originals, originals.addresses, strict=True):
        _put(m, address, original.format(attribute), Ref((new,)))
        m.state.set((new, membership.MOVED), YES)
    m.ledger.registered.update((*old.addresses, *originals.addresses))
    if not spec.keeps and address not in m.escaped:
        training.exchanged(m, address, old, originals, node)
    if modules.is_module(m, given):
        m.state.put(address, f"*parametrization {attribute}", given)


@model(*RESTORING)
def _restore(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    module = args.get(0, "module") or UNKNOWN
    name = args.get(1, "name") or args.get(1, "tensor_name") or Const(RESTORING[args.called])
    known = isinstance(name, Const) and isinstance(module, Ref) and len(module.addresses) == 1
    old = m.state.get((module.addresses[0], f"{ORIGINAL}{name.value}")) if known else None  # type: ignore[union-attr]
    if not isinstance(old, Ref):
        calls.escape(m, args.values())
        return module
    m.state.put(module.addresses[0], str(name.value), old)  # type: ignore[union-attr]
    return module


def _originals(m: Machine, spec: Parametrization, old: Ref, tensor: Tensor) -> Ref:
    """The parameters that the module has now: the one that was there, or new ones made from its values."""
    count = len(spec.originals)
    if spec.keeps:
        return old
    new = [layer_made.parameter(m, tensor.shape if i == 0 else None, tensor.dtype) for i in range(count)]
    for reference in new if spec.follows else ():
        m.change(reference.addresses[0], grad=tensor.grad)
    return Ref(tuple(reference.addresses[0] for reference in new))


def _leaves(m: Machine, edges: list[Edge]) -> list[Edge]:
    """The leaves behind these edges."""
    tops = [e.node for e in edges if e.node is not None]
    sure = graph_walk.leaves(m, tops) | {e.leaf for e in edges if e.node is None}
    _, found = origins.behind(m, Source(tuple(edges)))
    return [Edge(None, leaf, leaf in sure) for leaf in sorted(found)]


def _parameter(m: Machine, module: Value, name: Value) -> Found | None:
    """The parameter of the module by that name, if all of that is known."""
    if not isinstance(module, Ref) or len(module.addresses) != 1 or not modules.is_module(m, module):
        return None
    if not isinstance(name, Const) or not isinstance(name.value, str):
        return None
    old = m.state.get((module.addresses[0], name.value))
    cell = m.cell(old) if isinstance(old, Ref) else None
    return (module.addresses[0], name.value, old) if isinstance(cell, Tensor) and cell.parameter else None


def _put(m: Machine, address: int, path: str, value: Value) -> None:
    """Put a parameter at a dotted path below a module, making the containers on the way."""
    *owners, name = path.split(".")
    for owner in owners:
        inner = m.state.get((address, owner))
        if not isinstance(inner, Ref):
            inner = m.new(Layer("torch.nn.ModuleDict", (), ()))
            m.state.put(address, owner, inner)
        address = inner.addresses[0]
    m.state.put(address, name, value)


__all__ = ["ORIGINAL"]
