"""What the engine saw happen, in order. Rules decide from these; they ask the engine nothing else.

Every event carries the facts as they were at that moment on every path that reaches the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from flake8_detach.flow.values import Cause, Mode, Tensor, Truth, Value

Site: TypeAlias = Any
"""A node of the syntax tree."""


@dataclass(frozen=True)
class Event:
    """node: the expression that does it. calls: the calls in the file that led here, outermost first.

    guarded: the code stands in a `try` (or `pytest.raises`) that catches what torch would raise.
    only_some: the function is called from several places and the facts were not the same from all of them.
    """

    node: Site
    calls: tuple[Site, ...]
    guarded: bool


@dataclass(frozen=True)
class Backward(Event):
    """`loss.backward()`, torch.autograd.backward, torch.autograd.grad, accelerator.backward.

    api: "backward" or "grad". root: the facts of one tensor that is backwarded; subject: its source text.
    value: what it is if it is no tensor. freed: has its graph been freed by an earlier backward that a saved tensor is
    missed from (YES: torch raises), and where.
    """

    api: str
    subject: str
    root: Tensor | None
    value: Value
    freed: Truth
    freed_at: Site | None
    gradient: bool
    subject_node: Site | None = None


@dataclass(frozen=True)
class ToNumpy(Event):
    """A tensor becomes a numpy array: `.numpy()`, np.asarray(t), plt.plot(t), `t + ndarray`.

    via: the source text of what converts ("np.asarray"). element: the tensor is an element of a list that is converted.
    tensor_node: the expression that is the tensor.
    """

    tensor: Tensor
    subject: str
    tensor_node: Site
    via: str
    element: bool
    mode: Mode


@dataclass(frozen=True)
class GradRead(Event):
    """`.grad` of a tensor is read; `value` is what the slot holds (NONE: it was never filled).

    tested: the read only asks whether there is a gradient (`x.grad is None`). kept: retain_grad() was called.
    """

    tensor: Tensor
    subject: str
    subject_node: Site
    value: Value
    kept: Truth
    tested: bool


@dataclass(frozen=True)
class NoneUsed(Event):
    """A `.grad` that is None is used as if it were a tensor."""

    subject: str
    why: Cause
