"""Calls of imported names: torch, numpy, the standard library. What is not known here lets its arguments escape."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import autograd, events, iteration, methods, modules, operators, shapes, tensors
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.calls import call as call_value
from flake8_detach.flow.machine import PACKED, fact
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Cause,
    Class,
    Const,
    External,
    Foreign,
    Function,
    Instance,
    Label,
    Layer,
    Mapping_,
    Method,
    Mode,
    Node,
    Optimizer,
    Partial,
    Ref,
    Scalar,
    Sequence,
    Super,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
    truth,
    worst,
)
from flake8_detach.knowledge import contexts, distributions, layers, numpy_api, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

Model = Callable[["Machine", Args, cst.CSTNode], Value]
MODELS: dict[str, Model] = {}
"""Imported functions that do more than an op, by canonical name."""


def model(*names: str) -> Callable[[Model], Model]:
    def add(function: Model) -> Model:
        MODELS.update(dict.fromkeys(names, function))
        return function

    return add


def call(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    """Call the imported function or class `name`."""
    if m.patched and m.is_patched(name):
        escape(m, args.values())
        return UNKNOWN
    args.called = name
    special = MODELS.get(name)
    if special is not None:
        return special(m, args, node)
    if name.startswith("builtins."):
        return _builtin(m, name, args, node)
    if name.startswith("torch."):
        return _torch(m, name, args, node)
    root = name.partition(".")[0]
    if root == "?":  # found by a name that is put together at run time: it may even switch grad mode
        escape(m, args.values())
        m.set_mode(Mode(MAYBE, MAYBE, m.mode.why))
        return UNKNOWN
    if root in numpy_api.ARRAY_LIBRARIES:
        return _array_library(m, name, args, node)
    if last_of(name) in ("register", "register_reductions") and name.startswith(("multiprocessing.", "copyreg.")):
        m.patched.add("multiprocessing.*")
    if root == "math":
        inputs = tensors.gather(m, {str(i): v for i, v in enumerate(args.pos)})
        lost = inputs.grad()
        why = inputs.why() if lost.no else m.cause("scalar", f"turned into a Python number by `{name}`", node, "", lost)
        return Scalar("float", why)
    if name.startswith("unittest.mock.patch"):
        m.patch(args.pos)
        return UNKNOWN
    if root in sys.stdlib_module_names or root in numpy_api.HARMLESS:
        return UNKNOWN
    escape(m, args.values())
    return UNKNOWN


def last_of(name: str) -> str:
    return name.rpartition(".")[2]


def star(module: str, name: str) -> Value | None:
    """What `from module import *` gives under `name`, as far as the knowledge tells."""
    qualified = f"{module}.{name}"
    known = qualified in MODELS or ops.function(qualified) is not None or layers.layer(qualified) is not None
    return External(qualified) if known else None


# torch


def _torch(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    if name.startswith("torch.Tensor."):  # unbound: torch.Tensor.add(x, y)
        if args.pos and m.is_tensor(args.pos[0]):
            return methods.call(m, node, Method(args.pos[0], name.rpartition(".")[2]), Args(args.pos[1:], args.kw))
        escape(m, args.values())
        return UNKNOWN
    if name.startswith("torch.nn.init.") or name in ("torch.manual_seed", "torch.save"):
        return args.get(0, "tensor") or UNKNOWN
    if name.startswith("torch.optim.lr_scheduler."):
        return m.new(Thing(name))
    if name.startswith("torch.optim.") and name.count(".") == 2:
        return make_optimizer(m, name, args, node)
    if layers.layer(name) is not None:
        return modules.make_layer(m, name, args, node)
    if name.startswith("torch.distributions."):
        return make_distribution(m, name, args)
    op = ops.function(name)
    if op is not None:
        bound = args.bind(op.params)
        subject = m.text(args.nodes[0]) if 0 in args.nodes else ""
        if m.is_tensor(bound.get("out", UNKNOWN)):
            out = bound["out"]
            assert isinstance(out, Ref)
            tensors.tell_write(m, node, out, m.text(args.nodes.get("out", node)))
            escape(m, [out])
        return tensors.apply(m, node, op, bound, subject)
    escape(m, args.values())
    return UNKNOWN


def make_optimizer(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(0, "params")
    owned = None if given is None else modules.parameters_in(m, given)
    problem = _no_parameters(m, given)
    found = None if owned is None else tuple(t for a in owned for _, t in m.tensors(Ref((a,))))
    if problem or (found is not None and (not found or any(t.leaf.no and t.grad.yes for t in found))):
        m.raises()
    m.emit(events.OptimizerMade, node, kind=name, given=found, problem=problem)
    if given is not None:
        iteration.consume(m, given)
    return m.new(Optimizer(name, None if owned is None else tuple(owned)))


def _no_parameters(m: Machine, given: Value | None) -> str:
    """Why an optimizer cannot take `given`, or ""."""
    if isinstance(given, Method) and given.name in ("parameters", "named_parameters"):
        return "the method itself: call it"
    if given is not None and m.is_tensor(given):
        return "a tensor: put it into a list"
    if given is not None and NONE in (iteration.exact(m, given) or []):
        return "a list with None in it"
    cell = m.cell(given) if given is not None else None
    iterable = isinstance(cell, Layer) and (cell.children is None or bool(cell.children))
    if given is not None and modules.is_module(m, given) and not iterable:
        return "a module: pass its `.parameters()`"
    return ""


@model("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled")
def _grad_mode(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(0, "mode")
    kind = args.called
    if isinstance(given, (Function,)):  # torch.no_grad(f): the decorator without parentheses
        return replace(given, wrappers=(kind, *given.wrappers))
    if args.open:
        given = UNKNOWN
    parts: tuple[tuple[str, Value], ...] = () if given is None else (("mode", given),)
    return m.new(Thing(kind, parts))


def call_thing(m: Machine, cell: Thing, args: Args, node: cst.CSTNode) -> Value:
    """Call an object of a library: `torch.no_grad()(f)`."""
    if cell.kind in ("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled"):
        function = args.pos[0] if args.pos else UNKNOWN
        mode = cell.part("mode")
        suffix = "(False)" if mode == Const(False) else ""
        if isinstance(function, Function):
            return replace(function, wrappers=(f"{cell.kind}{suffix}", *function.wrappers))
        return m.new(Thing("moded", (("mode", External(f"{cell.kind}{suffix}")), ("function", function))))
    if cell.kind == "moded":
        before = m.mode
        wrapper = cell.part("mode")
        assert isinstance(wrapper, External)
        off = Const(False) if wrapper.name.endswith("(False)") else None
        autograd.enter(m, wrapper.name.removesuffix("(False)"), off, node)
        result = call_value(m, cell.part("function") or UNKNOWN, args, node)
        m.set_mode(before)
        return result
    escape(m, args.values())
    return UNKNOWN


@model("torch.is_grad_enabled")
def _is_grad_enabled(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return Const(m.mode.grad is YES) if m.mode.grad.proved else Scalar("bool")


@model("torch.autograd.backward")
def _autograd_backward(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    roots = args.get(0, "tensors") or UNKNOWN
    create = fact(args.get(3, "create_graph"), False)
    retain = args.get(2, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    many = iteration.exact(m, roots)
    if many is None and not m.is_tensor(roots):
        many = [iteration.element(m, roots)]
    gradient = args.get(1, "grad_tensors") not in (None, NONE)
    for root in [roots] if m.is_tensor(roots) else many or []:
        autograd.backward(m, node, root, args.node(0, "tensors", node), "backward", keep, create, gradient)
    return NONE


@model("torch.autograd.grad")
def _autograd_grad(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    outputs, inputs = args.get(0, "outputs") or UNKNOWN, args.get(1, "inputs") or UNKNOWN
    create = fact(args.get(4, "create_graph"), False)
    retain = args.get(3, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    many = [outputs] if m.is_tensor(outputs) else iteration.exact(m, outputs) or [iteration.element(m, outputs)]
    gradient = args.get(2, "grad_outputs") not in (None, NONE)
    chosen = modules.parameters_in(m, inputs)
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
            keep if chosen is not None else keep | MAYBE,
            create,
            gradient,
            only,
            fill=False,
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
        result = _gradient(m, node, one, create, roots, unused)
        return m.new(Sequence("tuple", None, result, each=isinstance(result, Ref) and len(result.addresses) != 1))
    return Tuple(tuple(_gradient(m, node, t, create, roots, unused) for t in targets))


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
    m: Machine, node: cst.CSTNode, target: Value, create: Truth, roots: list[tuple[int, Tensor]], unused: Truth
) -> Value:
    """One result of autograd.grad: connected to the graph of the outputs only with create_graph."""
    if not unused.no:
        return UNKNOWN
    made = []
    why = m.cause("cut", "computed by `autograd.grad` without `create_graph=True`", node, "", YES)
    for _, tensor in m.tensors(target) or [(0, Tensor())]:
        grad = NO if create.no else MAYBE if create is MAYBE else YES
        if create.yes:
            # the gradient of something linear does not depend on the leaves any more
            grad = MAYBE
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
        why = m.cause(
            "cut", "copied by `torch.tensor(...)`, which keeps the values only", node, subject, lost, inputs.why()
        )
    elif inputs.numbers:
        why = worst(inputs.numbers) or m.cause("constant", "made by `torch.tensor(...)`", node)
        why = m.cause("cut", f"rebuilt from a value that was {why.what}", why.site, why.subject, why.lost, why)
    else:
        why = m.cause("constant", "made by `torch.tensor(...)` without requires_grad", node)
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
    if not inputs.grad().no or inputs.numbers:
        why = m.cause("cut", "copied by `torch.Tensor(...)`, which keeps the values only", node, "", inputs.grad())
    one = len(args.pos) == 1 and not isinstance(args.pos[0], (Const, Scalar))
    shape = shapes.literal(m, args.pos[0]) if one else shapes.sizes(m, {"*size": Tuple(tuple(args.pos))})
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
    volatile = "volatile" in args.kw or args.open
    grad = MAYBE if volatile else NO if asked is None else fact(asked)
    return autograd.copy_of(m, node, data, m.text(args.node(0, "data", node)), "`Variable(...)`", grad)


@model("torch.nn.Parameter", "torch.nn.Buffer")
def _parameter(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    data = args.get(0, "data") or UNKNOWN
    asked = args.get(1, "requires_grad")
    grad = YES if asked is None and not args.open else fact(asked)
    source = m.cell(data)
    tensor = source if isinstance(source, Tensor) else Tensor()
    if args.called == "torch.nn.Buffer":
        grad = NO
    if grad.yes:
        tensors.tell_requires(m, node, replace(tensor, leaf=YES), YES, m.text(args.node(0, "data", node)), m.text(node))
        grad = MAYBE if tensor.dtype in ("int", "bool") else grad
    made = autograd.copy_of(m, node, data, m.text(args.node(0, "data", node)), "`nn.Parameter(...)`", grad)
    assert isinstance(made, Ref)
    dtype = None if tensor.dtype in ("int", "bool") else tensor.dtype or "float"
    m.change(made.addresses[0], parameter=True, dtype=dtype, made="parameter", why=None if grad.yes else tensor.why)
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
        inside = [a for a in done if isinstance(cell := m.state.cell(a), Tensor) and cell.leaf.no and cell.grad.yes]
        if inside and args.called == "copy.deepcopy" and len(args.pos) == 1 and not args.open and copied != UNKNOWN:
            tell_copy(m, node, Ref((inside[0],)), args.node(0, "x", node))
        return copied
    return value


COPIERS = ("__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__")


class _CopiesItself(Exception):
    """An object below defines how it is copied: what comes out is its affair."""


def tell_copy(m: Machine, node: cst.CSTNode, value: Value, value_node: cst.CSTNode) -> None:
    """A tensor is deep-copied or pickled for another process; only leaves can be."""
    for _, tensor in m.tensors(value):
        if tensor.leaf.no and tensor.grad.yes:
            m.raises()
        how = m.text(node.func) if isinstance(node, cst.Call) else m.text(node)
        m.emit(events.Copied, node, tensor=tensor, subject=m.text(value_node), how=how)


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


@model("torch.func.functional_call", "torch.nn.utils.stateless.functional_call")
def _functional_call(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return UNKNOWN


@model("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_value_")
def _clip(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.tensor(grad=NO, leaf=YES, shape=(), dtype="float")


@model("torch.jit.script", "torch.compile", "torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel")
def _same(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.get(0, "module") or args.get(0, "model") or UNKNOWN
    return value if isinstance(value, (Ref, Function)) else UNKNOWN


@model("torch.utils.data.DataLoader")
def _loader(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    escape(m, args.values())
    return m.new(Thing("torch.utils.data.DataLoader", (("element", tensors.BATCH),)))


@model("torch.utils.data.TensorDataset")
def _dataset(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing("torch.utils.data.Dataset", (("element", tensors.BATCH),)))


@model("torch.utils.checkpoint.checkpoint")
def _checkpoint(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    escape(m, args.values())
    return UNKNOWN


def make_distribution(m: Machine, name: str, args: Args) -> Value:
    parts = [(f"*{i}", v) for i, v in enumerate(args.pos)] + list(args.kw.items())
    return m.new(Thing(name, tuple(parts) + ((("*open", UNKNOWN),) if args.open else ())))


def thing_method(m: Machine, node: cst.CSTNode, receiver: Value, cell: Thing, name: str, args: Args) -> Value:
    """A method of an object of a library."""
    if cell.kind.startswith("torch.distributions."):
        return _of_distribution(m, node, cell, name, args)
    if cell.kind.endswith("GradScaler"):
        return _of_scaler(m, node, cell, name, args)
    if cell.kind.startswith("multiprocessing.") and name in ("put", "send"):
        send(m, args, node)
    if name in contexts.HARMLESS_METHODS or cell.kind.startswith("torch.optim.lr_scheduler."):
        return UNKNOWN
    escape(m, [receiver, *args.values()])
    return UNKNOWN


def _of_distribution(m: Machine, node: cst.CSTNode, cell: Thing, name: str, args: Args) -> Value:
    inputs = tensors.gather(
        m, {**dict(cell.parts), **({"value": args.pos[0]} if args.pos and name == "log_prob" else {})}
    )
    wanted = inputs.grad() | (MAYBE if cell.part("*open") is not None else NO)
    short = cell.kind.rpartition(".")[2]
    if name in ("sample", "sample_n"):
        why = m.cause("cut", "drawn by `.sample()`, which has no gradient", node, short, wanted, inputs.why())
        return m.tensor(grad=NO, leaf=YES, dtype=distributions.SAMPLE_DTYPE.get(short, "float"), why=why, made="sample")
    if name in ("rsample", "log_prob", "entropy", "cdf", "icdf") and wanted is not MAYBE:
        grad = wanted & m.mode.grad
        if name == "rsample" and short not in distributions.REPARAMETRIZED:
            return UNKNOWN
        graph = None
        if not grad.no:
            edges = tuple(m.edge(a, t) for a, t, _ in inputs.tensors if not t.grad.no)
            saved = tuple(m.save(t, n, node) for _, t, n in inputs.tensors[:1])
            graph = m.graph_node(Node(f"{cell.kind}.{name}", edges, saved, node, inputs.unknown))
        lost = tensors.mode_cause(m, node, short, wanted) if grad.no else None
        cause = inputs.why() if wanted.no else lost
        return m.tensor(grad=grad, leaf=~grad, dtype="float", node=graph, why=cause, made=name)
    if name in ("rsample", "log_prob", "entropy"):
        return m.tensor(grad=NO if wanted is NO else MAYBE, leaf=MAYBE)
    return UNKNOWN


@model("torch.cuda.amp.GradScaler", "torch.amp.GradScaler", "torch.GradScaler")
def _scaler(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing("torch.amp.GradScaler"))


def _of_scaler(m: Machine, node: cst.CSTNode, cell: Thing, name: str, args: Args) -> Value:
    if name == "scale" and args.pos and m.is_tensor(args.pos[0]):
        op = ops.method("mul")
        return tensors.apply(m, node, op, {"self": args.pos[0]}) if op is not None else args.pos[0]
    if name == "step" and args.pos and modules.is_optimizer(m, args.pos[0]):
        return methods.call(m, node, Method(args.pos[0], "step"), Args([]))
    return UNKNOWN


# numpy and friends


def convert_arguments(m: Machine, name: str, args: Args, node: cst.CSTNode) -> None:
    """A function of a library that makes arrays of its arguments: tensors that require grad cannot go there."""
    if not numpy_api.converts(name):
        return
    convert(m, args, node, m.text(node.func) if isinstance(node, cst.Call) else name)


def convert(m: Machine, args: Args, node: cst.CSTNode, via: Label) -> None:
    given: list[tuple[int | str, Value]] = [*enumerate(args.pos), *args.kw.items()]
    for key, value in given:
        value_node = args.nodes.get(key) or node
        if m.is_tensor(value):
            operators.to_numpy(m, node, value, value_node, via, element=False)
            continue
        cell = m.cell(value)
        if isinstance(cell, Sequence) or isinstance(value, Tuple):
            items = iteration.exact(m, value) or [iteration.element(m, value)]
            inside = [item for item in items if m.is_tensor(item)]
            refused = [item for item in inside if any(t.grad.yes for _, t in m.tensors(item))]
            for item in (refused or inside)[:1]:
                operators.to_numpy(m, node, item, value_node, via, element=True)


def _array_library(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    convert_arguments(m, name, args, node)
    root = name.partition(".")[0]
    if root == "numpy":
        inputs = tensors.gather(m, {str(i): v for i, v in enumerate(args.pos)})
        lost = inputs.grad()
        why = inputs.why()
        if lost.yes and m.mode.grad.yes and numpy_api.converts(name):
            return UNKNOWN  # torch raises
        if lost.yes:
            why = m.cause("cut", f"turned into a numpy array by `{m.text(node)}`", node, "", lost, why)
        if any(m.is_tensor(v) for v in args.pos) and name.removeprefix("numpy.") not in numpy_api.CREATING:
            return UNKNOWN  # np.sqrt(t) gives a tensor
        return numpy_result(m, name, args, why)
    return Foreign(name)


def numpy_result(m: Machine, name: str, args: Args, why: Cause | None) -> Value:
    """What a numpy function returns: an array for sure, a numpy scalar for sure, or one of the two."""
    last = name.removeprefix("numpy.")
    if last in numpy_api.SCALAR_TYPES:
        return Array(None, YES if args.pos and isinstance(args.pos[0], (Const, Scalar)) else MAYBE, why)
    if last in numpy_api.CREATING:
        kind: str | None = "float" if last in ("ones", "zeros", "linspace", "eye") else None
        if last in ("arange", "array", "asarray"):
            kinds = [tensors.literal_kind(m, v) for v in args.pos]
            kind = kinds[0] if kinds and all(k == kinds[0] for k in kinds) else None
        return Array(kind if "dtype" not in args.kw and len(args.pos) < 4 else None, NO, why)
    if last.startswith("random.") and args.pos and last.removeprefix("random.") in ("rand", "randn"):
        return Array("float", NO, why)
    return Array(None, MAYBE, why)


# The standard library


@model("importlib.import_module", "builtins.__import__")
def _import_module(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    name = args.get(0, "name")
    return External(name.value) if isinstance(name, Const) and isinstance(name.value, str) else External("?")


@model("functools.partial")
def _partial(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if not args.pos or args.open:
        escape(m, args.values())
        return UNKNOWN
    return Partial(args.pos[0], tuple(args.pos[1:]), tuple(args.kw.items()))


@model("itertools.chain", "itertools.chain.from_iterable")
def _chain(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    parts = list(args.pos)
    if len(parts) == 1 and args.called.endswith("from_iterable"):
        parts = iteration.exact(m, parts[0]) or []
        if not parts:
            return UNKNOWN
    addresses: list[int] = []
    for part in parts:
        inner = modules.parameters_in(m, part)
        if inner is None:
            known = [iteration.exact(m, p) for p in parts]
            if all(k is not None for k in known):
                items = tuple(v for k in known for v in k or ())
                return m.new(Sequence("generator", items, filled=truth(bool(items))))
            return m.new(Sequence("generator"))
        addresses.extend(a for a in inner if a not in addresses)
    for part in parts:
        iteration.consume(m, part)
    return modules.each(m, Ref(tuple(addresses)))


@model(
    "collections.deque", "queue.Queue", "collections.defaultdict", "collections.OrderedDict", "multiprocessing.Queue"
)
def _collections(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    name = args.called
    if name.endswith("OrderedDict"):
        first = args.pos[0] if args.pos else None
        if first is None:
            return m.new(Mapping_())
        cell = m.cell(first)
        if isinstance(cell, Mapping_):
            return m.new(cell)
        pairs = iteration.exact(m, first)
        result = Mapping_()
        for pair in pairs or []:
            if not (isinstance(pair, Tuple) and len(pair.items) == 2 and isinstance(pair.items[0], Const)):
                return m.new(Mapping_((), UNKNOWN))
            result = result.put(pair.items[0].value, pair.items[1])
        return m.new(result if pairs is not None else Mapping_((), UNKNOWN))
    if name.endswith("defaultdict"):
        return m.new(Mapping_((), UNKNOWN))
    if args.pos and name.endswith("deque"):
        items = iteration.exact(m, args.pos[0])
        return m.new(Sequence("deque", tuple(items) if items is not None else None))
    return m.new(Sequence("deque", (), filled=NO))


SENDERS = ("multiprocessing.SimpleQueue", "torch.multiprocessing.SimpleQueue")


@model(*SENDERS)
def _process_queue(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing("multiprocessing.SimpleQueue"))


@model("multiprocessing.Pipe", "torch.multiprocessing.Pipe")
def _pipe(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return Tuple((m.new(Thing("multiprocessing.Connection")), m.new(Thing("multiprocessing.Connection"))))


@model("multiprocessing.reduction.ForkingPickler.dumps")
def _forking_pickler(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    send(m, args, node)
    return UNKNOWN


def send(m: Machine, args: Args, node: cst.CSTNode) -> None:
    """A message to another process; torch refuses to pickle a tensor that carries a graph for it."""
    inputs = tensors.Inputs()
    for value in args.values():
        inputs.add(m, value, "message")
    if m.is_patched("multiprocessing.reduction"):
        return
    stuck = [a for a, t, _ in inputs.tensors if t.leaf.no and t.grad.yes]
    if stuck:
        tell_copy(m, node, Ref((stuck[0],)), args.node(0, "obj", node))


@model("contextlib.suppress", "pytest.raises")
def _guard(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing("contextlib.suppress"))


@model("torch.autograd.graph.saved_tensors_hooks", "torch.autograd.graph.save_on_cpu")
def _packing(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    m.state.set(PACKED, YES)
    escape(m, args.values())
    return m.new(Thing("context"))


@model(
    "contextlib.nullcontext",
    "torch.autograd.set_detect_anomaly",
    "torch.autograd.detect_anomaly",
    "torch.autograd.profiler.profile",
    "torch.autograd.profiler.record_function",
    "torch.autocast",
    "torch.amp.autocast",
    "torch.cuda.amp.autocast",
    "torch.profiler.record_function",
    "torch.profiler.profile",
    "torch.device",
    "torch.random.fork_rng",
    "torch.backends.cudnn.flags",
    "torch.cuda.stream",
    "torch.cuda.device",
    "warnings.catch_warnings",
    "builtins.open",
)
def _plain_context(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """Context managers that leave grad mode as it is."""
    return m.new(Thing("context", (("enters", args.get(0, "enter_result") or UNKNOWN),)))


@model("tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.trange", "tqdm.notebook.tqdm", "rich.progress.track")
def _progress(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    first = args.get(0, "iterable")
    if first is None or isinstance(first, Const):
        return m.new(Sequence("iterable", None, Scalar("int")))
    return first


# Builtins


def _builtin(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    last = name.removeprefix("builtins.")
    special = BUILTINS.get(last)
    if special is not None:
        return special(m, args, node)
    if last == "exec":
        escape(m, args.values())
        m.forget_variables()
        m.set_mode(Mode(MAYBE, MAYBE, m.mode.why))
    elif last in ("globals", "locals") or (last == "vars" and not args.pos):
        m.open_scope()
    elif last in ("vars", "delattr"):
        escape(m, args.values())
        for value in args.values():
            m.open_object(value)
    return UNKNOWN


Builtin = Callable[["Machine", Args, cst.CSTNode], Value]
BUILTINS: dict[str, Builtin] = {}


def builtin(*names: str) -> Callable[[Builtin], Builtin]:
    def add(function: Builtin) -> Builtin:
        BUILTINS.update(dict.fromkeys(names, function))
        return function

    return add


@builtin("super")
def _super(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    frame = next((f for f in reversed(m.frames) if f.owner is not None and f.function is not None), None)
    if frame is None or frame.owner is None:
        return UNKNOWN
    instance = args.pos[1] if len(args.pos) > 1 else None
    if instance is None:
        params = frame.function.definition.params if frame.function is not None else None
        names = [p.name.value for p in (*params.posonly_params, *params.params)] if params is not None else []
        instance = m.state.get((frame.id, names[0]), UNKNOWN) if names else UNKNOWN
    owner = args.pos[0] if args.pos and isinstance(args.pos[0], Class) else frame.owner
    return Super(owner, instance)


@builtin("isinstance")
def _isinstance(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) != 2:
        return UNKNOWN
    kinds = list(args.pos[1].items) if isinstance(args.pos[1], Tuple) else [args.pos[1]]
    verdicts = [is_instance(m, args.pos[0], k) for k in kinds]
    if YES in verdicts:
        return Const(True)
    return Const(False) if all(v is NO for v in verdicts) else Scalar("bool")


@model("torch.is_tensor")
def _is_tensor(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    known = is_instance(m, args.pos[0], External("torch.Tensor")) if args.pos else MAYBE
    return Const(known is YES) if known.proved else Scalar("bool")


PYTHON_TYPES = {
    "builtins.list": "list",
    "builtins.set": "set",
    "collections.deque": "deque",
}


def is_instance(m: Machine, value: Value, kind: Value) -> Truth:
    """isinstance(value, kind), where it can be told."""
    if value == UNKNOWN or isinstance(value, Foreign) or kind == UNKNOWN:
        return MAYBE
    cell = m.cell(value)
    if isinstance(kind, Class):
        if isinstance(cell, Instance):
            return YES if kind in modules.lineage(cell.cls) else MAYBE if modules.open_ended(cell.cls) else NO
        return NO
    if not isinstance(kind, External):
        return MAYBE
    name = kind.name
    if name == "torch.Tensor":
        return YES if m.is_tensor(value) else NO if cell is None or not isinstance(cell, Instance) else MAYBE
    if name == "torch.nn.Parameter":
        return truth(cell.parameter) if isinstance(cell, Tensor) else NO
    if name == "torch.nn.Module":
        return YES if modules.is_module(m, value) else NO if not isinstance(cell, Instance) else MAYBE
    if name.startswith("torch.nn."):
        if isinstance(cell, Layer):
            return YES if cell.kind == name else NO if layers.layer(name) is not None else MAYBE
        return MAYBE if isinstance(cell, Instance) else NO
    if name == "numpy.ndarray":
        return MAYBE if isinstance(value, Array) else NO
    if name == "builtins.tuple":
        return truth(isinstance(value, Tuple)) if not isinstance(cell, Sequence) or cell.kind != "tuple" else YES
    if name == "builtins.dict":
        return truth(isinstance(cell, Mapping_))
    if name in PYTHON_TYPES:
        return truth(isinstance(cell, Sequence) and cell.kind == PYTHON_TYPES[name])
    if name in ("builtins.int", "builtins.float", "builtins.str", "builtins.bool"):
        wanted = name.removeprefix("builtins.")
        if isinstance(value, Const):
            return truth(type(value.value).__name__ == wanted or (wanted == "int" and isinstance(value.value, bool)))
        if isinstance(value, Scalar):
            return truth(value.kind == wanted) if value.kind != "number" else MAYBE
        return NO if isinstance(value, (Ref, Tuple)) and not isinstance(cell, Instance) else MAYBE
    return MAYBE


@builtin("hasattr")
def _hasattr(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) != 2 or not isinstance(args.pos[1], Const):
        return Scalar("bool")
    value, name = args.pos[0], str(args.pos[1].value)
    if isinstance(value, Const):
        return Const(hasattr(value.value, name))
    if isinstance(value, Scalar) and value.kind in PLAIN:
        return Const(hasattr(PLAIN[value.kind], name))
    if m.is_tensor(value) and (ops.method(name) is not None or ops.attribute(name) is not None):
        return Const(True)
    if isinstance(value, Ref) and len(value.addresses) == 1 and (value.addresses[0], name) in m.state.slots:
        return Const(True)
    return Scalar("bool")


PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "complex": complex}


@builtin("getattr")
def _getattr(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    from flake8_detach.flow import attributes

    owner = args.pos[0] if args.pos else UNKNOWN
    name = args.pos[1] if len(args.pos) > 1 else UNKNOWN
    if not (isinstance(name, Const) and isinstance(name.value, str)):
        escape(m, [owner])  # some method of it, perhaps one that changes it, perhaps backward
        if m.is_tensor(owner):
            m.state.set(autograd.SPOILED, YES)
        return External("?") if isinstance(owner, External) else UNKNOWN
    found = attributes.get(m, owner, name.value, node, args.node(0, "object", node))
    return UNKNOWN if len(args.pos) > 2 and isinstance(found, Method) else found


@builtin("setattr")
def _setattr(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    from flake8_detach.flow import attributes

    owner = args.pos[0] if args.pos else UNKNOWN
    name = args.pos[1] if len(args.pos) > 1 else UNKNOWN
    value = args.pos[2] if len(args.pos) > 2 else UNKNOWN
    if isinstance(name, Const) and isinstance(name.value, str):
        attributes.put(m, owner, name.value, value, node, args.node(0, "object", node))
        return NONE
    escape(m, [value])
    if isinstance(owner, External):
        m.patched.add(f"{owner.name}.*")
    for address, cell in m.cells(owner):
        if isinstance(cell, Tensor):
            m.change(address, grad=MAYBE)
        elif modules.is_module(m, Ref((address,))):
            if isinstance(cell, Layer):
                m.state.set((address, CELL), replace(cell, children=None))
            m.state.put(address, f"*registered {len(m.state.names(address))}", value)
            m.state.set((address, "*open"), YES)
        else:
            m.open_object(Ref((address,)))
    return NONE


@builtin("print", "repr", "id", "hash", "format", "ascii", "callable", "type", "dir", "help", "breakpoint", "iter_")
def _harmless(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return UNKNOWN


@builtin("str")
def _str(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return Scalar("str")


@builtin("len")
def _len(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    known = iteration.exact(m, args.pos[0]) if args.pos else None
    return Const(len(known)) if known is not None else Scalar("int")


@builtin("float", "int", "bool", "complex", "abs_", "round_")
def _number(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    kind = args.called.removeprefix("builtins.")
    value = args.pos[0] if args.pos else None
    if m.is_tensor(value or UNKNOWN):
        tensor = m.tensors(value or UNKNOWN)[0][1]
        subject = m.text(args.node(0, "x", node))
        why = m.cause("scalar", f"turned into a Python number by `{kind}(...)`", node, subject, tensor.grad, tensor.why)
        return Scalar(kind if kind in ("float", "int", "bool", "complex") else "number", why)  # type: ignore[arg-type]
    if isinstance(value, (Const, Scalar, Array)):
        return Scalar(kind if kind in ("float", "int", "bool", "complex") else "number", value.why)  # type: ignore[arg-type]
    return Scalar(kind) if kind in ("float", "int", "bool", "complex") else UNKNOWN  # type: ignore[arg-type]


@builtin("range")
def _range(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.pos and all(isinstance(v, Const) and isinstance(v.value, int) for v in args.pos) and len(args.pos) <= 3:
        numbers = [v.value for v in args.pos if isinstance(v, Const)]
        try:
            length = len(range(*numbers))
        except (ValueError, OverflowError):
            return UNKNOWN
        if length <= 1:
            return m.new(Sequence("range", tuple(Const(i) for i in range(*numbers)), filled=truth(bool(length))))
        return m.new(Sequence("range", None, Scalar("int"), filled=YES))
    return m.new(Sequence("range", None, Scalar("int")))


@builtin("enumerate")
def _enumerate(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    source = args.get(0, "iterable") or UNKNOWN
    known = iteration.exact(m, source)
    if known is not None and len(args.pos) == 1:
        return m.new(
            Sequence("iterable", tuple(Tuple((Const(i), v)) for i, v in enumerate(known)), filled=truth(bool(known)))
        )
    one = Tuple((Scalar("int"), iteration.element(m, source)))
    return m.new(Sequence("iterable", None, one, each=iteration.once(m, source), filled=iteration.filled(m, source)))


@builtin("zip")
def _zip(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.open:
        return m.new(Sequence("iterable"))
    known = [iteration.exact(m, v) for v in args.pos]
    if known and all(k is not None for k in known):
        rows = tuple(Tuple(tuple(row)) for row in zip(*(k or [] for k in known), strict=False))
        return m.new(Sequence("iterable", rows, filled=truth(bool(rows))))
    one = Tuple(tuple(iteration.element(m, v) for v in args.pos))
    every = bool(args.pos) and any(iteration.once(m, v) for v in args.pos)
    filled = YES if args.pos and all(iteration.filled(m, v).yes for v in args.pos) else MAYBE
    return m.new(Sequence("iterable", None, one, each=every, filled=filled))


@builtin("list", "tuple", "set", "sorted", "reversed", "iter", "frozenset")
def _container(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    kind = args.called.removeprefix("builtins.")
    if not args.pos:
        return m.new(Sequence(kind, (), filled=NO)) if kind != "tuple" else Tuple(())
    source = args.pos[0]
    known = iteration.exact(m, source)
    consumed = m.cell(source)
    if known is not None and kind in ("list", "tuple", "iter", "reversed"):
        known = known[::-1] if kind == "reversed" else known
        result: Value = (
            Tuple(tuple(known))
            if kind == "tuple"
            else m.new(Sequence("list" if kind != "iter" else "iterator", tuple(known), filled=truth(bool(known))))
        )
    elif isinstance(consumed, Sequence):
        result = m.new(
            replace(
                consumed, kind="list" if kind != "tuple" else "tuple", items=None, element=iteration.element(m, source)
            )
        )
    elif source == UNKNOWN:
        result = UNKNOWN if kind == "tuple" else m.new(Sequence("list"))
    else:
        result = m.new(
            Sequence(
                "list" if kind != "tuple" else "tuple",
                None,
                iteration.element(m, source),
                filled=iteration.filled(m, source),
            )
        )
    if kind != "iter":
        iteration.consume(m, source)
    return result


@builtin("dict")
def _dict(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.open:
        return m.new(Mapping_((), UNKNOWN))
    result = Mapping_()
    if args.pos:
        cell = m.cell(args.pos[0])
        if not isinstance(cell, Mapping_):
            one = iteration.element(m, args.pos[0])
            rest = one.items[1] if isinstance(one, Tuple) and len(one.items) == 2 else UNKNOWN
            return m.new(Mapping_((), rest))
        result = cell
    for key, value in args.kw.items():
        result = result.put(key, value)
    return m.new(result)


@builtin("next")
def _next(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    source = args.pos[0] if args.pos else UNKNOWN
    cell = m.cell(source)
    if isinstance(cell, Sequence) and cell.items:
        return cell.items[0]
    one = iteration.element(m, source)
    if isinstance(cell, Sequence) and cell.each and isinstance(one, Ref) and one.addresses:
        return Ref(one.addresses[:1])
    return one


@builtin("sum")
def _sum(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    source = args.get(0, "iterable") or UNKNOWN
    start = args.get(1, "start") or Const(0)
    known = iteration.exact(m, source)
    if known is not None and len(known) <= 32:
        total = start
        for item in known:
            total = operators.binary(m, node, "Add", total, item, node, node)
        return total
    one = iteration.element(m, source)
    if isinstance(one, Ref) and len(one.addresses) > 1:
        total = start
        for address in one.addresses:
            total = operators.binary(m, node, "Add", total, Ref((address,)), node, node)
        return total
    if m.is_tensor(one):
        return operators.binary(m, node, "Add", start, one, node, node)
    return one if isinstance(one, (Scalar, Array)) else Scalar("number") if isinstance(one, Const) else UNKNOWN


@builtin("max", "min")
def _extreme(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    candidates = args.pos if len(args.pos) > 1 else [iteration.element(m, args.pos[0])] if args.pos else []
    result = candidates[0] if candidates else UNKNOWN
    for other in candidates[1:]:
        result = operators._either(m, result, other) if result != other else result
    return result if not isinstance(result, Const) else Scalar("number")


@builtin("abs", "round", "pow", "divmod")
def _arithmetic(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.pos[0] if args.pos else UNKNOWN
    last = args.called.removeprefix("builtins.")
    if m.is_tensor(value):
        op = ops.method({"abs": "abs", "pow": "pow"}.get(last, ""))
        if op is None:
            return UNKNOWN
        bound = Args(args.pos[1:]).bind(op.params[1:])
        return tensors.apply(m, node, op, {"self": value, **bound}, m.text(args.node(0, "x", node)))
    if isinstance(value, (Const, Scalar)):
        return Scalar("number", value.why)
    return value if isinstance(value, Array) else UNKNOWN


@builtin("map")
def _map(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) < 2:
        return UNKNOWN
    known = iteration.exact(m, args.pos[1])
    if len(args.pos) == 2 and known is not None and len(known) <= iteration.UNROLL:
        results = tuple(call_value(m, args.pos[0], Args([v]), node) for v in known)
        return m.new(Sequence("generator", results, filled=truth(bool(results))))
    one = call_value(m, args.pos[0], Args([iteration.element(m, v) for v in args.pos[1:]]), node)
    return m.new(Sequence("generator", None, one, filled=iteration.filled(m, args.pos[1])))


@builtin("filter")
def _filter(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) != 2:
        return UNKNOWN
    source = args.pos[1]
    one = iteration.element(m, source)
    if iteration.once(m, source) and isinstance(one, Ref):
        kept = []
        for address in one.addresses:
            verdict = operators.condition(m, call_value(m, args.pos[0], Args([Ref((address,))]), node))
            if verdict is MAYBE:
                return m.new(Sequence("generator", None, one))
            if verdict.yes:
                kept.append(address)
        return modules.each(m, Ref(tuple(kept)))
    return m.new(Sequence("generator", None, one))


@builtin("any", "all")
def _quantifier(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return Scalar("bool")


__all__ = ["Mode", "call", "call_thing", "convert", "model", "star", "thing_method"]
