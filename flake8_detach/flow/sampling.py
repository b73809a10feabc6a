"""torch.distributions: samples with and without a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import libcst as cst

from flake8_detach.flow import (
    events,
    graph_walk,
    leaks,
    levels,
    shapes,
    tensors,
)
from flake8_detach.flow.calls import Args
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Edge,
    Node,
    Saved,
    Scalar,
    Shape,
    Tensor,
    Thing,
    Value,
)
from flake8_detach.knowledge import distributions

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def make_distribution(m: Machine, name: str, args: Args) -> Value:
    parts = [(f"*{i}", v) for i, v in enumerate(args.pos)] + list(args.kw.items())
    return m.new(Thing(name, tuple(parts) + ((("*open", UNKNOWN),) if args.open else ())))


def drawn(m: Machine, cell: Thing) -> Shape | None:
    """The shape of one sample, for distributions over numbers: that of the parameters (docs: `batch_shape`)."""
    short = cell.kind.rpartition(".")[2]
    found = [c for _, v in cell.parts if isinstance(c := m.cell(v), Tensor)]
    numbers = [v for _, v in cell.parts if isinstance(v, (Const, Scalar)) and v != NONE]
    if len(found) + len(numbers) != len(cell.parts) or not found:
        return None
    if short == "Categorical":
        return found[0].shape and found[0].shape[:-1]
    return shapes.broadcast([c.shape for c in found]) if short in distributions.ELEMENTWISE else None


LOCATED = {
    "Normal": ("loc mean mode", "scale stddev"),
    "Laplace": ("loc mean mode", "scale"),
    "Cauchy": ("loc", "scale"),
}
"""Attributes that are the first and the second parameter."""


def _given(cell: Thing, place: int) -> Value:
    """What the distribution was given as its location (0) or scale (1)."""
    named = cell.part(("loc", "scale")[place])
    return named or cell.part(f"*{place}") or UNKNOWN


def parameter(m: Machine, cell: Thing, name: str) -> Value | None:
    """`normal.mean`: the very tensor that was given, unless it had to be expanded to the size of the other."""
    attributes = LOCATED.get(cell.kind.rpartition(".")[2], ())
    for place, names in enumerate(attributes):
        value = _given(cell, place)
        tensor, size = m.cell(value), drawn(m, cell)
        if name in names.split() and isinstance(tensor, Tensor):
            return value if tensor.shape is not None and None not in tensor.shape and tensor.shape == size else UNKNOWN
    return None


VALUED = ("log_prob", "cdf", "icdf")
"""Methods of a value, which may require grad as well."""


def _parts(m: Machine, cell: Thing, unused: frozenset[str] = frozenset()) -> dict[str, Value]:
    """What the distribution is made of; of one that it is made of, as `Independent(Normal(...), 1)`, its parts."""
    found: dict[str, Value] = {}
    for part, value in cell.parts:
        inner = m.cell(value)
        if isinstance(inner, Thing) and inner.kind.startswith("torch.distributions."):
            found.update({f"{part}.{name}": v for name, v in _parts(m, inner).items()})
        elif part not in unused:
            found[part] = value
    return found


def _inputs(m: Machine, cell: Thing, name: str, args: Args) -> tensors.Inputs:
    """What the result of a method hangs on."""
    unused, place = distributions.UNUSED.get((cell.kind.rpartition(".")[2], name), ("", -1))
    parts = _parts(m, cell, frozenset({unused, f"*{place}"}))
    if name in VALUED:
        parts["value"] = args.get(0, "value") or UNKNOWN
    return tensors.gather(m, parts)


def _lacking(m: Machine, short: str, name: str, inputs: tensors.Inputs) -> tuple[tuple[str, Edge], ...]:
    """The parameter with respect to which a method has no derivative, if it requires grad."""
    parameter = distributions.UNDERIVED.get((short, name))
    found = inputs.tensors if parameter is not None else ()
    return tuple((parameter or "", m.edge(a, t)) for a, t, n in found if n in ("*0", parameter) and t.grad.yes)


def of_distribution(m: Machine, node: cst.CSTNode, cell: Thing, name: str, args: Args) -> Value:
    short = cell.kind.rpartition(".")[2]
    inputs = _inputs(m, cell, name, args)
    wanted = inputs.grad() | (MAYBE if cell.part("*open") is not None else NO)
    if name in ("sample", "sample_n", "rsample"):
        levels.random(m, node, f"`.{name}()`")
    if name in ("sample", "sample_n"):
        why = m.cause("op", leaks.DRAWN, node, short, wanted, inputs.why(), inputs.pairs())
        kind = distributions.SAMPLE_DTYPE.get(short, "float")
        shape = drawn(m, cell) if not args.pos and not args.kw else None
        return m.tensor(grad=NO, leaf=YES, shape=shape, dtype=kind, why=why, made="sample", inference=m.mode.inference)
    if name in ("rsample", "log_prob", "entropy", "cdf", "icdf"):
        # log_prob and rsample use all that the distribution is made of; of the others that is not sure
        lacking = _lacking(m, short, name, inputs)
        sure = name in ("log_prob", "rsample") or bool(lacking) or all(t.grad.yes for _, t, _ in inputs.tensors)
        grad = (wanted if sure else wanted & MAYBE) & m.mode.grad
        if name == "rsample" and short not in distributions.REPARAMETRIZED:
            if short in distributions.DISCRETE:
                m.raises()
                drawing = m.text(node)
                m.emit(events.Refused, node, tensor=Tensor(), subject=drawing, op=short, parameter="", why="rsample")
            return UNKNOWN
        graph = None
        if not grad.no:
            sure = name in ("log_prob", "rsample") or sum(not t.grad.no for _, t, _ in inputs.tensors) == 1
            edges = tuple(graph_walk.replace_sure(m.edge(a, t), sure) for a, t, _ in inputs.tensors if not t.grad.no)
            # which tensors the formula needs again is not known, only that log_prob always needs some
            saved = (Saved(0, (0,), "value", node),) if name == "log_prob" else ()
            derivative: Literal["yes", "raises"] = "raises" if lacking else "yes"
            cuts = inputs.cuts(without=("value",))
            m.cuts = m.cuts or bool(cuts)
            made = Node(f"{cell.kind}.{name}", edges, saved, node, inputs.unknown, derivative, lacking, cuts=cuts)
            graph = m.graph_node(made)
            if name == "log_prob" and args.pos:
                leaks.score(m, graph, args.pos[0], tensors.gather(m, _parts(m, cell)).pairs())
        lost = tensors.mode_cause(m, node, short, wanted) if grad.no else None
        cause = inputs.why() if wanted.no else lost
        value = m.cell(args.pos[0]) if name == "log_prob" and args.pos else None
        given = value.shape if isinstance(value, Tensor) else None
        one = drawn(m, cell)
        shape = one if name == "entropy" else None if one is None or given is None else shapes.broadcast([one, given])
        if name == "rsample" and not args.pos and not args.kw:
            shape = one
        return m.tensor(
            grad=grad,
            leaf=~grad,
            shape=shape,
            dtype="float",
            node=graph,
            why=cause,
            made=name,
            inference=m.mode.inference,
        )
    return UNKNOWN
