"""Calls of torch: factories, autograd functions, optimizers, distributions, copies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    backward_arguments,
    contexts,
    conversions,
    events,
    hidden,
    iteration,
    leaks,
    levels,
    membership,
    methods,
    missing,
    modules,
    optimizer_made,
    second_order,
    shapes,
    tensors,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.machine import RECOMPUTED, fact
from flake8_detach.flow.registry import model
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Const,
    Function,
    Instance,
    Mapping_,
    Method,
    Mode,
    Node,
    Optimizer,
    Ref,
    Saved,
    Scalar,
    Sequence,
    Shape,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
    worst,
)
from flake8_detach.knowledge import distributions, layers, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def call_torch(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    if name.startswith("torch.Tensor."):  # unbound: torch.Tensor.add(x, y)
        if args.pos and m.is_tensor(args.pos[0]):
            return methods.call(m, node, Method(args.pos[0], name.rpartition(".")[2]), Args(args.pos[1:], args.kw))
        escape(m, args.values())
        return UNKNOWN
    if name.startswith("torch.nn.init.") or name in ("torch.manual_seed", "torch.save"):
        return args.get(0, "tensor") or UNKNOWN
    if name.startswith("torch.optim.lr_scheduler."):
        return optimizer_made.make_scheduler(m, name, args, node)
    if name.startswith("torch.optim.") and name.count(".") == 2:
        return optimizer_made.make_optimizer(m, name, args, node)
    if layers.layer(name) is not None:
        return modules.make_layer(m, name, args, node)
    if name.startswith("torch.distributions."):
        return make_distribution(m, name, args)
    if name.startswith("torch._foreach_") and name.endswith("_"):
        for address in modules.parameters_in(m, args.get(0, "self") or UNKNOWN) or ():
            tensors.tell_write(m, node, Ref((address,)), m.text(args.node(0, "self", node)))
        escape(m, args.values())
        return NONE
    op = ops.function(name)
    if op is not None:
        bound = args.bind(op.params)
        if name in JOINING and args.get(0, "tensors") is not None:
            conversions.joined(m, node, name, args.get(0, "tensors") or UNKNOWN, args.node(0, "tensors", node))
        subject = m.text(args.nodes[0]) if 0 in args.nodes else ""
        if m.is_tensor(bound.get("out", UNKNOWN)):
            out = bound["out"]
            assert isinstance(out, Ref)
            tensors.tell_write(m, node, out, m.text(args.nodes.get("out", node)))
            escape(m, [out])
        return tensors.apply(m, node, op, bound, subject)
    escape(m, args.values())
    return UNKNOWN


JOINING = ("torch.stack", "torch.cat", "torch.concat", "torch.concatenate")
"""Functions of a list of tensors."""


@model("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled")
def _grad_mode(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(0, "mode")
    kind = args.called
    if isinstance(given, (Function,)):  # torch.no_grad(f): the decorator without parentheses
        return replace(given, wrappers=(kind, *given.wrappers))
    if args.open:
        given = UNKNOWN
    elif kind == "torch.set_grad_enabled":
        contexts.flag(m, node, given)
    m.ledger.enables = m.ledger.enables or (kind == "torch.set_grad_enabled" and given != Const(False))
    parts: tuple[tuple[str, Value], ...] = () if given is None else (("mode", given),)
    return m.new(Thing(kind, parts))


@model("torch._C._set_grad_enabled")
def _set_grad_mode(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    m.set_mode(Mode(fact(args.get(0, "enabled")), m.mode.inference, m.mode.why))
    return NONE


@model("torch.is_grad_enabled")
def _is_grad_enabled(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    told = m.mode.grad.proved and m.mode.inference is NO  # in inference mode, `enable_grad` makes it say yes
    return Const(m.mode.grad is YES) if told else Scalar("bool")


@model("torch.autograd.detect_anomaly")
def _detect_anomaly(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing(args.called))


@model("torch.autograd.backward")
def _autograd_backward(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if levels.forbid(m, node, "backward()", "return the loss, and let torch.func.grad or vjp differentiate it"):
        return NONE
    roots = args.get(0, "tensors") or UNKNOWN
    create = fact(args.get(3, "create_graph"), False)
    retain = args.get(2, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    problem = backward_arguments.inputs_problem(m, args.get(5, "inputs"))
    if args.get(4, "grad_variables") not in (None, NONE) and args.get(1, "grad_tensors") not in (None, NONE):
        problem = "`grad_variables` is the old name of `grad_tensors`: give one of them"
    if problem:
        backward_arguments.tell(m, node, problem)
        return NONE
    many = iteration.exact(m, roots)
    if many is None and isinstance(roots, (Const, Scalar, Array)):
        many = [roots]
    if many is None and not m.is_tensor(roots):
        many = [iteration.element(m, roots)]
    gradient = args.get(1, "grad_tensors") not in (None, NONE)
    starts = [roots] if m.is_tensor(roots) else many or []
    for left, root in zip(range(len(starts) - 1, -1, -1), starts, strict=True):
        # one pass starts from all of them: what they share is freed when the last is done
        kept = YES if left else keep
        autograd.backward(m, node, root, args.node(0, "tensors", node), "backward", kept, create, gradient)
    return NONE


@model("torch.autograd.graph.get_gradient_edge")
def _gradient_edge(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    for _, tensor in m.tensors(args.get(0, "tensor") or UNKNOWN):
        autograd.tell_hook(m, node, tensor, m.text(args.node(0, "tensor", node)), "get_gradient_edge")
    return UNKNOWN


@model("torch.autograd.grad")
def _autograd_grad(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    outputs, inputs = args.get(0, "outputs") or UNKNOWN, args.get(1, "inputs") or UNKNOWN
    create = fact(args.get(4, "create_graph"), None if args.open else False)
    retain = args.get(3, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    many = [outputs] if m.is_tensor(outputs) else iteration.exact(m, outputs) or [iteration.element(m, outputs)]
    if isinstance(outputs, (Const, Scalar, Array)):
        many = [outputs]
    gradient = args.get(2, "grad_outputs") not in (None, NONE)
    problem = backward_arguments.inputs_problem(m, inputs)
    if args.kw.get("materialize_grads") == Const(True) and args.get(6, "allow_unused") == Const(False):
        problem = "`materialize_grads=True` contradicts `allow_unused=False`"
    seeds = args.get(2, "grad_outputs") or NONE
    each = iteration.exact(m, seeds) if seeds != NONE and not m.is_tensor(seeds) else None
    if each is not None and len(each) != len(many):
        problem = f"{len(each)} `grad_outputs` for {len(many)} outputs"
    if problem and not args.open:
        backward_arguments.tell(m, node, problem)
        return UNKNOWN
    chosen = modules.parameters_in(m, inputs)
    m.wanted.update(chosen or ())
    for root in many:
        if root == UNKNOWN:
            continue
        where = args.node(0, "outputs", node)
        only = None if chosen is None else tuple(chosen)
        autograd.backward(
            m,
            node,
            root,
            where,
            "grad",
            YES if root is not many[-1] else keep if chosen is not None else keep | MAYBE,
            create,
            gradient,
            only,
            fill=False,
            seed=seeds if m.is_tensor(seeds) and len(many) == 1 else None,
        )
    unused = fact(args.get(6, "allow_unused"), None if args.open else False)
    if unused.no and fact(args.kw.get("materialize_grads"), False).yes:
        unused = YES
    roots = [t for root in many for t in m.tensors(root)]
    targets = [inputs] if m.is_tensor(inputs) else iteration.exact(m, inputs)
    if roots:
        for target in targets if targets is not None else [iteration.element(m, inputs)]:
            tell_grad_of(m, node, target, roots, args.node(1, "inputs", node), unused)
    if targets is None:
        one = iteration.element(m, inputs)
        result = _gradient(m, node, one, create, roots, unused, gradient)
        return m.new(Sequence("tuple", None, result, each=isinstance(result, Ref) and len(result.addresses) != 1))
    return Tuple(tuple(_gradient(m, node, t, create, roots, unused, gradient) for t in targets))


def tell_grad_of(
    m: Machine,
    node: cst.CSTNode,
    target: Value,
    roots: list[tuple[int, Tensor]],
    target_node: cst.CSTNode,
    unused: Truth,
) -> None:
    """Is the tensor in the graph of the outputs?"""
    if any(t.grad.no for _, t in roots):
        return  # that is another error, reported already
    for address, tensor in m.tensors(target):
        verdicts = [autograd.reaches(m, a, t, address, tensor) for a, t in roots]
        reached = YES if YES in verdicts else NO if all(v is NO for v in verdicts) else MAYBE
        if tensor.grad.no or (reached is NO and unused.no):
            m.raises()
        subject = m.text(target_node)
        m.emit(events.GradOf, node, tensor=tensor, subject=subject, reached=reached, unused=unused)


def _gradient(
    m: Machine,
    node: cst.CSTNode,
    target: Value,
    create: Truth,
    roots: list[tuple[int, Tensor]],
    unused: Truth,
    seeded: bool,
) -> Value:
    """One result of autograd.grad: connected to the graph of the outputs only with create_graph."""
    if not unused.no:
        return UNKNOWN
    made = []
    why = m.cause("gradient", "computed by `autograd.grad` without `create_graph=True`", node, "", YES, None, roots)
    for address, tensor in m.tensors(target) or [(0, Tensor())]:
        grad = NO if create.no else MAYBE if create is MAYBE else YES
        if create.yes:
            # the gradient of something linear does not depend on the leaves any more
            grad, delayed = second_order.gradient(m, address, tensor, roots) if not seeded else (MAYBE, None)
            if delayed is not None:
                made.append(delayed)
                continue
            if grad is NO:
                what = "computed by `autograd.grad`, and nothing that requires grad is left in it"
                why = m.cause("gradient", what, node)
        graph = None
        if not grad.no:
            edges = tuple(m.edge(a, t) for a, t in roots if not t.grad.no)
            edges = tuple(e._replace(sure=False) for e in edges)
            graph = m.graph_node(Node("grad", edges, (), node, True))
        made.append(
            m.tensor(
                grad=grad,
                leaf=~grad,
                shape=tensor.shape,
                dtype=tensor.dtype,
                node=graph,
                why=why if grad.no else None,
                made="grad",
            ).addresses[0]
        )
    return Ref(tuple(made))


@model("torch.tensor")
def _tensor(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    data = args.get(0, "data") or UNKNOWN
    asked = args.kw.get("requires_grad")
    grad = NO if asked is None and not args.open else fact(asked)
    inputs = tensors.Inputs()
    inputs.add(m, data, "data")
    if conversions.rebuilt(m, node, data, args.node(0, "data", node)):
        return m.tensor(storage=0)  # go on as if it had been mended somehow
    conversions.recopied(m, node, data, args.node(0, "data", node), grad)
    lost = inputs.grad()
    dtype = tensors.dtype_of(args.kw.get("dtype")) or (
        tensors.literal_kind(m, data) if "dtype" not in args.kw else None
    )
    subject = m.text(args.node(0, "data", node))
    # Python floats become float32, an array keeps what it has
    made_by = (
        "torch.tensor" if "dtype" not in args.kw and not inputs.arrays and not inputs.unknown else "torch.tensor(...)"
    )
    if not lost.no and data != UNKNOWN:
        what = "copied by `torch.tensor(...)`, which keeps the values only"
        why = m.cause("cut", what, node, subject, lost, inputs.why(), inputs.pairs())
    elif inputs.numbers:
        why = worst(inputs.numbers) or m.cause("constant", "made by `torch.tensor(...)`", node)
        why = m.cause("cut", f"rebuilt from a value that was {why.what}", why.site, why.subject, why.lost, why)
    else:
        why = m.cause("constant", "made by `torch.tensor(...)` without requires_grad", node)
    if grad is YES and why.loss is not None:
        why = autograd.faked(m, node, why)
    made = m.tensor(
        grad=grad,
        leaf=YES,
        shape=shapes.literal(m, data),
        dtype=dtype,
        why=why,
        made=made_by,
        inference=m.mode.inference,
    )
    if grad is YES:
        tensors.tell_requires(m, node, m.tensors(made)[0][1], YES, m.text(node), m.text(node))
        tensors.mend_requires(m, made)
    return made


@model("torch.conj")
def _conj(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.get(0, "input") or UNKNOWN
    return methods.call(m, node, Method(value, "conj"), Args([])) if m.is_tensor(value) else UNKNOWN


@model("torch.quantize_per_tensor", "torch.quantize_per_channel")
def _quantize(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    source = m.cell(args.get(0, "input") or UNKNOWN)
    shape = source.shape if isinstance(source, Tensor) else None
    why = m.cause("op", f"made by `{m.text(node)}`, which has no derivative", node)
    return m.tensor(grad=NO, leaf=YES, shape=shape, why=why, made="quantize", form="quantized")


@model("torch.from_dlpack", "torch.utils.dlpack.from_dlpack")
def _from_dlpack(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    conversions.exported(m, node, args.get(0, "ext_tensor") or UNKNOWN, args.nodes.get(0, node))
    return UNKNOWN


@model("torch.from_numpy", "torch.frombuffer")
def _from_numpy(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    data = args.get(0, "ndarray")
    before = data.why if isinstance(data, Array) else None
    why = (
        m.cause("cut", f"rebuilt from a value that was {before.what}", before.site, before.subject, before.lost, before)
        if before is not None
        else m.cause("constant", "made by `torch.from_numpy(...)`", node)
    )
    dtype = data.dtype if isinstance(data, Array) and data.dtype in ("float", "int", "bool", "complex") else None
    return m.tensor(grad=NO, leaf=YES, dtype=dtype, why=why, made="torch.from_numpy", inference=m.mode.inference)


@model("torch.as_tensor", "torch.asarray")
def _as_tensor(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    data = args.get(0, "data") or args.get(0, "obj") or UNKNOWN
    if m.is_tensor(data):
        kind = tensors.dtype_of(args.kw.get("dtype"))
        return data if kind is None else UNKNOWN
    if isinstance(data, Array):
        return _from_numpy(m, Args([data]), node)
    if isinstance(data, (Const, Scalar)):
        return _tensor(m, args, node)
    return m.tensor(grad=MAYBE, leaf=MAYBE, storage=0) if data == UNKNOWN else _tensor(m, args, node)


@model("torch.Tensor", "torch.FloatTensor")
def _legacy_tensor(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.pos and m.is_tensor(args.pos[0]):
        return args.pos[0]  # keeps the graph (an alias)
    if args.pos and args.pos[0] == UNKNOWN:
        return m.tensor(grad=MAYBE, leaf=MAYBE, storage=0)
    why = m.cause("constant", "made by `torch.Tensor(...)`", node)
    inputs = tensors.Inputs()
    for value in args.pos:
        inputs.add(m, value, "data")
        conversions.rebuilt(m, node, value, args.node(0, "data", node))
    if not inputs.grad().no or inputs.numbers:
        what = "copied by `torch.Tensor(...)`, which keeps the values only"
        why = m.cause("cut", what, node, "", inputs.grad(), inputs.why(), inputs.pairs())
    one = len(args.pos) == 1 and not isinstance(args.pos[0], (Const, Scalar))
    sizes = args.pos or [Const(0)]  # `torch.Tensor()` is empty, unlike `torch.tensor(0.0)`
    shape = shapes.literal(m, args.pos[0]) if one else shapes.sizes(m, {"*size": Tuple(tuple(sizes))})
    return m.tensor(grad=NO, leaf=YES, shape=shape, dtype="float", why=why, made="torch.tensor")


@model("torch.LongTensor", "torch.IntTensor", "torch.BoolTensor", "torch.ByteTensor")
def _integer_tensor(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    why = m.cause("constant", f"made by `{m.text(node)}`, an integer tensor", node)
    return m.tensor(grad=NO, leaf=YES, dtype="int", why=why, made="torch.tensor")


@model("torch.autograd.Variable")
def _variable(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """Variable(t) is not the identity: it detaches (autograd-facts: `Variable(x * 2).requires_grad` is False)."""
    data = args.get(0, "data") or UNKNOWN
    asked = args.kw.get("requires_grad") or (args.pos[1] if len(args.pos) > 1 else None)
    if not args.open and missing.no_tensor(m, node, "Variable", data):
        return UNKNOWN
    volatile = "volatile" in args.kw or args.open
    grad = MAYBE if volatile else NO if asked is None else fact(asked)
    return autograd.copy_of(m, node, data, m.text(args.node(0, "data", node)), "`Variable(...)`", grad)


@model("torch.nn.utils.vector_to_parameters", "torch.nn.utils.convert_parameters.vector_to_parameters")
def _vector_to_parameters(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    vector = args.get(0, "vec") or UNKNOWN
    hidden.dropped(m, node, "`vector_to_parameters()`", m.tensors(vector), m.text(args.node(0, "vec", node)))
    escape(m, args.pos[1:])
    return NONE


@model("torch.nn.Buffer")
def _buffer(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """A new leaf that a module lists among its buffers: no Parameter, so that a plain tensor may take its place.

    It requires grad if what it is made from does (torch/nn/parameter.py, Buffer).
    """
    data = args.get(0, "data") or UNKNOWN
    source = m.cell(data)
    grad = source.grad if isinstance(source, Tensor) else fact(None)
    return autograd.copy_of(m, node, data, m.text(args.node(0, "data", node)), "`nn.Buffer(...)`", grad)


@model("torch.nn.Parameter")
def _parameter(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    data = args.get(0, "data") or UNKNOWN
    asked = args.get(1, "requires_grad")
    grad = YES if asked is None and not args.open else fact(asked)
    source = m.cell(data)
    tensor = source if isinstance(source, Tensor) else Tensor()
    if not args.open and missing.no_tensor(m, node, "nn.Parameter", data):
        return m.tensor(storage=0)
    if grad.yes:
        tensors.tell_requires(m, node, replace(tensor, leaf=YES), YES, m.text(args.node(0, "data", node)), m.text(node))
        grad = MAYBE if tensor.dtype in ("int", "bool") else grad
    subject = m.text(args.node(0, "data", node))
    hidden.dropped(m, node, "`nn.Parameter(...)`", m.tensors(data), subject, membership.in_forward(m))
    made = autograd.copy_of(m, node, data, subject, "`nn.Parameter(...)`", grad)
    assert isinstance(made, Ref)
    dtype = None if tensor.dtype in ("int", "bool") else tensor.dtype or "float"
    m.change(made.addresses[0], parameter=True, dtype=dtype, made="parameter", why=None if grad.yes else tensor.why)
    if tensor.node is None:
        membership.made(m, made, node)
    return made


@model("copy.copy", "copy.deepcopy")
def _copy(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.get(0, "x") or UNKNOWN
    if m.is_tensor(value):
        cell = m.cell(value)
        deep = args.called == "copy.deepcopy"
        if isinstance(cell, Tensor) and cell.leaf.yes and m.state.get((value.addresses[0], "grad"), NONE) != NONE:  # type: ignore[union-attr]
            return UNKNOWN  # the copy has a copy of the gradient
        if isinstance(cell, Tensor) and cell.leaf.yes:
            return m.tensor(
                grad=cell.grad,
                leaf=YES,
                shape=cell.shape,
                dtype=cell.dtype,
                parameter=cell.parameter,
                why=cell.why,
                made=cell.made,
            )
        if deep:
            tell_copy(m, node, value, args.node(0, "x", node))
            return UNKNOWN
        return autograd.copy_of(m, node, value, m.text(args.node(0, "x", node)), "`copy.copy(...)`", MAYBE)
    if isinstance(value, (Ref, Tuple)):
        done: dict[int, int] = {}
        try:
            copied = clone(m, value, done)
        except _CopiesItself:
            return UNKNOWN
        kept = [a for a in done if m.state.get((a, RECOMPUTED)) is None]
        inside = [a for a in kept if isinstance(cell := m.state.cell(a), Tensor) and cell.leaf.no and cell.grad.yes]
        if inside and args.called == "copy.deepcopy" and len(args.pos) == 1 and not args.open and copied != UNKNOWN:
            tell_copy(m, node, Ref((inside[0],)), args.node(0, "x", node), inside=True)
        return copied
    return value


COPIERS = ("__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__")


class _CopiesItself(Exception):
    """An object below defines how it is copied: what comes out is its affair."""


def tell_copy(
    m: Machine, node: cst.CSTNode, value: Value, value_node: cst.CSTNode, handed: bool = False, inside: bool = False
) -> None:
    """A tensor is deep-copied or pickled for another process; only leaves can be."""
    for _, tensor in m.tensors(value):
        if tensor.leaf.no and tensor.grad.yes:
            m.raises()
        how = m.text(node.func) if isinstance(node, cst.Call) else m.text(node)
        m.emit(events.Copied, node, tensor=tensor, subject=m.text(value_node), how=how, handed=handed, inside=inside)


def clone(m: Machine, value: Value, done: dict[int, int], depth: int = 0) -> Value:
    """A deep copy of an object and everything below it; the parameters of a copied module are new leaves."""
    if isinstance(value, Tuple):
        return Tuple(tuple(clone(m, i, done, depth + 1) for i in value.items), value.names)
    if not isinstance(value, Ref) or depth > 12:
        return value if not isinstance(value, Ref) else UNKNOWN
    made = []
    for address in value.addresses:
        m.step()
        if address not in done:
            cell = m.state.cell(address)
            if isinstance(cell, Instance) and any(modules.find(m, Ref((address,)), n) is not None for n in COPIERS):
                raise _CopiesItself
            copy = m.new(cell).addresses[0]
            done[address] = copy
            if isinstance(cell, Tensor):
                node = cell.node if not cell.leaf.yes else None
                m.change(copy, storage=m.state.address(), view="", base=None, node=node)
            elif isinstance(cell, Sequence):
                items = None if cell.items is None else tuple(clone(m, i, done, depth + 1) for i in cell.items)
                element = clone(m, cell.element, done, depth + 1)
                m.state.set((copy, CELL), replace(cell, items=items, element=element))
            elif isinstance(cell, Mapping_):
                entries = tuple((k, clone(m, v, done, depth + 1)) for k, v in cell.items)
                rest = None if cell.rest is None else clone(m, cell.rest, done, depth + 1)
                m.state.set((copy, CELL), Mapping_(entries, rest))
            elif isinstance(cell, Optimizer):
                m.state.set((copy, CELL), Optimizer(cell.kind, None))
            for name in m.state.names(address):
                m.state.put(copy, name, clone(m, m.state.get((address, name)), done, depth + 1))
        made.append(done[address])
    return Ref(tuple(made))


@model("torch.jit.script", "torch.compile", "torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel")
def _same(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.get(0, "module") or args.get(0, "model") or UNKNOWN
    return value if isinstance(value, (Ref, Function)) else UNKNOWN


def make_distribution(m: Machine, name: str, args: Args) -> Value:
    parts = [(f"*{i}", v) for i, v in enumerate(args.pos)] + list(args.kw.items())
    return m.new(Thing(name, tuple(parts) + ((("*open", UNKNOWN),) if args.open else ())))


def drawn(m: Machine, cell: Thing) -> Shape | None:
    """The shape of one sample, for distributions over numbers: that of the parameters (docs: `batch_shape`)."""
    short = cell.kind.rpartition(".")[2]
    found = [c for _, v in cell.parts if isinstance(c := m.cell(v), Tensor)]
    numbers = [v for _, v in cell.parts if isinstance(v, (Const, Scalar)) and v != NONE]
    if len(found) + len(numbers) != len(cell.parts) or not found:
        return None
    if short == "Categorical":
        return found[0].shape and found[0].shape[:-1]
    return shapes.broadcast([c.shape for c in found]) if short in distributions.ELEMENTWISE else None


def of_distribution(m: Machine, node: cst.CSTNode, cell: Thing, name: str, args: Args) -> Value:
    inputs = tensors.gather(
        m, {**dict(cell.parts), **({"value": args.pos[0]} if args.pos and name == "log_prob" else {})}
    )
    wanted = inputs.grad() | (MAYBE if cell.part("*open") is not None else NO)
    short = cell.kind.rpartition(".")[2]
    if name in ("sample", "sample_n", "rsample"):
        levels.random(m, node, f"`.{name}()`")
    if name in ("sample", "sample_n"):
        why = m.cause("op", leaks.DRAWN, node, short, wanted, inputs.why(), inputs.pairs())
        kind = distributions.SAMPLE_DTYPE.get(short, "float")
        shape = drawn(m, cell) if not args.pos and not args.kw else None
        return m.tensor(grad=NO, leaf=YES, shape=shape, dtype=kind, why=why, made="sample")
    if name in ("rsample", "log_prob", "entropy", "cdf", "icdf") and wanted is not MAYBE:
        # log_prob and rsample use all that the distribution is made of; Normal.entropy, say, has no use for loc
        sure = name in ("log_prob", "rsample") or all(t.grad.yes for _, t, _ in inputs.tensors)
        grad = (wanted if sure else wanted & MAYBE) & m.mode.grad
        if name == "rsample" and short not in distributions.REPARAMETRIZED:
            if short in distributions.DISCRETE:
                m.raises()
                drawing = m.text(node)
                m.emit(events.Refused, node, tensor=Tensor(), subject=drawing, op=short, parameter="", why="rsample")
            return UNKNOWN
        graph = None
        if not grad.no:
            sure = name in ("log_prob", "rsample") or len(inputs.tensors) == 1
            edges = tuple(autograd.replace_sure(m.edge(a, t), sure) for a, t, _ in inputs.tensors if not t.grad.no)
            # which tensors the formula needs again is not known, only that log_prob always needs some
            saved = (Saved(0, (0,), "value", node),) if name == "log_prob" else ()
            graph = m.graph_node(Node(f"{cell.kind}.{name}", edges, saved, node, inputs.unknown))
            if name == "log_prob" and args.pos:
                leaks.score(m, graph, args.pos[0], tensors.gather(m, dict(cell.parts)).pairs())
        lost = tensors.mode_cause(m, node, short, wanted) if grad.no else None
        cause = inputs.why() if wanted.no else lost
        value = m.cell(args.pos[0]) if name == "log_prob" and args.pos else None
        given = value.shape if isinstance(value, Tensor) else None
        one = drawn(m, cell)
        shape = one if name == "entropy" else None if one is None or given is None else shapes.broadcast([one, given])
        if name == "rsample" and not args.pos and not args.kw:
            shape = one
        return m.tensor(grad=grad, leaf=~grad, shape=shape, dtype="float", node=graph, why=cause, made=name)
    if name in ("rsample", "log_prob", "entropy"):
        return m.tensor(grad=NO if wanted is NO else MAYBE, leaf=MAYBE)
    return UNKNOWN
