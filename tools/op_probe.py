"""Call an op and watch what torch does: the facts of one sample (used by make_ops.py and by the agreement test)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from op_samples import Sample, fresh
from torch import Tensor
from torch.autograd.graph import increment_version, saved_tensors_hooks

KINDS = {"float": torch.float64, "int": torch.int64, "bool": torch.bool, "complex": torch.complex128}

Op = Callable[..., Any]


def kind(dtype: torch.dtype) -> str:
    """float, int, bool or complex."""
    if dtype.is_floating_point:
        return "float"
    return "complex" if dtype.is_complex else "bool" if dtype == torch.bool else "int"


def tensors(value: Any) -> list[Tensor]:
    """The tensors of a value, nested ones in order."""
    if isinstance(value, Tensor):
        return [value]
    return [x for v in value for x in tensors(v)] if isinstance(value, (list, tuple)) else []


def differentiable(value: Any) -> bool:
    """Can this argument require grad?"""
    return any(x.is_floating_point() or x.is_complex() for x in tensors(value))


@dataclass
class Facts:
    """What one call showed.

    shape: "tensor", "tuple", "list" (tensors, of any number) or "python". graph: per output no, yes, zero, raises,
    empty (no element to differentiate) or "error ...". alone: per parameter what happens if only it requires grad:
    yes, zero, ignore, raise, backward ... saved: per target (parameter or result) those parameters that need it
    unchanged in backward when they alone require grad. together: what is needed only if several require grad.
    multi: the results are views that may not be changed in place. leaf: a leaf that requires grad may be written.
    """

    shape: str = "tensor"
    fields: tuple[str, ...] = ()
    graph: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    view: bool = False
    same: bool = False
    multi: bool = False
    leaf: bool = False
    writes: frozenset[str] = frozenset()
    bumps: bool = True
    alone: dict[str, str] = field(default_factory=dict)
    saved: dict[str, frozenset[str]] = field(default_factory=dict)
    together: frozenset[str] = frozenset()


class Call:
    """One run of the op on fresh arguments, of which those named in `requiring` require grad."""

    def __init__(self, op: Op, sample: Sample, requiring: frozenset[str], leaf: bool = True) -> None:
        self.leaves: list[Tensor] = []

        def required(x: Tensor) -> Tensor:
            y = x.detach().clone()
            if not (y.is_floating_point() or y.is_complex()):
                return y
            self.leaves.append(y.requires_grad_())
            return y if leaf else y + 0  # an in-place op may not write a leaf; `+ 0` itself saves nothing

        self.values = {
            name: fresh(value, required if name in requiring else lambda x: x.detach().clone())
            for name, value in sample.values.items()
        }
        versions = {name: [x._version for x in tensors(v)] for name, v in self.values.items()}
        args, kwargs = sample.arguments(self.values)
        torch.default_generator.manual_seed(0)  # torch.manual_seed looks at every kind of device
        self.result = op(*args, **kwargs)
        self.bumped = [
            x
            for name, v in self.values.items()
            for x, old in zip(tensors(v), versions[name], strict=True)
            if x._version != old
        ]
        self.given = [x for v in self.values.values() for x in tensors(v)]
        # An op that returns None is of use for what it writes: that is its result.
        self.outputs = self.bumped[:1] if self.result is None else tensors(self.result)
        self.items = list(self.result) if isinstance(self.result, (tuple, list)) else self.outputs

    def connected(self) -> list[Tensor]:
        """What depends on the leaves: results and written arguments."""
        found = [x for x in [*self.outputs, *self.bumped] if x.requires_grad]
        return list({id(x): x for x in found}.values())

    def backward(self, outputs: list[Tensor]) -> str:
        """Differentiate `outputs`: yes, zero, empty, raises, modified, or "error ..."."""
        generator = torch.Generator().manual_seed(1)
        try:
            terms = []
            for x in outputs:
                y = x.to_dense() if x.layout != torch.strided else x
                y = torch.view_as_real(y.resolve_conj()) if y.is_complex() else y
                terms.append((y * (torch.rand(y.shape, generator=generator, dtype=torch.float64) + 0.1)).sum())
            grads = torch.autograd.grad(torch.stack([x.double() for x in terms]).sum(), self.leaves, allow_unused=True)
        except (RuntimeError, NotImplementedError, IndexError) as error:
            message = str(error)
            if "modified by an inplace" in message:
                return "modified"
            # Not "not implemented for 'Half'", which is about one dtype.
            return "raises" if "erivative" in message and "not implemented" in message else f"error {message[:60]}"
        dense = [g.to_dense() if g.layout != torch.strided else g for g in grads if g is not None]
        if any(x.numel() == 0 for x in [*self.leaves, *outputs]):
            return "empty"
        return "yes" if any(bool((g != 0).any()) for g in dense) else "zero"


def probe(op: Op, sample: Sample, listed: bool = False) -> Facts | None:
    """The facts of one call, None if torch refuses the arguments. listed: a tuple may be of any length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plain = Call(op, sample, frozenset())
        except Exception:  # whatever torch says: these are no arguments for this op
            return None
        if isinstance(plain.result, (tuple, list)) and not plain.result:
            return None  # nothing came out of it
        facts = _plain(plain, sample)
        if listed and facts.shape == "tuple":
            facts.shape = "list"
        if facts.shape != "python":
            _differentiate(op, sample, facts)
        return facts


