from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import GradRead
from flake8_detach.flow.values import NONE
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence, reason, trail
from flake8_detach.source import Source


@register
class GradOfDetached(Rule):
    """`.grad` of a detached tensor is read.

    ## What it does
    Reports a read of `.grad` on a tensor that was cut from the graph (by `.detach()`, `.data`, a copy, or because it
    was computed while grad mode was off) and was not made to require grad afterwards; after a backward also on one that
    never required grad.

    ## Why is this bad?
    No backward ever fills it: it is always `None`, and PyTorch says nothing.

    ## Known problems
    A comparison with None (`x.grad is None`) asks for exactly this and is not reported.

    ## Fix safety
    Shown only: read the gradient on the tensor that it was detached from, or call `.requires_grad_()` after the detach.

    ## References
    - [torch.Tensor.grad](https://pytorch.org/docs/stable/generated/torch.Tensor.grad.html)
    - [torch.Tensor.detach](https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html)
    """

    code = "AGD201"
    name = "grad-of-detached"
    listens = (GradRead,)
    triggers = (frozenset({"grad"}),)
    example = Example(
        bad="""\
import torch

x = torch.ones(3, requires_grad=True)
copy = x.detach()
(copy * x).sum().backward()
print(copy.grad)
""",
        good="""\
import torch

x = torch.ones(3, requires_grad=True)
copy = x.detach()
(copy * x).sum().backward()
print(x.grad)
""",
    )

    def check(self, event: GradRead, source: Source) -> Iterable[Finding]:
        tensor = event.tensor
        if event.tested or event.value != NONE or not (tensor.grad.no and tensor.leaf.yes):
            return
        never = tensor.why is not None and tensor.why.kind == "constant" and event.trained
        if tensor.why is None or not (never or tensor.why.kind in ("cut", "mode")):
            return
        yield Finding(
            self.code,
            f"`{event.subject}.grad` is always None: {reason(tensor.why, source, '')}",
            source.span(event.node),
            confidence(tensor.grad, tensor.leaf),
            trail(tensor.why, source),
            cause=event.empty if never else tensor.why.site,
        )
