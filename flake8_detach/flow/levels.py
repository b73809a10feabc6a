"""The transforms of torch.func that are active around the code that runs, and what they refuse to let it do.

Facts of torch 2.13 (aten/src/ATen/functorch):

- grad, vjp, jvp and what is built on them refuse every in-place write to a tensor that the function did not make or was
  not given, also under no_grad and through views and `.data` (ADInterpreters.cpp);
- vmap refuses what depends on the numbers in one sample: `.item()`, `if`, boolean indexing, `nonzero`; random ops,
  unless `randomness` says how; and writing a value that differs by sample into a tensor that does not;
- none of them lets `backward()`, `requires_grad_()` or `retain_grad()` be called inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import libcst as cst

from flake8_detach.flow.events import Transformed
from flake8_detach.flow.values import MAYBE, NO, NONE, YES, Const, Layer, Ref, Tensor, Truth, Value
from flake8_detach.knowledge import transforms as known

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine
    from flake8_detach.flow.tensors import Inputs
    from flake8_detach.knowledge import ops

DUAL = (0, "dual level")
"""Is a level of forward-mode AD entered? (torch.autograd.forward_ad; a Truth, absent: NO)"""


@dataclass(frozen=True)
class Level:
    """A call of a transform that is under way. number: what has a higher address was made inside of it.

    strict: does it refuse random ops (vmap)? given: the tensors outside that are its inputs themselves, not copies
    (trace); None if not all are known.
    """

    kind: Literal["grad", "vmap", "jvp", "trace"]
    name: str
    number: int
    site: cst.CSTNode
    strict: bool = True
    given: frozenset[int] | None = frozenset()


def refuse(
    m: Machine, node: cst.CSTNode, transform: str, problem: str, remedy: str = "", at: object = None, sure: Truth = YES
) -> None:
    """Torch raises at `node`: tell the rules."""
    m.raises()
    m.emit(Transformed, node, transform=short(transform), problem=problem, remedy=remedy, at=at, sure=sure)


def short(name: str) -> str:
    """How messages call a transform."""
    return {"torch.vmap": "vmap"}.get(name, name.removeprefix("torch."))


def active(m: Machine) -> Level | None:
    """The innermost transform around the code that runs."""
    return next((level for level in reversed(m.levels) if level.kind != "trace"), None)


def forbid(m: Machine, node: cst.CSTNode, what: str, remedy: str) -> bool:
    """`what` cannot be called inside of a transform. True if the code is in one, and the rules have been told."""
    level = active(m)
    if level is not None:
        refuse(m, node, level.name, f"`{what}` is called inside of the function", remedy, level.site)
    return level is not None


def _varies(m: Machine, tensor: Tensor) -> Level | None:
    """The vmap over whose samples the tensor varies."""
    return next((v for v in m.levels if v.kind == "vmap" and v.number in tensor.batched), None)


def read(m: Machine, node: cst.CSTNode, value: Value, how: str) -> None:
    """The numbers in a tensor are read by Python: by `.item()`, an `if`, as an index of a list."""
    if not m.levels:
        return
    for _, tensor in m.tensors(value):
        level = _varies(m, tensor)
        if level is not None:
            problem = f"{how} needs a number, and here the tensor stands for all samples"
            refuse(m, node, level.name, problem, "use torch.where or other ops on tensors", level.site)
            return


def numpy(m: Machine, node: cst.CSTNode, tensor: Tensor) -> None:
    """A tensor becomes an array. Where it requires grad, the rule about that has its say."""
    level = _varies(m, tensor) if m.levels and not (tensor.grad.yes and m.mode.grad.yes) else None
    if level is not None:
        refuse(m, node, level.name, "a tensor that stands for all samples has no memory to share", "", level.site)


def captured(m: Machine, site: cst.CSTNode, tensor: Tensor, subject: object) -> None:
    """A tensor is written in place: did the function make it, or was it given to it?"""
    for level in m.levels:
        if level.kind in ("grad", "jvp") and 0 < tensor.storage < level.number:
            problem = f"`{subject}` is written in place, but it comes from outside of the function"
            refuse(m, site, level.name, problem, "write to a clone made inside, and return it", level.site)
            return


FRESH = frozenset(
    f"torch.{name}" for name in ("zeros", "ones", "empty", "full", "eye", "arange", "rand", "randn", "linspace")
)


def mixed(m: Machine, site: cst.CSTNode, tensor: Tensor, inputs: Inputs) -> frozenset[int]:
    """A tensor is written in place from `inputs`; over which samples does it vary from then on?"""
    found = tensor.batched.union(*(t.batched for _, t, _ in inputs.tensors))
    for level in m.levels:
        if level.kind == "vmap" and level.number in found - tensor.batched:
            outside = 0 < tensor.storage < level.number
            if outside or tensor.made in FRESH:
                what = "comes from outside of the function" if outside else f"was made by `{tensor.made}`"
                problem = f"a value that differs by sample is written into a tensor that does not: it {what}"
                refuse(m, site, level.name, problem, "make it with `torch.zeros_like` or `new_zeros`", level.site)
    return found


def random(m: Machine, site: cst.CSTNode, what: str) -> None:
    """Random numbers are drawn."""
    for level in m.levels:
        if level.kind == "vmap" and level.strict:
            problem = f'{what} draws random numbers, and `randomness` is "error"'
            refuse(m, site, level.name, problem, 'pass randomness="different" or "same"', level.site)
            return


def op(m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs) -> None:
    """An op runs."""
    name = op.name.rpartition(".")[2]
    if any(t.dual for _, t, _ in inputs.tensors):
        if m.is_tensor(bound.get("out", NONE)):
            refuse(m, site, "forward mode", f"`{name}` has no forward-mode derivative with `out=`", "drop `out=`")
        elif op.name in known.NO_FORWARD and any(t.dual and n == "input" for _, t, n in inputs.tensors):
            refuse(
                m, site, "forward mode", f"`{name}` has no forward-mode derivative", "use reverse mode (vjp, jacrev)"
            )
    if not m.levels:
        return
    _constants(m, site, inputs)
    if name in known.RANDOM or (name in known.DROPOUTS and _drops(bound)):
        random(m, site, f"`{name}`")
    on = known.DYNAMIC.get(name)
    if on is not None or (name == "where" and len(bound) == 1):
        for _, tensor, parameter in inputs.tensors:
            level = _varies(m, tensor) if not on or parameter == on else None
            if level is not None:
                problem = f"the size of what `{name}` returns differs by sample"
                refuse(m, site, level.name, problem, "use torch.where(mask, a, b)", level.site)
                return


def _constants(m: Machine, site: cst.CSTNode, inputs: Inputs) -> None:
    """What torch.jit.trace records as a constant may not require grad."""
    level = m.levels[-1]
    if level.kind != "trace" or level.given is None:
        return
    for address, tensor, _ in inputs.tensors:
        outside = 0 < tensor.storage < level.number and address not in level.given
        if outside and tensor.grad is YES and tensor.leaf is YES:
            problem = "the function uses a tensor from outside that requires grad"
            refuse(m, site, level.name, problem, "make it an input, a parameter of a module, or detach it", level.site)
            return


def masked(m: Machine, site: cst.CSTNode, parts: tuple[Value, ...]) -> None:
    """A tensor is indexed."""
    for value in parts if m.levels else ():
        for _, tensor in m.tensors(value):
            level = _varies(m, tensor) if tensor.dtype == "bool" else None
            if level is not None:
                problem = "the size of what a boolean mask picks differs by sample"
                refuse(m, site, level.name, problem, "use torch.where(mask, a, b)", level.site)
                return


def _drops(bound: Mapping[str, Value]) -> bool:
    """Does a call of F.dropout surely drop anything?"""
    trains, p = bound.get("training", Const(True)), bound.get("p", Const(0.5))
    return trains == Const(True) and isinstance(p, Const) and bool(p.value)


def layer(m: Machine, node: cst.CSTNode, address: int, cell: Layer, training: Value, given: Value) -> None:
    """A layer with a mode is called: what does it draw or write in training?"""
    kind = cell.kind.rpartition(".")[2]
    if training != Const(True):
        return
    if kind.replace("Alpha", "Alpha_").lower().removeprefix("feature").lstrip("_") in known.DROPOUTS:
        p = cell.option("p") or Const(0.5)
        if isinstance(p, Const) and p.value:
            random(m, node, f"`{kind}` in training mode")
    elif kind.startswith("BatchNorm") and (cell.option("track_running_stats") or Const(True)) == Const(True):
        _statistics(m, node, address, kind, given)


def _statistics(m: Machine, node: cst.CSTNode, address: int, kind: str, given: Value) -> None:
    """BatchNorm writes its running statistics, which belong to the module."""
    counter = m.state.get((address, "num_batches_tracked"))
    for level in reversed(m.levels):
        if level.kind == "trace" or address > level.number or counter is not None or m.buffers_given:
            continue  # made inside, or given to the function
        varies = any(level.number in t.batched for _, t in m.tensors(given))
        if level.kind != "vmap" or varies:
            problem = f"`{kind}` in training mode writes its running statistics, which come from outside"
            refuse(m, node, level.name, problem, "call `eval()`, or use track_running_stats=False", level.site)
            return


def entered(m: Machine) -> Truth:
    """Is a level of forward-mode AD entered? Code that is called from outside may be in one."""
    told: Truth | None = m.state.get(DUAL)
    return told if told is not None else NO if m.visit is None else MAYBE


def refs(m: Machine, value: Value) -> tuple[int, ...]:
    return value.addresses if isinstance(value, Ref) and m.is_tensor(value) else ()
