"""Methods that are not defined in the file, sent to where they are known: tensors, modules, containers, optimizers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    conversions,
    custom,
    custom_ctx,
    gradients,
    hooks,
    iteration,
    legacy,
    list_methods,
    missing,
    module_methods,
    modules,
    optimizers,
    records,
    strings,
    suspects,
    tensor_methods,
    tensors,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.registry import TENSOR_METHODS
from flake8_detach.flow.values import (
    MAYBE,
    UNKNOWN,
    Array,
    Class,
    Const,
    Foreign,
    Function,
    Instance,
    Layer,
    Mapping_,
    Method,
    Ref,
    Scalar,
    Sequence,
    Super,
    Thing,
    Tuple,
    Value,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def call(m: Machine, node: cst.CSTNode, method: Method, args: Args) -> Value:
    """Call `method.receiver.<name>(...)`."""
    receiver, name = method.receiver, method.name
    if name == "backward" and not_a_tensor(m, receiver):
        autograd.backward(m, node, receiver, receiver_node(node), "backward", MAYBE, MAYBE, False)
        return UNKNOWN
    if name == "*property":
        from flake8_detach.flow import calls

        return calls.call(m, calls.call(m, receiver, Args([]), node), args, node)
    if m.is_tensor(receiver):
        assert isinstance(receiver, Ref)
        return _of_tensor(m, node, receiver, name, args)
    if isinstance(receiver, Super):
        return module_methods.of_super(m, node, receiver, name, args)
    if isinstance(receiver, Tuple) and name in ("index", "count"):
        return Scalar("int")
    if (
        isinstance(receiver, Tuple)
        and receiver.names
        and (record := records.method(m, receiver, name, args)) is not None
    ):
        return record
    if isinstance(receiver, (Const, Scalar)):
        if name == "format" and isinstance(receiver, Const) and isinstance(receiver.value, str):
            conversions.braces(m, node, receiver.value, args)
            return strings.braces(receiver.value, None if args.open or args.kw else args.pos)
        if isinstance(receiver, Const) and isinstance(receiver.value, str) and not (args.kw or args.open):
            worked_out = strings.method(receiver.value, name, args.pos)
            return worked_out or _of_scalar(receiver, name)
        return _of_scalar(receiver, name)
    if isinstance(receiver, Array):
        if name == "item":
            return Scalar("number", receiver.why)
        kept = name in ("copy", "astype", "reshape", "ravel", "flatten", "transpose", "squeeze", "clip", "repeat")
        return UNKNOWN if name == "tolist" else Array(None, receiver.scalar if kept else MAYBE, receiver.why)
    if receiver == tensors.BATCH:
        return receiver
    if isinstance(receiver, Foreign):
        from flake8_detach.flow import library

        library.convert_arguments(m, f"{receiver.name}.{name}", args, node)
        return receiver
    if isinstance(receiver, Class) and custom_ctx.is_function(receiver):
        return custom.call_method(m, receiver, name, args, node)
    cell = m.cell(receiver)
    if isinstance(cell, Sequence):
        return list_methods.of_sequence(m, node, receiver, cell, name, args)
    if isinstance(cell, Mapping_):
        return list_methods.of_mapping(m, node, receiver, cell, name, args)
    if isinstance(cell, (Layer, Instance)) and modules.is_module(m, receiver):
        assert isinstance(receiver, Ref)
        return module_methods.of_module(m, node, receiver, name, args)
    if modules.is_optimizer(m, receiver):
        return optimizers.call(m, node, receiver, name, args)
    if isinstance(cell, Thing):
        from flake8_detach.flow import library

        return library.thing_method(m, node, receiver, cell, name, args)
    if isinstance(receiver, Ref) and len(receiver.addresses) > 1:
        results = [call(m, node, Method(Ref((a,), receiver.some), name), args) for a in receiver.addresses]
        return iteration.common(m, results)
    escape(m, [receiver, *args.values()])
    return UNKNOWN


def not_a_tensor(m: Machine, value: Value) -> bool:
    """Has the value certainly no `backward`?"""
    if isinstance(value, (Const, Scalar, Tuple, Array, Function)):
        return True
    cell = m.cell(value)
    if isinstance(cell, Instance):
        return modules.lacks(m, value, "backward")
    return isinstance(cell, (Sequence, Mapping_)) or (isinstance(cell, Layer) and cell.kind.startswith("torch.nn."))


def receiver_node(node: cst.CSTNode) -> cst.CSTNode:
    """The expression `x` of a call `x.name(...)`."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.value
    return node


