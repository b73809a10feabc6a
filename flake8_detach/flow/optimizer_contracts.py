"""What optimizers, schedulers and clipping refuse to be called with; their contracts stand in knowledge/optimizers.py.

Everything told here is an error that torch raises in this call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import gradients, iteration, modules
from flake8_detach.flow.values import (
    NONE,
    YES,
    Array,
    Const,
    Function,
    Layer,
    Mapping_,
    Method,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Tuple,
    Value,
)
from flake8_detach.knowledge.optimizers import (
    CALLABLE,
    CLIPPING,
    EXCLUSIVE,
    ITERABLE,
    NOT_NEGATIVE,
    OPTIMIZERS,
    OPTIONS,
    SCHEDULERS,
)

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine

STATE = "torch.optim.state_dict"
"""Kind of the Thing that `optimizer.state_dict()` returns."""
SPARSE = "*sparse"
"""Slot of a parameter whose gradient is sparse: the weight of an embedding with `sparse=True`."""
RESUMABLE = "*resumable"
"""Slot of an optimizer whose groups may hold an `initial_lr`: a scheduler was made for it, or its state was loaded."""


def tell(m: Machine, node: cst.CSTNode, why: str) -> None:
    """Torch raises in this call."""
    gradients.refuse(m, "refused", node, YES, None, why)


def kind_of(m: Machine, value: Value) -> str:
    """What the value is in words, if it is certainly neither a function nor an optimizer; else ""."""
    if value == NONE:
        return "None"
    if isinstance(value, (Const, Scalar)):
        return "a number" if not isinstance(getattr(value, "value", 0), str) else "a string"
    if isinstance(value, (Array, Tuple)):
        return "an array" if isinstance(value, Array) else "a tuple"
    cell = m.cell(value)
    if m.is_tensor(value):
        return "a tensor"
    if isinstance(cell, Sequence):
        return f"a {cell.kind}"
    if isinstance(cell, Mapping_):
        return "a dict"
    return "a module" if isinstance(cell, Layer) or modules.is_module(m, value) else ""


def number(value: Value | None) -> float | None:
    known = isinstance(value, Const) and isinstance(value.value, (int, float)) and not isinstance(value.value, bool)
    return value.value if known else None  # type: ignore[union-attr]


# Constructors


def options(m: Machine, node: cst.CSTNode, name: str, args: Args) -> None:
    """The options of an optimizer's constructor."""
    kind = name.rpartition(".")[2]
    spec = OPTIMIZERS.get(kind)
    if spec is None or args.open:
        return
    unknown = next((key for key in args.kw if key not in spec.options and key in OPTIONS), None)
    bound = args.bind(spec.options)
    both = next((pair for pair in EXCLUSIVE if all(bound.get(key) == Const(True) for key in pair)), None)
    negative = next((key for key in bound if key in NOT_NEGATIVE and (number(bound[key]) or 0) < 0), None)
    betas = bound.get("betas")
    listed = betas.items if isinstance(betas, Tuple) else ()
    if unknown is not None:
        tell(m, node, f"`{kind}` has no option `{unknown}`")
    elif "params" not in bound:
        tell(m, node, f"`{kind}` needs the parameters that it optimises")
    elif both is not None:
        tell(m, node, f"`{both[0]}` and `{both[1]}` exclude each other")
    elif negative is not None:
        tell(m, node, f"`{negative}` cannot be negative")
    elif any((n := number(item)) is not None and not 0 <= n < 1 for item in listed):
        tell(m, node, "`betas` lie between 0 and 1")
    elif kind == "SGD" and bound.get("nesterov") == Const(True):
        momentum, dampening = number(bound.get("momentum", Const(0))), number(bound.get("dampening", Const(0)))
        if (momentum is not None and momentum <= 0) or (dampening is not None and dampening != 0):
            tell(m, node, "`nesterov=True` needs a `momentum` and no `dampening`")
    elif not spec.groups and len(grouped(m, bound["params"])) > 1:
        tell(m, node, f"`{kind}` takes no groups of parameters")


def grouped(m: Machine, given: Value) -> list[Value]:
    """The groups that an optimizer is given, if they are dicts."""
    listed = iteration.exact(m, given) if not m.is_tensor(given) else None
    return [item for item in listed or () if isinstance(m.cell(item), Mapping_)]


