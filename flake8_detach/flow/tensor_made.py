"""Tensors and parameters that are made from data, arrays and other tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    conversions,
    leaf_roots,
    membership,
    missing,
    op_arguments,
    parameters,
    shapes,
    tensors,
    told,
)
from flake8_detach.flow.calls import Args
from flake8_detach.flow.machine import fact
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Const,
    Scalar,
    Tensor,
    Tuple,
    Value,
    worst,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


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
        op_arguments.literal_kind(m, data) if "dtype" not in args.kw else None
    )
    subject = m.text(args.node(0, "data", node))
    # Python floats become float32, an array keeps what it has
    keeps = "dtype" in args.kw or inputs.arrays or inputs.tensors or inputs.unknown
    made_by = "torch.tensor(...)" if keeps else "torch.tensor"
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
        **told.made(m, {**args.kw, **({"*open": UNKNOWN} if args.open else {})}),
        grad=grad,
        leaf=YES,
        shape=shapes.literal(m, data),
        dtype=dtype,
        why=why,
        made=made_by,
        inference=m.mode.inference,
    )
    if why.loss is None:
        leaf_roots.made(m, made.addresses[0], data, node)
    if grad is YES:
        tensors.tell_requires(m, node, m.tensors(made)[0][1], YES, m.text(node), m.text(node))
        tensors.mend_requires(m, made)
    return made


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
    if not args.open and missing.no_tensor(m, node, "nn.Parameter", data):
        return m.tensor(storage=0)
    subject = m.text(args.node(0, "data", node))
    made = parameters.made_of(m, node, data, subject, "`nn.Parameter(...)`", grad, membership.in_forward(m))
    if args.get(0, "data") in (None, NONE) and not args.open:
        m.refine(made.addresses[0], shape=(0,), inference=m.mode.inference)  # an empty tensor that is made here
    source = m.cell(data)
    if not isinstance(source, Tensor) or source.node is None:
        membership.made(m, made, node)
    return made
