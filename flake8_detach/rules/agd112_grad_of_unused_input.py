from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import GradOf
from flake8_detach.flow.values import Truth
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence, reason, trail
from flake8_detach.source import Source


@register
class GradOfUnusedInput(Rule):
    """autograd.grad with respect to a tensor that is not in the graph.

    ## What it does
    Reports `torch.autograd.grad(outputs, inputs)` where an input does not require grad, or requires grad but did not
    take part in the outputs (a copy of it did, or it was re-bound afterwards). Also `inputs` that are empty, hold what
    is no tensor, or do not go with the other arguments, there and in `backward(inputs=...)`.

    ## Why is this bad?
    PyTorch raises "One of the differentiated Tensors does not require grad" or "... appears to not have been used in
    the graph".

    ## Known problems
    With `allow_unused=True` the gradient of an input that is not in the graph is None, which is reported only if the
    input was made after the outputs (`x[:, 0]` once more); PyTorch still raises for one that does not require grad.

    ## Fix safety
    Shown only: with `allow_unused=True` the gradient is None, which is hardly what was wanted. Rather call
    `.requires_grad_()` on the input before the forward, and differentiate with respect to that tensor.

    ## References
    - [torch.autograd.grad](https://pytorch.org/docs/stable/generated/torch.autograd.grad.html)
    """

    code = "AGD112"
    name = "grad-of-unused-input"
    offers = ("display",)
    listens = (GradOf,)
    triggers = (frozenset({"autograd", "inputs"}), frozenset({"autograd", "backward", "manual_backward"}))
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
points = torch.randn(8, 4)
(slope,) = torch.autograd.grad(net(points).sum(), points)
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
points = torch.randn(8, 4, requires_grad=True)
(slope,) = torch.autograd.grad(net(points).sum(), points)
""",
    )

    def check(self, event: GradOf, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        tensor = event.tensor
        if event.at is not None:
            line = source.line(event.at)
            message = (
                f"`{event.subject}` is a new tensor, not the one that went in: `autograd.grad` (line {line}) gives None"
            )
            yield Finding(self.code, message, source.span(event.node), "likely")  # certain ones of this rule raise
            return
        if event.problem:
            yield Finding(self.code, f"`{event.subject}` raises: {event.problem}", source.span(event.node))
            return
        if tensor.grad.no:
            message = f"`{event.subject}` does not require grad: {reason(tensor.why, source, 'it never did')}"
            facts: tuple[Truth, ...] = (tensor.grad,)
        elif event.reached.no and tensor.grad.yes and event.unused.no:
            message = f"`{event.subject}` is not in the graph that is differentiated"
            facts = (event.reached, tensor.grad)
        else:
            return
        notes = trail(tensor.why, source) if tensor.grad.no else ()
        fix = None
        if not tensor.grad.no:
            edits = fixes.build.add_argument(source, event.node, "allow_unused", "True")
            fix = fixes.build.offer("pass `allow_unused=True`", "display", edits)
        yield Finding(self.code, message, source.span(event.node), confidence(*facts), notes, fix)
