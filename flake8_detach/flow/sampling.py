"""torch.distributions: samples with and without a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def of_distribution(m: Machine, node: cst.CSTNode, cell: Thing, name: str, args: Args) -> Value:
    inputs = tensors.gather(
        m, {**dict(cell.parts), **({"value": args.pos[0]} if args.pos and name == "log_prob" else {})}
    )
    if name == "entropy" and cell.kind.rpartition(".")[2] in LOCATED and _given(cell, 1) != UNKNOWN:
        inputs = tensors.gather(m, {"scale": _given(cell, 1)})  # how spread out it is does not depend on where it is
    wanted = inputs.grad() | (MAYBE if cell.part("*open") is not None else NO)
    short = cell.kind.rpartition(".")[2]
    if name in ("sample", "sample_n", "rsample"):
        levels.random(m, node, f"`.{name}()`")
    if name in ("sample", "sample_n"):
        why = m.cause("op", leaks.DRAWN, node, short, wanted, inputs.why(), inputs.pairs())
        kind = distributions.SAMPLE_DTYPE.get(short, "float")
        shape = drawn(m, cell) if not args.pos and not args.kw else None
        return m.tensor(grad=NO, leaf=YES, shape=shape, dtype=kind, why=why, made="sample", inference=m.mode.inference)
    if name in ("rsample", "log_prob", "entropy", "cdf", "icdf") and wanted is not MAYBE:
        # log_prob and rsample use all that the distribution is made of; Normal.entropy, say, has no use for loc
        sure = name in ("log_prob", "rsample") or all(t.grad.yes for _, t, _ in inputs.tensors)
        grad = (wanted if sure else wanted & MAYBE) & m.mode.grad
        if name == "rsample" and short not in distributions.REPARAMETRIZED:
            if short in distributions.DISCRETE:
                m.raises()
                drawing = m.text(node)
                m.emit(events.Refused, node, tensor=Tensor(), subject=drawing, op=short, parameter="", why="rsample")
            return UNKNOWN
        graph = None
        if not grad.no:
            sure = name in ("log_prob", "rsample") or len(inputs.tensors) == 1
            edges = tuple(graph_walk.replace_sure(m.edge(a, t), sure) for a, t, _ in inputs.tensors if not t.grad.no)
            # which tensors the formula needs again is not known, only that log_prob always needs some
            saved = (Saved(0, (0,), "value", node),) if name == "log_prob" else ()
            graph = m.graph_node(Node(f"{cell.kind}.{name}", edges, saved, node, inputs.unknown))
            if name == "log_prob" and args.pos:
                leaks.score(m, graph, args.pos[0], tensors.gather(m, dict(cell.parts)).pairs())
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
    if name in ("rsample", "log_prob", "entropy"):
        return m.tensor(grad=NO if wanted is NO else MAYBE, leaf=MAYBE, inference=m.mode.inference)
    return UNKNOWN
