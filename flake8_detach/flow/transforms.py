"""torch.func: functions that are differentiated or vectorized. The function runs once, when the transform is called,
with arguments of the facts that it really gets: leaves that require grad, one sample of a batch, dual tensors.

Sources: torch/_functorch/eager_transforms.py, vmap.py, apis.py of torch 2.13.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import TYPE_CHECKING, Literal

import libcst as cst

from flake8_detach.flow import calls, custom, graph_walk, levels, linear, pytrees, terms
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.events import Vanished
from flake8_detach.flow.levels import Level, refuse
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    YES,
    Cause,
    Const,
    External,
    Mode,
    Partial,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Tuple,
    Value,
)
from flake8_detach.knowledge import transforms as known

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

KIND = "transform"
"""A function that a transform made: its name, the function under `func`, and the options that were given."""
COTANGENTS, TANGENTS = "vjp_fn", "jvp_fn"
"""What `vjp` and `linearize` return to be called: `output`, or the `primals`, that the argument must look like."""

# What is asked for


def contract(m: Machine, name: str, options: dict[str, Value], node: cst.CSTNode) -> bool:
    """Are the options such as the knowledge says? If not, the rules are told."""
    for option, value in options.items():
        words = known.choices(name, option)
        if words and isinstance(value, Const) and value.value not in words:
            either = " or ".join(f'"{w}"' for w in words)
            refuse(m, node, name, f"`{option}` is {value.value!r}", f"it is one of {either}")
            return False
        small = isinstance(value, Const) and isinstance(value.value, int) and value.value <= 0
        if (name, option) in known.POSITIVE and small:
            refuse(m, node, name, f"`{option}` must be greater than 0")
            return False
    for conflict in known.CONFLICTS if "*open" not in options else ():
        given = {o: options.get(o, Const(known.DEFAULTS[o])) for o in conflict.when}
        if conflict.function == name and all(given[o] == Const(wanted) for o, wanted in conflict.when.items()):
            refuse(m, node, name, conflict.problem, conflict.remedy)
            return False
    return True


def uncallable(m: Machine, name: str, function: Value, node: cst.CSTNode) -> bool:
    """Is a value given in the place of the function? Then the rules are told."""
    kind = kind_of(m, function)
    if kind in ("?", "function", "module"):
        return False
    refuse(m, node, name, f"it is handed a {kind}, not a function", "pass the function itself, or a lambda")
    return True


def call(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    """A transform is called: `torch.func.grad(f)`, `torch.func.vjp(f, x)`."""
    given = args.bind(known.MAKERS.get(name) or known.RUNNERS[name][: 1 if name in FREE else None])
    function = given.get("func", UNKNOWN)
    custom.transformed(m, name, function, node)
    if "*open" in given or function == UNKNOWN:
        escape(m, args.values())
        return UNKNOWN
    if not contract(m, name, given, node):
        return UNKNOWN
    if name in known.RUNNERS:
        if uncallable(m, name, function, node):
            return UNKNOWN
        if name == "torch.func.jvp":
            return _jvp(m, given, node)
        primals = Args(args.pos[1:])
        has_aux = args.kw.get("has_aux", Const(False))
        return _vjp(m, function, primals, has_aux, node) if name in _VJP else _linearize(m, function, primals, node)
    return m.new(Thing(KIND, (("name", External(name)), *given.items())))


FREE = ("torch.func.vjp", "torch.func.linearize")
_VJP = ("torch.func.vjp",)


def apply(m: Machine, thing: Thing, args: Args, node: cst.CSTNode) -> Value:
    """What a transform made is called: `torch.func.grad(f)(x)`."""
    name, function = thing.part("name"), thing.part("func")
    if not isinstance(name, External) or function is None or args.open:
        escape(m, [*args.values(), *(part for _, part in thing.parts)])
        return UNKNOWN
    if uncallable(m, name.name, function, node):
        return UNKNOWN
    if name.name == "torch.vmap":
        from flake8_detach.flow import vectorized

        return vectorized.apply(m, thing, function, args, node)
    if name.name == "torch.func.functionalize":
        return pytrees.fresh(m, run(m, function, args, node, None))
    return _differentiate(m, name.name, thing, function, args, node)


# Running


def run(m: Machine, function: Value, args: Args, node: cst.CSTNode, level: Level | None, on: bool = False) -> Value:
    """Call the function inside of `level`; on: grad mode is switched on around it."""
    mode = m.mode
    if level is not None:
        m.levels.append(level)
    if on:
        m.set_mode(Mode(YES, NO, None))
    try:
        return calls.call(m, function, args, node)
    finally:
        if level is not None:
            m.levels.pop()
        m.set_mode(mode)


def level(m: Machine, kind: Literal["grad", "vmap", "jvp"], name: str, node: cst.CSTNode, strict: bool = True) -> Level:
    return Level(kind, name, m.state.address(), node, strict)


def leaf(m: Machine, tensor: Tensor) -> Ref:
    """The leaf of its own that a function is handed for a tensor with respect to which it is differentiated."""
    return m.tensor(
        grad=YES,
        leaf=YES,
        shape=tensor.shape,
        dtype=tensor.dtype,
        parameter=tensor.parameter,
        made=tensor.made,
        batched=tensor.batched,
        dual=tensor.dual,
    )


def other(m: Machine, tensor: Tensor, dual: bool = False) -> Ref:
    """What a function is handed for any other tensor."""
    grad = NO if tensor.grad is NO else MAYBE
    facts = {"shape": tensor.shape, "dtype": tensor.dtype, "parameter": tensor.parameter, "why": tensor.why}
    return m.tensor(grad=grad, leaf=MAYBE, batched=tensor.batched, dual=dual or tensor.dual, **facts)


def used(m: Machine, value: Value) -> None:
    """What a function returned is used up by the transform: its graph is not left behind."""
    for item in pytrees.leaves(m, value):
        for _, tensor in m.tensors(item):
            m.hand_out(tensor)
            if tensor.node is not None:
                m.afterwards.started.add(tensor.node)


def indices(m: Machine, name: str, asked: Value, count: int, node: cst.CSTNode) -> list[int] | None:
    """The positions that `argnums` names; None if they are not known, or torch refuses them."""
    found = [asked] if isinstance(asked, Const) else list(asked.items) if isinstance(asked, Tuple) else None
    kind = kind_of(m, asked)
    if found is None or (isinstance(asked, Const) and not isinstance(asked.value, int)):
        if kind != "?" and not isinstance(asked, Scalar):
            refuse(m, node, name, f"`argnums` is a {kind}", "it is an int or a tuple of ints")
        return None
    if not found:
        refuse(m, node, name, "`argnums` is empty")
        return None
    if not all(isinstance(v, Const) and isinstance(v.value, int) for v in found):
        return None
    numbers = [v.value for v in found if isinstance(v, Const)]
    wrong = next((n for n in numbers if not -count <= n < count), None)
    if wrong is not None:
        given = f"{count} positional argument{'' if count == 1 else 's'}"
        refuse(m, node, name, f"`argnums` is {wrong}, and the function is called with {given}")
        return None
    chosen = [n % count for n in numbers]
    if len(set(chosen)) < len(chosen):
        refuse(m, node, name, "`argnums` names an argument twice")
        return None
    return chosen


def differentiable(m: Machine, name: str, value: Value, node: cst.CSTNode) -> bool:
    """Can one differentiate with respect to it? If not, the rules are told."""
    for item in pytrees.leaves(m, value):
        kind = kind_of(m, item)
        cell = m.cell(item)
        if isinstance(cell, Tensor) and cell.dtype in ("int", "bool"):
            refuse(m, node, name, f"it differentiates by a tensor of dtype {cell.dtype}", "use a float tensor")
            return False
        if name in _REAL and isinstance(cell, Tensor) and cell.dtype == "complex":
            refuse(m, node, name, "it takes no complex tensors")
            return False
        if kind not in ("?", "tensor", "tuple", "list", "dict"):
            refuse(m, node, name, f"it differentiates by a {kind}", "pass a tensor, or name others with `argnums`")
            return False
    return True


_REAL = frozenset({"torch.func.jacrev", "torch.func.jacfwd", "torch.func.hessian"})


# Derivatives


def _differentiate(m: Machine, name: str, thing: Thing, function: Value, args: Args, node: cst.CSTNode) -> Value:
    """grad, grad_and_value, jacrev, jacfwd, hessian."""
    chosen = indices(m, name, thing.part("argnums") or Const(0), len(args.pos), node)
    if chosen is None or not all(differentiable(m, name, args.pos[n], node) for n in chosen):
        return UNKNOWN
    forward = name in ("torch.func.jacfwd", "torch.func.hessian")
    around: list[Level] = []
    if forward:  # vmap(jvp(...)): the tangents are batched, the values are not
        if m.state.get(levels.DUAL, NO) is YES:
            refuse(m, node, name, "forward mode is active already, and it cannot be nested", "use jacrev")
            return UNKNOWN
        how = thing.part("randomness") or Const("error")
        around = [level(m, "vmap", name, node, how == Const("error")), level(m, "jvp", name, node)]
    m.levels.extend(around)
    try:
        if name == "torch.func.jacfwd":
            inside = [pytrees.copied(m, v, lambda _, t, n=n: other(m, t, n in chosen)) for n, v in enumerate(args.pos)]  # type: ignore[misc]
            traced: list[int] = []
            before, result = m.fatal, run(m, function, Args(inside, dict(args.kw)), node, None)
        else:
            inner = level(m, "grad", name, node)
            inside, traced = _wrapped(m, args.pos, chosen)
            before, result = m.fatal, run(m, function, Args(inside, dict(args.kw)), node, inner, on=True)
    finally:
        del m.levels[len(m.levels) - len(around) :]
    used(m, result)
    has_aux = thing.part("has_aux") or Const(False)
    parts = split(m, name, result, has_aux, node) if m.fatal == before else None
    if parts is None:
        return UNKNOWN
    output, aux = parts
    scalar = name in ("torch.func.grad", "torch.func.grad_and_value")
    if not (_scalar(m, name, output, node) if scalar else tensors_only(m, name, output, node, integers=forward)):
        return UNKNOWN
    if traced:
        vanished(m, name, output, traced, node)
    if scalar:
        one = isinstance(thing.part("argnums") or Const(0), Const)
        picked = [pytrees.fresh(m, args.pos[n]) for n in chosen]
        slope = picked[0] if one else Tuple(tuple(picked))
        if name == "torch.func.grad":
            return slope if aux is None else Tuple((slope, aux))
        value = pytrees.fresh(m, output)
        return Tuple((slope, value if aux is None else Tuple((value, aux))))
    jacobian = (
        matrix(m, output, args.pos[chosen[0]], twice=name == "torch.func.hessian") if len(chosen) == 1 else UNKNOWN
    )
    return jacobian if aux is None else Tuple((jacobian, aux))


def _wrapped(m: Machine, values: Seq[Value], chosen: Seq[int]) -> tuple[list[Value], list[int]]:
    """The arguments that the function gets, and the leaves among them by which it is differentiated."""
    traced: list[int] = []

    def make(tensor: Tensor) -> Ref:
        made = leaf(m, tensor)
        traced.extend(made.addresses)
        return made

    inside = [
        pytrees.copied(m, v, (lambda _, t: make(t)) if n in chosen else (lambda _, t: other(m, t)))
        for n, v in enumerate(values)
    ]
    return inside, traced


def matrix(m: Machine, output: Value, argument: Value, twice: bool = False) -> Value:
    """A Jacobian of one tensor by one tensor, or a Hessian."""
    a, b = m.cell(output), m.cell(argument)
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return UNKNOWN
    shape = None if a.shape is None or b.shape is None else (*a.shape, *b.shape, *(b.shape if twice else ()))
    return pytrees.derived(m, shape, "float" if a.dtype == "float" else None)


def split(m: Machine, name: str, result: Value, has_aux: Value, node: cst.CSTNode) -> tuple[Value, Value | None] | None:
    """Output and aux of what a function returned; None if that is not known, or is refused."""
    if has_aux == Const(False):
        return result, None
    if has_aux != Const(True):
        return None
    if isinstance(result, Tuple) and len(result.items) == 2:
        aux = pytrees.fresh(m, result.items[1])
        wrong = next((k for v in pytrees.leaves(m, result.items[1]) if (k := kind_of(m, v)) not in AUX), None)
        if wrong is not None:
            refuse(m, node, name, f"aux holds a {wrong}, and only tensors may come out", "return tensors as aux")
            return None
        return result.items[0], aux
    kind = kind_of(m, result)
    if kind in ("?",) or (isinstance(m.cell(result), Sequence) and kind == "tuple"):
        return None
    what = f"a tuple of {len(result.items)}" if isinstance(result, Tuple) else f"a {kind}"
    refuse(m, node, name, f"has_aux=True, and the function returns {what}", "return `(output, aux)`")
    return None


AUX = ("?", "tensor", "tuple", "list", "dict")


def _scalar(m: Machine, name: str, output: Value, node: cst.CSTNode) -> bool:
    """Is the output one number? False if not, or if it is not known."""
    kind = kind_of(m, output)
    cell = m.cell(output)
    if kind not in ("?", "tensor"):
        hint = "return a tensor, without `.item()`" if kind in ("float", "int", "number") else "return the loss alone"
        if kind == "tuple":
            hint = "return the loss alone, or pass has_aux=True"
        refuse(m, node, name, f"the function returns {pytrees.article(kind)}, not a tensor", hint)
        return False
    if isinstance(cell, Tensor) and cell.shape:
        dims = f"{len(cell.shape)} dimension{'' if len(cell.shape) == 1 else 's'}"
        refuse(
            m, node, name, f"the function returns a tensor with {dims}, not a scalar", "sum it, or use vjp or jacrev"
        )
        return False
    return isinstance(cell, Tensor)


def tensors_only(m: Machine, name: str, output: Value, node: cst.CSTNode, integers: bool = False) -> bool:
    """Are there only tensors in the output? False if not, or if it is not known."""
    found = list(pytrees.leaves(m, output))
    for item in found:
        kind = kind_of(m, item)
        cell = m.cell(item)
        if kind not in AUX:
            refuse(m, node, name, f"the function returns {pytrees.article(kind)}, not a tensor", "return tensors only")
            return False
        if not integers and isinstance(cell, Tensor) and cell.dtype in ("int", "bool"):
            refuse(m, node, name, f"the function returns a tensor of dtype {cell.dtype}", "return float tensors")
            return False
    if not found:
        refuse(m, node, name, "the function returns nothing")
    return bool(found) and all(m.is_tensor(item) for item in found)


def vanished(m: Machine, name: str, output: Value, traced: Seq[int], node: cst.CSTNode) -> None:
    """Does no output hang on an input? Then all derivatives are zero, and nobody says so."""
    first: Cause | None = None
    sure = YES
    for item in pytrees.leaves(m, output):
        found = m.tensors(item)
        if not found:
            return
        for address, tensor in found:
            if tensor.grad.no:
                first = first or tensor.why
                sure = sure & ~tensor.grad
                continue
            wanted = [(a, t) for a in traced for _, t in m.tensors(Ref((a,)))]
            if not tensor.grad.yes or tensor.node is None:
                return
            if all(graph_walk.reaches(m, address, tensor, a, t) is NO for a, t in wanted):
                continue
            if linear.lets_through(m, tensor.node, {}):
                return
            first = first or terms.first_zero(m, tensor.node)
    lost = first.loss if first is not None else None
    m.emit(
        Vanished,
        lost.site if lost is not None else node,
        transform=levels.short(name),
        cause=lost,
        at=node,
        sure=sure,
    )


# vjp, jvp, linearize


def _vjp(m: Machine, function: Value, args: Args, has_aux: Value, node: cst.CSTNode) -> Value:
    name = "torch.func.vjp"
    if not all(differentiable(m, name, value, node) for value in args.pos):
        return UNKNOWN
    inside, traced = _wrapped(m, args.pos, range(len(args.pos)))
    before, result = m.fatal, run(m, function, Args(inside), node, level(m, "grad", name, node), on=True)
    used(m, result)
    parts = split(m, name, result, has_aux, node) if m.fatal == before else None
    if parts is None or not tensors_only(m, name, parts[0], node):
        return UNKNOWN
    vanished(m, name, parts[0], traced, node)
    output = pytrees.fresh(m, parts[0])
    pull = m.new(Thing(COTANGENTS, (("output", output), ("primals", Tuple(tuple(args.pos))))))
    return Tuple((output, pull) if parts[1] is None else (output, pull, parts[1]))


def pulled(m: Machine, thing: Thing, args: Args, node: cst.CSTNode) -> Value:
    """`vjp_fn(cotangents)`."""
    output, primals = thing.part("output"), thing.part("primals")
    given = args.get(0, "cotangents")
    if output is None or primals is None or given is None or args.open:
        return UNKNOWN
    name = "vjp_fn"
    if _fits(m, name, given, output, "cotangents", "the output", node):
        return pytrees.fresh(m, primals)
    return UNKNOWN


def _fits(m: Machine, name: str, given: Value, wanted: Value, what: str, like: str, node: cst.CSTNode) -> bool:
    """Has a value the structure and the shapes of another? Else the rules are told."""
    one, two = pytrees.spec(m, given), pytrees.spec(m, wanted)
    if one is not None and two is not None and one != two:
        refuse(m, node, name, f"the {what} do not have the structure of {like}", f"pass one tensor for each of {like}")
        return False
    wrong = next((k for v in pytrees.leaves(m, given) if (k := kind_of(m, v)) not in AUX), None)
    if wrong is not None:
        refuse(m, node, name, f"the {what} hold {pytrees.article(wrong)}", "pass tensors")
        return False
    pair = pytrees.unlike(m, given, wanted) if one is not None and one == two else None
    if pair is not None:
        shapes = [str(tuple("?" if d is None else d for d in t.shape or ())).replace("'", "") for t in pair]
        refuse(m, node, name, f"the {what} have the shape {shapes[0]}, and {like} {shapes[1]}")
        return False
    return True


def _jvp(m: Machine, given: dict[str, Value], node: cst.CSTNode) -> Value:
    name = "torch.func.jvp"
    primals, tangents = given.get("primals", UNKNOWN), given.get("tangents", UNKNOWN)
    kind = kind_of(m, primals)
    if kind not in ("?", "tuple"):
        refuse(m, node, name, f"`primals` is a {kind}", "pass a tuple: `(x,)`")
        return UNKNOWN
    if isinstance(primals, Tuple) and not primals.items:
        refuse(m, node, name, "`primals` is empty")
        return UNKNOWN
    if not isinstance(primals, Tuple):
        escape(m, iter(given.values()))
        return UNKNOWN
    if not _fits(m, name, tangents, primals, "tangents", "the primals", node):
        return UNKNOWN
    if not all(differentiable(m, name, value, node) for value in (*primals.items, tangents)):
        return UNKNOWN
    if m.state.get(levels.DUAL, NO) is YES:
        refuse(m, node, name, "forward mode is active already, and it cannot be nested")
        return UNKNOWN
    inside = [pytrees.copied(m, value, lambda _, t: other(m, t, dual=True)) for value in primals.items]
    before, result = m.fatal, run(m, given["func"], Args(inside), node, level(m, "jvp", name, node))
    used(m, result)
    parts = split(m, name, result, given.get("has_aux", Const(False)), node) if m.fatal == before else None
    if parts is None or not tensors_only(m, name, parts[0], node, integers=True):
        return UNKNOWN
    if given.get("strict") == Const(True) and all(_still(m, v) for v in pytrees.leaves(m, parts[0])):
        refuse(m, node, name, "strict=True, and the output does not depend on the inputs")
        return UNKNOWN
    out = (pytrees.fresh(m, parts[0]), pytrees.fresh(m, parts[0]))
    return Tuple(out if parts[1] is None else (*out, parts[1]))


def _still(m: Machine, value: Value) -> bool:
    """Is it a tensor that surely carries no tangent: cut, or made of nothing?"""
    return any(not t.dual and t.why is not None and t.why.kind == "constant" for _, t in m.tensors(value))


def _linearize(m: Machine, function: Value, args: Args, node: cst.CSTNode) -> Value:
    result = calls.call(m, function, args, node)
    used(m, result)
    push = m.new(Thing(TANGENTS, (("primals", Tuple(tuple(args.pos))), ("output", result))))
    return Tuple((pytrees.fresh(m, result), push))


def pushed(m: Machine, thing: Thing, args: Args, node: cst.CSTNode) -> Value:
    """`jvp_fn(*tangents)`."""
    primals, output = thing.part("primals"), thing.part("output")
    if primals is None or output is None or args.open or args.kw:
        return UNKNOWN
    name = "jvp_fn"
    given = Tuple(tuple(args.pos))
    return pytrees.fresh(m, output) if _fits(m, name, given, primals, "tangents", "the primals", node) else UNKNOWN


def decorates(m: Machine, value: Value) -> bool:
    """Is a decorator one that makes something to be called in the place of the function?"""
    if isinstance(value, Partial):
        return decorates(m, value.function)
    cell = m.cell(value)
    known_thing = isinstance(cell, Thing) and cell.kind in (KIND, "custom_op")
    return known_thing or (isinstance(value, External) and value.name in known.MAKERS)


def _register() -> None:
    def adapt(name: str) -> None:
        for alias in {name, name.replace("torch.func.", "functorch."), name.replace("torch.vmap", "functorch.vmap")}:
            model(alias)(lambda m, args, node: call(m, name, args, node))

    for name in (*known.MAKERS, *known.RUNNERS):
        adapt(name)


_register()

__all__ = ["COTANGENTS", "KIND", "TANGENTS", "apply", "call", "pulled", "pushed"]
