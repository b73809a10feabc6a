"""Embeddings made of weights from elsewhere: `from_pretrained(vectors)` freezes them unless told not to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import membership
from flake8_detach.flow.calls import Args
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import MAYBE, NO, UNKNOWN, YES, Const, Layer, Scalar, Tensor, Truth, Value, truth

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

UNASKED = "frozen by `from_pretrained`"
"""What is said of weights that are frozen because nobody has asked for anything else."""
MAKERS = {
    "torch.nn.Embedding.from_pretrained": "torch.nn.Embedding",
    "torch.nn.EmbeddingBag.from_pretrained": "torch.nn.EmbeddingBag",
}


@model(*MAKERS)
def _from_pretrained(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """The weight is a Parameter in the very memory of what is given (torch/nn/modules/sparse.py)."""
    source = m.cell(args.get(0, "embeddings") or UNKNOWN)
    given = source if isinstance(source, Tensor) else None
    asked = args.get(1, "freeze")
    grad = _wanted(args, asked)
    what = UNASKED if asked is None else "frozen by `freeze=True`"
    why = m.cause("frozen", what, node, "", YES) if grad.no else None
    weight = m.tensor(grad=grad, leaf=YES, dtype=None, parameter=True, why=why)
    if given is not None:
        m.refine(weight.addresses[0], shape=given.shape, dtype=given.dtype, inference=given.inference)
    if given is not None and given.storage:
        m.refine(weight.addresses[0], storage=given.storage)  # a write to either changes both
    made = m.new(Layer(MAKERS[args.called], _sizes(given)))
    m.state.put(made.addresses[0], "weight", weight)
    if args.kw.get("sparse") == Const(True):
        m.state.set((weight.addresses[0], "*sparse"), YES)
    membership.made(m, made, node)
    return made


def _sizes(given: Tensor | None) -> tuple[tuple[str, Value], ...]:
    """The attributes that tell how many vectors there are, and how long they are."""
    known = given.shape if given is not None and given.shape is not None and len(given.shape) == 2 else (None, None)
    sizes = [Const(size) if isinstance(size, int) else Scalar("int") for size in known]
    return tuple(zip(("num_embeddings", "embedding_dim"), sizes, strict=True))


def _wanted(args: Args, asked: Value | None) -> Truth:
    if asked is None:
        return MAYBE if args.open else NO
    return truth(not asked.value) if isinstance(asked, Const) else MAYBE
