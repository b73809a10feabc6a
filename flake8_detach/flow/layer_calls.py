"""Calls of modules: `forward` of the file's own classes, and the outputs of torch's layers."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    calls,
    crossing,
    forgetting,
    freezing,
    layer_made,
    levels,
    missing,
    module_backward,
    module_groups,
    modules,
    recurrent,
    retention,
    subscripts,
    tensors,
    unfed,
)
from flake8_detach.flow.machine import BY_FORWARD
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    External,
    Function,
    Instance,
    Layer,
    Node,
    Ref,
    Tensor,
    Tuple,
    Unknown,
    Value,
)
from flake8_detach.knowledge import layers, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


CONTAINERS = frozenset({"torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"})
"""Layers that are iterated over and indexed like lists and dicts of what is registered in them."""


def call_object(m: Machine, value: Ref, args: calls.Args, node: cst.CSTNode) -> Value:
    """Call an instance of a class of the file or a torch.nn module."""
    crossing.handed(m, args.values(), node)
    freezing.used(m)
    cell = m.state.cell(value.addresses[0])

    def forward(args: calls.Args) -> Value:
        if not isinstance(cell, Layer):
            return call_instance(m, value, args, node)
        given = m.state.get((value.addresses[0], "forward"))  # `layer.forward = masked`
        return call_layer(m, value, cell, args, node) if given is None else _given(m, value, given, args, node)

    from flake8_detach.flow import module_hooks

    hooked = value.addresses[0] in m.hooked and modules.is_module(m, value)
    result = module_hooks.around(m, value, args, node, forward) if hooked else forward(args)
    if modules.training(m, value.addresses[0]) == Const(False):
        retention.evaluated(m, value, result, node)
    return result


def _given(m: Machine, value: Ref, forward: Value, args: calls.Args, node: cst.CSTNode) -> Value:
    """A layer of torch that was given another forward."""
    if isinstance(forward, Function):
        return calls.call(m, forward, args, node)
    calls.escape(m, [value, *args.values()])
    return UNKNOWN


def call_instance(m: Machine, value: Ref, args: calls.Args, node: cst.CSTNode) -> Value:
    """Call an instance of a class of the file."""
    address = value.addresses[0]
    cell = m.state.cell(address)
    assert isinstance(cell, Instance)
    own = modules.find(m, value, "__call__")
    if isinstance(own, Function):
        return calls.call(m, own, args, node)
    if modules.is_module_class(cell.cls):
        forward: Value | None = m.state.get((address, "forward")) or modules.find(m, value, "forward")
        if isinstance(forward, Function):
            hooked = m.state.get((address, "*hooked"))
            if hooked:
                calls.escape(m, args.values())
            result = calls.call(m, forward, args, node)
            unfed.criterion(m, value, result, node)
            module_backward.called(m, cell.cls, result)
            return loosened(m, result) if hooked else result
        base = modules.base_layer(cell.cls)
        if base is not None and forward is None:
            return call_layer(m, value, as_layer(m, address, base), args, node)
        if forward is None and missing.forward(m, value, node):
            return UNKNOWN
    calls.escape(m, [value, *args.values()])
    return UNKNOWN


def as_layer(m: Machine, address: int, base: str) -> Layer:
    """The torch.nn layer that an instance of a class of the file is by inheritance, with what is registered in it."""
    spec = layers.layer(base)
    if spec is None or not spec.container:
        return Layer(base)
    inner = {name: m.state.get((address, name), UNKNOWN) for name in m.state.names(address)}
    if m.state.get((address, "*open")) or any(isinstance(v, (External, Unknown)) for v in inner.values()):
        return Layer(base, (), None)
    return Layer(base, (), tuple(name for name, child in inner.items() if modules.is_module(m, child)))


def as_container(m: Machine, value: Ref, cell: Instance, method: str) -> Layer | None:
    """The container of modules that an instance of a class of the file is, if that leaves the method as it is."""
    base, address = modules.base_layer(cell.cls), value.addresses[0]
    if base not in CONTAINERS or modules.open_ended(cell.cls) or modules.find(m, value, method) is not None:
        return None
    return as_layer(m, address, base) if module_groups.told_apart(m, address) else None


def loosened(m: Machine, value: Value) -> Value:
    """A forward hook may have replaced the result."""
    return m.tensor(grad=MAYBE, leaf=MAYBE, storage=0) if m.is_tensor(value) else UNKNOWN


def call_layer(m: Machine, value: Ref, layer: Layer, args: calls.Args, node: cst.CSTNode) -> Value:
    """The forward of a torch.nn module."""
    address = value.addresses[0]
    spec = layers.layer(layer.kind)
    if m.lazy:
        missing.initialised(m, value)
    if m.levels:
        levels.layer(m, node, address, layer, modules.training(m, address), args.get(0, "input") or UNKNOWN)
    if m.state.get((address, "*hooked")) or (m.patched and m.is_patched(f"{layer.kind}.forward")):
        calls.escape(m, args.values())
        return loosened(m, m.tensor(storage=0))
    if spec is None and module_groups.kinds(layer):
        return subscripts.one_of(m, [call_layer(m, value, Layer(k), args, node) for k in module_groups.kinds(layer)])
    if spec is None:
        return _unseen(m, args)
    if spec.container == "sequential":
        return _sequential(m, address, layer, args, node)
    if spec.container:
        return UNKNOWN
    given = args.bind(spec.inputs or ("input",))
    if spec.same:
        return next(iter(given.values()), UNKNOWN)
    op = ops.function(spec.op) if spec.op else None
    own = {name: m.state.get((address, name), UNKNOWN) for name, _ in spec.parameters}
    for place, tensor in (one for weight in own.values() for one in m.tensors(weight)):
        if m.state.get((place, BY_FORWARD)) is not None:
            _recompute(m, place, tensor)
    if op is not None:
        # `layer.inplace = False` since it was made
        chosen = {n: m.state.get((address, n)) or layer.option(n) for n in spec.forwards if n not in own}
        options = {n: v for n, v in chosen.items() if v is not None}
        options = {**{n: Const(v) for n, v in layers.DEFAULTS.get(spec.name, {}).items()}, **options}
        known = {k: v for k, v in own.items() if v != NONE}
        passed: dict[str, Value] = {}
        for target, source in spec.passes:
            if source == "training":
                passed[target] = modules.training(m, address)
            elif source in spec.buffers:
                passed[target] = layer_made.layer_attribute(m, value, layer, source)
            else:
                passed[target] = given.get(source, known.get(source, UNKNOWN))
        renamed = {source for _, source in spec.passes}
        plain = {k: v for k, v in {**given, **known}.items() if k not in renamed}
        return tensors.apply(m, node, op, {**plain, **passed, **options}, m.text(node))
    return _generic(m, spec, layer, given, own, node)


def _recompute(m: Machine, address: int, weight: Tensor) -> None:
    """A forward computes the weight from the parameters that are there instead, in the grad mode that is on."""
    edges = m.state.graph[weight.node].edges if weight.node is not None else ()
    sources = [cell for e in edges if e.leaf is not None and isinstance(cell := m.state.cell(e.leaf), Tensor)]
    if not m.mode.grad.yes:
        m.change(address, grad=MAYBE, leaf=MAYBE)
    elif any(source.grad.yes for source in sources):
        m.change(address, grad=YES, leaf=NO)


def _unseen(m: Machine, args: calls.Args) -> Value:
    """A call of a container whose layers are not known: any module of the file that has been put into one, or that
    stands for several, may be among them, and what its `forward` writes to its attributes is not known any more."""
    calls.escape(m, args.values())
    forgetting.attributes(m, [Ref((address,)) for address in sorted(m.ledger.registered | m.state.merged)])
    return UNKNOWN


def _sequential(m: Machine, address: int, layer: Layer, args: calls.Args, node: cst.CSTNode) -> Value:
    if layer.children is None:
        return _rows(m, address, args, node)
    result: Value = args.pos[0] if args.pos else next(iter(args.kw.values()), UNKNOWN)
    for child in layer.children:
        result = calls.call(m, m.state.get((address, child), UNKNOWN), calls.Args([result]), node)
    return result


def _rows(m: Machine, address: int, args: calls.Args, node: cst.CSTNode) -> Value:
    """A Sequential of rows of modules: each row is called as often as there are kinds of layers in it."""
    rows = module_groups.in_order(m, address) or [m.state.get((address, module_groups.ELEMENT), UNKNOWN)]
    if not all(modules.is_module(m, one) for one in rows):
        return _unseen(m, args)
    sure = m.state.get((address, module_groups.SURE), ())
    result: Value = args.pos[0] if args.pos else next(iter(args.kw.values()), UNKNOWN)
    for one in rows:
        cell = m.cell(one)
        several = module_groups.kinds(cell) if isinstance(cell, Layer) else ()
        if not (several and isinstance(one, Ref)):
            result = calls.call(m, one, calls.Args([result]), node)
        for kind in several:
            through = call_layer(m, one, Layer(kind), calls.Args([result]), node)  # type: ignore[arg-type]
            result = through if kind in sure else subscripts.one_of(m, [result, through])
    return result


def _generic(
    m: Machine, spec: layers.Layer, layer: Layer, given: dict[str, Value], own: dict[str, Value], node: cst.CSTNode
) -> Value:
    """A layer whose forward is more than one op: everything that goes in is connected to everything that comes out."""
    inputs = tensors.gather(m, {**given, **{k: v for k, v in own.items() if v != NONE}})
    wanted = inputs.grad()
    if layer.children is None:
        wanted = wanted | MAYBE
    grad = wanted & m.mode.grad
    graph = None
    if not grad.no:
        edges = tuple(dict.fromkeys(m.edge(a, t) for a, t, _ in inputs.tensors if not t.grad.no))
        needed = MAYBE | tensors.gather(m, own).grad()  # an input, for the gradient of the weights
        saved = tuple(m.save(t, n, node, needed) for _, t, n in inputs.tensors[:1])
        if spec.name in recurrent.LAYERS:
            saved = tuple(recurrent.saved(m, spec.name, given, own, node))
            tensors.tell_inference(m, node, spec.name, [t for _, t, n in inputs.tensors if n in given and wanted.yes])
        cuts = inputs.cuts()
        m.cuts = m.cuts or bool(cuts)
        open_ = inputs.unknown or layer.children is None
        graph = m.graph_node(Node(spec.name, edges, saved, node, open_, cuts=cuts, unseen=inputs.unclear()))
    why = inputs.why()
    if grad.no and not wanted.no:
        why = tensors.mode_cause(m, node, "", wanted, inputs.pairs())
    first = next((t.shape for _, t, n in inputs.tensors if n in given), None)

    sizes = recurrent.outputs(layer, first) if spec.name in recurrent.LAYERS else repeat(first)

    def output() -> Value:
        return m.tensor(
            grad=grad,
            leaf=~grad,
            shape=next(sizes) if spec.rank == "same" else () if spec.rank == "zero" else None,
            dtype="float",
            node=graph,
            why=why,
            made=spec.name,
            inference=m.mode.inference,
        )

    return structure(spec.result, output)


def structure(shape: str, output: object) -> Value:
    """Build a result from its description: "tensor", "t", "(t,(t,t))", "(t,t?)"."""
    text = shape.replace("tensor", "t")

    def parse(i: int) -> tuple[Value, int]:
        if text[i] == "(":
            items: list[Value] = []
            i += 1
            while text[i] != ")":
                item, i = parse(i)
                items.append(item)
                i += text[i] == ","
            return Tuple(tuple(items)), i + 1
        value: Value = output()  # type: ignore[operator]
        i += 1
        if i < len(text) and text[i] == "?":
            return UNKNOWN, i + 1
        return value, i

    return parse(0)[0] if text else UNKNOWN