def _plain(call: Call, sample: Sample) -> Facts:
    """What shows without gradients."""
    bumped = {n for n, v in call.values.items() if any(x is y for x in tensors(v) for y in call.bumped)}
    changed = {n for n, v in call.values.items() if not _equal(v, sample.values[n])}
    facts = Facts(writes=frozenset(bumped | changed), bumps=changed <= bumped)
    result, outputs = call.result, call.outputs
    if result is not None and not isinstance(result, Tensor):
        flat = bool(outputs) and all(x is None or isinstance(x, Tensor) for x in call.items)
        facts.shape = "python" if not flat else "list" if isinstance(result, list) else "tuple"
        facts.fields = _fields(result)
    elif not outputs:
        facts.shape = "python"
    facts.ranks = tuple(x.dim() for x in outputs)
    facts.kinds = tuple(kind(x.dtype) for x in outputs)
    if outputs and call.given:
        facts.same = any(x is call.given[0] for x in outputs)
        facts.view = not facts.same and any(_shared(x, call.given[0]) for x in outputs)
    return facts


def _fields(result: Any) -> tuple[str, ...]:
    """The names of a torch.return_types result."""
    if type(result).__module__ != "torch.return_types":
        return ()
    members = [n for n in dir(type(result)) if type(getattr(type(result), n)).__name__ == "member_descriptor"]
    return tuple(next(n for n in members if getattr(result, n) is x) for x in result)


def _equal(value: Any, template: Any) -> bool:
    for x, y in zip(tensors(value), tensors(template), strict=True):
        if x.shape != y.shape or x.dtype != y.dtype:
            return False
        if x.layout == torch.strided and not torch.equal(x.nan_to_num(), y.nan_to_num()):
            return False
    return True


def _shared(x: Tensor, y: Tensor) -> bool:
    if x.layout != torch.strided or y.layout != torch.strided or not x.numel() or not y.numel():
        return False
    return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


def _differentiate(op: Op, sample: Sample, facts: Facts) -> None:
    """Fill in what shows with gradients."""
    floats = [n for n, v in sample.values.items() if differentiable(v)]
    leaf = not facts.writes and not facts.same
    if facts.writes:
        facts.leaf = bool(floats) and _call(op, sample, frozenset(facts.writes), True) is not None
    for name in floats:
        call = _call(op, sample, frozenset({name}), leaf)
        if call is None:
            facts.alone[name] = "raise"
            continue
        connected = call.connected()
        if not connected or (facts.leaf and not leaf and all(x.is_leaf for x in connected)):
            facts.alone[name] = "ignore"
            continue
        verdict = call.backward(connected)
        # "modified" without any change: the backward of the op itself is broken (torch.vander)
        facts.alone[name] = {"raises": "backward", "modified": "error modified"}.get(verdict, verdict)
    fine = [n for n, verdict in facts.alone.items() if verdict not in ("raise", "backward")]
    good = frozenset(fine or [n for n, verdict in facts.alone.items() if verdict != "raise"])
    _graph(op, sample, facts, good, leaf)
    _saved(op, sample, facts, [n for n in fine if facts.alone[n] != "ignore"], leaf)


