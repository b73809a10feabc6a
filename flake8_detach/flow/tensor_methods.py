"""Methods of tensors that do more than an op."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    backward_arguments,
    conversions,
    iteration,
    levels,
    module_tree,
    operators,
    recorded,
    retention,
    shapes,
    tensor_hooks,
    tensors,
    writes,
)
from flake8_detach.flow.calls import Args
from flake8_detach.flow.machine import fact
from flake8_detach.flow.registry import tensor_method
from flake8_detach.flow.slots import RESET
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Const,
    Label,
    Ref,
    Scalar,
    Sequence,
    Value,
    truth,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@tensor_method("detach")
def _detach(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return autograd.detach(m, node, receiver, owner, "`.detach()`")


@tensor_method("detach_")
def _detach_in_place(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    for address, tensor in m.tensors(receiver):
        autograd.detach_in_place(m, node, address, tensor, m.text(owner), receiver.some)
    return receiver


@tensor_method("resize", "resize_as")
def _resize(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    """Unlike that of an array, it leaves the tensor as it is and returns what `reshape` does."""
    op = ops.method("reshape")
    return UNKNOWN if op is None else tensors.apply(m, node, op, {"self": receiver, "*open": UNKNOWN}, m.text(owner))


@tensor_method("requires_grad_")
def _requires_grad(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    asked = args.get(0, "requires_grad")
    if levels.forbid(m, node, "requires_grad_()", "the transform makes its inputs require grad"):
        return receiver
    flag = (
        None
        if args.open
        else YES
        if asked is None
        else None
        if not isinstance(asked, Const)
        else truth(bool(asked.value))
    )
    for address, tensor in m.tensors(receiver):
        autograd.require(m, node, address, tensor, flag, m.text(owner), "`.requires_grad_(False)`", receiver.some)
    return receiver


@tensor_method("backward")
def _backward(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    if levels.forbid(m, node, "backward()", "return the loss, and let torch.func.grad or vjp differentiate it"):
        return NONE
    backward(m, node, receiver, owner, args)
    return NONE


def backward(m: Machine, node: cst.CSTNode, root: Value, owner: cst.CSTNode, args: Args, by: Label = "") -> None:
    """`root.backward(*args)`; `by` says what does it if that is not a call of this form."""
    create = fact(args.get(2, "create_graph"), None if args.open else False)
    retain = args.get(1, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    inputs = args.get(3, "inputs")
    chosen: tuple[int, ...] | None = None
    problem = backward_arguments.inputs_problem(m, inputs)
    if inputs is not None and inputs != NONE:
        found = module_tree.parameters_in(m, inputs)
        chosen = None if found is None else tuple(found)
        if chosen is not None:
            iteration.consume(m, inputs)
    if any(tensor.grad is NO for _, tensor in m.tensors(Ref(chosen or ()))):
        problem = problem or "one of `inputs` does not require grad"
    if problem:
        backward_arguments.tell(m, node, problem)
        return
    gradient = args.get(0, "gradient") not in (None, NONE) or args.open
    seed = args.get(0, "gradient")
    autograd.backward(m, node, root, owner, "backward", keep, create, gradient, chosen, seed=seed, by=by)
    if retain == Const(True) and create is NO:
        retention.retained(m, node, root, owner)
    if create is YES and chosen is None:
        recorded.recorded(m, node, root, owner)


@tensor_method("numpy", "__array__")
def _numpy(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    forced = fact(args.kw.get("force"), None if args.open else False)
    if isinstance(node, cst.Call) and not args.open and len(node.args) > len(args.pos) + len(args.kw):
        owner = node.args[0].value  # torch.Tensor.numpy(x)
    if forced.no:
        operators.to_numpy(m, node, receiver, owner, m.text(node), element=False)
    tensor = m.tensors(receiver)[0][1]
    if forced.no and tensor.grad.yes and m.mode.grad.yes:
        return UNKNOWN  # torch raises
    of = m.tensors(receiver)
    why = m.cause("cut", "turned into a numpy array", node, m.text(owner), tensor.grad, tensor.why, of)
    return Array(tensor.dtype, NO, why, tensor.storage)


@tensor_method("__setstate__")
def _set_state(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    for address, tensor in m.tensors(receiver):
        if tensor.leaf.no and tensor.grad.yes:
            autograd.refuse(m, node, tensor, m.text(owner), f"`{m.text(owner)}` is not a leaf")
        m.change(address, shape=None, dtype=None, grad=MAYBE, leaf=MAYBE)
    return NONE


@tensor_method("__dlpack__")
def _export(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    conversions.exported(m, node, receiver, owner)
    return UNKNOWN


@tensor_method("retain_grad")
def _retain(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    if levels.forbid(m, node, "retain_grad()", "differentiate by this tensor with torch.func.vjp"):
        return NONE
    for address, tensor in m.tensors(receiver):
        autograd.retain_grad(m, node, address, tensor, m.text(owner))
    return NONE


@tensor_method("register_hook", "register_post_accumulate_grad_hook")
def _hook(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return tensor_hooks.register(m, node, receiver, called(node, ""), args, owner)


@tensor_method("dim", "ndimension")
def _dim(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    rank = m.tensors(receiver)[0][1].rank
    return Scalar("int") if rank is None or len(receiver.addresses) > 1 else Const(rank)


@tensor_method("size", "shape")
def _size(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    found = {tensor.shape for _, tensor in m.tensors(receiver)}
    shape = found.pop() if len(found) == 1 else None
    dim = args.get(0, "dim")
    if dim is None:
        return UNKNOWN if args.open else shapes.numbers(m, shape)
    at = dim.value if isinstance(dim, Const) and isinstance(dim.value, int) else None
    size = shape[at] if shape is not None and at is not None and -len(shape) <= at < len(shape) else None
    return Scalar("int") if size is None else Const(size)


@tensor_method("set_")
def _set(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    writes.tell_write(m, node, receiver, m.text(owner))
    for address, _ in m.tensors(receiver):
        m.change(address, shape=None, dtype=None, storage=m.state.address(), base=None, view="")
        m.state.set((address, RESET), m.state.address())
    return receiver


@tensor_method("share_memory_", "rename_")
def _no_write(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return receiver  # in spite of the underscore, the values stay as they are


@tensor_method("is_floating_point", "is_complex")
def _has_kind(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    kind = m.tensors(receiver)[0][1].dtype
    asked = called(node, "is_floating_point")
    return Scalar("bool") if kind is None else Const(kind == ("float" if asked == "is_floating_point" else "complex"))


@tensor_method("numel", "nelement")
def _count(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    counts = {shapes.count(tensor.shape) for _, tensor in m.tensors(receiver)}
    count = counts.pop() if len(counts) == 1 else None
    return Scalar("int") if count is None else Const(count)


@tensor_method("as_subclass")
def _as_subclass(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return UNKNOWN  # the subclass may define any method anew


def called(node: cst.CSTNode, default: str) -> str:
    """The name of the method in `x.name(...)`."""
    return node.func.attr.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else default


@tensor_method("item", "tolist", "__float__", "__int__")
def _item(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    tensor = m.tensors(receiver)[0][1]
    name = called(node, "item")
    if name != "tolist":
        conversions.number(m, node, receiver, owner)
    levels.read(m, node, receiver, f"`.{name}()`")
    what = f"turned into a Python number by `.{name}()`"
    why = m.cause("scalar", what, node, m.text(owner), tensor.grad, tensor.why, m.tensors(receiver))
    if name == "tolist" and not tensor.rank:
        return UNKNOWN
    kind = tensor.dtype if tensor.dtype in ("float", "int", "bool", "complex") else "number"
    one: Value = Scalar(kind or "number", why)
    for depth in range(tensor.rank or 0 if name == "tolist" else 0):
        made = m.new(Sequence("list", None, one))
        if depth + 1 < (tensor.rank or 0):
            m.plural.add(made.addresses[0])  # a row; it stands for all of them
        one = made
    return one


@tensor_method("clone")
def _clone(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    op = ops.method("clone")
    made: list[int] = []
    for address, _ in m.tensors(receiver):
        result = tensors.apply(m, node, op, {"self": Ref((address,))}, m.text(owner)) if op else UNKNOWN
        if not isinstance(result, Ref):
            return UNKNOWN
        made.extend(result.addresses)
    return Ref(tuple(made))


@tensor_method("conj")
def _conj(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    """Of complex numbers a view that is worked out later; others stay as they are."""
    made = []
    op = ops.method("conj")
    for address, tensor in m.tensors(receiver):
        if tensor.dtype != "complex" or op is None:
            made.append(address)
            continue
        result = tensors.apply(m, node, replace(op, same="", view="view"), {"self": Ref((address,))})
        if isinstance(result, Ref):
            m.change(result.addresses[0], form="" if tensor.form == "conjugated" else "conjugated")
        made.append(result.addresses[0] if isinstance(result, Ref) else address)
    return Ref(tuple(made))


@tensor_method("new_tensor")
def _new_tensor(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    from flake8_detach.flow import library

    return library.call(m, "torch.tensor", args, node)
