from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Backward
from flake8_detach.flow.values import UNKNOWN, Array, Const, Function, Ref, Scalar, Tuple, Value
from flake8_detach.rules._base import HANDED, Example, Finding, Rule, register
from flake8_detach.rules._evidence import trail
from flake8_detach.rules._uncut import connected
from flake8_detach.source import Source


@register
class BackwardOnNonTensor(Rule):
    """Backward on something that is not a tensor.

    ## What it does
    Reports `x.backward()` where `x` is a Python number, None, a tuple, list or dict, a numpy array, a function, or a
    loss module that was constructed with the arguments of its call.

    ## Why is this bad?
    Python raises "'float' object has no attribute 'backward'" when the line runs.

    ## Known problems
    A value that is a tensor on one path and something else on another is not reported.

    ## Fix safety
    Shown only: without `.item()` the value stays a tensor, but what else uses it may want a number. What a function
    returns with other things has to be unpacked by hand.

    ## References
    - [torch.Tensor.item](https://pytorch.org/docs/stable/generated/torch.Tensor.item.html)
    """

    code = "AGD105"
    name = "backward-on-non-tensor"
    offers = ("display",)
    listens = (Backward,)
    triggers = (frozenset({"backward", "autograd", "manual_backward"}) | HANDED,)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
total = 0.0
for _ in range(3):
    total += net(torch.randn(8, 4)).mean().item()
total.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
total = 0.0
for _ in range(3):
    total += net(torch.randn(8, 4)).mean()
total.backward()
""",
    )

    def check(self, event: Backward, source: Source) -> Iterable[Finding]:
        if event.root is not None or event.value == UNKNOWN or event.guarded:
            return
        kind = kind_of(event.value, event.kind)
        if not kind:
            return
        if event.kind == "sometimes" and isinstance(event.value, Const):
            message = f"`{event.subject}` is the number {event.value.value} where its function returns that: {kind} has"
            yield Finding(self.code, f"{message} no `backward()`", source.span(event.node), "likely")
            return
        why = event.value.why if isinstance(event.value, (Const, Scalar, Array)) else None
        story = f", {why.what} (line {source.line(why.site)})" if why is not None else ""
        if event.api == "grad":
            message = f"`autograd.grad` needs a tensor: `{event.subject}` is {kind}{story}"
        else:
            message = f"`{event.subject}` is {kind} and has no `backward()`{story}"
        yield Finding(
            self.code,
            message,
            source.span(event.node),
            trail=trail(why, source),
            fix=connected(source, why, "display"),
            cause=why and why.site,
        )


def kind_of(value: Value, cell: str) -> str:
    """What the value is, in words; "" if it may have a `backward`."""
    if isinstance(value, Const):
        return "None" if value.value is None else f"a {type(value.value).__name__}"
    if isinstance(value, Scalar):
        return "a Python number" if value.kind == "number" else f"a {value.kind}"
    if isinstance(value, Tuple):
        pair = len(value.names) == 2
        return f"a {value.names[0]}-{value.names[1]} pair" if pair else "a namedtuple" if value.names else "a tuple"
    if isinstance(value, Array):
        return "a numpy array"
    if isinstance(value, Function):
        return "a function that is not called"
    return cell if isinstance(value, Ref) else ""
