"""`to`, `float`, `type`: when a cast copies, and when it cuts the gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    conversions,
    membership,
    methods,
    module_tree,
    tensor_methods,
    tensors,
    told,
)
from flake8_detach.flow.calls import Args
from flake8_detach.flow.machine import fact
from flake8_detach.flow.registry import model, tensor_method
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    SOME,
    UNKNOWN,
    YES,
    Const,
    Dtype,
    Ref,
    Tensor,
    Value,
)
from flake8_detach.knowledge import meaning, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@tensor_method(
    "to",
    "type",
    "cuda",
    "cpu",
    "float",
    "double",
    "half",
    "bfloat16",
    "long",
    "int",
    "short",
    "bool",
    "byte",
    "char",
    "contiguous",
    "type_as",
)
def _cast(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    """Moves and casts: the very same tensor if nothing changes, else a copy that is connected unless it is integer."""
    name = tensor_methods.called(node, "to")
    kind = _cast_kind(name, args)
    op = ops.method(name) if name != "type" else ops.method("to")
    if op is None:
        return UNKNOWN
    made = []
    if name == "to" and not args.pos and not args.kw and not args.open and spelled(node, "to"):
        return receiver
    for address, tensor in m.tensors(receiver):
        target = kind or (tensor.dtype if name in ("cuda", "cpu", "contiguous") or _device_only(m, args) else None)
        if kind is not None and tensor.dtype == kind and kind in ("int", "bool"):
            made.append(address)  # same kind: no gradient before, none after
            continue
        if _stays(m, name, args, tensor):
            made.append(address)
            continue
        bound = {"self": Ref((address,))}
        changes = target in ("int", "bool") or _surely_changes(m, name, args, tensor, target)
        made_by = replace(op, graph="yes", dtype="same", same="" if changes else "maybe", when=())
        result = tensors.apply(m, node, made_by, bound, m.text(owner))
        if not isinstance(result, Ref):
            return UNKNOWN
        copy = result.addresses[0]
        if _may_move(m, name, args, tensor):
            m.state.set((copy, membership.MOVED), MAYBE)
        elif m.state.get((address, membership.MOVED)) is MAYBE:
            m.state.set((copy, membership.MOVED), MAYBE)
            m.refine(copy, made=tensor.made)  # it was that which moved it
        if target in ("int", "bool"):
            lost = m.state.cell(copy).grad if tensor.grad.no else tensor.grad  # type: ignore[union-attr]
            why = (
                tensor.why
                if tensor.grad.no
                else m.cause(
                    "cut",
                    f"cast to {target} by `{m.text(node)}`",
                    node,
                    m.text(owner),
                    lost,
                    tensor.why,
                    [(address, tensor)],
                )
            )
            m.refine(copy, grad=NO, leaf=YES, node=None, dtype=target, why=why, shape=tensor.shape)
        elif changes:
            m.refine(
                copy, dtype=target, leaf=~(tensor.grad & m.mode.grad), storage=m.state.address(), shape=tensor.shape
            )
        else:
            if tensor.parameter or m.state.get((address, module_tree.PERHAPS)) is not None:
                m.state.set((copy, module_tree.PERHAPS), YES)
            # it may be the very same tensor: then everything that is known of it still holds, also its gradient
            if tensor.leaf.yes and tensor.grad.yes:
                m.refine(copy, leaf=MAYBE, dtype=target, shape=tensor.shape)
                m.escaped.add(copy)
            else:
                m.refine(copy, dtype=target, shape=tensor.shape)
        stays = name in ("cpu", "cuda", "contiguous") or _device_only(m, args)
        conversions.form(
            m,
            Ref((copy,)),
            "Tensor.cpu" if stays else "Tensor.to",
            {"": Ref((address,)), **{str(i): v for i, v in enumerate(args.values())}},
        )
        m.refine(copy, **_now(m, name, args))
        made.append(copy)
    return Ref(tuple(made))


def spelled(node: cst.CSTNode, name: str) -> bool:
    """Is the method called by its name? A method that is chosen by the run stands for all casts there are."""
    return isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == name


def _stays(m: Machine, name: str, args: Args, tensor: Tensor) -> bool:
    """Is it surely the very same tensor? A leaf that torch made with its defaults is on the CPU and contiguous."""
    if tensor.device != "cpu" or args.open or args.kw.keys() - {"device"}:
        return False
    if name == "contiguous":
        # what an op computed without a graph is a leaf as well, and may lie as a transposed operand lay
        return tensor.leaf.yes and not tensor.view and not args.pos and tensor.made in methods.FLOAT32
    asked = [told.device(m, value) for value in args.values()]
    return (name == "cpu" and not args.pos) or (name == "to" and asked == ["cpu"])


def _may_move(m: Machine, name: str, args: Args, tensor: Tensor) -> bool:
    """May the cast give another tensor? What torch makes is float32 and on the CPU, unless it is told otherwise.

    What the program has told already, and the engine does not know, may be what is asked for here.
    """
    device, precision = tensor.device or "cpu", tensor.precision or "float32"
    if name == "cuda":
        return device not in ("cuda", SOME)
    if name in told.FLOATS:
        return precision not in (told.FLOATS[name], SOME)
    if name != "to":
        return False
    for value in args.values():
        if isinstance(value, Const) and isinstance(value.value, bool):
            continue  # non_blocking, copy
        if kind := told.precision(value):
            if precision not in (kind, SOME):
                return True
        elif place := told.device(m, value):
            if device not in (place, SOME):
                return True
        elif m.is_tensor(value):
            others = [(t.device or "cpu", t.precision or "float32") for _, t in m.tensors(value)]
            if any(SOME not in (a, b) and a != b for o in others for a, b in zip((device, precision), o, strict=True)):
                return True
        elif SOME not in (device, precision):
            return True
    return False


def _now(m: Machine, name: str, args: Args) -> dict[str, str]:
    """`device` and `precision` of what a cast gives, as far as it was asked for them."""
    if name in ("cuda", "cpu"):
        return {"device": name}
    if name in told.FLOATS:
        return {"precision": told.FLOATS[name]}
    found: dict[str, str] = {}
    for value in args.values() if name in ("to", "type", "type_as") else ():
        if kind := told.precision(value):
            found["precision"] = kind
        elif place := told.device(m, value):
            found["device"] = place
        elif not (isinstance(value, Const) and isinstance(value.value, bool)):
            found = {"device": SOME, "precision": SOME, **found}
    return found


def _cast_kind(name: str, args: Args) -> Dtype | None:
    if name in meaning.KINDS:
        return meaning.KINDS[name]
    if name == "byte" or name == "char":
        return "int"
    given = [*args.pos, *args.kw.values()]
    for value in given:
        kind = tensors.dtype_of(value)
        if kind is not None:
            return kind
        if isinstance(value, Const) and value.value == "torch.LongTensor":
            return "int"
    return None


def float_dtype(name: str, args: Args) -> str | None:
    """The dtype of floats that `x.double()` or `x.to(torch.float64)` asks for, if it can be told."""
    if name in told.FLOATS:
        return told.FLOATS[name]
    asked = {told.precision(value) for value in args.values()} - {""}
    return asked.pop() if len(asked) == 1 else None


def _device_only(m: Machine, args: Args) -> bool:
    return (
        bool(args.pos)
        and isinstance(args.pos[0], Const)
        and isinstance(args.pos[0].value, (str, int))
        and len(args.pos) == 1
    )


DEFAULT = (0, "default dtype")
"""Set once the program has chosen another default dtype."""


@model("torch.set_default_dtype", "torch.set_default_tensor_type")
def _set_default(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    m.state.set(DEFAULT, YES)
    return NONE


def _surely_changes(m: Machine, name: str, args: Args, tensor: Tensor, target: str | None) -> bool:
    """Is the result certainly another tensor? A float leaf that torch made is float32 unless told otherwise."""
    if fact(args.kw.get("copy"), False).yes:
        return True
    asked = float_dtype(name, args)
    if asked is not None and tensor.dtype == "float":
        if tensor.precision not in ("", SOME):
            return tensor.precision != asked
        single = tensor.made in methods.FLOAT32 and m.state.get(DEFAULT) is None
        return single and asked != "float32"
    return tensor.dtype is not None and target is not None and tensor.dtype != target
