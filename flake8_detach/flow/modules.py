"""Classes of the file and torch.nn modules: attributes, inheritance, registration, calling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    calls,
    conversions,
    crossing,
    freezing,
    functions,
    hidden,
    levels,
    membership,
    missing,
    recurrent,
    registration,
    retention,
    shapes,
    tensors,
)
from flake8_detach.flow.machine import OPEN, PACKED
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Class,
    Const,
    Dtype,
    Edge,
    External,
    Function,
    Instance,
    Layer,
    Mapping_,
    Method,
    Node,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Shape,
    Super,
    Tensor,
    Thing,
    Tuple,
    Value,
)
from flake8_detach.knowledge import frameworks, layers, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

UNSEEN = "*unseen"
"""Slot of a module: a tensor that stands for parameters in submodules that the engine does not see."""
OWNED = "*owned"
"""Slot of an instance of an Optimizer subclass: its parameters, as Ref, or UNKNOWN."""


# Classes


@lru_cache(maxsize=512)
def lineage(cls: Class) -> list[Class]:
    """The class and its bases of the file, in the order in which attributes are looked up."""
    found: list[Class] = []
    for c in [cls, *(k for b in cls.bases if isinstance(b, Class) for k in lineage(b))]:
        if c in found:
            found.remove(c)  # a shared base comes after all of its subclasses
        found.append(c)
    return found


@lru_cache(maxsize=512)
def outside(cls: Class) -> list[Value]:
    """The bases that are not classes of the file."""
    return list(dict.fromkeys(b for c in lineage(cls) for b in c.bases if not isinstance(b, Class)))


@lru_cache(maxsize=512)
def outside_names(cls: Class) -> list[str]:
    return [b.name for b in outside(cls) if isinstance(b, External)]


@lru_cache(maxsize=512)
def is_module_class(cls: Class) -> bool:
    return any(n.startswith("torch.nn.") or n in frameworks.MODULES for n in outside_names(cls))


def is_module(m: Machine, value: Value) -> bool:
    cell = m.cell(value)
    return isinstance(cell, Layer) or (isinstance(cell, Instance) and is_module_class(cell.cls))


def is_optimizer(m: Machine, value: Value) -> bool:
    cell = m.cell(value)
    return isinstance(cell, Optimizer) or (
        isinstance(cell, Instance) and any(n.startswith("torch.optim.") for n in outside_names(cell.cls))
    )


@lru_cache(maxsize=512)
def base_layer(cls: Class) -> str | None:
    """The torch.nn layer with parameters of its own that the class extends (`class MyLinear(nn.Linear)`)."""
    return next((n for n in outside_names(cls) if n != "torch.nn.Module" and layers.layer(n) is not None), None)


@lru_cache(maxsize=512)
def open_ended(cls: Class) -> bool:
    """Has the class a base that the engine knows nothing of, so that any attribute may exist?"""
    return any(
        not isinstance(b, External)
        or not (b.name.startswith(("torch.", "builtins.", "abc.", "typing.")) or b.name in frameworks.MODULES)
        for b in outside(cls)
    )


def find(m: Machine, receiver: Value, name: str) -> Value | None:
    """What `receiver.name` is according to the classes of the file: bound as Python binds it; None if not there."""
    if isinstance(receiver, Super):
        cell = m.cell(receiver.instance)
        order = lineage(cell.cls) if isinstance(cell, Instance) else lineage(receiver.owner)
        after = order[order.index(receiver.owner) + 1 :] if receiver.owner in order else []
        found = _search(m, after, name)
        if found is None:
            return Method(receiver, name)
        return bind(m, found, receiver.instance)
    if isinstance(receiver, Class):
        found = _search(m, lineage(receiver), name)
        if isinstance(found, Function):
            if "builtins.classmethod" in found.wrappers:
                return replace(found, bound=receiver)
            return found
        return Method(receiver, name) if found is None and outside(receiver) else found
    cell = m.cell(receiver)
    if not isinstance(cell, Instance):
        return None
    found = _search(m, lineage(cell.cls), name)
    return None if found is None else bind(m, found, receiver, cell.cls)


def _search(m: Machine, order: list[Class], name: str) -> Value | None:
    for cls in order:
        if (cls.frame, OPEN) in m.state.slots:
            return UNKNOWN
        found: Value | None = m.state.get((cls.frame, name))
        if found is not None:
            return found
    return None


def bind(m: Machine, found: Value, instance: Value, cls: Class | None = None) -> Value:
    if not isinstance(found, Function):
        return found
    if "builtins.staticmethod" in found.wrappers:
        return found
    if "builtins.classmethod" in found.wrappers:
        return replace(found, bound=cls or instance)
    if any(w in ("builtins.property", "functools.cached_property") for w in found.wrappers):
        return Method(replace(found, bound=instance), "*property")
    return replace(found, bound=instance)


def find_setter(m: Machine, cell: Instance, name: str) -> Function | None:
    found = _search(m, lineage(cell.cls), f"{name}.setter")
    return found if isinstance(found, Function) else None


def instantiate(m: Machine, cls: Class, args: calls.Args, node: cst.CSTNode) -> Value:
    """`cls(...)`."""
    from flake8_detach.flow import custom, stdlib_calls

    names = outside_names(cls)
    if any(n.startswith("torch.autograd.graph.") for n in names):
        m.state.set(PACKED, YES)
    if custom.is_function(cls):
        return custom.instance(m, cls, args, node)
    if any(n.startswith(("enum.", "typing.", "torch.autograd.Function")) for n in names):
        calls.escape(m, args.values())
        return UNKNOWN
    made = m.new(Instance(cls))
    if is_module_class(cls):
        membership.made(m, made, node)
        registration.created(m, made.addresses[0], cls)
    init = find(m, made, "__init__")
    if isinstance(init, Function):
        calls.call(m, init, args, node)
    else:
        fields: tuple[str, ...] = m.state.get((cls.frame, "*fields"), ())
        for index, field in enumerate(fields):
            given = args.get(index, field)
            default = m.state.get((cls.frame, field), UNKNOWN)
            default = stdlib_calls.field_default(m, default, node)
            m.state.put(made.addresses[0], field, given if given is not None else UNKNOWN if args.open else default)
        post = find(m, made, "__post_init__")
        if fields and isinstance(post, Function):
            calls.call(m, post, calls.Args([]), node)
        if not fields:
            initialise(m, made, cls, args, node)
    return made


def initialise(m: Machine, made: Ref, cls: Class, args: calls.Args, node: cst.CSTNode) -> None:
    """The `__init__` of the bases that are not of the file."""
    registration.initialised(m, made.addresses[0])
    layer = base_layer(cls)
    if layer is not None:
        spec = layers.layer(layer)
        if spec is not None:
            make_parameters(m, made.addresses[0], spec, args.bind(spec.params))
    elif is_optimizer(m, made):
        owned = parameters_in(m, args.get(0, "params") or UNKNOWN)
        m.state.set((made.addresses[0], OWNED), UNKNOWN if owned is None else Ref(tuple(owned)))
        m.state.put(
            made.addresses[0], "param_groups", param_groups(m, Optimizer("?", None if owned is None else tuple(owned)))
        )
    elif open_ended(cls):
        calls.escape(m, args.values())


# Layers

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
    from flake8_detach.flow import iteration

    entries: list[tuple[str, Value]] | None = []
    starred: Value | None = None
    first = args.get(0, "modules")
    if spec.container == "sequential" and not (len(args.pos) == 1 and isinstance(m.cell(first or UNKNOWN), Mapping_)):
        entries = None if args.open else [(str(i), v) for i, v in enumerate(args.pos)]
        starred = args.pos[0] if args.open and len(args.pos) == 1 else None  # nn.Sequential(*blocks)
    elif first is not None:
        cell = m.cell(first)
        known = iteration.exact(m, first)
        if isinstance(cell, Mapping_):
            entries = [(str(k), v) for k, v in cell.items] if cell.rest is None else None
        elif known is not None:
            entries = [(str(i), v) for i, v in enumerate(known)]
        else:
            entries = None
    made = m.new(Layer(name, (), tuple(k for k, _ in entries) if entries is not None else None))
    address = made.addresses[0]
    for _, child in entries or []:
        m.ledger.registered.update(child.addresses if isinstance(child, Ref) else ())
    if isinstance(first, Ref):
        m.ledger.contained.update(first.addresses)
    if entries is None:
        one = starred or (iteration.element(m, first) if first is not None else UNKNOWN)
        m.state.put(address, "*element", one)
        m.ledger.registered.update(one.addresses if isinstance(one, Ref) else ())
    for key, value in entries or []:
        if name == "torch.nn.ParameterList":
            hidden.dropped(m, node, "`nn.ParameterList(...)`", m.tensors(value), m.text(node))
        m.state.put(address, key, value)
    return made


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


def children(m: Machine, address: int) -> Iterator[Value]:
    """The values of the attributes of a module, in the order of registration."""
    for name in m.state.names(address):
        value = m.state.get((address, name))
        if value is not None:
            yield value


@dataclass
class Tree:
    """What is found below a module: parameters and modules by address; `complete`: nothing is hidden."""

    parameters: list[int]
    modules: list[int]
    complete: bool = True


def tree(m: Machine, value: Value) -> Tree:
    """Walk a module and all of its submodules."""
    result = Tree([], [])
    todo = [value] if isinstance(value, Ref) else []
    while todo:
        current = todo.pop(0)
        cell = m.cell(current)
        if cell is None:
            todo.extend(Ref((a,)) for a in current.addresses if len(current.addresses) > 1)
            continue
        address = current.addresses[0]
        if address in result.modules:
            continue
        m.step()
        if isinstance(cell, Tensor):
            if cell.parameter and address not in result.parameters:
                result.parameters.append(address)
            continue
        if not is_module(m, current):
            continue
        result.modules.append(address)
        if isinstance(cell, Layer) and cell.children is None:
            result.complete = False
        if isinstance(cell, Instance) and (open_ended(cell.cls) or m.state.get((address, "*open"))):
            result.complete = False
        inner = list(children(m, address))
        if any(v == UNKNOWN or isinstance(v, External) for v in inner):
            result.complete = False
        todo = [v for v in inner if isinstance(v, Ref)] + todo
    return result


def parameters(m: Machine, value: Value) -> Ref:
    """All parameters of a module, each in turn; with one that stands for those that are not seen."""
    found = tree(m, value)
    addresses = list(found.parameters)
    if not found.complete and isinstance(value, Ref):
        unseen: Value | None = m.state.get((value.addresses[0], UNSEEN))
        if not isinstance(unseen, Ref):
            unseen = m.tensor(grad=MAYBE, leaf=YES, parameter=True, made="parameter")
            m.state.set((value.addresses[0], UNSEEN), unseen)
            m.escaped.add(unseen.addresses[0])
        addresses.extend(unseen.addresses)
    return Ref(tuple(addresses))


def trainable(m: Machine, value: Value | None) -> list[int]:
    """The parameters that a module, or a parameter itself, brings along; none if they are not all known."""
    if value is None or not isinstance(value, Ref):
        return []
    if m.is_tensor(value):
        return [a for a, t in m.tensors(value) if t.parameter and t.grad.yes]
    if not is_module(m, value):
        return []
    found = tree(m, value)
    return [a for a, t in m.tensors(Ref(tuple(found.parameters))) if t.grad.yes] if found.complete else []


def each(m: Machine, found: Ref, kind: str = "generator") -> Value:
    return m.new(Sequence(kind, None, found, each=True, filled=YES if found.addresses else NO))


def parameters_in(m: Machine, value: Value) -> list[int] | None:
    """The tensors that an optimizer is given, or None if they are not all known."""
    from flake8_detach.flow import iteration

    if isinstance(value, Ref) and (m.is_tensor(value) or not value.addresses):
        return list(value.addresses)
    cell = m.cell(value)
    if isinstance(cell, Mapping_):
        given = cell.get("params")
        return None if given is None else parameters_in(m, given)
    if isinstance(cell, Sequence):
        items = list(cell.items) if cell.items is not None else [cell.element]
        if cell.items is None and not cell.each and not m.is_tensor(cell.element):
            return None
    elif isinstance(value, Tuple):
        items = list(value.items)
    else:
        return None
    found: list[int] = []
    for item in items:
        if isinstance(item, Tuple) and len(item.items) == 2:  # named_parameters()
            item = item.items[1]
        inner = parameters_in(m, item)
        if inner is None:
            return None
        found.extend(a for a in inner if a not in found)
    del iteration
    return found


def param_groups(m: Machine, optimizer: Optimizer) -> Value:
    if optimizer.owned is None:
        return UNKNOWN
    group = Mapping_((("params", each(m, Ref(optimizer.owned), "list")),), UNKNOWN)
    return m.new(Sequence("list", None, m.new(group), each=True, filled=YES))


TRAINING = "training"
"""Slot of a module: in training mode (Const(True), where nothing is said) or in evaluation mode?"""


def set_training(m: Machine, value: Value, mode: Value) -> None:
    """`value.train(mode)`: for the module and all below it."""
    known: Value = mode if isinstance(mode, Const) else Scalar("bool")
    for address in tree(m, value).modules:
        m.state.set((address, TRAINING), known)


def training(m: Machine, address: int) -> Value:
    """`module.training`. Code outside of the file, where it holds the module, may have switched it."""
    if address in m.escaped:
        return Scalar("bool")
    told: Value | None = m.state.get((address, TRAINING))
    if told is not None:
        return told
    called_from_outside = any(f.call is None and f.function is not None for f in m.frames)
    return Scalar("bool") if called_from_outside else Const(True)


# Calling


def call_object(m: Machine, value: Ref, args: calls.Args, node: cst.CSTNode) -> Value:
    """Call an instance of a class of the file or a torch.nn module."""
    crossing.handed(m, args.values(), node)
    freezing.used(m)
    cell = m.state.cell(value.addresses[0])

    def forward(args: calls.Args) -> Value:
        return (
            call_layer(m, value, cell, args, node) if isinstance(cell, Layer) else call_instance(m, value, args, node)
        )

    from flake8_detach.flow import module_hooks

    hooked = value.addresses[0] in m.hooked and is_module(m, value)
    result = module_hooks.around(m, value, args, node, forward) if hooked else forward(args)
    if training(m, value.addresses[0]) == Const(False):
        retention.evaluated(m, value, result, node)
    return result


def call_instance(m: Machine, value: Ref, args: calls.Args, node: cst.CSTNode) -> Value:
    """Call an instance of a class of the file."""
    address = value.addresses[0]
    cell = m.state.cell(address)
    assert isinstance(cell, Instance)
    own = find(m, value, "__call__")
    if isinstance(own, Function):
        return calls.call(m, own, args, node)
    if is_module_class(cell.cls):
        forward: Value | None = m.state.get((address, "forward")) or find(m, value, "forward")
        if isinstance(forward, Function):
            hooked = m.state.get((address, "*hooked"))
            if hooked:
                calls.escape(m, args.values())
            result = calls.call(m, forward, args, node)
            return loosened(m, result) if hooked else result
        base = base_layer(cell.cls)
        if base is not None and forward is None:
            return call_layer(m, value, Layer(base), args, node)
        if forward is None and missing.forward(m, value, node):
            return UNKNOWN
    calls.escape(m, [value, *args.values()])
    return UNKNOWN


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
        levels.layer(m, node, address, layer, training(m, address), args.get(0, "input") or UNKNOWN)
    if m.state.get((address, "*hooked")) or (m.patched and m.is_patched(f"{layer.kind}.forward")):
        calls.escape(m, args.values())
        return loosened(m, m.tensor(storage=0))
    if spec is None:
        calls.escape(m, args.values())
        return UNKNOWN
    if spec.container == "sequential":
        return _sequential(m, address, layer, args, node)
    if spec.container:
        return UNKNOWN
    given = args.bind(spec.inputs or ("input",))
    if spec.same:
        return next(iter(given.values()), UNKNOWN)
    op = ops.function(spec.op) if spec.op else None
    own = {name: m.state.get((address, name), UNKNOWN) for name, _ in spec.parameters}
    if op is not None:
        options = {n: v for n in spec.forwards if n not in own and (v := layer.option(n)) is not None}
        options = {**{n: Const(v) for n, v in layers.DEFAULTS.get(spec.name, {}).items()}, **options}
        known = {k: v for k, v in own.items() if v != NONE}
        passed: dict[str, Value] = {}
        for target, source in spec.passes:
            if source == "training":
                passed[target] = Scalar("bool")
            elif source in spec.buffers:
                passed[target] = layer_attribute(m, value, layer, source)
            else:
                passed[target] = given.get(source, known.get(source, UNKNOWN))
        renamed = {source for _, source in spec.passes}
        plain = {k: v for k, v in {**given, **known}.items() if k not in renamed}
        return tensors.apply(m, node, op, {**plain, **passed, **options}, m.text(node))
    return _generic(m, spec, layer, given, own, node)


def _sequential(m: Machine, address: int, layer: Layer, args: calls.Args, node: cst.CSTNode) -> Value:
    if layer.children is None:
        one = m.state.get((address, "*element"), UNKNOWN)
        if one != UNKNOWN and is_module(m, one):
            return calls.call(m, one, args, node)
        calls.escape(m, args.values())
        return UNKNOWN
    result: Value = args.pos[0] if args.pos else next(iter(args.kw.values()), UNKNOWN)
    for child in layer.children:
        result = calls.call(m, m.state.get((address, child), UNKNOWN), calls.Args([result]), node)
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
        saved = tuple(m.save(t, n, node) for _, t, n in inputs.tensors[:1]) if inputs.tensors else ()
        if spec.name in recurrent.LAYERS:
            saved = tuple(recurrent.saved(m, spec.name, given, own, node))
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


__all__ = ["Edge", "Thing", "call_object", "find", "functions", "instantiate", "make_layer", "parameters", "tree"]