def scheduler(m: Machine, node: cst.CSTNode, name: str, args: Args) -> None:
    """The arguments of a scheduler's constructor."""
    kind = name.rpartition(".")[2]
    spec = SCHEDULERS.get(kind)
    if spec is None or args.open:
        return
    bound = args.bind(spec.options)
    given = bound.get("optimizer")
    what = kind_of(m, given) if given is not None else ""
    if isinstance(given, Method) and given.name in ("parameters", "named_parameters"):
        what = "a method"
    wrong = next((k for k in CALLABLE if k in bound and isinstance(bound[k], (Const, Scalar))), None)
    single = next((k for k in ITERABLE if k in bound and isinstance(bound[k], (Const, Scalar))), None)
    last = number(bound.get("last_epoch"))
    if what and not (kind == "ChainedScheduler" and given == NONE):
        tell(m, node, f"a scheduler is made for an optimizer, not for {what}")
    elif wrong is not None:
        tell(m, node, f"`{wrong}` must be a function of the epoch")
    elif single is not None:
        tell(m, node, f"`{single}` must be a list")
    elif kind == "OneCycleLR" and given is not None and bound.keys().isdisjoint({"total_steps"}):
        if not {"epochs", "steps_per_epoch"} <= bound.keys():
            tell(m, node, "`OneCycleLR` needs `total_steps`, or `epochs` and `steps_per_epoch`")
    elif kind in ("SequentialLR", "ChainedScheduler"):
        _sequence(m, node, bound)
    elif last is not None and last >= 0 and isinstance(given, Ref) and _fresh(m, given):
        tell(m, node, "`last_epoch` resumes, but no group of this optimizer has an `initial_lr`")


def _fresh(m: Machine, given: Ref) -> bool:
    cell = m.cell(given)
    one = isinstance(cell, Optimizer) and cell.groups is not None and len(cell.groups) == 1
    known = given.addresses[0] not in m.escaped and m.state.get(gradients.LOOSE) is None
    return one and known and gradients.flag(m, given.addresses[0], RESUMABLE).no


def _sequence(m: Machine, node: cst.CSTNode, bound: dict[str, Value]) -> None:
    """Schedulers that run others, of one optimizer."""
    inner = iteration.exact(m, bound.get("schedulers", NONE))
    marks = iteration.exact(m, bound.get("milestones", NONE))
    if inner is None:
        return
    parts = [cell.part("optimizer") if isinstance(cell := m.cell(s), Thing) else None for s in inner]
    own = [bound.get("optimizer")] if isinstance(m.cell(bound.get("optimizer", NONE)), Optimizer) else []
    whose = {part.addresses[0] for part in (*parts, *own) if isinstance(part, Ref) and len(part.addresses) == 1}
    if not inner:
        tell(m, node, "there is no scheduler in the list")
    elif len(whose) > 1:
        tell(m, node, "the schedulers belong to different optimizers")
    elif marks is not None and "milestones" in bound and len(marks) != len(inner) - 1:
        tell(m, node, f"{len(inner)} schedulers need {len(inner) - 1} milestones, not {len(marks)}")


def total_steps(name: str, args: Args) -> int | None:
    """How often a OneCycleLR can be stepped, if that is written down."""
    spec = SCHEDULERS.get(name.rpartition(".")[2])
    if not name.endswith(".OneCycleLR") or spec is None or args.open:
        return None
    bound = args.bind(spec.options)
    total = number(bound.get("total_steps"))
    epochs, each = number(bound.get("epochs")), number(bound.get("steps_per_epoch"))
    product = epochs * each if epochs is not None and each is not None else None
    return int(total) if total is not None else int(product) if product is not None else None


# Methods


def closure(m: Machine, node: cst.CSTNode, kind: str, args: Args) -> bool:
    """The argument of `optimizer.step`: is it refused?"""
    spec = OPTIMIZERS.get(kind.rpartition(".")[2])
    given = args.get(0, "closure")
    if args.open or kind == "?":
        return False
    if given is None or given == NONE:
        if spec is None or not spec.closure:
            return False
        tell(m, node, f"`{kind.rpartition('.')[2]}` evaluates the loss itself: `step` needs a closure")
        return True
    what = kind_of(m, given) if not modules.is_module(m, given) else ""
    if what:
        tell(m, node, f"`step` takes a function that computes the loss, not {what}")
    return bool(what)


