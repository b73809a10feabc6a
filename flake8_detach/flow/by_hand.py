"""Steps taken by hand: a leaf is moved in place along its own gradient, `x -= lr * x.grad`, and no optimizer is there.

What is computed from the gradient of a leaf is known by its memory. The leaf that it is added to has used its gradient;
the next backward adds to what is left there, and the same line moves the leaf along the sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow.events import Misstep
from flake8_detach.flow.gradients import GRADIENT_OF, Gradient, keep, look
from flake8_detach.flow.happenings import happening
from flake8_detach.flow.values import NO, Joined, Ref, Tensor

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine
    from flake8_detach.flow.tensors import Inputs
    from flake8_detach.knowledge.ops import Op

MADE_FROM = "made from gradients"
"""Slot of a storage: the leaves whose gradients its values were computed from, as `Leaves`."""
ADDING = frozenset({"add", "sub", "subtract", "addcmul", "addcdiv"})
"""Ops that, in place, move a tensor from where it is."""
MEASURING = frozenset({"sub", "subtract", "rsub"})
"""Of the gradients of two moments they leave what has come in between."""
AVERAGING = frozenset({"div", "divide", "truediv", "true_divide"})
"""By a number, they may make a mean of a sum over all iterations."""


@dataclass(frozen=True, slots=True)
class Leaves(Joined):
    """Addresses of leaves; where paths meet, those that are in both."""

    addresses: frozenset[int] = frozenset()

    def join(self, other: Any, presume: bool = False) -> Leaves:
        return Leaves(self.addresses & getattr(other, "addresses", frozenset()))


def computed(m: Machine, op: Op, inputs: Inputs, result: Iterable[tuple[int, Tensor]]) -> None:
    """An op has made `result`: is it made from gradients that somebody reads?"""
    if not m.wanted:
        return
    sources = _all_sources(m, [tensor for _, tensor, _ in inputs.tensors])
    if sources and not _undoes(op, inputs):
        for _, tensor in result:
            m.state.set((tensor.storage, MADE_FROM), Leaves(sources))


def written(m: Machine, site: cst.CSTNode, op: Op, target: Ref, inputs: Inputs) -> None:
    """`target` was written in place: is it a leaf that moves along its own gradient?"""
    if not m.wanted:
        return
    sources = _all_sources(m, [tensor for address, tensor, _ in inputs.tensors if address not in target.addresses])
    for address, tensor in m.tensors(target):
        mine = sources & {address, *behind(tensor)}
        for leaf in mine if _name(op) in ADDING and not target.some else ():
            _moved(m, site, leaf)
        both = sources | _sources(m, tensor)
        if both and not mine:  # such as a mean of gradients, for momentum
            m.state.set((tensor.storage, MADE_FROM), Leaves(frozenset() if _undoes(op, inputs) else both))


def _undoes(op: Op, inputs: Inputs) -> bool:
    """May the op take out of a gradient what earlier iterations have left in it?"""
    name = _name(op)
    return name in (MEASURING if len(inputs.tensors) > 1 else AVERAGING)


def _name(op: Op) -> str:
    """ "add" of `add_`, `__iadd__`, `__add__`."""
    name = op.name.rpartition(".")[2].strip("_")
    return name[1:] if name.startswith(("iadd", "isub", "idiv", "itruediv")) else name


def _sources(m: Machine, tensor: Tensor) -> frozenset[int]:
    """The leaves whose gradient it is, or is computed from."""
    of = m.state.get((tensor.storage, GRADIENT_OF))
    made = m.state.get((tensor.storage, MADE_FROM))
    own = made.addresses if isinstance(made, Leaves) else frozenset()
    return own | {of} if isinstance(of, int) else own


def _all_sources(m: Machine, tensors: Iterable[Tensor]) -> frozenset[int]:
    return frozenset[int]().union(*(_sources(m, tensor) for tensor in tensors))


def behind(tensor: Tensor) -> list[int]:
    """The leaf whose `.data` it is."""
    origin = tensor.why.origin if tensor.why is not None and tensor.made == "detach" else None
    return [edge.leaf for edge in origin.edges if edge.leaf is not None] if origin is not None else []


def _moved(m: Machine, site: cst.CSTNode, address: int) -> None:
    """The leaf has used its gradient. Has it, in the same line, since when a backward has added to what was there?"""
    gradient = look(m, address)
    if address in m.owned or address in m.plural or len(m.state.alike(address)) > 1 or not gradient.clipped.no:
        return
    if gradient.heaped.yes and gradient.filled.yes and gradient.at("moved") is site and not m.quiet:
        _note(m, address, gradient, site)
    now = happening(m, site)
    keep(m, address, gradient.marked(now, moved=gradient.filled).marked(now, heaped=NO))


def _note(m: Machine, address: int, gradient: Gradient, site: cst.CSTNode) -> None:
    """To be told at the end, unless the leaf turns out to be somebody else's affair, too."""
    backward = gradient.at("heaped")
    assert backward is not None
    event = m.event(Misstep, backward, what="heaped", sure=gradient.heaped, at=site, subject="")

    def at_end() -> None:
        known = address not in m.escaped and address not in m.hooked and not m.ledger.unseen_owned
        if known and m.births.of(m.owned).isdisjoint(m.births.of([address])) and address not in m.owned:
            m.sink(event)

    m.ledger.at_end.append(at_end)


__all__ = ["behind", "computed", "written"]
