"""What the engine saw happen, in order. Rules decide from these; they ask the engine nothing else.

Every event carries the facts as they were at that moment on every path that reaches the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from flake8_detach.flow.values import Cause, Label, Mode, Tensor, Truth, Value

Site: TypeAlias = Any
"""A node of the syntax tree."""


@dataclass(frozen=True)
class Event:
    """node: the expression that does it. calls: the calls in the file that led here, outermost first.

    guarded: the code stands in a `try` (or `pytest.raises`) that catches what torch would raise.
    presumed: that the place is reached at all rests on a presumption (a loop of unknown length has a second iteration).
    """

    node: Site
    calls: tuple[Site, ...]
    guarded: bool
    presumed: bool


@dataclass(frozen=True)
class Write:
    """A tensor that backward needs was written in place after it had been saved.

    op: what saved it, at `saved_at`; role: which of its tensors ("result", or a parameter name); at: the write.
    """

    op: str
    role: str
    saved_at: Site
    at: Site | None


@dataclass(frozen=True)
class Backward(Event):
    """`loss.backward()`, torch.autograd.backward, torch.autograd.grad, accelerator.backward.

    api: "backward" or "grad". root: the facts of one tensor that is backwarded; subject: its source text. value: what
    it is if it is no tensor, and `kind` what kind of object in words. freed: has its graph been freed by an earlier
    backward that a saved tensor is missed from (YES: torch raises), and where. written: a tensor that backward needs
    and that was changed in place.
    """

    api: str
    subject: Label
    root: Tensor | None
    value: Value
    freed: Truth
    freed_at: Site | None
    gradient: bool
    subject_node: Site
    written: Write | None
    kind: str = ""


@dataclass(frozen=True)
class ToNumpy(Event):
    """A tensor becomes a numpy array: `.numpy()`, np.asarray(t), plt.plot(t), `t + ndarray`.

    via: the source text of what converts ("np.asarray"). element: the tensor is an element of a list that is converted.
    tensor_node: the expression that is the tensor.
    """

    tensor: Tensor
    subject: Label
    tensor_node: Site
    via: Label
    element: bool
    mode: Mode


@dataclass(frozen=True)
class GradRead(Event):
    """`.grad` of a tensor is read; `value` is what the slot holds (NONE: it was never filled).

    tested: the read only asks whether there is a gradient (`x.grad is None`). kept: retain_grad() was called.
    """

    tensor: Tensor
    subject: Label
    subject_node: Site
    value: Value
    kept: Truth
    tested: bool


@dataclass(frozen=True)
class NoneUsed(Event):
    """A `.grad` that is None is used as if it were a tensor."""

    subject: Label
    why: Cause


@dataclass(frozen=True)
class InPlace(Event):
    """A tensor is written in place: `x.add_(1)`, `x += 1`, `x[0] = 1`, `out=x`, ReLU(inplace=True).

    base: the tensor that it is a view of. how: the source text of what writes.
    """

    tensor: Tensor
    subject: Label
    base: Tensor | None
    how: Label
    mode: Mode


@dataclass(frozen=True)
class Requires(Event):
    """`requires_grad` is switched: by `requires_grad_()`, an assignment, a factory argument or nn.Parameter.

    tensor: the facts before. asked: on or off (MAYBE: not known). how: the source text. assigned: by
    `x.requires_grad =`, which torch refuses for a computed tensor whatever the value (requires_grad_() does nothing).
    """

    tensor: Tensor
    subject: Label
    asked: Truth
    how: Label
    mode: Mode
    assigned: bool = False


@dataclass(frozen=True)
class DetachedInPlace(Event):
    """`x.detach_()`."""

    tensor: Tensor
    subject: Label


@dataclass(frozen=True)
class Hooked(Event):
    """`retain_grad()`, `register_hook()` on a tensor."""

    tensor: Tensor
    subject: Label
    method: str


@dataclass(frozen=True)
class OptimizerMade(Event):
    """An optimizer is constructed with these parameters; None: they are not all known.

    given: facts of each parameter. problem: why it is no list of tensors at all ("a module", "the method itself").
    """

    kind: str
    given: tuple[Tensor, ...] | None
    problem: str


@dataclass(frozen=True)
class GradOf(Event):
    """torch.autograd.grad with respect to `tensor`: is it in the graph of the outputs?"""

    tensor: Tensor
    subject: Label
    reached: Truth
    unused: Truth


@dataclass(frozen=True)
class Copied(Event):
    """A tensor is deep-copied, pickled or sent to another process: `how` is the source text of what does it."""

    tensor: Tensor
    subject: Label
    how: Label


@dataclass(frozen=True)
class InferenceSaved(Event):
    """An op must save a tensor that was made in inference mode."""

    tensor: Tensor
    subject: Label
    op: str