def returned(m: Machine, node: cst.CSTNode, kind: str, value: Value) -> None:
    """What the closure of an optimizer that uses it has returned."""
    spec = OPTIMIZERS.get(kind.rpartition(".")[2])
    cell = m.cell(value)
    wrong = "None" if value == NONE else "a tuple" if isinstance(value, Tuple) else ""
    if isinstance(cell, Tensor) and cell.several:
        wrong = "a tensor of several elements"
    if spec is not None and spec.closure and wrong:
        tell(m, node, f"the closure must return the loss, but it returns {wrong}")


def gradients_taken(m: Machine, node: cst.CSTNode, optimizer: object, owned: tuple[int, ...] | None) -> None:
    """An optimizer steps with the gradients that its parameters have: does it take such?"""
    if not isinstance(optimizer, Optimizer) or m.state.get(gradients.LOOSE) is not None:
        return
    kind = optimizer.kind.rpartition(".")[2]
    spec = OPTIMIZERS.get(kind)
    filled = [a for a in gradients.parameters(m, owned) if gradients.look(m, a).filled is YES]
    if spec is None or not filled:
        return
    sparse = [a for a in filled if m.state.get((a, SPARSE)) is not None]
    if sparse and not spec.sparse:
        tell(m, node, f"`{kind}` takes no sparse gradients, which an embedding with `sparse=True` has")
    elif not spec.dense and len(sparse) < len(filled):
        tell(m, node, f"`{kind}` takes only sparse gradients, as an embedding with `sparse=True` has")
    elif optimizer.option("differentiable") == Const(True):
        leaves = [a for a in filled if isinstance(t := m.state.cell(a), Tensor) and t.leaf is YES and t.grad is YES]
        if leaves and m.mode.grad is YES:
            tell(m, node, "with `differentiable=True` it writes into leaves that require grad while grad mode is on")


def clipped(m: Machine, args: Args, given: Value) -> str:
    """Why clipping does not take these arguments, or ""."""
    spec = CLIPPING.get(args.called, ())
    bound = args.bind(spec)
    if not args.open and spec and not set(spec[:2]) <= bound.keys():
        return f"`{spec[1]}` is not given"
    if isinstance(given, Method) and given.name in ("parameters", "named_parameters"):
        return "the method is not called"
    cell = m.cell(given)
    if isinstance(cell, Optimizer):
        return "it wants an iterable of parameters, not an optimizer"
    if modules.is_module(m, given):
        return "it wants an iterable of parameters, not a module; pass its `.parameters()`"
    if isinstance(cell, Mapping_):
        return "it wants an iterable of parameters; those of a dict are its keys: pass its `.values()`"
    if isinstance(cell, Sequence) and cell.items is None and isinstance(cell.element, Tuple):
        return "it wants parameters, not pairs with their names: pass `.parameters()`"
    return ""


def state(m: Machine, node: cst.CSTNode, optimizer: Optimizer, given: Value | None) -> None:
    """`optimizer.load_state_dict(given)`."""
    cell = m.cell(given) if given is not None else None
    if isinstance(cell, Optimizer):
        tell(m, node, "it wants a `state_dict()`, not an optimizer")
    elif isinstance(cell, Mapping_) and isinstance(rest := m.cell(cell.rest or NONE), Tensor) and not cell.items:
        if rest.made == "state_dict":
            tell(m, node, "this is the state of a module, not of an optimizer")
    elif isinstance(cell, Thing) and cell.kind == STATE and optimizer.groups is not None:
        sizes = cell.part("*groups")
        known = tuple(item.value for item in sizes.items if isinstance(item, Const)) if isinstance(sizes, Tuple) else ()
        if known and len(known) != len(optimizer.groups):
            tell(m, node, f"the state has {len(known)} groups of parameters, this optimizer {len(optimizer.groups)}")
        elif known and known != optimizer.groups:
            tell(m, node, "the state was saved for another number of parameters than this optimizer has")


__all__ = ["Function", "closure", "options", "returned", "scheduler", "state", "tell", "total_steps"]