def _call(op: Op, sample: Sample, requiring: frozenset[str], leaf: bool) -> Call | None:
    try:
        return Call(op, sample, requiring, leaf)
    except Exception:
        return None


def _graph(op: Op, sample: Sample, facts: Facts, good: frozenset[str], leaf: bool) -> None:
    """The class of every output when all arguments that can require grad do."""
    call = _call(op, sample, good, leaf)
    if call is None:
        facts.graph = ("unknown",) * len(facts.ranks)  # every call with gradients raises
        return
    graph = []
    for k in range(len(call.items)):
        x = call.items[k]
        verdict = "python" if x is None else call.backward([x]) if x.requires_grad else "no"
        graph.append("error modified" if verdict == "modified" else verdict)
        call = Call(op, sample, good, leaf)
    facts.graph = tuple(graph)
    if facts.view and call.outputs and call.outputs[0].requires_grad:
        try:
            call.outputs[0].mul_(1)
        except RuntimeError as error:
            facts.multi = "multiple views" in str(error)


def _saved(op: Op, sample: Sample, facts: Facts, movers: list[str], leaf: bool) -> None:
    """Bump the version counter of an argument or a result after the call: does backward complain?"""
    names = [n for n, v in sample.values.items() if tensors(v)]
    results = [f"result{k}" for k in range(len(facts.graph))] if facts.shape == "tuple" else ["result"]
    found: dict[str, set[str]] = {target: set() for target in [*names, *results]}
    for mover in movers:
        for target in _candidates(op, sample, frozenset({mover}), found, leaf):
            if _needed(op, sample, frozenset({mover}), target, leaf):
                found[target].add(mover)
    facts.saved = {target: frozenset(by) for target, by in found.items()}
    if len(movers) > 1:
        rest = [t for t in _candidates(op, sample, frozenset(movers), found, leaf) if not found[t]]
        facts.together = frozenset(t for t in rest if _needed(op, sample, frozenset(movers), t, leaf))


def _chosen(call: Call, target: str) -> list[Tensor]:
    """The tensors that a target stands for: a result that is an argument counts as that, unless the op wrote it."""
    if target.startswith("result"):
        outputs = call.outputs if target == "result" else tensors(call.items[int(target[6:])])
        return [
            x
            for x in outputs
            if any(x is y for y in call.bumped) or not any(x is y or _shared(x, y) for y in call.given)
        ]
    return [x for x in tensors(call.values[target]) if not any(x is y for y in call.bumped)]


def _candidates(op: Op, sample: Sample, requiring: frozenset[str], targets: Any, leaf: bool) -> list[str]:
    """Targets whose memory the op saves at all: a quick look before the real test."""
    kept: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x)
        return x

    with saved_tensors_hooks(keep, lambda x: x):
        call = Call(op, sample, requiring, leaf)
    if not kept:
        return []
    places = {x.untyped_storage().data_ptr() for x in kept if x.layout == torch.strided}
    strange = any(x.layout != torch.strided for x in kept)
    return [
        target
        for target in targets
        if any(
            strange or x.layout != torch.strided or x.untyped_storage().data_ptr() in places
            for x in _chosen(call, target)
        )
    ]


def _needed(op: Op, sample: Sample, requiring: frozenset[str], target: str, leaf: bool) -> bool:
    call = Call(op, sample, requiring, leaf)
    connected = [x for x in call.connected() if x.grad_fn is not None]
    for x in _chosen(call, target):
        increment_version(x)
    return bool(connected) and call.backward(connected) == "modified"


def cast(sample: Sample, which: str, to: str) -> Sample | None:
    """The sample with its float tensors ("all", the "first" or the "others") of another kind; None if it has none."""
    values = dict(sample.values)
    floats = [n for n, v in values.items() if differentiable(v)]
    chosen = floats if which == "all" else floats[:1] if which == "first" else floats[1:]
    if not chosen or (which != "all" and len(floats) < 2):
        return None
    for name in chosen:
        values[name] = fresh(values[name], lambda x: (x * 3).to(KINDS[to]))
    return sample._replace(values=values)


def result_kinds(op: Op, sample: Sample) -> tuple[str, ...] | None:
    """The dtype kinds of the results of a call without gradients; None if it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call = _call(op, sample, frozenset(), True)
        return None if call is None else tuple(kind(x.dtype) for x in call.outputs)
