"""torch.autograd.functional and gradcheck: a function of the file is run on leaves of its own.

Sources: torch/autograd/functional.py and gradcheck.py of torch 2.13.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import graph_walk, iteration, levels, pytrees, transforms
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.levels import refuse
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Cause,
    Const,
    Ref,
    Shape,
    Tensor,
    Tuple,
    Value,
)
from flake8_detach.knowledge import transforms as known

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

HOME = "torch.autograd.functional."
SINGLE = ("jvp", "vhp", "hvp")
"""`v` may be missing if the input is one element (functional.py); for `vjp`, if the output is."""
ONE_NUMBER = ("hessian", "vhp", "hvp")
"""The function returns one tensor with one element."""


def call(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    """`jacobian(f, x)` and its like."""
    given = args.bind(known.EAGER[name])
    function, inputs = given.get("func", UNKNOWN), given.get("inputs")
    if "*open" in given or inputs is None:
        escape(m, args.values())
        return UNKNOWN
    short = name.removeprefix(HOME)
    inputs = _counted(m, inputs)
    if not transforms.contract(m, name, given, node) or transforms.uncallable(m, name, function, node):
        return UNKNOWN
    if not _tensors(m, name, "inputs", inputs, node):
        return UNKNOWN
    many = list(inputs.items) if isinstance(inputs, Tuple) else [inputs]
    if not all(transforms.differentiable(m, name, value, node) for value in many):
        return UNKNOWN
    if levels.forbid(m, node, short, "use torch.func instead"):
        return UNKNOWN
    v = _counted(m, given.get("v", NONE))
    if not _vector(m, name, short, v, inputs, node):
        return UNKNOWN
    forward = Const("forward-mode") in (given.get("strategy"), given.get("outer_jacobian_strategy"))
    if forward and short == "jacobian":
        leaves = [pytrees.copied(m, value, lambda _, t: transforms.other(m, t, dual=True)) for value in many]
        traced: list[int] = []
    else:
        create = given.get("create_graph", Const(False)) != Const(False)
        leaves = [_leaf(m, value, create) for value in many]
        traced = [a for value in leaves for a in levels.refs(m, value)]
    if forward and m.state.get(levels.DUAL, NO) is YES:
        refuse(m, node, name, "forward mode is active already, and it cannot be nested", "use reverse mode")
        return UNKNOWN
    before = m.fatal
    around = transforms.level(m, "vmap", name, node) if forward else None
    result = transforms.run(m, function, Args(leaves, open=inputs == UNKNOWN), node, around, on=not forward)
    result = _counted(m, result)
    transforms.used(m, result)
    if m.fatal != before or not _output(m, name, short, result, v, inputs, node):
        return UNKNOWN
    if traced and all(m.is_tensor(item) for item in _items(result)):
        if given.get("strict", Const(False)) == Const(True):
            if not _strict(m, name, result, traced, node):
                return UNKNOWN
        elif given.get("strict", Const(False)) == Const(False):
            transforms.vanished(m, name, result, traced, node)
    connected = given.get("create_graph", Const(False)) != Const(False) or forward
    return _result(m, short, result, inputs, v, connected, node)


def _counted(m: Machine, value: Value) -> Value:
    """A tuple as one whose elements are known one by one; UNKNOWN if it is not known how many it has."""
    if kind_of(m, value) != "tuple":
        return value
    items = iteration.exact(m, value)
    return UNKNOWN if items is None else Tuple(tuple(items))


def _items(value: Value) -> tuple[Value, ...]:
    return value.items if isinstance(value, Tuple) else (value,)


def _leaf(m: Machine, value: Value, create: bool) -> Value:
    """What the function gets for an input: with create_graph a view of what requires grad, else a new leaf."""

    def make(address: int, tensor: Tensor) -> Ref:
        if create and not tensor.grad.no:
            return m.tensor(shape=tensor.shape, dtype=tensor.dtype, grad=YES, leaf=MAYBE)
        return transforms.leaf(m, tensor)

    return pytrees.copied(m, value, make)


def _tensors(m: Machine, name: str, what: str, value: Value, node: cst.CSTNode) -> bool:
    """A tensor, or a tuple of tensors? Else the rules are told."""
    kind = kind_of(m, value)
    if kind not in ("?", "tensor", "tuple"):
        refuse(m, node, name, f"`{what}` is {pytrees.article(kind)}", "pass a tensor or a tuple of tensors")
        return False
    for item in _items(value):
        kind = kind_of(m, item)
        if kind not in ("?", "tensor"):
            refuse(m, node, name, f"`{what}` holds {pytrees.article(kind)}", "pass a tensor or a tuple of tensors")
            return False
    return True


def _vector(m: Machine, name: str, short: str, v: Value, inputs: Value, node: cst.CSTNode) -> bool:
    """Is `v` there where it must be, and of the right form?"""
    if short not in (*SINGLE, "vjp"):
        return True
    if v != NONE and not _tensors(m, name, "v", v, node):
        return False
    if short == "vjp":
        return True  # it belongs to the output
    if v == NONE:
        found = [m.cell(item) for item in _items(inputs)]
        several = len(found) > 1 or (isinstance(found[0], Tensor) and found[0].several)
        if several:
            refuse(m, node, name, "`v` is missing, and the input is more than one number", "pass `v` like the input")
        return not several
    return _alike(m, name, v, inputs, "the input", node)


def _alike(m: Machine, name: str, v: Value, other: Value, what: str, node: cst.CSTNode) -> bool:
    """Has `v` as many tensors, of the same shapes, as the input or output that it goes with?"""
    if any(kind_of(m, x) == "?" for x in (v, other)):
        return True
    one, two = _items(v), _items(other)
    if len(one) != len(two):
        counts = f"{len(one)} tensor{'' if len(one) == 1 else 's'}, and {what} is {len(two)}"
        refuse(m, node, name, f"`v` is {counts}", f"pass as many as {what} has")
        return False
    pair = pytrees.unlike(m, Tuple(one), Tuple(two))
    if pair is not None:
        refuse(m, node, name, f"`v` and {what} have different shapes")
    return pair is None


def _output(m: Machine, name: str, short: str, result: Value, v: Value, inputs: Value, node: cst.CSTNode) -> bool:
    """Is what the function returned what is asked of it?"""
    kind = kind_of(m, result)
    if kind == "?":
        return False
    wrong = kind if kind not in ("tensor", "tuple") else ""
    wrong = wrong or next((k for item in _items(result) if (k := kind_of(m, item)) not in ("?", "tensor")), "")
    if wrong:
        refuse(m, node, name, f"the function returns {pytrees.article(wrong)}", "return a tensor")
        return False
    if short in ONE_NUMBER and isinstance(result, Tuple):
        refuse(m, node, name, "the function returns a tuple", "return one tensor with one element")
        return False
    cells = [m.cell(item) for item in _items(result)]
    several = any(isinstance(c, Tensor) and c.several for c in cells)
    if short in ONE_NUMBER and several:
        refuse(m, node, name, "the function returns a tensor of several elements", "return a scalar, as `.sum()` does")
        return False
    if short != "vjp":
        return True
    if v == NONE and (several or len(cells) != 1):
        refuse(m, node, name, "`v` is missing, and the output is more than one number", "pass `v` like the output")
        return False
    return v == NONE or _alike(m, name, v, result, "the output", node)


def _strict(m: Machine, name: str, result: Value, traced: list[int], node: cst.CSTNode) -> bool:
    """strict=True: every output must hang on every input."""
    for item in _items(result):
        for address, tensor in m.tensors(item):
            if tensor.grad.no:
                refuse(m, node, name, "strict=True, and an output does not require grad", "compute it from the inputs")
                return False
            if any(graph_walk.reaches(m, address, tensor, a, t) is NO for a in traced for _, t in m.tensors(Ref((a,)))):
                refuse(m, node, name, "strict=True, and an output does not depend on an input")
                return False
    return True


def _result(
    m: Machine, short: str, result: Value, inputs: Value, v: Value, connected: bool, node: cst.CSTNode
) -> Value:
    """What comes back: a derivative, and the output of the function with it. Without create_graph both are detached."""
    output = [p for item in _items(result) for p in m.tensors(item)]
    of = [*output, *(p for value in (inputs, v) for item in _items(value) for p in m.tensors(item))]
    what = f"by `{short}` without `create_graph=True`"
    slope = None if connected else m.cause("gradient", f"computed {what}", node, "", YES, None, of)
    value = None if connected else m.cause("cut", f"cut {what}", node, "", YES, None, output)

    def made(shape: Shape | None, tensor: Tensor, why: Cause | None = slope) -> Ref:
        if connected:
            return pytrees.derived(m, shape, tensor.dtype)
        return m.tensor(grad=NO, leaf=YES, shape=shape, dtype=tensor.dtype, why=why, made="grad")

    def like(other: Value, why: Cause | None = slope) -> Value:
        return pytrees.copied(m, other, lambda _, t: made(t.shape, t, why))

    if short in ("vjp", "vhp", "hvp"):
        return Tuple((like(result, value), like(inputs)))
    if short == "jvp":
        return Tuple((like(result, value), like(result)))
    rows = inputs if short == "hessian" else result
    return _nested(rows, lambda row: _nested(inputs, lambda column: _block(m, row, column, made)))


def _nested(value: Value, make: Callable[[Value], Value]) -> Value:
    """A tuple of what is made of each element, or what is made of the one value."""
    return Tuple(tuple(make(item) for item in value.items)) if isinstance(value, Tuple) else make(value)


def _block(m: Machine, row: Value, column: Value, made: Callable[[Shape | None, Tensor], Ref]) -> Value:
    """The part of a Jacobian that belongs to one output and one input."""
    a, b = m.cell(row), m.cell(column)
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return UNKNOWN
    return made(None if a.shape is None or b.shape is None else (*a.shape, *b.shape), b)


# gradcheck


def gradcheck(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    """`gradcheck(f, inputs)`."""
    given = args.bind(known.EAGER[name])
    function, inputs = given.get("func", UNKNOWN), given.get("inputs")
    if "*open" in given or inputs is None or args.kw.get("raise_exception", Const(True)) != Const(True):
        escape(m, args.values())
        return UNKNOWN
    if transforms.uncallable(m, name, function, node):
        return UNKNOWN
    found = pytrees.inner(m, inputs)
    items = found[1] if found else [inputs]
    if all(kind_of(m, item) not in ("?", "tuple", "list", "dict") for item in items):
        cells = [t for item in items for _, t in m.tensors(item)]
        if all(t.grad is NO for t in cells):
            refuse(m, node, name, "none of the inputs requires grad", "call `.requires_grad_()` on those to check")
            return UNKNOWN
        if any(_overlaps(m, t) for t in cells if t.grad is YES):
            refuse(m, node, name, "an input is expanded: its elements share memory", "pass a clone of it")
            return UNKNOWN
        usual = "eps" not in given and "atol" not in given and m.state.get(DEFAULT_DTYPE) is None
        # who calls from outside may have chosen another default
        if m.visit is None and usual and any(map(_single, cells)):
            refuse(m, node, name, "an input is float32, too coarse for the check", "use `dtype=torch.float64`")
            return UNKNOWN
    result = transforms.run(m, function, Args(items), node, None)
    transforms.used(m, result)
    wrong = next((k for v in pytrees.leaves(m, result) if (k := kind_of(m, v)) not in transforms.AUX), None)
    if wrong is not None:
        refuse(m, node, name, f"the function returns {pytrees.article(wrong)}, not a tensor", "return tensors only")
    return Const(True)


SINGLE_PRECISION = frozenset(f"torch.{n}" for n in ("ones", "zeros", "rand", "randn", "full", "linspace", "eye"))
"""Factories whose result is float32 unless a dtype is given (`Tensor.made` tells) or the default is another one."""
DEFAULT_DTYPE = (0, "default dtype")


def _single(tensor: Tensor) -> bool:
    return tensor.grad is YES and tensor.dtype == "float" and tensor.made in SINGLE_PRECISION


def _overlaps(m: Machine, tensor: Tensor) -> bool:
    """Was it expanded to more elements than it has in memory?"""
    return tensor.made in ("Tensor.expand", "torch.broadcast_to") and tensor.view != "" and tensor.several


@model("torch.set_default_dtype", "torch.set_default_tensor_type")
def _default_dtype(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    m.state.set(DEFAULT_DTYPE, YES)
    return NONE


def _register() -> None:
    for name in known.EAGER:
        if name.startswith(HOME):
            model(name)(lambda m, args, node, name=name: call(m, name, args, node))  # type: ignore[misc]
        else:
            model(name)(lambda m, args, node, name=name: gradcheck(m, name, args, node))  # type: ignore[misc]


_register()