def _of_tensor(m: Machine, node: cst.CSTNode, receiver: Ref, name: str, args: Args) -> Value:
    owner = receiver_node(node)
    if m.patched and m.is_patched(f"torch.Tensor.{name}"):
        escape(m, [receiver, *args.values()])
        return UNKNOWN
    if missing.removed_method(m, node, name) or missing.keywords(m, node, f"Tensor.{name}", args):
        return UNKNOWN
    legacy.called(m, node, f"Tensor.{name}", args)
    if m.lazy and any(missing.unset(m, node, address, name) for address in receiver.addresses):
        return UNKNOWN
    special = TENSOR_METHODS.get(name)
    if special is not None:
        return special(m, node, receiver, args, owner)
    op = ops.method(name)
    if op is None:
        escape(m, [receiver, *args.values()])
        return UNKNOWN
    bound = args.bind(op.params[1:] if op.params[:1] == ("self",) else op.params)
    if op.inplace:
        rounded = "rounding_mode" in args.kw or args.open
        conversions.written(m, node, name.rstrip("_"), receiver, [*args.values()], rounded)
    return tensors.apply(m, node, op, {"self": receiver, **bound}, m.text(owner))


FLOAT32 = frozenset(
    {
        "torch.ones",
        "torch.zeros",
        "torch.rand",
        "torch.randn",
        "torch.empty",
        "torch.arange",
        "torch.full",
        "torch.linspace",
        "torch.tensor",
        "parameter",
    }
)
"""Factories whose result is float32 when no dtype is given (the default dtype is hardly ever changed)."""


# A receiver that is not known


def on_unknown(m: Machine, node: cst.Call, receiver: Value, name: str, args: Args) -> Value:
    """A method of something unknown. `.detach()` is evidence of a tensor."""
    assert isinstance(node.func, cst.Attribute)
    if name == "detach" and not node.args:
        tensor = m.tensor(grad=MAYBE, leaf=MAYBE)
        return autograd.detach(m, node, tensor, node.func.value, "`.detach()`")
    if name == "backward":
        tensor_methods.backward(m, node, UNKNOWN, node.func.value, args)
        escape(m, args.values())
        return UNKNOWN
    if name in gradients.CLEARING:
        gradients.stir(m)
    if name == "remove":
        hooks.doubt(m)
    if name == "setattr":  # pytest's monkeypatch
        m.patch(args.pos)
    if name == "enter_context" and args.pos:
        from flake8_detach.flow import withs

        return withs.enter_context(m, node, args.pos[0])
    escape(m, args.values())
    if name.endswith("_"):
        suspects.written(m, node.func.value)
    elif name == "retain_grad":
        suspects.kept(m, node.func.value)
    return UNKNOWN


_STRING = frozenset(
    {"format", "join", "strip", "lower", "upper", "replace", "title", "rstrip", "lstrip", "encode", "zfill"}
)


def _of_scalar(receiver: Const | Scalar, name: str) -> Value:
    text = (isinstance(receiver, Scalar) and receiver.kind == "str") or (
        isinstance(receiver, Const) and isinstance(receiver.value, str)
    )
    if text and name in _STRING:
        return Scalar("str")
    if text and name in ("startswith", "endswith", "isdigit"):
        return Scalar("bool")
    return UNKNOWN
