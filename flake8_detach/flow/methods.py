"""Methods that are not defined in the file: of tensors, modules, optimizers, containers, arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    backward_arguments,
    conversions,
    custom,
    gradients,
    hidden,
    hooks,
    iteration,
    legacy,
    levels,
    membership,
    missing,
    module_hooks,
    modules,
    operators,
    optimizers,
    registration,
    retention,
    tensor_hooks,
    tensors,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.machine import fact
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Class,
    Const,
    Dtype,
    External,
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
    Tensor,
    Thing,
    Truth,
    Tuple,
    Unknown,
    Value,
    truth,
)
from flake8_detach.knowledge import layers, meaning, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

TensorMethod = Callable[["Machine", cst.CSTNode, Ref, Args, cst.CSTNode], Value]
TENSOR: dict[str, TensorMethod] = {}
"""Tensor methods that do more than an op."""


def tensor_method(*names: str) -> Callable[[TensorMethod], TensorMethod]:
    def add(function: TensorMethod) -> TensorMethod:
        TENSOR.update(dict.fromkeys(names, function))
        return function

    return add


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
        return _of_super(m, node, receiver, name, args)
    if isinstance(receiver, Tuple) and name in ("index", "count"):
        return Scalar("int")
    if isinstance(receiver, (Const, Scalar)):
        if name == "format" and isinstance(receiver, Const) and isinstance(receiver.value, str):
            conversions.braces(m, node, receiver.value, args)
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
    if isinstance(receiver, Class) and custom.is_function(receiver):
        return custom.call_method(m, receiver, name, args, node)
    cell = m.cell(receiver)
    if isinstance(cell, Sequence):
        return _of_sequence(m, node, receiver, cell, name, args)
    if isinstance(cell, Mapping_):
        return _of_mapping(m, node, receiver, cell, name, args)
    if isinstance(cell, (Layer, Instance)) and modules.is_module(m, receiver):
        assert isinstance(receiver, Ref)
        return of_module(m, node, receiver, name, args)
    if modules.is_optimizer(m, receiver):
        return optimizers.call(m, node, receiver, name, args)
    if isinstance(cell, Thing):
        from flake8_detach.flow import library

        return library.thing_method(m, node, receiver, cell, name, args)
    if isinstance(receiver, Ref) and len(receiver.addresses) > 1:
        results = [call(m, node, Method(Ref((a,)), name), args) for a in receiver.addresses]
        return iteration.common(m, results)
    escape(m, [receiver, *args.values()])
    return UNKNOWN


def not_a_tensor(m: Machine, value: Value) -> bool:
    """Has the value certainly no `backward`?"""
    if isinstance(value, (Const, Scalar, Tuple, Array, Function)):
        return True
    cell = m.cell(value)
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
    special = TENSOR.get(name)
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


@tensor_method("detach")
def _detach(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return autograd.detach(m, node, receiver, owner, "`.detach()`")


@tensor_method("detach_")
def _detach_in_place(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    for address, tensor in m.tensors(receiver):
        autograd.detach_in_place(m, node, address, tensor, m.text(owner))
    return receiver


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
        autograd.require(m, node, address, tensor, flag, m.text(owner), "`.requires_grad_(False)`")
    return receiver


@tensor_method("backward")
def _backward(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    if levels.forbid(m, node, "backward()", "return the loss, and let torch.func.grad or vjp differentiate it"):
        return NONE
    backward(m, node, receiver, owner, args)
    return NONE


def backward(m: Machine, node: cst.CSTNode, root: Value, owner: cst.CSTNode, args: Args) -> None:
    """`root.backward(*args)`."""
    create = fact(args.get(2, "create_graph"), None if args.open else False)
    retain = args.get(1, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    inputs = args.get(3, "inputs")
    chosen: tuple[int, ...] | None = None
    problem = backward_arguments.inputs_problem(m, inputs)
    if inputs is not None and inputs != NONE:
        found = modules.parameters_in(m, inputs)
        chosen = None if found is None else tuple(found)
        if chosen is not None:
            iteration.consume(m, inputs)
    if any(tensor.grad is NO for _, tensor in m.tensors(Ref(chosen or ()))):
        problem = problem or "one of `inputs` does not require grad"
    if problem:
        backward_arguments.tell(m, node, problem)
        return
    gradient = args.get(0, "gradient") not in (None, NONE) or args.open
    autograd.backward(m, node, root, owner, "backward", keep, create, gradient, chosen, seed=args.get(0, "gradient"))
    if retain == Const(True) and create is NO:
        retention.retained(m, node, root, owner)


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
    return tensor_hooks.register(m, node, receiver, _called(node, ""), args, owner)


@tensor_method("dim", "ndimension")
def _dim(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    rank = m.tensors(receiver)[0][1].rank
    return Scalar("int") if rank is None or len(receiver.addresses) > 1 else Const(rank)


@tensor_method("size", "shape")
def _size(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return Scalar("int") if args.pos or args.kw else UNKNOWN


@tensor_method("set_")
def _set(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    tensors.tell_write(m, node, receiver, m.text(owner))
    for address, _ in m.tensors(receiver):
        m.change(address, shape=None, dtype=None, storage=m.state.address(), base=None, view="")
    return receiver


@tensor_method("share_memory_", "rename_")
def _no_write(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return receiver  # in spite of the underscore, the values stay as they are


@tensor_method("is_floating_point", "is_complex")
def _has_kind(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    kind = m.tensors(receiver)[0][1].dtype
    asked = _called(node, "is_floating_point")
    return Scalar("bool") if kind is None else Const(kind == ("float" if asked == "is_floating_point" else "complex"))


@tensor_method("as_subclass")
def _as_subclass(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    return UNKNOWN  # the subclass may define any method anew


def _called(node: cst.CSTNode, default: str) -> str:
    """The name of the method in `x.name(...)`."""
    return node.func.attr.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else default


@tensor_method("item", "tolist", "__float__", "__int__")
def _item(m: Machine, node: cst.CSTNode, receiver: Ref, args: Args, owner: cst.CSTNode) -> Value:
    tensor = m.tensors(receiver)[0][1]
    name = _called(node, "item")
    if name != "tolist":
        conversions.number(m, node, receiver, owner)
    levels.read(m, node, receiver, f"`.{name}()`")
    what = f"turned into a Python number by `.{name}()`"
    why = m.cause("scalar", what, node, m.text(owner), tensor.grad, tensor.why, m.tensors(receiver))
    if name == "tolist" and tensor.rank != 1:
        return UNKNOWN
    kind = tensor.dtype if tensor.dtype in ("float", "int", "bool", "complex") else "number"
    one = Scalar(kind or "number", why)
    return m.new(Sequence("list", None, one)) if name == "tolist" else one


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
    name = _called(node, "to")
    kind = _cast_kind(name, args)
    op = ops.method(name) if name != "type" else ops.method("to")
    if op is None:
        return UNKNOWN
    made = []
    for address, tensor in m.tensors(receiver):
        target = kind or (tensor.dtype if name in ("cuda", "cpu", "contiguous") or _device_only(m, args) else None)
        if kind is not None and tensor.dtype == kind and kind in ("int", "bool"):
            made.append(address)  # same kind: no gradient before, none after
            continue
        bound = {"self": Ref((address,))}
        result = tensors.apply(
            m, node, replace(op, graph="yes", dtype="same", same="maybe", when=()), bound, m.text(owner)
        )
        if not isinstance(result, Ref):
            return UNKNOWN
        copy = result.addresses[0]
        changes = _surely_changes(m, name, args, tensor, target)
        if name in ("cuda", "double", "half", "bfloat16") or (name == "to" and _may_move(args)):
            m.state.set((copy, membership.MOVED), MAYBE)
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
            m.change(copy, grad=NO, leaf=YES, node=None, dtype=target, why=why, shape=tensor.shape)
        elif changes:
            m.change(
                copy, dtype=target, leaf=~(tensor.grad & m.mode.grad), storage=m.state.address(), shape=tensor.shape
            )
        else:
            # it may be the very same tensor: then everything that is known of it still holds, also its gradient
            if tensor.leaf.yes and tensor.grad.yes:
                m.change(copy, leaf=MAYBE, dtype=target, shape=tensor.shape)
                m.escaped.add(copy)
            else:
                m.change(copy, dtype=target, shape=tensor.shape, view=tensor.view, base=tensor.base)
        stays = name in ("cpu", "cuda", "contiguous") or _device_only(m, args)
        conversions.form(
            m,
            Ref((copy,)),
            "Tensor.cpu" if stays else "Tensor.to",
            {"": Ref((address,)), **{str(i): v for i, v in enumerate(args.values())}},
        )
        if name == "cuda":
            m.change(copy, device="cuda")
        made.append(copy)
    return Ref(tuple(made))


def _may_move(args: Args) -> bool:
    """May `x.to(...)` of a tensor that torch made with its defaults, on the CPU, be another tensor?"""
    stays = (Const("cpu"), External("torch.float32"), External("torch.float"), Const(True), Const(False))
    return any(value not in stays for value in args.values())


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


def _device_only(m: Machine, args: Args) -> bool:
    return (
        bool(args.pos)
        and isinstance(args.pos[0], Const)
        and isinstance(args.pos[0].value, (str, int))
        and len(args.pos) == 1
    )


def _surely_changes(m: Machine, name: str, args: Args, tensor: Tensor, target: str | None) -> bool:
    """Is the result certainly another tensor? A float leaf that torch made is float32 unless told otherwise."""
    if fact(args.kw.get("copy"), False).yes:
        return True
    if name in ("double", "half", "bfloat16"):
        return tensor.made in _FLOAT32 and tensor.dtype == "float"
    names = {v.name.rpartition(".")[2] for v in args.values() if hasattr(v, "name")}
    if names & {"float64", "double", "float16", "half", "bfloat16"}:
        return tensor.made in _FLOAT32 and tensor.dtype == "float"
    return tensor.dtype is not None and target is not None and tensor.dtype != target


_FLOAT32 = frozenset(
    {
        "torch.ones",
        "torch.zeros",
        "torch.rand",
        "torch.randn",
        "torch.empty",
        "torch.linspace",
        "torch.tensor",
        "parameter",
    }
)
"""Factories whose result is float32 when no dtype is given (the default dtype is hardly ever changed)."""


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


# A receiver that is not known

ONLY_TENSORS = frozenset({"detach", "requires_grad_", "retain_grad", "backward"})


def on_unknown(m: Machine, node: cst.Call, receiver: Value, name: str, args: Args) -> Value:
    """A method of something unknown. `.detach()` is evidence of a tensor."""
    assert isinstance(node.func, cst.Attribute)
    if name == "detach" and not node.args:
        tensor = m.tensor(grad=MAYBE, leaf=MAYBE)
        return autograd.detach(m, node, tensor, node.func.value, "`.detach()`")
    if name == "backward":
        if isinstance(receiver, Unknown) and receiver.number is not None and receiver.since == m.doubts:
            backward_arguments.tell_number(m, node, receiver.number)
        backward(m, node, UNKNOWN, node.func.value, args)
        escape(m, args.values())
        return UNKNOWN
    if name == "manual_backward" and args.pos:
        autograd.backward(m, node, args.pos[0], args.node(0, "loss", node), "backward", MAYBE, MAYBE, False)
        return UNKNOWN
    if name in gradients.CLEARING:
        gradients.stir(m)
    if name == "remove":
        hooks.doubt(m)
    if name == "setattr":  # pytest's monkeypatch
        m.patch(args.pos)
    if name == "enter_context" and args.pos:
        from flake8_detach.flow import interpreter

        return interpreter.enter_context(m, node, args.pos[0])
    escape(m, args.values())
    return UNKNOWN


# Modules


def of_module(m: Machine, node: cst.CSTNode, receiver: Ref, name: str, args: Args) -> Value:
    """A method that nn.Module defines."""
    address = receiver.addresses[0]
    cell = m.state.cell(address)
    if missing.keywords(m, node, f"Module.{name}", args):
        return UNKNOWN
    legacy.called(m, node, f"Module.{name}", args)
    if name in ("parameters", "named_parameters"):
        m.ledger.asked[address] = cell.kind if isinstance(cell, Layer) else getattr(cell, "cls", None)
        deep = fact(args.get(0 if name == "parameters" else 1, "recurse"), True)
        found = (
            modules.parameters(m, receiver) if deep.yes else Ref(tuple(a for a in modules.tree(m, receiver).parameters))
        )
        if name == "parameters":
            return modules.each(m, found)
        return m.new(Sequence("generator", None, Tuple((Scalar("str"), found)), each=True, filled=YES))
    if name in ("children", "modules", "named_children", "named_modules"):
        return _submodules(m, receiver, name)
    if name in ("train", "eval"):
        modules.set_training(m, receiver, args.get(0, "mode") or Const(True) if name == "train" else Const(False))
        return receiver
    if name in (
        "to",
        "cuda",
        "cpu",
        "float",
        "double",
        "half",
        "bfloat16",
        "type",
        "share_memory",
        "to_empty",
    ):
        return receiver
    if name == "requires_grad_":
        asked = args.get(0, "requires_grad")
        flag = YES if asked is None else truth(bool(asked.value)) if isinstance(asked, Const) else None
        for a, t in m.tensors(modules.parameters(m, receiver)):
            autograd.require(m, node, a, t, flag, m.text(node), "`.requires_grad_(False)`")
        return receiver
    if name == "__delattr__" and args.pos and isinstance(args.pos[0], Const):
        m.state.set((address, str(args.pos[0].value)), UNKNOWN)
        return NONE
    if name == "zero_grad":
        why = m.cause("constant", "cleared by `zero_grad()`", node)
        to_none = fact(args.get(0, "set_to_none"), None if args.open else True)
        autograd.clear(m, modules.parameters(m, receiver).addresses, to_none, why)
        return NONE
    if name in ("register_buffer", "register_parameter", "add_module", "register_module"):
        key, value = (
            args.get(0, "name"),
            args.get(1, {"register_buffer": "tensor", "register_parameter": "param"}.get(name, "module")),
        )
        registration.registers(m, address, name, key, value, node)
        if isinstance(value, Ref):
            m.ledger.registered.update(value.addresses)
        if isinstance(key, Const) and isinstance(key.value, str) and value is not None:
            m.state.put(address, key.value, value)
            if isinstance(cell, Layer) and cell.children is not None:
                m.state.set((address, CELL), replace(cell, children=(*cell.children, key.value)))
        elif value is not None:
            m.state.put(address, f"*registered {len(m.state.names(address))}", value)
        return NONE
    if name.startswith("register_") and "hook" in name:
        followed = module_hooks.register(m, node, receiver, name, args)
        if followed is not None:
            return followed
        if "forward" in name:
            m.state.set((address, "*hooked"), YES)
        escape(m, args.values())
        return UNKNOWN
    if name == "apply":
        from flake8_detach.flow import calls

        function = args.get(0, "fn")
        found_modules = modules.tree(m, receiver).modules
        if isinstance(function, Function) and len(found_modules) <= 40:
            for a in reversed(found_modules):
                calls.call(m, function, Args([Ref((a,))]), node)
        else:
            escape(m, [receiver])
        return receiver
    if name in ("append", "extend", "insert", "update", "pop", "keys", "values", "items"):
        return _of_container(m, receiver, name, args)
    if name == "state_dict":
        lost = YES if any(t.grad.yes for _, t in m.tensors(modules.parameters(m, receiver))) else MAYBE
        why = m.cause("cut", "detached by `state_dict()`", node, m.text(receiver_node(node)), lost)
        return m.new(Mapping_((), m.tensor(grad=NO, leaf=YES, why=why, made="state_dict"), "OrderedDict"))
    if name in ("load_state_dict", "extra_repr", "get_buffer", "buffers", "named_buffers", "type"):
        if name == "load_state_dict":
            missing.initialised(m, receiver)
            given = hidden.tensors_in(m, args.get(0, "state_dict") or UNKNOWN)
            hidden.dropped(m, node, "`load_state_dict()`", given, m.text(node))
            m.steered.update(t.storage for _, t in m.tensors(modules.parameters(m, receiver)))
        return UNKNOWN
    if name == "forward" and isinstance(cell, Layer):
        return modules.call_layer(m, receiver, cell, args, node)
    if name in ("manual_backward",) and args.pos:
        autograd.backward(m, node, args.pos[0], args.node(0, "loss", node), "backward", NO, NO, False)
        return NONE
    if name in ("log", "log_dict", "print", "save_hyperparameters"):
        return NONE
    if isinstance(cell, Layer) and not layers.layer(cell.kind):
        escape(m, [receiver, *args.values()])
    escape(m, args.values())
    return UNKNOWN


def _submodules(m: Machine, receiver: Ref, name: str) -> Value:
    if name in ("modules", "named_modules"):
        found = modules.tree(m, receiver)
        items: list[Value] = [Ref((a,)) for a in found.modules]
        complete = found.complete
    else:
        items = [v for v in modules.children(m, receiver.addresses[0]) if modules.is_module(m, v)]
        complete = modules.tree(m, receiver).complete
    if name == "named_children":
        address = receiver.addresses[0]
        named = {m.state.get((address, n)): n for n in m.state.names(address)}
        items = [Tuple((Const(named[v]) if v in named else Scalar("str"), v)) for v in items]
    elif name.startswith("named"):
        items = [Tuple((Scalar("str"), v)) for v in items]
    if not complete:
        return m.new(Sequence("generator", None, UNKNOWN))
    return m.new(Sequence("generator", tuple(items), filled=truth(bool(items))))


def _of_container(m: Machine, receiver: Ref, name: str, args: Args) -> Value:
    """ModuleList, ModuleDict, Sequential, ParameterList as containers."""
    address = receiver.addresses[0]
    cell = m.state.cell(address)
    if not isinstance(cell, Layer):
        escape(m, args.values())
        return UNKNOWN
    if cell.children is None:
        if name == "append" and args.pos:
            m.state.put(address, f"*registered {len(m.state.names(address))}", args.pos[0])
        return receiver if name in ("append", "extend") else UNKNOWN
    if name in ("keys", "values", "items"):
        pairs = [(Const(c), m.state.get((address, c), UNKNOWN)) for c in cell.children]
        chosen: list[Value] = [k if name == "keys" else v if name == "values" else Tuple((k, v)) for k, v in pairs]
        return m.new(Sequence("iterable", tuple(chosen), filled=truth(bool(chosen))))
    added = (
        [args.pos[0]]
        if name == "append" and args.pos
        else iteration.exact(m, args.pos[0])
        if name == "extend" and args.pos
        else None
    )
    if added is None:
        m.state.set((address, CELL), replace(cell, children=None))
        return UNKNOWN
    names = list(cell.children)
    for value in added:
        key = str(len(names))
        m.state.put(address, key, value)
        names.append(key)
    m.state.set((address, CELL), replace(cell, children=tuple(names)))
    return receiver


def _of_super(m: Machine, node: cst.CSTNode, receiver: Super, name: str, args: Args) -> Value:
    """`super().name(...)` where the base is not of the file."""
    instance = receiver.instance
    cell = m.cell(instance)
    if not isinstance(cell, Instance) or not isinstance(instance, Ref):
        escape(m, args.values())
        return UNKNOWN
    if name == "__init__":
        modules.initialise(m, instance, cell.cls, args, node)
        return NONE
    if name == "forward":
        base = modules.base_layer(cell.cls)
        if base is not None:
            return modules.call_layer(m, instance, Layer(base), args, node)
    if name == "__setattr__" and len(args.pos) == 2 and isinstance(args.pos[0], Const):
        m.state.put(instance.addresses[0], str(args.pos[0].value), args.pos[1])
        return NONE
    if modules.is_module(m, instance):
        return of_module(m, node, instance, name, args)
    if modules.is_optimizer(m, instance):
        return optimizers.call(m, node, instance, name, args)
    escape(m, [instance, *args.values()])
    return UNKNOWN


# Containers


def _of_sequence(m: Machine, node: cst.CSTNode, receiver: Value, cell: Sequence, name: str, args: Args) -> Value:
    assert isinstance(receiver, Ref)
    address = receiver.addresses[0]
    first = args.pos[0] if args.pos else None

    def set_to(new: Sequence) -> None:
        m.state.set((address, CELL), new)

    if name in ("append", "add", "appendleft", "extend", "extendleft", "update", "insert") and args.pos:
        m.retention.grow(m, address, args.pos[-1], node)
    elif name not in ("put", "put_nowait", "sort", "reverse", "copy", "index", "count", "__len__"):
        m.retention.shrink(address)
    if name in ("append", "add", "appendleft", "put", "put_nowait") and first is not None:
        if cell.items is not None and len(cell.items) < 64:
            items = (first, *cell.items) if name == "appendleft" else (*cell.items, first)
            set_to(replace(cell, items=items, filled=YES))
        else:
            have = iteration.common(m, list(cell.items)) if cell.items is not None else cell.element
            element = first if cell.filled is NO else have if have == first else operators._either(m, have, first)
            set_to(Sequence(cell.kind, None, element, filled=YES))
        return NONE
    if name in ("extend", "update", "extendleft") and first is not None:
        more = iteration.exact(m, first)
        if cell.items is not None and more is not None:
            set_to(replace(cell, items=(*cell.items, *more), filled=truth(bool(cell.items or more))))
        elif cell.items == ():
            inner = m.cell(first)
            each = isinstance(inner, Sequence) and inner.each
            set_to(Sequence(cell.kind, None, iteration.element(m, first), each=each, filled=iteration.filled(m, first)))
        else:
            set_to(Sequence(cell.kind, None, UNKNOWN, filled=cell.filled))
        return NONE
    if name in ("pop", "popleft", "get", "get_nowait"):
        if cell.items:
            at = (
                first.value
                if isinstance(first, Const) and isinstance(first.value, int)
                else -1
                if first is None
                else None
            )
            at = 0 if name != "pop" else at
            if at is not None and -len(cell.items) <= at < len(cell.items):
                taken = cell.items[at]
                rest = list(cell.items)
                del rest[at]
                set_to(replace(cell, items=tuple(rest), filled=truth(bool(rest))))
                return taken
        set_to(Sequence(cell.kind, None, iteration.common(m, list(cell.items)) if cell.items else cell.element))
        return iteration.element(m, receiver)
    if name == "clear":
        set_to(Sequence(cell.kind, (), filled=NO))
        return NONE
    if name in ("sort", "reverse", "rotate"):
        if cell.items is not None:
            set_to(Sequence(cell.kind, None, iteration.common(m, list(cell.items)), filled=cell.filled))
        return NONE
    if name == "copy":
        return m.new(cell)
    if name in ("index", "count", "__len__"):
        return Scalar("int")
    if name == "insert" and len(args.pos) == 2:
        have = iteration.element(m, receiver)
        set_to(
            Sequence(
                cell.kind,
                None,
                args.pos[1] if cell.filled is NO else have if have == args.pos[1] else UNKNOWN,
                filled=YES,
            )
        )
        return NONE
    if name == "remove":
        set_to(Sequence(cell.kind, None, iteration.element(m, receiver)))
        return NONE
    return UNKNOWN


def _of_mapping(m: Machine, node: cst.CSTNode, receiver: Value, cell: Mapping_, name: str, args: Args) -> Value:
    assert isinstance(receiver, Ref)
    address = receiver.addresses[0]
    values = [v for _, v in cell.items] + ([cell.rest] if cell.rest is not None else [])
    if name in ("keys", "values", "items"):
        if cell.rest is None:
            pairs = [(Const(k), v) for k, v in cell.items]
            chosen: list[Value] = [k if name == "keys" else v if name == "values" else Tuple((k, v)) for k, v in pairs]
            return m.new(Sequence("iterable", tuple(chosen), filled=truth(bool(chosen))))
        value = values[0] if all(v == values[0] for v in values) else UNKNOWN
        one: Value = UNKNOWN if name == "keys" else value if name == "values" else Tuple((UNKNOWN, value))
        return m.new(Sequence("iterable", None, one))
    if name in ("get", "pop", "setdefault"):
        key = args.pos[0] if args.pos else UNKNOWN
        found = cell.get(key.value) if isinstance(key, Const) else None
        if name == "setdefault" and found is None and isinstance(key, Const) and cell.rest is None:
            default = args.get(1, "default") or NONE
            m.state.set((address, CELL), cell.put(key.value, default))
            return default
        if found is not None:
            if name == "pop":
                m.state.set((address, CELL), Mapping_(tuple(i for i in cell.items if i[0] != key.value), cell.rest))  # type: ignore[union-attr]
            return found
        if isinstance(key, Const) and cell.rest is None:
            return args.get(1, "default") or NONE
        return UNKNOWN
    if name == "update":
        other = m.cell(args.pos[0]) if args.pos else Mapping_()
        merged = cell
        if isinstance(other, Mapping_) and other.rest is None and not args.open:
            for k, v in (*other.items, *args.kw.items()):
                merged = merged.put(k, v)
        else:
            merged = Mapping_((), UNKNOWN)
        m.state.set((address, CELL), merged)
        return NONE
    if name == "clear":
        m.state.set((address, CELL), Mapping_())
        return NONE
    if name == "copy":
        return m.new(cell)
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


__all__ = ["Mapping", "Truth", "call", "of_module", "on_unknown"]
